"""While checkers are tested, no verdict names an anomaly that ``polygraph explain`` does not know.

Names that are put together while a checker works stand in no source as such; here every verdict
that any test brings about is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from checkers.explained import ANOMALIES
from harness.verdict.verdict import Verdict


@pytest.fixture(autouse=True, scope="module")
def every_anomaly_is_explained() -> Iterator[None]:
    """Refuse a verdict with an unexplained anomaly at its making."""
    make = Verdict.__init__

    def made(self: Verdict, *arguments: Any, **named: Any) -> None:
        make(self, *arguments, **named)
        unexplained = sorted(set(self.anomalies) - set(ANOMALIES))
        assert not unexplained, f"polygraph explain does not know {unexplained}"

    Verdict.__init__ = made  # type: ignore[method-assign]
    yield
    Verdict.__init__ = make  # type: ignore[method-assign]
