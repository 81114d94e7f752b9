"""What each test costs, for whoever asks: a line a test, in the file that the environment names.

``scripts/test.sh`` asks, and lists the costliest: what the whole check takes is theirs, mostly.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.groups import processor_s

COSTS = "POLYGRAPH_COSTS"
"""The environment variable that names the file."""


class Costs:
    """Appends ``processor seconds, seconds by the clock, test`` (with tabs) for each test."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure the test with its fixtures, also those that others use after it."""
        used, began = processor_s(), time.monotonic()
        try:
            return (yield)
        finally:
            cost = (processor_s() - used, time.monotonic() - began)
            with self.file.open("a", encoding="utf-8") as out:  # short: lines are not mixed
                out.write(f"{cost[0]:.2f}\t{cost[1]:.2f}\t{item.nodeid}\n")


def asked() -> Costs | None:
    """Watch the session, where the environment names a file."""
    file = os.environ.get(COSTS)
    return Costs(Path(file)) if file else None
