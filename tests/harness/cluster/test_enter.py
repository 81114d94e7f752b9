"""The way in: how a run starts, what its process is given, and how the front learns its end."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.namespaces import enter
from harness.cluster.namespaces.reasons import closed_locks, hint_for, seccomp_filtered
from harness.cluster.namespaces.rehearsal import REHEARSAL_STEPS
from harness.cluster.namespaces.steps import NODE_STEPS, RUN_STEPS
from harness.errors import NeedsError, SetupError, StoreError, UsageError

Start = Callable[..., Any]


def test_the_exit_code_of_the_run_process_is_passed_on(start: Start) -> None:
    assert start("exits", code=0).entered.wait(30) == 0
    assert start("exits", code=42).entered.wait(30) == 42


def test_the_run_process_is_alone_in_namespaces_of_its_own(start: Start) -> None:
    run = start("describes_itself")
    found = run.result()
    assert found["parent"] == 1
    assert found["uid"] == 0
    assert found["links"] == ["lo"]
    assert found["proc_is_own"]
    assert not [name for name in found["open"] if "pidfd" in name]


def open_here() -> set[tuple[str, str]]:
    """Every descriptor of this process, and what it is."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found.add((fd, os.readlink(f"/proc/self/fd/{fd}")))
    return found


def test_no_descriptor_of_the_front_stays_open(mode: Any, tmp_path: Path) -> None:
    gc.collect()  # what an earlier test left to it is not to be closed in the middle
    before = open_here()
    entered = enter.spawn([sys.executable, "-S", "-c", ""], mode=mode, run_dir=tmp_path)
    assert entered.wait(30) == 0
    with pytest.raises(SetupError):
        enter.spawn(["/no-such-program"], mode=mode, run_dir=tmp_path)
    assert enter.refusal_of(mode) is None
    gc.collect()
    assert open_here() - before == set()


def test_waiting_gives_nothing_until_the_end(start: Start) -> None:
    run = start("waits_for_end_of_input")
    assert run.word() == "reading"
    assert run.entered.wait(0) is None
    run.entered.close_stdin()
    assert run.result() == ""
    assert run.entered.wait(0) == 0


def test_the_run_is_registered_while_it_is_there(start: Start) -> None:
    run = start("waits_for_end_of_input")
    assert run.word() == "reading"
    assert (run.run_dir / "cluster.json").exists()
    run.entered.close_stdin()
    assert run.entered.wait(30) == 0
    assert not (run.run_dir / "cluster.json").exists()


@pytest.mark.parametrize("step", RUN_STEPS)
def test_a_step_that_fails_is_named_and_nothing_is_left(
    mode: Any, machine: Any, tmp_path: Path, step: str
) -> None:
    if mode == "root" and step == "user namespace":
        step = "namespaces"
    before = machine.snapshot()
    with pytest.raises(SetupError, match=f"{step}: failed on request"):
        enter.spawn(
            [sys.executable, "-c", ""],
            mode=mode,
            run_dir=tmp_path,
            env=machine.environment(),
            fail_at=step,
        )
    assert machine.snapshot() == before
    assert os.listdir(tmp_path) == []


def test_a_program_that_cannot_be_executed_is_named(mode: Any, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"No such file or directory .*no-such-program"):
        enter.spawn(["/no-such-program"], mode=mode, run_dir=tmp_path)


def test_a_run_folder_that_cannot_be_written_is_named(mode: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StoreError, match="cannot write into"):
        enter.spawn([sys.executable, "-S", "-c", ""], mode=mode, run_dir=file / "run")


@pytest.mark.parametrize("step", [*RUN_STEPS[1:5], *REHEARSAL_STEPS[:3], *NODE_STEPS])
def test_the_rehearsal_names_what_the_machine_refuses(mode: Any, step: str) -> None:
    assert enter.refusal_of(mode, fail_at=step) in (
        f"{step}: failed on request",
        f"{step}: Input/output error",
    )


def test_a_mode_that_works_is_chosen(mode: str) -> None:
    assert enter.choose_mode(f"local:{mode}") == mode


@pytest.mark.userns
def test_without_user_namespaces_the_message_says_what_would_open_them(
    machine: Any, tmp_path: Path
) -> None:
    case = Path(__file__).with_name("inside.py")
    settings = '{"mode": "userns", "say": 2, "options": {}}'
    entered = enter.spawn(
        [sys.executable, str(case), "may_make_no_namespaces", str(tmp_path), settings],
        mode="userns",
        run_dir=tmp_path,
        env=machine.environment(),
    )
    assert entered.wait(30) == 0
    result = (tmp_path / "result.json").read_text()
    assert "NeedsError" in result
    assert "user namespace: No space left on device" in result
    assert "sysctl -w user.max_user_namespaces=15000" in result


@pytest.mark.parametrize("provider", ["local:", "local:chroot", "vagrant", "", "docker", "ssh"])
def test_other_providers_are_refused_by_name(provider: str) -> None:
    with pytest.raises(UsageError, match="provider"):
        enter.choose_mode(provider)


def test_where_nothing_works_each_refusal_and_its_remedy_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(enter, "refusal_of", lambda mode: f"{mode} was refused")
    with pytest.raises(NeedsError) as caught:
        enter.choose_mode("local")
    assert "local:root: root was refused; local:userns: userns was refused" in str(caught.value)
    assert caught.value.hint


def test_a_missing_pyroute2_is_known_before_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enter, "has_pyroute2", lambda: False)
    with pytest.raises(NeedsError, match="pyroute2"):
        enter.choose_mode("local")


def test_closed_locks_are_found_with_what_opens_them(tmp_path: Path) -> None:
    for name, value in {
        "kernel/unprivileged_userns_clone": "0",
        "user/max_user_namespaces": "100",
        "kernel/apparmor_restrict_unprivileged_userns": "1",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(value + "\n")
    assert closed_locks(tmp_path) == [
        ("kernel.unprivileged_userns_clone = 0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            "kernel.apparmor_restrict_unprivileged_userns = 1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ]


def test_a_seccomp_filter_is_seen(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("NoNewPrivs:\t0\nSeccomp:\t2\n")
    assert seccomp_filtered(status)
    status.write_text("NoNewPrivs:\t0\nSeccomp:\t0\n")
    assert not seccomp_filtered(status)


def test_root_without_rights_is_told_which() -> None:
    assert "CAP_SYS_ADMIN" in hint_for("root", "namespaces: Operation not permitted")
    assert hint_for("root", "not run as root") == "run it as root"
