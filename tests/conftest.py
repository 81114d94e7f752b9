"""What holds for every test: which ones this machine can run, and that no skip goes unseen.

Tests that need root, Docker or the system's browser are *deselected* where that is missing and
listed at the end, so that a green run of an ordinary user does not pass for more than it is.
A test that *skips* is a hole: with ``POLYGRAPH_STRICT_SKIPS`` set (as ``.ci/run`` does), a skip
that ``allowed-skips.txt`` does not name with its reason fails the session.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from harness.errors import NeedsError

ALLOWED_SKIPS = Path(__file__).with_name("allowed-skips.txt")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# No example fails for being slow, which a busy machine makes it; and where the whole check is made
# (.ci/run), the examples are the same each time, so that what it says of a commit stays so.
settings.register_profile(
    "polygraph",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("POLYGRAPH_STRICT_SKIPS")),
)
settings.load_profile("polygraph")


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


NEEDS: Mapping[str, Callable[[], bool]] = {
    "root": has_root,
    "docker": has_docker,
    "browser": has_browser,
    "strace": has_strace,
}


def allowed_skips(text: str) -> dict[str, str]:
    """Pattern of test ids to reason, from lines ``PATTERN  # REASON``; a reason is required."""
    allowed = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            pattern, _, reason = line.partition("  # ")
            if not reason.strip():
                raise ValueError(f"{ALLOWED_SKIPS.name}: no reason given for {pattern.strip()}")
            allowed[pattern.strip()] = reason.strip()
    return allowed


class Holes:
    """Watches one session for tests that were left out or skipped."""

    def __init__(self) -> None:
        self.left_out: dict[str, list[str]] = {}
        self.skipped: dict[str, str] = {}

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Deselect what this machine or user cannot run, keeping the names for the end."""
        absent = [need for need, is_there in NEEDS.items() if not is_there()]
        lacking = {
            item: next((need for need in absent if item.get_closest_marker(need)), None)
            for item in items
        }
        items[:] = [item for item, need in lacking.items() if need is None]
        for item, need in lacking.items():
            if need is not None:
                self.left_out.setdefault(need, []).append(item.nodeid)
                config.hook.pytest_deselected(items=[item])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a skipped test with its reason."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self._remember(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember a whole file that skipped itself."""
        if report.skipped:
            self._remember(report)

    def _remember(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        self.skipped[report.nodeid] = str(reason).removeprefix("Skipped: ")

    def unexpected(self) -> dict[str, str]:
        """The skips that ``allowed-skips.txt`` does not name."""
        allowed = allowed_skips(ALLOWED_SKIPS.read_text("utf-8"))
        return {
            test: reason
            for test, reason in self.skipped.items()
            if not any(fnmatch.fnmatchcase(test, pattern) for pattern in allowed)
        }

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """A skip that is not allowed fails the session where skips are strict."""
        strict = bool(os.environ.get("POLYGRAPH_STRICT_SKIPS"))
        if strict and exitstatus == pytest.ExitCode.OK and self.unexpected():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List what was left out, and the skips that nobody has allowed."""
        for need, tests in self.left_out.items():
            terminalreporter.section(f"{len(tests)} tests not run: they need {need}")
            for test in tests:
                terminalreporter.line(f"  {test}")
        if self.unexpected():
            terminalreporter.section("skipped, and not in tests/allowed-skips.txt", red=True)
            for test, reason in self.unexpected().items():
                terminalreporter.line(f"  {test}: {reason}")


def pytest_configure(config: pytest.Config) -> None:
    """Let one :class:`Holes` watch the session."""
    config.pluginmanager.register(Holes(), "polygraph-holes")
