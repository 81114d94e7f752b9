"""Histories and cases that are no part of this repository: where they lie, and whether they do.

Recorded histories of other projects carry other licences, so they are kept in a folder beside the
checkout. A test that reads them takes the place from here and is marked ``histories`` or ``cases``.
Where they are absent those tests are deselected and listed, and a strict session (``.ci/run``)
fails, unless the absence is said:

==========================  =====================================================================
``POLYGRAPH_SHARED``        the folder, ``../shared`` beside the checkout if not said; ``none``
                            says that this machine has none
``POLYGRAPH_HISTORIES``     the histories, ``histories`` in that folder if not said; or ``none``
``POLYGRAPH_CASES``         the cases, ``cases`` in that folder if not said; or ``none``
==========================  =====================================================================
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
ABSENT = "none"
"""What a variable says where there is nothing, and that is no mistake."""
VARIABLES: Mapping[str, str] = {"histories": "POLYGRAPH_HISTORIES", "cases": "POLYGRAPH_CASES"}
"""Of each kind of data (and mark of tests), the variable that names its folder."""
NOWHERE = Path(os.devnull) / "absent"
"""A folder that cannot be."""


def folder_of(kind: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Where data of a kind would lie; :data:`NOWHERE` if the environment says that there is none.

    The environment's own words are relative to the working directory, as those of a shell.
    """
    shared = environment.get("POLYGRAPH_SHARED") or str(CHECKOUT.parent / "shared")
    if named := environment.get(VARIABLES[kind]):
        return NOWHERE if named == ABSENT else Path(named).resolve()
    return NOWHERE if shared == ABSENT else (Path(shared) / kind).resolve()


def is_there(kind: str) -> bool:
    """Whether data of a kind can be read."""
    return folder_of(kind).is_dir()


def is_said_absent(kind: str) -> bool:
    """Whether somebody has said that this machine has none."""
    return folder_of(kind) == NOWHERE


HISTORIES = folder_of("histories")
CASES = folder_of("cases")
