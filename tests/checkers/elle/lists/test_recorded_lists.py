"""Recorded list-append histories of other projects get the verdicts that stand beside them."""

from __future__ import annotations

import pytest

from harness.history.reader import read_history
from harness.verdict.verdict import Verdict
from tests.checkers.elle.lists.drawing import judged
from tests.shared_data import HISTORIES

pytestmark = pytest.mark.histories


def verdict(name: str, *models: str) -> Verdict:
    return judged(read_history(HISTORIES / name), *models)


@pytest.mark.parametrize("name", ["paper-example.edn", "paper-example.json"])
def test_the_example_of_the_paper_is_invalid(name: str) -> None:
    found = verdict(f"elle-cli/elle/{name}")
    assert found.valid is False
    assert "G-single-item" in found.anomalies


def test_snapshot_isolation_without_g_single_is_not_repeatable_read() -> None:
    found = verdict("elle/si-without-g-single.edn", "snapshot-isolation", "repeatable-read")
    assert found.valid is False
    assert list(found.anomalies) == ["G2-item"]
    assert found.not_ == ("repeatable-read",)


@pytest.mark.slow
def test_the_large_component_breaks_strong_snapshot_isolation() -> None:
    """Elle runs out of time here and names G2-item-realtime; that follows from what is found."""
    found = verdict("elle/huge-scc.edn.gz")
    assert found.valid is False
    assert found.not_ == ("strong-snapshot-isolation",)
    assert list(found.anomalies) == ["G-single-item-realtime"]
