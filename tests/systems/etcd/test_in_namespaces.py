"""Five real members in namespaces of their own: a cut, a change of members, kills and a pause."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from harness.cluster.namespaces.enter import choose_mode, spawn
from systems.etcd import Etcd

REPOSITORY = Path(__file__).parents[3]
RUN_PROCESS = Path(__file__).with_name("in_namespaces.py")


@pytest.mark.cluster
@pytest.mark.userns
def test_a_cut_off_leader_serves_only_stale_reads_and_all_recover_without_last_words(
    tmp_path: Path,
) -> None:
    mode = choose_mode("local")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    argv = [sys.executable, str(RUN_PROCESS), str(tmp_path), mode]
    entered = spawn(argv, mode=mode, run_dir=tmp_path, env=environment)
    try:
        assert entered.wait(240.0) == 0
    finally:
        entered.kill()
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert (seen["majority write"], seen["majority read"]) == (None, 2)
    assert seen["minority read"] == "Failed"
    assert seen["minority write"] == "Indeterminate"
    assert seen["minority serializable read"] == 1
    assert seen["healed read"] == 2
    for change in seen["members"]:
        assert change["left"] == ["n1", "n2", "n3", "n4"]
        assert change["status"] in Etcd({}).stop_statuses()
        assert change["joined"] == dict.fromkeys(["n1", "n2", "n3", "n4", "n5"], "voter")
    assert len(seen["members"]) == 2
    assert set(seen["ends"]) <= set(Etcd({}).stop_statuses())
    assert seen["last words"] == []
