"""A run is judged from what stands in it: as data, and what is damaged is unknown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.main import run
from harness.judge.judge import judge_run
from tests.hostile.on_contents import (
    NESTED,
    ODD,
    history_rows,
    replaced,
    rewrite_header,
    rewrite_json,
    rewrite_text,
)
from tests.hostile.run_folders import Attack, Hostile, attacks, lay, names_of, whole_run

FACTS = json.loads((whole_run() / "evidence/run.json").read_text())
WAYS = [*((key,) for key in FACTS), *NESTED["evidence/run.json"]]
UNTOUCHED = Attack("untouched", lambda hostile: None)


@pytest.fixture
def whole(tmp_path: Path) -> Hostile:
    return lay(UNTOUCHED, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS, ids=".".join)
def test_a_fact_of_an_odd_kind_is_no_better_than_none(whole: Hostile, way: tuple[str, ...]) -> None:
    """It never ends the judging, never makes a valid run invalid, and is named if judged by."""
    kept = (whole.run / "evidence/run.json").read_text()
    for kind, odd in ODD.items():
        rewrite_json(whole, "evidence/run.json", lambda facts, odd=odd: replaced(facts, way, odd))
        verdict = judge_run(whole.run)
        assert verdict["valid"] is not False or (way, kind) == (("recovery", "ready"), "false")
        if f"in evidence/run.json: {way[0]} cannot" in verdict["why"]:
            assert verdict["valid"] == "unknown"
        (whole.run / "evidence/run.json").write_text(kept)


def test_a_fact_that_cannot_be_understood_makes_the_verdict_unknown(whole: Hostile) -> None:
    rewrite_json(whole, "evidence/run.json", lambda facts: {**facts, "lag_ms": [], "exits": "no"})
    verdict = judge_run(whole.run)
    assert verdict["valid"] == "unknown"
    assert "in evidence/run.json: exits, lag_ms cannot" in verdict["why"]


@pytest.mark.parametrize("way", NESTED["evidence/final_states.json"], ids=".".join)
def test_states_of_an_odd_kind_are_not_known(whole: Hostile, way: tuple[str, ...]) -> None:
    for odd in ODD.values():
        rewrite_json(
            whole, "evidence/final_states.json", lambda found, odd=odd: replaced(found, way, odd)
        )
        verdict = judge_run(whole.run)
        if verdict["valid"] is False:  # another state, and one that can be
            assert "replica-divergence" in verdict["checkers"]["agreement"]["anomalies"]
            assert isinstance(odd, dict | None) or way[-1] == "value"


def test_states_that_cannot_be_read_are_not_left_out(whole: Hostile) -> None:
    """A node that holds something else must not be forgotten by damaging the file."""
    for damage in ("[", "[]", '{"states": 1}'):
        (whole.run / "evidence/final_states.json").write_text(damage)
        verdict = judge_run(whole.run)
        assert verdict["valid"] == "unknown"
        assert "final_states.json cannot be understood" in verdict["why"]


def test_the_folder_does_not_say_where_proofs_are_written(whole: Hostile) -> None:
    """``directory`` is an option of the checkers of transactions: where their pictures go."""
    place = whole.outside / "pictures"
    rows = [{"polygraph": 1, "workload": "list-append", "claims": ["serializable"]}]
    for number, (mine, yours) in enumerate((("x", "y"), ("y", "x"))):
        done = [["append", mine, number + 1], ["r", yours, []]]
        asked = [["append", mine, number + 1], ["r", yours, None]]
        for kind, value in (("invoke", asked), ("ok", done)):
            rows.append({"process": number, "type": kind, "f": "txn", "value": value})
    ordered = [rows[0], rows[1], rows[3], rows[2], rows[4]]
    later = [["r", "x", [1]], ["r", "y", [2]]]
    for kind in ("invoke", "ok"):
        ordered.append({"process": 2, "type": kind, "f": "txn", "value": later})
    for index, row in enumerate(ordered[1:]):
        row.update(index=index, time=index)
    text = "".join(json.dumps(row) + "\n" for row in ordered)
    rewrite_text(whole, "history.jsonl.zst", lambda old: text)
    scenario = whole.run / "scenario.toml"
    scenario.write_text(f'directory = "{place}"\n' + scenario.read_text())
    for facts in ({}, {"checker_options": {"directory": str(place)}}):
        known = {**FACTS, **facts, "checkers": ["list-append"], "checker_origins": {}}
        (whole.run / "evidence/run.json").write_text(json.dumps(known))
        verdict = judge_run(whole.run)
        assert "G2-item" in verdict["checkers"]["list-append"]["anomaly_types"]
        whole.assert_harmless()


PLUGINS = attacks("plugin:scenario*")


@pytest.mark.slow
@pytest.mark.parametrize("attack", PLUGINS, ids=names_of(PLUGINS))
def test_plug_ins_that_a_run_names_are_not_loaded(
    tmp_path: Path, attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = lay(attack, tmp_path)
    for place in (hostile.run, hostile.run.parent, tmp_path):
        monkeypatch.chdir(place)
        for argv in (
            ("check",), ("check", "-m", "cas-register"), ("check", "--self-test"),
            ("check", "-c", "sequential"), ("report",), ("export", "-f", "jsonl"), ("down",),
        ):  # fmt: skip
            run((*argv, str(hostile.run)))
            hostile.assert_harmless()
    monkeypatch.chdir(hostile.run)
    assert run(("validate", str(hostile.run / "scenario.toml"))) == 4
    hostile.assert_harmless()


def test_a_plug_in_that_the_user_names_is_loaded(tmp_path: Path) -> None:
    hostile = lay(PLUGINS[0], tmp_path)
    run(("check", "--plugin", str(hostile.outside / "evil.py"), str(hostile.run)))
    assert hostile.marker.exists()


HEADER = history_rows(whole_run())[0]


@pytest.mark.slow
@pytest.mark.parametrize("key", [*HEADER, "extra", "schema", "type", "pairing", "order"])
def test_an_odd_header_is_told_plainly(
    whole: Hostile, key: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As a file: a verdict or exit code 4, whatever the header says of itself."""
    file = tmp_path / "history.jsonl"
    header, *records = history_rows(whole.run)
    for kind, odd in ODD.items():
        rows = [{**header, key: odd}, *records]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        code = run(("check", str(file)))
        told = capfd.readouterr().err
        assert code in (0, 1, 2, 4), f"{key} is {kind}: {code}: {told}"
        assert "unexpected" not in told
        assert (code == 4) == ("polygraph: " in told)


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ([[1]], "[[1]] is no list of consistency models"),
        ([{"a": {}}], "is no list of consistency models"),
        ({"a": {}}, 'the header\'s claims: expected list, found {"a": {}}'),
        (["serialisable-ish"], "serialisable-ish"),
        (["\x1b]0;owned\x07"], "there is no consistency model"),
    ],
)
def test_odd_claims_are_exit_code_4(
    whole: Hostile, capfd: pytest.CaptureFixture[str], claims: object, told: str
) -> None:
    rewrite_header(whole, {"claims": claims})
    assert run(("check", str(whole.run / "history.jsonl.zst"))) == 4
    said = capfd.readouterr().err
    assert told in said
    assert "\x1b" not in said


@pytest.mark.slow
def test_whole_numbers_that_cannot_be_written_are_refused(
    whole: Hostile, capfd: pytest.CaptureFixture[str]
) -> None:
    """Python reads hexadecimal of any length, and refuses to write what it read."""
    scenario = whole.run / "scenario.toml"
    scenario.write_text(f"other = 0x{'f' * 5000}\n" + scenario.read_text())
    assert run(("check", str(whole.run))) == 4
    assert run(("report", str(whole.run))) == 0
    told = capfd.readouterr().err
    assert "more than 64 bits" in told
    assert "more than 64 bits" in (whole.run / "report.html").read_text()
    assert "unexpected" not in told
