"""Flags that several verbs share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.cli.flags import flag
from harness.option import Size

PLACES = "Places"

FORMATS = ("edn", "json", "jsonl")
"""Names of the notations of histories, as ``harness.history.formats.known`` has them."""

_SESSIONS = ("plume", "awdit", "cobra", "dbcop", "dbcop-json", "veristrong")

READABLE = (*FORMATS, "jepsen-log", *_SESSIONS, "etcd-operations", "chaos")
"""Names of the notations that can be read, as in ``harness.history.formats.known.READERS``."""

WRITTEN = (*FORMATS, "jepsen-log", *_SESSIONS, "chaos")
"""Names of those that can be written, as in ``harness.history.formats.conversion.WRITTEN``."""

store_option = flag(
    "store", Path, default=Path("store"), group=PLACES, help="the folder that keeps the runs"
)
ssh_config_option = flag(
    "ssh_config",
    Path,
    group=PLACES,
    help="the ssh configuration that runs were made with, if not ~/.ssh/config; what a run's"
    " folder names is not believed, as it can run commands",
)
endpoint_option = flag(
    "endpoint",
    str,
    group=PLACES,
    metavar="HOST:PORT,...",
    help="endpoints of yours at which a killed run may have left keys of its own; what a run's"
    " folder names is not spoken to",
)
json_option = flag("json", bool, dest="as_json", help="print the answer as JSON")
plugin_option = flag(
    "plugin",
    Path,
    multiple=True,
    metavar="FILE",
    help="a Python file with further systems, workloads, nemeses or checkers",
)
max_bytes_option = flag(
    "max_bytes", Size, help="read histories up to this size, unpacked, in place of the usual bounds"
)


def names(words: str | Sequence[str]) -> tuple[str, ...]:
    """``a,b`` as names; ``none`` is no name."""
    parts = words.split(",") if isinstance(words, str) else words
    return tuple(part.strip() for part in parts if part.strip() not in ("", "none"))
