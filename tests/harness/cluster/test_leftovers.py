"""heal and down: what dead runs left is undone, what lives or belongs to others is spared."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cluster import belonging
from harness.cluster.leftovers import down, forget, heal
from harness.errors import HealError
from harness.history.faults import unhealed
from harness.history.ledger import Ledger, read_ledger
from harness.linux import identity
from harness.linux.identity import ProcessIdentity
from harness.store import registration


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that would be there for long, started for the run that the test makes."""
    argv = [sys.executable, "-S", "-c", "import signal; print(flush=True); signal.pause()"]
    marked = belonging.environment(None, tmp_path / "system" / "workload" / "run")
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, env=marked)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def identity_of(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    """Its identity, which must be there."""
    found = identity.identify(process.pid)
    assert found is not None
    return found


def make_run(store: Path, reaper: ProcessIdentity, **changes: object) -> Path:
    """A run folder that registers ``reaper``, with data on one node."""
    run_dir = store / "system" / "workload" / "run"
    (run_dir / "nodes" / "n1" / "data").mkdir(parents=True)
    registration.write(run_dir, "local:userns", reaper)
    content = json.loads(registration.path(run_dir).read_text())
    registration.path(run_dir).write_text(json.dumps({**content, **changes}))
    return run_dir


@pytest.mark.parametrize("part", ["start_ticks", "boot_id", "pid_namespace"])
def test_down_spares_a_stranger_with_the_same_number(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], part: str
) -> None:
    true = identity_of(sleeper)
    other = "another" if part == "boot_id" else getattr(true, part) + 1
    down(make_run(tmp_path, dataclasses.replace(true, **{part: other})))
    assert sleeper.poll() is None


