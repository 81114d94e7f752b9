"""Groups of tests that run together, and the limit of a test that nobody calls slow.

A test is *pure* unless a mark says that it touches the machine: such a test runs beside others, a
core each. The rest mostly wait, and run in lanes beside each other, after the pure ones
(scripts/test.sh): what runs make there carries a name of their own, and tests look for that alone.
Of the pure tests, those marked ``slow`` are left to ``make test``; all others must keep within
:data:`LIMIT_S`, or ``make quick`` fails.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

ALONE = frozenset({"root", "docker", "browser", "strace", "userns", "cluster", "database"})
"""Marks of tests that are no pure ones: their machine is to be theirs."""
GROUPS: Mapping[str, str] = {
    "quick": "pure tests that are not slow, each within its limit",
    "pure": "all pure tests: they may run beside each other",
    "containers": "tests that need a Docker engine: one after the other",
    "databases": "tests that start a real database server other than etcd: two files at a time",
    "alone": "all others, which touch the machine: two files at a time",
}
LIMIT_S = 1.0
FAILURES = "POLYGRAPH_FAILURES"
"""The environment variable that names a file for the names of tests that failed."""


def belongs(marks: frozenset[str], group: str) -> bool:
    """Whether a test with these marks is of the group."""
    if "docker" in marks:
        return group == "containers"
    if "database" in marks:
        return group == "databases"
    if marks & ALONE:
        return group == "alone"
    return group == "pure" or (group == "quick" and "slow" not in marks)


class Groups:
    """Deselects what is not of one group."""

    def __init__(self, group: str) -> None:
        self.group = group

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Keep the group's tests."""
        kept, others = [], []
        for item in items:
            marks = frozenset(mark.name for mark in item.iter_markers())
            (kept if belongs(marks, self.group) else others).append(item)
        items[:] = kept
        if others:
            config.hook.pytest_deselected(items=others)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Keep what failed for whoever runs several groups (scripts/test.sh), where they ask."""
        if file := os.environ.get(FAILURES):
            with Path(file).open("a", encoding="utf-8") as out:
                for kind in ("failed", "error"):
                    for report in terminalreporter.stats.get(kind, []):
                        out.write(f"{kind.upper()} {report.nodeid}\n")


def processor_s() -> float:
    """Processor time of this process and of its children that have ended."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def stalled_s() -> float:
    """For how long, since the machine started, anybody waited for a processor or for the disk."""
    found = 0.0
    for kind in ("cpu", "io"):
        try:
            some = Path("/proc/pressure", kind).read_text("ascii").splitlines()[0]
        except OSError:  # a kernel that does not tell: then only processor time counts
            return time.monotonic()
        found += int(some.rpartition("total=")[2]) / 1e6
    return found


class Cost:
    """What one test costs, whatever else the machine does meanwhile.

    Time by the clock would fail a good test on a busy machine, processor time alone would pass one
    that sleeps. So a test costs the more of two: the processor time of its process and of the
    children that it saw end; and the time by the clock less that in which *anybody* on the machine
    had to wait for a processor or the disk (the kernel's pressure, "some"). The busier the machine,
    the more the second forgives; on an idle one it is the time by the clock.

    A second of a processor that is shared does less, down to half (hyper-threads, caches): what was
    used is divided by one and the share of the time in which somebody waited.
    """

    def __init__(self, clocks: Callable[[], tuple[float, float, float]] | None = None) -> None:
        self._clocks = clocks or (lambda: (time.monotonic(), processor_s(), stalled_s()))
        self._start = self._clocks()

    def so_far_s(self) -> float:
        """Seconds since this was made."""
        passed, used, stalled = (
            now - then for now, then in zip(self._clocks(), self._start, strict=True)
        )
        busy = min(1.0, stalled / passed) if passed > 0 else 0.0
        return max(used / (1 + busy), passed - stalled)


class Haste:
    """Fails a test that takes over :data:`LIMIT_S`.

    The first in a process also pays for what is done once: imports, the fixtures of a module,
    loops that are compiled. Which test that is depends on the order, so one that was too slow is
    run once more, and the second time counts.
    """

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self.limit_s = limit_s
        self._cost_s = 0.0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Generator[None, None, None]:
        """Count the fixtures that are set up."""
        self._cost_s = 0.0
        yield from self._counted()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, None, None]:
        """Count the test."""
        yield from self._counted()

    def _counted(self) -> Generator[None, None, None]:
        cost = Cost()
        try:
            return (yield)
        finally:
            self._cost_s += cost.so_far_s()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Run a test; again if it took too long; and fail it if it did so twice."""
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if self._is_too_slow(reports):
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            if self._is_too_slow(reports):
                reports[1].outcome = "failed"
                reports[1].longrepr = (
                    f"{item.nodeid} took {self._cost_s:.2f} s, twice over the limit of "
                    f"{self.limit_s} s: make it faster, or mark it slow"
                )
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _is_too_slow(self, reports: list[pytest.TestReport]) -> bool:
        return self._cost_s > self.limit_s and all(report.passed for report in reports)
