"""The demo passes only as stated, and explains away nothing that no known bug explains."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.cli import demo

STALE = {"stale-read": [{"message": "an old value was read while the pause of n2 was active"}]}


def verdict(valid: object, anomalies: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict of one checker."""
    part = {"valid": valid, "anomalies": anomalies}
    return {"valid": valid, "why": "", "checkers": {"linearizable": part}, "reproduce": "again"}


def test_stale_reads_under_a_pause_are_the_known_bug() -> None:
    found = demo.known_bug(verdict(False, STALE))
    assert found is not None
    assert "20418" in found


def test_a_broken_register_after_a_kill_is_the_known_bug() -> None:
    found = demo.known_bug(verdict(False, {"nonlinearizable": [{"message": "kill of n1, n2"}]}))
    assert found is not None
    assert "13766" in found


@pytest.mark.parametrize(
    "anomalies",
    [
        {},
        {"stale-read": [{"message": "while a partition was active"}]},
        {**STALE, "wrong-total": [{"message": "a pause was active"}]},
    ],
    ids=["nothing found", "no pause", "another anomaly beside"],
)
def test_anything_else_is_not_explained_away(anomalies: Mapping[str, Any]) -> None:
    assert demo.known_bug(verdict(False, anomalies)) is None


def test_an_unknown_run_is_no_known_bug() -> None:
    assert demo.known_bug(verdict("unknown", STALE)) is None


class Runs:
    """Stands for the two runs: exit code and verdict of each, in order."""

    def __init__(self, *outcomes: tuple[int, dict[str, Any]]) -> None:
        self.outcomes = list(outcomes)

    def __call__(self, command: str) -> demo.Shown:
        """The next outcome."""
        exit_code, said = self.outcomes.pop(0)
        return demo.Shown(exit_code, Path("store/run"), said)


FAILING = (1, verdict(False, STALE))
HOLDING = (0, verdict(True, {}))


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ((FAILING, HOLDING), 0),
        ((FAILING, (1, verdict(False, STALE))), 0),
        ((FAILING, (1, verdict(False, {"wrong-total": [{"message": "x"}]}))), 1),
        ((FAILING, (2, verdict("unknown", {}))), 2),
        ((HOLDING,), 1),
        (((1, verdict(False, {"nonlinearizable": [{"message": "x"}]})),), 1),
        (((3, {}),), 3),
        (((130, {}),), 130),
    ],
    ids=[
        "as stated",
        "known bug",
        "another violation",
        "unknown",
        "nothing found at first",
        "no stale read",
        "no cluster",
        "interrupted",
    ],
)
def test_the_demo_ends_in_0_only_as_stated(
    monkeypatch: pytest.MonkeyPatch, runs: tuple[Any, ...], code: int
) -> None:
    monkeypatch.setattr(demo, "_run", Runs(*runs))
    assert demo.main() == code


def test_the_demo_ends_with_reports_and_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_run", Runs(FAILING, HOLDING))
    demo.main()
    told = capsys.readouterr().out
    assert told.count("  report  store/run/report.html") == 2
    assert told.count("  repeat  ") == 2


def test_a_command_can_be_pasted_where_the_script_is_not_on_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bin_dir = tmp_path / ".venv" / "bin"
    bin_dir.mkdir(parents=True)
    (bin_dir / "polygraph").touch(mode=0o755)
    monkeypatch.setattr("sys.executable", str(bin_dir / "python"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin")
    assert demo._pasteable("polygraph test etcd") == ".venv/bin/polygraph test etcd"
    monkeypatch.setenv("PATH", str(bin_dir))
    assert demo._pasteable("polygraph test etcd") == "polygraph test etcd"


def test_a_verdict_is_read_from_the_run_that_just_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An older run's verdict must never stand for a run that made no folder."""
    old = tmp_path / "store" / "old"
    old.mkdir(parents=True)
    (old / "verdict.json").write_text(json.dumps(verdict(True, {})), "utf-8")
    (tmp_path / "store" / "latest").symlink_to(old)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYGRAPH_PROVIDER", "no-such-provider")
    shown = demo._run("test etcd")
    assert (shown.exit_code, shown.verdict) == (4, {})
