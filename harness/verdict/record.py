"""The record: everything that checkers may read of one run."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.history.history import History
from harness.history.ledger import LedgerEntry as LedgerEntry
from harness.history.operation import Header
from harness.store.untrusted import Folder, TooLarge

if TYPE_CHECKING:
    from harness.verdict.metrics import Metrics

LONGEST_LOG_LINE: Final = 1 << 20
"""Bytes of a line of a log that are looked at."""
ENDLESS_LOG_LINE: Final = 64 << 20
"""Bytes of what is no line of a log any more, but a hole or rubbish."""
SHOWN: Final = 5
"""Names of files that are told; of more it is said that there are more."""


@dataclass(frozen=True, kw_only=True)
class LogFile:
    """One log file of one node, as collected into the run folder."""

    node: str
    path: Path

    def lines(self) -> Iterator[str]:
        """Its lines with their ends; of one that is longer than a log's line ever is, the start.

        ``OSError`` where it is no plain file any more, ``TooLarge`` where a line does not end.
        """
        with Folder(self.path.parent).open(self.path.name) as file:
            while line := file.readline(LONGEST_LOG_LINE):
                cut, size = line, len(line)
                while len(cut) == LONGEST_LOG_LINE and not cut.endswith(b"\n"):
                    cut = file.readline(LONGEST_LOG_LINE)
                    size += len(cut)
                    if size > ENDLESS_LOG_LINE:
                        why = f"holds a line of more than {ENDLESS_LOG_LINE >> 20} MiB"
                        raise TooLarge(errno.EFBIG, why, f"{self.path.name} of {self.node}")
                yield line.decode("utf-8", errors="replace")


def odd_logs(inside: Folder) -> str | None:
    """What is said of node logs that are left out since they are no plain files."""
    found = inside.odd_ones("nodes")  # what a database keeps deeper down may be anything
    odd = [name for name in found if name.endswith(".log") or name.count("/") < 2]
    if not odd:
        return None
    shown = ", ".join(odd[:SHOWN]) + (", …" if len(odd) > SHOWN else "")
    return f"left out, for they are no plain files: {shown}"


@dataclass(frozen=True, kw_only=True)
class Record:
    """History, ledger, logs, run facts and metrics. Parts that are not at hand are ``None``.

    ``run`` is ``evidence/run.json``: phases, loop lag, exits of daemons, recovery, versions;
    ``states`` is ``evidence/final_states.json``, what every node held in the end
    (:class:`harness.contract.system.FinalStates` as a mapping).
    """

    history: History
    faults: Sequence[LedgerEntry] | None = None
    logs: Sequence[LogFile] | None = None
    run: Mapping[str, Any] | None = None
    states: Mapping[str, Any] | None = None
    metrics: Metrics | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def header(self) -> Header:
        """The history's header (an empty one where the file had none)."""
        return self.history.header

    @property
    def parts(self) -> frozenset[str]:
        """Names of the parts that are present, as in ``Checker.reads``."""
        present = {"history"}
        present.update(
            name
            for name in ("faults", "logs", "run", "states", "metrics")
            if getattr(self, name) is not None
        )
        return frozenset(present)
