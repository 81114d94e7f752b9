"""``kill -9`` at any moment: the file is a sound prefix and lost at most the last flush period."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness.history.reader import read_history

ROOT = Path(__file__).parents[3]
APPEND = """
import sys
import tempfile
from pathlib import Path
from harness.history.journal import Journal
from harness.history.operation import Header, Operation

journal = Journal(Path(sys.argv[1]), Header(system="killed"), sync=sys.argv[2] == "sync")
told = 0
process = 0
while True:
    process = (process + 1) % 16
    journal.append(Operation(-1, -1, process, "invoke", "write", ["key", told]))
    done = journal.append(Operation(-1, -1, process, "ok", "write", ["key", told]))
    if done.time - told > 2_000_000:
        told = done.time
        sys.stdout.write(f"{done.index} {done.time}\\n")
        sys.stdout.flush()
"""
ALLOWED_LOSS_NS = 400_000_000
"""Far above the 20 ms promised (machines are busy), far below what a run without flush loses."""
MEMORY = Path("/dev/shm")
"""A disk may hold a ``write`` up for seconds while others fill it, which no program can help; a
file system in memory cannot, and a killed process leaves the same on both."""


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "seed"), [("buffered", 1), ("buffered", 2), ("sync", 3)])
def test_what_a_killed_run_recorded_can_be_read(tmp_path: Path, mode: str, seed: int) -> None:
    home = MEMORY if os.access(MEMORY, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=home) as folder:
        judge_killed_run(Path(folder) / "history.jsonl", mode, seed)


def judge_killed_run(path: Path, mode: str, seed: int) -> None:
    """Kill a run that writes to ``path``, and look at what is left of it."""
    killed_after = 300 + random.Random(seed).randrange(100)
    acknowledged = run_and_kill(path, mode, killed_after)
    history = read_history(path)
    assert [operation.index for operation in history] == list(range(len(history)))
    last_index, last_time = acknowledged[-1]
    if mode == "sync":
        assert len(history) > last_index
        return
    due = [index for index, time in acknowledged if time <= last_time - ALLOWED_LOSS_NS]
    assert due, "the run was too short to prove anything"
    assert len(history) > due[-1]


def run_and_kill(path: Path, mode: str, lines: int) -> list[tuple[int, int]]:
    """Let it append until it has told ``lines`` acknowledgements; kill it; all that it told."""
    running = subprocess.Popen(
        [sys.executable, "-c", APPEND, str(path), mode], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    told = [running.stdout.readline() for _ in range(lines)]
    running.send_signal(signal.SIGKILL)
    told += running.stdout.readlines()
    running.stdout.close()
    assert running.wait(60) == -signal.SIGKILL
    whole = [line.split() for line in told if line.endswith("\n")]
    return [(int(index), int(time)) for index, time in whole]


@pytest.mark.slow
def test_a_prefix_cut_at_any_byte_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    run_and_kill(path, "sync", 1)
    data = path.read_bytes()[:3000]
    lines = data.split(b"\n")
    for cut in range(len(data)):
        part = tmp_path / "part.jsonl"
        part.write_bytes(data[:cut])
        history = read_history(part)
        whole = [json.loads(line) for line in lines[1 : 1 + len(history)]]
        assert [operation.index for operation in history] == [line["index"] for line in whole]
        assert len(history) >= data[:cut].count(b"\n") - 1
