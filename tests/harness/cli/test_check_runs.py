"""``polygraph check RUN``: keeps a verdict where there is none, and leaves a live run alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.cli.main import run
from harness.linux.identity import identify
from harness.store import registration

HEADER = {"polygraph": 1, "workload": "register", "model": "cas-register", "independent": True}


@pytest.fixture
def killed_run(tmp_path: Path) -> Path:
    """A run folder with a handful of operations, as a ``kill -9`` leaves it."""
    run_dir = tmp_path / "store" / "etcd" / "register" / "20261122T120000-abcdef"
    run_dir.mkdir(parents=True)
    (run_dir / "scenario.toml").write_text('system = "etcd"\nseed = 1\n')
    lines = [HEADER]
    for index in range(40):
        kind = "invoke" if index % 2 == 0 else "ok"
        lines.append(
            {"index": index, "time": index, "process": 0, "type": kind, "f": "write"}
            | {"value": [1, index // 2]}
        )
    (run_dir / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run_dir


def test_a_killed_run_gets_a_verdict_that_is_kept(
    killed_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(("check", str(killed_run))) == 2
    assert capsys.readouterr().out == f"{killed_run}\tunknown\n"
    kept = json.loads((killed_run / "verdict.json").read_text())
    assert (kept["valid"], kept["partial"]) == ("unknown", True)


def test_flags_for_a_run_with_a_checker_that_is_gone_leave_its_part_unknown(
    killed_run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (killed_run / "evidence").mkdir()
    facts = {"checkers": ["register", "own"], "checker_origins": {"own": "/gone/own.py"}}
    (killed_run / "evidence" / "run.json").write_text(json.dumps(facts))
    assert run(("check", "-c", "serializable", str(killed_run))) == 2
    said = capfd.readouterr()
    assert "the checker own came from /gone/own.py" in said.err
    assert not (killed_run / "verdict.json").exists()


def test_a_run_under_way_is_judged_and_left_alone(
    killed_run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = identify(os.getpid())
    assert mine is not None
    registration.write(killed_run, "userns", mine)
    assert registration.is_under_way(killed_run)
    assert run(("check", str(killed_run))) == 2
    assert "still under way" in capfd.readouterr().err
    assert not (killed_run / "verdict.json").exists()


def test_a_run_whose_front_is_gone_is_not_under_way(killed_run: Path) -> None:
    mine = identify(os.getpid())
    assert mine is not None
    registration.write(killed_run, "userns", mine)
    path = registration.path(killed_run)
    content = json.loads(path.read_text())
    content["front"]["start_ticks"] -= 1
    path.write_text(json.dumps(content))
    assert not registration.is_under_way(killed_run)
