"""Observes a system's milestones through a run, and writes ``evidence/milestones.jsonl``.

One object a line, ``{"time", "node", "name", "detail", "error_ns"}``: the node went through the
milestone at ``time`` on the history's clock or up to ``error_ns`` earlier. Lines of logs are seen
where the controller has them: at once on this machine, with the delay of the provider elsewhere
(which ``error_ns`` holds; logs that are fetched are fetched twice a second). Figures are asked of
every node.

All works in threads of its own. Where a schedule waits for a milestone, logs are looked at as soon
as they are written and every few milliseconds; else ten times less often.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from harness.confidential import cleared
from harness.contract.milestones import DelaysLogs, MilestoneFigures, Milestones
from harness.contract.node import Cluster, LogsElsewhere, Node
from harness.contract.system import System
from harness.errors import StoreError, cannot_write
from harness.evidence.tail import Found, Tail

NAME: Final = "milestones.jsonl"
QUICK_S: Final = 0.003
SLOW_S: Final = 0.05
FETCH_S: Final = 0.5
ASK_S: Final = 0.1
ASK_TIMEOUT_S: Final = 1.0
_LONGEST: Final = 300


class Milestone(msgspec.Struct, frozen=True):
    """One line of ``evidence/milestones.jsonl``. Times in nanoseconds on the history's clock."""

    time: int
    node: str
    name: str
    detail: dict[str, Any]
    error_ns: int


@dataclass
class MilestoneWatch:
    """Observes all nodes of ``cluster``, from :meth:`start` to :meth:`stop`.

    ``tell`` is called with each milestone at once, before it is written, from a thread of ours.
    ``is_awaited``: a fault waits for one. A folder that cannot be written is told by ``warn``.
    """

    path: Path
    system: System
    cluster: Cluster
    now: Callable[[], int]
    tell: Callable[[Milestone], None]
    warn: Callable[[str], None]
    is_awaited: bool = False
    count: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    _patterns: dict[str, re.Pattern[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _is_broken: bool = False

    def start(self) -> None:
        """Begin; nothing is done for a system that declares no milestones."""
        works: dict[str, Callable[[], None]] = {}
        if isinstance(self.system, Milestones):
            self._patterns = compiled(self.system.milestones())
            tail = Tail({node.name: node.log_dir for node in self.cluster.nodes}, self.now)
            tail.open()
            works["milestones"] = lambda: self._follow(tail)
            if isinstance(self.cluster, LogsElsewhere):
                works["milestones: fetching logs"] = self._fetch
        if isinstance(self.system, MilestoneFigures):
            for node in self.cluster.nodes:
                works[f"milestones of {node.name}"] = partial(self._ask, node)
        if works:
            self._write(b"")
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True) for name, work in works.items()
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Look once more, and end. Safe twice."""
        self._over.set()
        for thread in self._threads:
            thread.join(ASK_TIMEOUT_S + FETCH_S)
        self._threads = []

    def note(self, milestone: Milestone) -> None:
        """One was observed: tell it, then write it down."""
        with self._lock:
            self.counts[milestone.name] += 1
        self.tell(milestone)
        told = msgspec.structs.replace(milestone, detail=cleared(milestone.detail))
        self._write(msgspec.json.encode(told) + b"\n")

    def reached(self) -> dict[str, int]:
        """How often each milestone came that the system declares, also those that never did."""
        return {name: self.counts[name] for name in names_of(self.system)}

    # -- logs ----------------------------------------------------------------------------------

    def _follow(self, tail: Tail) -> None:
        try:
            while True:
                is_last = self._over.is_set()
                for found in tail.look():
                    for milestone in self._in_line(found):
                        self.note(milestone)
                if is_last:
                    return
                if self.is_awaited:
                    tail.wait(QUICK_S)
                else:
                    self._over.wait(SLOW_S)
        finally:
            tail.close()

    def _in_line(self, found: Found) -> Iterator[Milestone]:
        for name, pattern in self._patterns.items():
            match = pattern.search(found.text)
            if match is not None:
                told = {key: value for key, value in match.groupdict().items() if value is not None}
                detail = {**told, "file": found.file, "line": found.text[:_LONGEST]}
                error_ns = found.time_ns - found.since_ns + self._delay_ns()
                yield Milestone(found.time_ns, found.node, name, detail, error_ns)

    def _delay_ns(self) -> int:
        return round(self.cluster.log_delay_s * 1e9) if isinstance(self.cluster, DelaysLogs) else 0

    def _fetch(self) -> None:
        assert isinstance(self.cluster, LogsElsewhere)
        while not self._over.wait(FETCH_S):
            with contextlib.suppress(Exception):  # what does not come is told at the end of the run
                self.cluster.collect()

    # -- figures -------------------------------------------------------------------------------

    def _ask(self, node: Node) -> None:
        assert isinstance(self.system, MilestoneFigures)
        known: dict[str, Any] = {}
        since_ns = self.now()
        while not self._over.is_set():
            asked_ns = self.now()
            found: Mapping[str, Any] | None = None
            with contextlib.suppress(Exception):  # a node that is down has none for now
                found = self.system.milestone_figures(node, ASK_TIMEOUT_S)
            if found is not None:
                self._compare(node.name, known, found, since_ns)
                known.update(found)
                since_ns = asked_ns
            self._over.wait(ASK_S)

    def _compare(
        self, node: str, known: Mapping[str, Any], found: Mapping[str, Any], since_ns: int
    ) -> None:
        time_ns = self.now()
        for name, value in found.items():
            if name in known and known[name] != value:
                detail = {"was": known[name], "is": value}
                self.note(Milestone(time_ns, node, name, detail, time_ns - since_ns))

    # -- the file ------------------------------------------------------------------------------

    def _write(self, line: bytes) -> None:
        with self._lock:
            if line:
                self.count += 1
            if self._is_broken:
                return
            try:
                self.path.parent.mkdir(exist_ok=True)
                with self.path.open("ab") as file:
                    file.write(line)
            except OSError as error:
                self._is_broken = True
                why: StoreError = cannot_write(f"{self.path} cannot be written", error)
                self.warn(f"milestones are no longer kept: {why.message}")


def compiled(table: Mapping[str, Sequence[str]]) -> dict[str, re.Pattern[str]]:
    """One pattern a name; several are alternatives, with different named groups."""
    found = {}
    for name, patterns in table.items():
        if len(patterns) == 1:
            found[name] = re.compile(patterns[0])
        elif patterns:
            found[name] = re.compile("|".join(f"(?:{each})" for each in patterns))
    return found


def names_of(system: System) -> list[str]:
    """The milestones that a system declares."""
    of_logs = list(system.milestones()) if isinstance(system, Milestones) else []
    figures = list(system.figure_names()) if isinstance(system, MilestoneFigures) else []
    return of_logs + [name for name in figures if name not in of_logs]
