"""Odd files in runs' folders: told, never touched, and they hold up nobody else's healing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.leftovers import down
from harness.errors import HealError
from harness.history.faults import unhealed
from harness.history.ledger import Ledger, read_ledger
from harness.linux.identity import ProcessIdentity
from harness.store import registration
from tests.harness.cluster.strange_runs import (
    folder_of,
    gone,
    healed_in_time,
    identity_of,
    ours,
    register,
    store,
    victim,
)

__all__ = ["gone", "ours", "store", "victim"]


# -- odd files ---------------------------------------------------------------------------------

DEEP = "[" * 100_000
ODD = {
    "a pipe": lambda path: os.mkfifo(path),
    "a folder": lambda path: path.mkdir(),
    "a link": lambda path: path.symlink_to("/etc/passwd"),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a socket": lambda path: socket.socket(socket.AF_UNIX).bind(str(path)),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "deep": lambda path: path.write_text(DEEP + "\n"),
    "large": lambda path: path.write_bytes(b"[" + b" " * (65 << 20) + b"]\n"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00\n"),
    "half": lambda path: path.write_text('{"provider": "loc\n'),
    "null": lambda path: path.write_text("null\n"),
    "a number": lambda path: path.write_text("1" * 5000 + "\n"),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_registration_is_told_and_holds_up_nobody(
    store: Path, ours: Callable[[], bool], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = folder_of(store, "hostile")
    monkeypatch.chdir(run_dir)
    ODD[kind](Path("cluster.json"))  # type: ignore[no-untyped-call]
    (left,) = healed_in_time(store)
    assert str(registration.path(run_dir)) in left
    with pytest.raises(HealError, match=r"cluster\.json"):
        down(run_dir)
    assert os.path.lexists(registration.path(run_dir))
    assert ours()


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_ledger_is_told_and_holds_up_nobody(
    store: Path, ours: Callable[[], bool], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = folder_of(store, "hostile")
    monkeypatch.chdir(run_dir)
    ODD[kind](Path("faults.jsonl"))  # type: ignore[no-untyped-call]
    (left,) = healed_in_time(store)
    assert "faults.jsonl" in left
    assert ours()


@pytest.mark.parametrize("kind", ["a pipe", "a link", "a device", "deep", "no text", "a number"])
def test_an_odd_history_holds_up_nobody(
    store: Path, gone: ProcessIdentity, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = register(folder_of(store, "hostile"), gone)
    ledger = Ledger(run_dir / "faults.jsonl", lambda: 5)
    ledger.intend("partition", ["n1"], {})
    ledger.close()
    monkeypatch.chdir(run_dir)
    ODD[kind](Path("history.jsonl"))  # type: ignore[no-untyped-call]
    assert healed_in_time(store) == []
    assert unhealed(read_ledger(run_dir / "faults.jsonl")) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"provider": 7},
        {"provider": "\ud800"},
        {"provider": "../../x"},
        {"host": None},
        {"reaper": None},
        {"reaper": {"pid": "1", "start_ticks": 1, "boot_id": "x", "pid_namespace": 1}},
        {"reaper": {"pid": 10**400, "start_ticks": 1, "boot_id": "x", "pid_namespace": 1}},
        {"reaper": {"pid": -1, "start_ticks": 1, "boot_id": "x", "pid_namespace": 1}},
        {"reaper": {"pid": 1, "start_ticks": 1.5, "boot_id": "x", "pid_namespace": 1}},
        {"front": [1, 2]},
        {"front": {"pid": "../self", "start_ticks": 1, "boot_id": "x", "pid_namespace": 1}},
        {"left_running": "yes"},
        {"facts": []},
        {"run": 7},
    ],
    ids=lambda changes: repr(changes)[:40],
)
def test_a_registration_of_odd_types_is_told(
    store: Path, gone: ProcessIdentity, ours: Callable[[], bool], changes: dict[str, Any]
) -> None:
    run_dir = register(folder_of(store, "hostile"), gone, **changes)
    (left,) = healed_in_time(store)
    assert str(run_dir) in left
    assert registration.path(run_dir).exists()
    assert ours()


def test_no_ledger_is_written_through_a_link(
    store: Path, tmp_path: Path, gone: ProcessIdentity, ours: Callable[[], bool]
) -> None:
    elsewhere = tmp_path / "elsewhere.jsonl"
    ledger = Ledger(elsewhere, lambda: 5)
    ledger.intend("partition", ["n1"], {})
    ledger.close()
    before = elsewhere.read_bytes()
    run_dir = register(folder_of(store, "hostile"), gone)
    (run_dir / "faults.jsonl").symlink_to(elsewhere)
    (left,) = healed_in_time(store)
    assert "faults.jsonl is no plain file" in left
    assert elsewhere.read_bytes() == before
    assert ours()


def test_the_command_tells_each_on_a_line_of_its_own_and_ends_in_3(
    store: Path, ours: Callable[[], bool]
) -> None:
    name = b"x\nnothing is left of any run\n\x1b[2J\xff"
    (store / "system" / "workload" / os.fsdecode(name)).mkdir(parents=True)
    (store / "system" / "workload" / os.fsdecode(name) / "cluster.json").write_text("{}")
    argv = [sys.executable, "-m", "harness.cli.main", "heal", "--store", str(store)]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    assert done.returncode == 3
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("still there: ")
    assert "\x1b" not in line
    assert ours()


def test_a_ledger_that_cannot_be_written_is_told_by_down_too(
    store: Path, gone: ProcessIdentity
) -> None:
    run_dir = register(folder_of(store, "run"), gone)
    (run_dir / "faults.jsonl").write_text('{"id": 0, "fault": "kill"}\n')
    with pytest.raises(HealError, match=r"could not be noted: .*line 1: not a ledger entry"):
        down(run_dir)
    assert registration.path(run_dir).exists()


def test_links_in_a_store_are_not_followed_and_those_that_lead_out_of_it_are_told(
    store: Path, tmp_path: Path, gone: ProcessIdentity, ours: Callable[[], bool]
) -> None:
    outside = register(folder_of(tmp_path / "other", "run"), gone)
    inside = folder_of(store, "plain")
    (store / "latest").symlink_to(inside)
    (store / "gone").symlink_to(tmp_path / "nothing")
    (store / "evil").symlink_to(tmp_path / "other" / "system")
    (store / "system" / "evil").symlink_to(outside.parent)
    left = healed_in_time(store)
    assert [line.partition(":")[0] for line in left] == [
        str(store / "evil"),
        str(store / "system" / "evil"),
    ]
    assert registration.path(outside).exists()
    assert ours()


def test_to_kill_what_a_ledger_names_is_advised_only_where_it_proves_to_be_the_runs(
    store: Path, victim: subprocess.Popen[bytes], ours: Callable[[], bool]
) -> None:
    run_dir = folder_of(store, "hostile")
    odd = {**asdict(identity_of(victim)), "pid": "../self"}
    ledger = Ledger(run_dir / "faults.jsonl", lambda: 5)
    ledger.intend("kill", ["n1"], {"processes": [asdict(identity_of(victim)), odd]})
    ledger.close()
    (left,) = healed_in_time(store)
    assert "kill -9" not in left
    assert f"ps -fp {victim.pid}" in left
    assert ours()


# -- runs of ours ------------------------------------------------------------------------------


def test_a_copy_of_a_run_is_told_and_its_faults_are_not_called_healed(
    store: Path, gone: ProcessIdentity, ours: Callable[[], bool]
) -> None:
    run_dir = register(folder_of(store, "copy"), gone, run=str(folder_of(store, "original")))
    ledger = Ledger(run_dir / "faults.jsonl", lambda: 5)
    ledger.intend("partition", ["n1"], {})
    ledger.close()
    (left,) = healed_in_time(store)
    assert "it is a copy, or was moved" in left
    assert len(unhealed(read_ledger(run_dir / "faults.jsonl"))) == 1
    assert ours()


def test_a_run_of_an_earlier_version_is_healed_once_its_process_is_gone(
    store: Path, victim: subprocess.Popen[bytes], gone: ProcessIdentity
) -> None:
    run_dir = register(folder_of(store, "old"), identity_of(victim))
    content = json.loads(registration.path(run_dir).read_text())
    del content["run"]
    registration.path(run_dir).write_text(json.dumps(content))
    (left,) = healed_in_time(store)
    assert "runs of earlier versions have none" in left
    assert f"kill -9 {victim.pid}" in left
    victim.kill()
    victim.wait()
    assert healed_in_time(store) == []
    assert not registration.path(run_dir).exists()


def test_a_process_whose_number_a_stranger_has_by_now_is_gone(
    store: Path, victim: subprocess.Popen[bytes]
) -> None:
    early = replace(identity_of(victim), start_ticks=1)
    run_dir = register(folder_of(store, "run"), early)
    assert healed_in_time(store) == []
    assert victim.poll() is None
    assert not registration.path(run_dir).exists()
