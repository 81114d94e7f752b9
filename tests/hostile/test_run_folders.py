"""The generator of hostile run folders: what it starts from, and that it sees what it must see."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from harness.judge.judge import judge_run
from tests.hostile.run_folders import (
    SECRET,
    Attack,
    Hostile,
    attacks,
    files_of_a_run,
    hostile_runs,
    lay,
    poisoned_run,
    whole_run,
)


def _nothing(hostile: Hostile) -> None:
    """A whole run is left as it is."""


UNTOUCHED = Attack("untouched", _nothing)


@pytest.mark.slow
@pytest.mark.parametrize("valid", [True, False])
def test_the_run_that_is_attacked_is_a_whole_one(valid: bool) -> None:
    run = whole_run(valid)
    verdict = judge_run(run)
    assert verdict["valid"] is valid
    assert verdict["health"] == []
    assert json.loads((run / "verdict.json").read_text()) == verdict


@pytest.mark.slow
def test_there_is_an_attack_in_the_place_of_every_file() -> None:
    names = {attack.name for attack in attacks()}
    for kind in ("link", "fifo", "huge", "missing"):
        assert {f"{kind}:{name}" for name in files_of_a_run()} <= names


def test_every_attack_has_a_name_of_its_own() -> None:
    counts = Counter(attack.name for attack in attacks())
    assert [name for name, count in counts.items() if count > 1] == []
    assert len(counts) > 1000


@pytest.mark.slow
def test_every_file_that_links_lead_to_tells_the_secret(tmp_path: Path) -> None:
    for name in files_of_a_run():
        told = (poisoned_run() / name).read_bytes()
        if name.endswith(".zst"):
            assert told != (whole_run() / name).read_bytes()
        else:
            assert SECRET.encode() in told, name


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["link", "fifo", "socket", "device", "name", "bytes", "plugin", "registered", "columns"]
)
def test_attacks_can_be_laid_and_are_harmless_until_something_reads_them(
    tmp_path: Path, kind: str
) -> None:
    wanted = attacks(kind)[::5]
    for hostile in hostile_runs(tmp_path, wanted):
        hostile.assert_harmless()
    assert list(tmp_path.iterdir()) == []


def test_what_is_done_outside_is_seen(tmp_path: Path) -> None:
    def changed(hostile: Hostile) -> None:
        (hostile.outside / "verdict.json").write_text("other")

    def added(hostile: Hostile) -> None:
        (hostile.outside / "nodes" / "new").touch()

    def removed(hostile: Hostile) -> None:
        (hostile.outside / "nodes" / "n1" / "data" / "wal").unlink()

    def beside(hostile: Hostile) -> None:
        (hostile.run.parent / "new").touch()

    def marked(hostile: Hostile) -> None:
        hostile.marker.touch()

    def ended(hostile: Hostile) -> None:
        victim = hostile.start_victim()
        victim.kill()
        victim.wait()

    def told(hostile: Hostile) -> None:
        (hostile.run / "report.html").write_text(f"<p>{SECRET}")

    for harm in (changed, added, removed, beside, marked, ended, told):
        hostile = lay(UNTOUCHED, tmp_path)
        hostile.assert_harmless("nothing of it")
        harm(hostile)
        with pytest.raises(AssertionError):
            hostile.assert_harmless()
        hostile.end()


def test_a_secret_that_is_said_is_seen(tmp_path: Path) -> None:
    hostile = lay(UNTOUCHED, tmp_path)
    with pytest.raises(AssertionError, match="told"):
        hostile.assert_harmless(f"verdict: {SECRET}")
    hostile.end()
