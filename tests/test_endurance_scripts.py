"""The endurance scripts, a little of each: what they would find is found, and a few runs hold."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from harness.history.ledger import Ledger
from harness.linux.identity import identify
from harness.store import registration
from scripts.left_behind import TOKEN_VARIABLE, Traces, folder_left, litter
from scripts.moments import loss

ROOT = Path(__file__).parents[1]
LIMIT_S = 280


def traces_of(store: Path) -> Traces:
    """Of a run in an empty folder of its own."""
    run_dir = store / "etcd" / "register" / f"run-{uuid.uuid4().hex[:8]}"
    run_dir.mkdir(parents=True)
    return Traces(uuid.uuid4().hex, store, run_dir)


def test_a_process_that_carries_the_token_is_found_until_it_is_gone(tmp_path: Path) -> None:
    traces = traces_of(tmp_path)
    argv = [sys.executable, "-S", "-c", "print(flush=True); import signal; signal.pause()"]
    env = {**os.environ, TOKEN_VARIABLE: traces.token}
    process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    assert [each.pid for each in traces.processes()] == [process.pid]
    process.kill()
    process.communicate()
    assert traces.left() == []


def test_a_process_that_names_the_runs_folder_is_found(tmp_path: Path) -> None:
    traces = traces_of(tmp_path)
    assert traces.run_dir is not None
    code = f"print(flush=True); import signal; signal.pause()  # {traces.run_dir.name}"
    process = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    assert [each.pid for each in traces.processes()] == [process.pid]
    process.kill()
    process.communicate()


def test_what_a_run_leaves_in_its_folder_is_told(tmp_path: Path) -> None:
    traces = traces_of(tmp_path)
    run_dir = traces.run_dir
    assert run_dir is not None
    assert list(folder_left(run_dir)) == []
    (run_dir / "nodes" / "n1" / "data").mkdir(parents=True)
    own = identify(os.getpid())
    assert own is not None
    registration.write(run_dir, "local:root", own)
    ledger = Ledger(run_dir / "faults.jsonl", lambda: 1)
    ledger.intend("partition", ["n1"], {})
    ledger.close()
    (run_dir / ".history.jsonl.zst.tmp").touch()
    data, registered, fault = folder_left(run_dir)
    assert data.startswith("data folder")
    assert registered.startswith("registration")
    assert fault == "fault not healed in the ledger: partition on n1"
    assert litter(run_dir) == [".history.jsonl.zst.tmp"]


def test_loss_is_what_was_taken_and_is_not_in_the_history(tmp_path: Path) -> None:
    records = [{"index": i, "time": i * 10_000_000, "type": "ok"} for i in range(3)]
    lines = [json.dumps(each) for each in ({"polygraph": 1}, *records)]
    (tmp_path / "history.jsonl").write_text("\n".join(lines) + '\n{"index": 3, "ti')
    counted = tmp_path / "counted"
    assert loss(tmp_path, counted) is None
    times = [i * 10_000_000 for i in range(5)]
    counted.write_bytes(struct.pack("<7Q", 5, 4, *times))
    found = loss(tmp_path, counted)
    assert found is not None
    assert (found.taken, found.records, found.oks, found.milliseconds) == (5, 2, 1, 10.0)


@pytest.mark.root
@pytest.mark.cluster
@pytest.mark.parametrize("target", ["front", "both", "helper"])
def test_a_run_that_is_killed_leaves_nothing_and_its_history(tmp_path: Path, target: str) -> None:
    said = carried_out("kill_runs.py", tmp_path, "--target", target, "--count", "1")
    assert "0 of 1 failed" in said
    assert "something left behind: 0; unreadable or accused: 0" in said


@pytest.mark.root
@pytest.mark.cluster
@pytest.mark.parametrize(("kind", "phase"), [("disk", "run"), ("limit", "run"), ("disk", "judge")])
def test_a_full_disk_accuses_nobody_and_keeps_the_history(
    tmp_path: Path, kind: str, phase: str
) -> None:
    # A small disk is full at once, before what is to meet it is over.
    more = ["--kind", kind, "--phase", phase, "--count", "1", "--size", "260m"]
    said = carried_out("full_disk.py", tmp_path, *more)
    assert "0 of 1 failed" in said
    assert "exit                 3 1" in said


def carried_out(script: str, folder: Path, *words: str) -> str:
    """What the script says of short runs on one node; it must end well."""
    argv = [sys.executable, str(ROOT / "scripts" / script), "--parallel", "1", "--nodes", "1"]
    argv += ["--nemesis", "kill,pause", "--time-limit", "3", "--store", str(folder / "store")]
    done = subprocess.run(
        [*argv, *words], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
