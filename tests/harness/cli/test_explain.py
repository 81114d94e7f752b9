"""``polygraph explain``: entries, the nearest name, histories to judge, and the page of docs/."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.explain import entries, find
from harness.cli.main import run
from harness.errors import UsageError
from harness.plugins import Registry

ROOT = Path(__file__).parents[3]
HISTORIES = [
    entry.name
    for entry in entries(Registry())
    if any(example.is_history for example in entry.examples)
]


def test_an_anomaly_is_explained_with_what_it_rules_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["explain", "G-single-item"]) == 0
    told = capsys.readouterr().out
    assert "b: [rx  ry1]" in told
    assert "Rules out: consistent-view, repeatable-read" in told
    assert "polygraph check -v -m list-append" in told


def test_a_model_is_explained_under_each_of_its_names(capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for name in ("serializable", "PL-3", "conflict-serializable"):
        assert run(["explain", name]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0].startswith("serializable (also PL-3, conflict-serializable): a consistency")
    assert len(set(texts)) == 1


@pytest.mark.slow
def test_without_a_name_everything_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain"]) == 0
    listed = capsys.readouterr().out
    assert "  stale-read\n" in listed
    assert "  strict-serializable  (also PL-SS, strong-serializable)" in listed
    assert run(["explain", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["G0"]["rules_out"] == ["read-uncommitted"]


def test_an_unknown_name_gives_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "G-singel"]) == 4
    assert "did you mean G-single" in capsys.readouterr().err
    with pytest.raises(UsageError, match="stale-read"):
        find(Registry(), "stalereads")


def test_case_does_not_matter() -> None:
    assert find(Registry(), "g1A").name == "G1a"


def test_what_needs_a_run_has_no_history(tmp_path: Path) -> None:
    assert run(["explain", "crash", "--history", str(tmp_path / "h.jsonl")]) == 4
    assert not (tmp_path / "h.jsonl").exists()


@pytest.mark.parametrize("name", HISTORIES)
def test_the_history_of_an_example_is_judged_alike_by_check(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "example.jsonl"
    assert run(["explain", name, "--history", str(file)]) == 0
    capsys.readouterr()
    example = next(e for e in find(Registry(), name).examples if e.is_history)
    against = ["-c", ",".join(example.options["claims"])] if "claims" in example.options else []
    code = run(["check", "--json", "-m", example.checker, *against, str(file)])
    verdict = json.loads(capsys.readouterr().out)
    answer = verdict["checkers"][example.checker]
    assert answer["anomaly_types"] == sorted(example.expects)
    assert answer["valid"] == example.valid
    assert code == {True: 0, False: 1, "unknown": 2}[example.valid]


def test_a_plug_in_brings_its_own_entries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "from harness.verdict.explanation import Explanation\n"
        "EXPLANATIONS = {'odd': lambda: Explanation(kind='anomaly', names=('odd',), text='Odd.')}\n"
    )
    assert run(["explain", "odd", "--plugin", str(plugin)]) == 0
    assert "Odd." in capsys.readouterr().out


def test_the_page_of_the_documentation_is_the_catalogue(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["explain", "--markdown"]) == 0
    page = (ROOT / "docs" / "anomalies.md").read_text("utf-8")
    assert capsys.readouterr().out == page, "polygraph explain --markdown > docs/anomalies.md"
