"""What AWDIT and IsoVista recorded, read as it is: their verdicts, decided completely."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.history.history import History
from harness.history.reader import read_history
from harness.judge.judge import judge_history
from harness.plugins import Registry
from tests.harness.history.test_conversion import sessions, through
from tests.shared_data import HISTORIES

pytestmark = pytest.mark.histories
REGISTRY = Registry(())
MODELS = ("read-committed", "read-atomic", "causal")
HOLDS = {"none": 0, "read-committed": 1, "read-atomic": 2, "causal": 3}
"""How many of the models hold, by AWDIT's folder."""
AWDIT = sorted((HISTORIES / "awdit").rglob("*.txt"))


def verdict(history: History, model: str) -> object:
    found = judge_history(history, ["rw-register"], {"consistency_models": [model]}, REGISTRY)
    return found["valid"]


@pytest.mark.parametrize("path", AWDIT, ids=lambda path: "/".join(path.parts[-2:]))
def test_awdits_verdicts_are_ours(path: Path, tmp_path: Path) -> None:
    history = read_history(path)
    assert history.prepared is not None
    holds = HOLDS[path.relative_to(HISTORIES / "awdit").parts[0]]
    expected = [place < holds for place in range(len(MODELS))]
    assert [verdict(history, model) for model in MODELS] == expected
    again = through(history, "awdit", tmp_path)
    assert sessions(again) == sessions(history)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "model"), [("dgraph_si.txt", "snapshot-isolation"), ("yugabyte_tcc.txt", "causal")]
)
def test_isovistas_bugs_are_found_in_every_notation(name: str, model: str, tmp_path: Path) -> None:
    history = read_history(HISTORIES / "isovista" / name)
    assert verdict(history, model) is False
    for format in ("plume", "dbcop", "dbcop-json", "cobra"):
        again = through(history, format, tmp_path / format)
        assert sessions(again) == sessions(history)
        assert verdict(again, model) is False
