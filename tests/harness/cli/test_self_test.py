"""``polygraph check --self-test``: all plants are told, and a checker that is deaf is found out."""

from __future__ import annotations

from pathlib import Path

import pytest

from checkers.explained.trials import STORES, trials
from harness.cli.main import run
from harness.history.formats.known import export
from harness.history.history import History
from harness.history.operation import Operation

CHECKER = """
from harness.verdict.verdict import Anomaly, Verdict

class Odd:
    name = "bank"
    reads = frozenset({"history"})
    def __init__(self, options):
        pass
    def check(self, record, budget):
        return %s

CHECKERS = {"bank": Odd}
OVERRIDES = {"checkers": ["bank"]}
"""


@pytest.mark.slow
def test_every_checker_tells_what_was_planted_and_accuses_nothing_clean(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["check", "--self-test"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].endswith("all as they must be")
    assert not [line for line in lines if "MISSED" in line or "no trial" in line]
    assert not [line for line in lines if "\t" in line]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Verdict(valid=True)", "MISSED: valid is True, must be False"),
        ("Verdict(valid=False, why='no', anomalies={'x': [Anomaly(message='no')]})", "told x"),
        ("1 / 0", "the checker crashed"),
    ],
)
def test_a_checker_that_is_deaf_or_cries_wolf_is_found_out(
    answer: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "odd.py"
    plugin.write_text(CHECKER % answer)
    assert run(["check", "--self-test", "--plugin", str(plugin)]) == 3
    assert said in capsys.readouterr().out


def test_each_trial_of_the_built_in_ones_says_what_it_expects() -> None:
    assert {example.valid for example in trials()} == {True, False}
    assert all(bool(example.expects) is (example.valid is False) for example in trials())


@pytest.mark.parametrize("store", STORES, ids=lambda store: str(store.checker.name))
def test_a_file_with_one_impossible_read_must_be_called_invalid(
    store: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isinstance(store, type(STORES[0]))
    file = tmp_path / "history.jsonl"
    write(store.history(), file)
    code = run(["check", "--self-test", "-m", store.checker.name, str(file)])
    told = capsys.readouterr().out
    assert (code, "self-test passed" in told) == (0, True), told


@pytest.mark.slow
def test_a_plug_in_that_takes_a_name_of_ours_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "odd.py"
    plugin.write_text((CHECKER % "Verdict(valid=True)").replace("OVERRIDES", "NOTHING"))
    assert run(["check", "--self-test", "--plugin", str(plugin)]) == 4


def test_a_deaf_checker_fails_on_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugin, file = tmp_path / "odd.py", tmp_path / "history.jsonl"
    plugin.write_text(CHECKER % "Verdict(valid=True)")
    write(STORES[2].history(), file)
    arguments = ["check", "--self-test", "--plugin", str(plugin), "-m", "bank", str(file)]
    assert run(arguments) == 3
    assert "self-test FAILED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("operations", "said"),
    [
        ([(0, "invoke", "write", 1), (0, "ok", "write", 1)], "no read was answered"),
        (
            [(0, "invoke", "read", None), (0, "ok", "read", 3)],
            "it is invalid as it is",
        ),
    ],
)
def test_a_file_that_cannot_be_tried_is_unknown(
    operations: list[tuple[int, str, str, int | None]],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "history.jsonl"
    history = [Operation(at, at, *fields) for at, fields in enumerate(operations)]
    write(History(history), file)
    assert run(["check", "--self-test", "-m", "register", str(file)]) == 2
    assert said in capsys.readouterr().out


def write(history: History, file: Path) -> None:
    with file.open("wb") as out:
        export(history, out, "jsonl")
