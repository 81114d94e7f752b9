"""``polygraph check FOLDER``: the folders of other tools are histories as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import run
from tests.harness.history import peers


def test_cobras_logs_and_etcds_reports_are_judged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logs, report = tmp_path / "logs", tmp_path / "report"
    logs.mkdir()
    for name, data in peers.cobra(peers.SESSIONS).items():
        (logs / name).write_bytes(data)
    (report / "client-1").mkdir(parents=True)
    (report / "client-1" / "operations.json").write_bytes(peers.ETCD)
    assert run(("check", "-m", "rw-register", "-c", "serializable", str(logs), str(report))) == 4
    assert run(("check", "-c", "serializable", str(logs))) == 0
    assert run(("check", str(report))) == 0
    assert run(("check", "--self-test", str(report))) == 0
    stale = peers.ETCD + peers.etcd(1, 90, peers.get("k"), peers.got(3, "k", "12", 2), 95)
    (report / "client-1" / "operations.json").write_bytes(stale)
    capfd.readouterr()
    assert run(("check", str(report))) == 1
    assert capfd.readouterr().out == f"{report}\tfalse\n"


def test_a_log_of_one_session_is_refused_with_what_to_do(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "T0.log"
    file.write_bytes(peers.cobra(peers.SESSIONS)["T0.log"])
    assert run(("check", "-m", "rw-register", str(file))) == 4
    told = capfd.readouterr().err
    assert "one session of Cobra's" in told
    assert "the folder that holds the logs of all sessions" in told