def test_down_ends_the_registered_process_and_its_data(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    run_dir = make_run(tmp_path, identity_of(sleeper))
    down(run_dir)
    assert sleeper.wait(30) == -signal.SIGKILL
    assert not (run_dir / "nodes" / "n1" / "data").exists()
    assert not registration.path(run_dir).exists()
    down(run_dir)


def test_heal_leaves_a_run_in_progress_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    run_dir = make_run(tmp_path, identity_of(sleeper))
    assert heal(tmp_path) == []
    assert sleeper.poll() is None
    assert (run_dir / "nodes" / "n1" / "data").exists()


def test_heal_leaves_the_runs_of_another_machine_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    host = socket.gethostname() + "-not"
    run_dir = make_run(tmp_path, identity_of(sleeper), host=host, front=None)
    assert heal(tmp_path) == []
    assert sleeper.poll() is None
    assert registration.path(run_dir).exists()


def test_heal_ends_what_outlived_its_front(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    gone = dataclasses.asdict(dataclasses.replace(identity_of(sleeper), start_ticks=1))
    run_dir = make_run(tmp_path, identity_of(sleeper), front=gone)
    assert heal(tmp_path) == []
    assert sleeper.wait(30) == -signal.SIGKILL
    assert not registration.path(run_dir).exists()


def test_heal_notes_in_the_ledger_that_faults_ended_with_their_namespaces(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    reaper = identity_of(sleeper)
    sleeper.kill()
    sleeper.wait()
    run_dir = make_run(tmp_path, reaper)
    ledger = Ledger(run_dir / "faults.jsonl", lambda: 5)
    first = ledger.intend("partition", ["n1"], {})
    ledger.record(first, "injected")
    ledger.intend("kill", ["n2"], {})
    ledger.close()
    assert heal(tmp_path) == []
    entries = read_ledger(run_dir / "faults.jsonl")
    assert unhealed(entries) == []
    healed = [entry for entry in entries if entry.event == "healed"]
    assert {entry.fault for entry in healed} == {"partition", "kill"}
    assert all(entry.detail["holds"] and entry.time >= 5 for entry in healed)
    assert heal(tmp_path) == []
    assert len(read_ledger(run_dir / "faults.jsonl")) == len(entries)


def test_heal_tells_of_a_fault_in_a_cluster_left_running(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    run_dir = make_run(tmp_path, identity_of(sleeper), left_running=True)
    ledger = Ledger(run_dir / "faults.jsonl", lambda: 5)
    ledger.intend("pause", ["n3"], {})
    ledger.close()
    left = heal(tmp_path)
    assert len(left) == 1
    assert "pause on n3" in left[0]
    assert f"polygraph down {run_dir}" in left[0]
    assert sleeper.poll() is None


def test_where_nothing_was_there_is_nothing_to_heal(tmp_path: Path) -> None:
    assert heal(tmp_path / "no-store") == []
    down(tmp_path)


def test_an_identity_holds_until_the_process_ends(sleeper: subprocess.Popen[bytes]) -> None:
    true = identity_of(sleeper)
    assert identity.is_running(true)
    assert not identity.is_running(dataclasses.replace(true, start_ticks=true.start_ticks + 1))
    os.kill(sleeper.pid, signal.SIGKILL)
    assert sleeper.wait(30) == -signal.SIGKILL
    assert not identity.is_running(true)
    assert identity.kill_and_wait(true, 1.0)


def make_unregistered(store: Path, *events: tuple[str, str, dict[str, object]]) -> Path:
    """A run folder without registration whose ledger has these intentions, none healed."""
    run_dir = store / "system" / "workload" / "run"
    run_dir.mkdir(parents=True)
    ledger = Ledger(run_dir / "faults.jsonl", lambda: 5)
    for fault, node, detail in events:
        ledger.intend(fault, [node], detail)
    ledger.close()
    return run_dir


def processes(*named: ProcessIdentity) -> dict[str, object]:
    """A ledger detail as the process faults write it."""
    return {"processes": {"n1": [dataclasses.asdict(each) for each in named]}}


def proofs(run_dir: Path) -> list[str]:
    """What the ledger says of each heal."""
    entries = read_ledger(run_dir / "faults.jsonl")
    return [entry.detail["what"] for entry in entries if entry.event == "healed"]


def test_without_registration_and_processes_nothing_is_called_healed(tmp_path: Path) -> None:
    run_dir = make_unregistered(tmp_path, ("partition", "n1", {"grudge": {"n1": ["n2"]}}))
    (left,) = heal(tmp_path)
    assert "partition on n1" in left
    assert "may still be in force" in left
    assert "move the run's folder out of the store" in left
    assert proofs(run_dir) == []


def test_without_registration_another_boot_is_the_proof(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    named = dataclasses.replace(identity_of(sleeper), boot_id="before")
    run_dir = make_unregistered(tmp_path, ("kill", "n1", processes(named)), ("cut", "n2", {}))
    assert heal(tmp_path) == []
    assert len(proofs(run_dir)) == 2
    assert all("another boot (before, not " in proof for proof in proofs(run_dir))


def test_without_registration_a_process_that_lives_is_told(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    gone = dataclasses.replace(identity_of(sleeper), start_ticks=1)
    run_dir = make_unregistered(tmp_path, ("pause", "n1", processes(gone, identity_of(sleeper))))
    (left,) = heal(tmp_path)
    assert "pause on n1 may still be in force: processes of the run exist; try: kill -9 " in left
    assert left.endswith(f" {sleeper.pid}")
    assert proofs(run_dir) == []
    sleeper.kill()
    sleeper.wait()
    assert heal(tmp_path) == []
    (proof,) = proofs(run_dir)
    assert "none of the 2 processes that the ledger names exists" in proof


@pytest.mark.userns
def test_without_registration_others_in_the_namespace_of_a_named_process_are_found(
    tmp_path: Path,
) -> None:
    argv = ["unshare", "-Urpf", "--kill-child", "sh", "-c", "echo up; read end"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        inside = int(Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text())
        there = identity.identify(inside)
        assert there is not None
        named = dataclasses.replace(there, pid=7, start_ticks=1)  # it was killed; its node was not
        run_dir = make_unregistered(tmp_path, ("kill", "n1", processes(named)))
        (left,) = heal(tmp_path)
        assert f"ps -fp {inside}, and end what is" in left, "nothing says that it is the run's"
        assert proofs(run_dir) == []
        parent.communicate(b"\n")
    assert heal(tmp_path) == []
    assert len(proofs(run_dir)) == 1


def test_a_run_that_is_gone_has_its_faults_noted_as_healed_and_is_forgotten(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    reaper = identity_of(sleeper)
    sleeper.kill()
    sleeper.wait()
    run_dir = make_run(tmp_path, reaper)
    ledger = Ledger(run_dir / "faults.jsonl", lambda: 5)
    ledger.intend("partition", ["n1"], {})
    ledger.close()
    assert forget(run_dir) == []
    assert not (run_dir / "nodes" / "n1" / "data").exists()
    assert len(proofs(run_dir)) == 1
    assert not registration.path(run_dir).exists()
    assert heal(tmp_path) == []
    assert len(proofs(run_dir)) == 1


def test_down_notes_that_faults_ended_with_the_cluster(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    run_dir = make_run(tmp_path, identity_of(sleeper), left_running=True)
    ledger = Ledger(run_dir / "faults.jsonl", lambda: 5)
    ledger.intend("partition", ["n1"], {})
    ledger.close()
    down(run_dir)
    assert sleeper.wait(30) == -signal.SIGKILL
    assert len(proofs(run_dir)) == 1
    assert not registration.path(run_dir).exists()


def test_down_leaves_the_cluster_of_another_machine_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    run_dir = make_run(tmp_path, identity_of(sleeper), host="elsewhere")
    with pytest.raises(HealError, match="is on the machine elsewhere"):
        down(run_dir)
    assert sleeper.poll() is None
    assert registration.path(run_dir).exists()
