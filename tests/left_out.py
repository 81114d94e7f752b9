"""Tests that are not run: which ones this machine cannot run, and that no skip goes unseen.

Tests that need root, Docker, the system's browser or data beside the checkout are *deselected*
where that is missing and listed at the end, so that a green run of an ordinary user does not pass
for more than it is. A test that *skips* is a hole: with ``POLYGRAPH_STRICT_SKIPS`` set (as
``.ci/run`` does), a skip that ``allowed-skips.txt`` does not name with its reason fails the
session; so do absent data, unless somebody has said that there are none.

With xdist the workers collect and run, and the controller tells: it looks once what the machine
has, gives that to all (they must agree on their tests), and takes what each has left out.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.errors import NeedsError
from tests.shared_data import VARIABLES, is_said_absent, is_there

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DATABASE_SERVERS = ("postgres", "mariadbd", "redis-server", "redis-sentinel")


def has_root() -> bool:
    """Whether these tests run as root."""
    return os.geteuid() == 0


def has_docker() -> bool:
    """Whether a Docker engine answers (CI starts one where none does: scripts/engine.sh)."""
    from harness.cluster.docker.engine import connect

    try:
        connect(timeout_s=5).close()
    except NeedsError:
        return False
    return True


def has_browser() -> bool:
    """Whether there is a Chromium. Root must have one (scripts/setup.sh gets it), or fail."""
    return has_root() or any(shutil.which(name) for name in BROWSERS)


def has_strace() -> bool:
    """Whether system calls can be watched. Root must have strace (scripts/setup.sh gets it)."""
    if shutil.which("strace") is None:
        return has_root()
    tried = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], capture_output=True)
    return tried.returncode == 0


def has_program(name: str) -> bool:
    """Whether there is such a program; CI does not install what is large."""
    return shutil.which(name) is not None


def has_shells() -> bool:
    """Whether zsh and fish can be asked. Root must have them (scripts/setup.sh gets them)."""
    return has_root() or all(shutil.which(name) for name in ("zsh", "fish"))


def server_path() -> str:
    """Where servers of databases are looked for: Debian keeps PostgreSQL on no path."""
    postgresql = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", *postgresql])


def has_databases() -> bool:
    """Whether there are servers of databases. Root must have them (scripts/setup.sh gets them)."""
    path = server_path()
    return has_root() or all(shutil.which(name, path=path) for name in DATABASE_SERVERS)


NEEDS: Mapping[str, Callable[[], bool]] = {
    "root": has_root,
    "docker": has_docker,
    "browser": has_browser,
    "database": has_databases,
    "strace": has_strace,
    "node": partial(has_program, "node"),
    "go": partial(has_program, "go"),
    "shells": has_shells,
    **{kind: partial(is_there, kind) for kind in VARIABLES},
}
"""Marks of tests that need something, and how to see whether it is here."""


def allowed_skips(file: Path) -> dict[str, str]:
    """Pattern of test ids to reason, from lines ``PATTERN  # REASON``; a reason is required."""
    allowed = {}
    for line in file.read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            pattern, _, reason = line.partition("  # ")
            if not reason.strip():
                raise ValueError(f"{file.name}: no reason given for {pattern.strip()}")
            allowed[pattern.strip()] = reason.strip()
    return allowed


class LeftOut:
    """Watches one session for tests that were left out or skipped."""

    def __init__(self, config: pytest.Config, allowed: Path) -> None:
        self.config = config
        self.allowed = allowed_skips(allowed)
        self.left_out: dict[str, list[str]] = {}
        self.skipped: dict[str, str] = {}
        self._absent: list[str] | None = getattr(config, "workerinput", {}).get("absent")

    @property
    def absent(self) -> list[str]:
        """What this machine or user does not have; in a worker, what the controller saw."""
        if self._absent is None:
            self._absent = [need for need, is_here in NEEDS.items() if not is_here()]
        return self._absent

    # Last, so that what nobody asked for (-k, -m, --group) is not called left out.
    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Deselect what this machine or user cannot run, keeping the names for the end.

        Where tests are only listed, all are: what is missing may be there once they run.
        """
        if self.config.option.collectonly:
            return
        lacking = {
            item: next((need for need in self.absent if item.get_closest_marker(need)), None)
            for item in items
        }
        items[:] = [item for item, need in lacking.items() if need is None]
        for item, need in lacking.items():
            if need is not None:
                self.left_out.setdefault(need, []).append(item.nodeid)
                self.config.hook.pytest_deselected(items=[item])

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Of xdist's controller: tell a worker what the machine has."""
        node.workerinput["absent"] = self.absent

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Of xdist's controller: take what a worker left out (all leave out the same)."""
        self.left_out.update(getattr(node, "workeroutput", {}).get("left_out", {}))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a skipped test with its reason."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self._remember(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember a whole file that skipped itself."""
        if report.skipped:
            self._remember(report)

    def _remember(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        # Through xdist a tuple comes as a list.
        where = report.longrepr
        reason = where[2] if isinstance(where, tuple | list) else where
        self.skipped[report.nodeid] = str(reason).removeprefix("Skipped: ")

    def unexpected(self) -> dict[str, str]:
        """The skips that ``allowed-skips.txt`` does not name."""
        return {
            test: reason
            for test, reason in self.skipped.items()
            if not any(fnmatch.fnmatchcase(test, pattern) for pattern in self.allowed)
        }

    def unsaid(self) -> list[str]:
        """The data that tests wanted, that are not here, and that nobody has said are not here."""
        return [kind for kind in VARIABLES if kind in self.left_out and not is_said_absent(kind)]

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """A skip that is not allowed fails the session where skips are strict."""
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput["left_out"] = self.left_out
            return
        strict = bool(os.environ.get("POLYGRAPH_STRICT_SKIPS"))
        may_fail = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        if strict and may_fail and (self.unexpected() or self.unsaid()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List what was left out, and the skips that nobody has allowed."""
        for need, tests in self.left_out.items():
            terminalreporter.section(f"{len(tests)} tests not run: they need {need}")
            for test in tests:
                terminalreporter.line(f"  {test}")
        for kind in self.unsaid():
            terminalreporter.line(
                f"there are no {kind} here: set {VARIABLES[kind]} to their folder, or to "
                "none if this machine has none (tests/shared_data.py)",
                red=True,
            )
        if self.unexpected():
            terminalreporter.section("skipped, and not in tests/allowed-skips.txt", red=True)
            for test, reason in self.unexpected().items():
                terminalreporter.line(f"  {test}: {reason}")
