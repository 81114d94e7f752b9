"""Runs of tests that the machine held up, so that they rightly ended in ``unknown``.

A run in which the client loop stood still, or which was suspended, says so and proves nothing; a
test that is about something else makes it again. One that is unknown for any other reason is not
made again: that would hide a defect.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import EXIT_UNKNOWN

ATTEMPTS = 5
STOOD_STILL_MS = 250.0

Done = TypeVar("Done", bound=subprocess.CompletedProcess[str])


def was_held_up(facts: Mapping[str, Any]) -> bool:
    """Whether the machine held up the run with these facts (``evidence/run.json``)."""
    return bool(facts["lag_ms"]["max"] > STOOD_STILL_MS or facts["suspended_ms"])


def undisturbed(run: Callable[[], Done], store: Path) -> Done:
    """What ``run`` (a command with a ``returncode``, which keeps its runs in ``store``) ends in."""
    for _ in range(ATTEMPTS):
        done = run()
        if done.returncode != EXIT_UNKNOWN:
            break
        if not was_held_up(json.loads((store / "latest/evidence/run.json").read_text())):
            break
    return done
