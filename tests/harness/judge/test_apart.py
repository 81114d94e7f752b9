"""Judging in a process of its own, where the disk has no room for what it has to say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.judge.apart import judge_apart


def test_a_verdict_that_cannot_be_kept_is_none_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "verdict.json").mkdir()
    (tmp_path / "verdict.json" / "in the way").touch()
    warnings: list[str] = []
    with pytest.raises(StoreError, match="no verdict could be kept") as caught:
        judge_apart(tmp_path, warnings.append)
    assert f"try: polygraph check {tmp_path}, once" in str(caught.value)
    assert "the judging process" in warnings[0]


def test_a_judging_process_whose_log_is_full_still_ends_in_its_own_code(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "harness.judge", str(tmp_path / "none"), "10"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(argv, stderr=full, check=False, timeout=60)
    assert done.returncode == 4
