"""The names of nodes: each is the host name of one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.cluster.provider import MOST_NODES
from harness.errors import SetupError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def check_names(names: Sequence[str]) -> None:
    """``SetupError`` unless the names can be host names, each once, and there are addresses."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SetupError(f"each node needs a name of its own; given twice: {', '.join(twice)}")
    wrong = [name for name in names if not _NAME.fullmatch(name) or name == "controller"]
    if wrong:
        raise SetupError(
            f"these cannot be host names: {', '.join(map(repr, wrong))}",
            "lower-case letters, digits and inner hyphens, at most 63",
        )
    if not 1 <= len(names) <= MOST_NODES:
        raise SetupError(f"a local cluster has 1 to {MOST_NODES} nodes, not {len(names)}")
