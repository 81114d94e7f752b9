"""What holds for every test: which ones this machine can run, and that no skip goes unseen.

The two halves: :mod:`tests.left_out` (what is not run, and that it is told) and :mod:`tests.groups`
(what runs together, and how long a test may take that nobody calls slow).
"""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import costs
from tests.groups import GROUPS, Groups, Haste
from tests.left_out import LeftOut

# No example fails for being slow, which a busy machine makes it; and where the whole check is made
# (.ci/run), the examples are the same each time, so that what it says of a commit stays so. Every
# group of tests tries as many examples: a slow test is marked so, never made smaller.
settings.register_profile(
    "polygraph",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("POLYGRAPH_STRICT_SKIPS")),
)
settings.load_profile("polygraph")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--group``: which tests, by the marks in pyproject.toml."""
    parser.addoption("--group", choices=sorted(GROUPS), help="; ".join(GROUPS.values()))


def pytest_configure(config: pytest.Config) -> None:
    """Let the two halves watch the session.

    While tests are collected, hardly anything of thousands of modules' objects is rubbish; and all
    that is there then is left alone afterwards, also by the children that tests fork, which would
    copy what they look through.
    """
    gc.disable()
    # Whoever starts this in the background (nohup, a shell without job control) has these ignored,
    # which every process that a test starts would inherit; and tests send them.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            default = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if default else signal.SIG_DFL)
    group = config.getoption("--group")
    allowed = Path(__file__).with_name("allowed-skips.txt")
    config.pluginmanager.register(LeftOut(config, allowed), "polygraph-left-out")
    if (watching := costs.asked()) is not None:
        config.pluginmanager.register(watching, "polygraph-costs")
    if group:
        config.pluginmanager.register(Groups(group), "polygraph-groups")
    if group == "quick":
        config.pluginmanager.register(Haste(), "polygraph-haste")


def pytest_collection_finish() -> None:
    """Look for rubbish from now on, among what tests make."""
    gc.freeze()
    gc.enable()
