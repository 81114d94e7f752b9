"""A run that could not be begun is one to ask about, like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import run
from harness.store.runs import is_run_dir


def test_a_program_that_does_not_say_its_version_is_told_by_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "etcd"
    program.write_text("#!/bin/sh\nexit 7\n")
    program.chmod(0o755)
    store = tmp_path / "store"
    monkeypatch.setenv("POLYGRAPH_STORE", str(store))
    words = ("--provider", "local:plain", "--nemesis", "none", "--time-limit", "5")
    assert run(("test", "etcd", "--binary", str(program), *words)) == 3
    kept = (store / "latest").resolve()
    assert (kept / "scenario.toml").read_text().startswith('system = "etcd"')
    assert " begin, by local:plain: polygraph test etcd" in (kept / "run.log").read_text()
    page = tmp_path / "page.html"
    assert run(("report", "latest", "-o", str(page))) == 0
    assert "--version does not run" in page.read_text("utf-8")


def test_a_folder_that_has_only_a_log_is_a_run(tmp_path: Path) -> None:
    assert not is_run_dir(tmp_path)
    (tmp_path / "run.log").write_text("2026-11-30T10:12:15.483031Z - front - begin\n")
    assert is_run_dir(tmp_path)
