"""What a run's folder holds is read as data: no link out of it, no pipe, nothing without an end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from harness.cli.main import run
from harness.errors import HistoryError, UsageError
from harness.history.ledger import read_ledger
from harness.history.seal import PLAIN, seal
from harness.judge.judge import load_record, run_checkers
from harness.plugins import Registry
from harness.store.scenario import recorded_table
from harness.verdict.record import LONGEST_LOG_LINE, LogFile

SECRET: Final = "the secret of another"
ENTRY: Final = {
    "id": 0, "fault": "kill", "targets": ["n1"], "event": "intend", "time": 5, "detail": {}
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole run's folder, and beside it a file that is not of the run."""
    (tmp_path / "outside").write_text(SECRET + "\n")
    folder = tmp_path / "store" / "etcd" / "register" / "20261130T120000-abcdef"
    (folder / "evidence").mkdir(parents=True)
    (folder / "nodes" / "n1").mkdir(parents=True)
    (folder / "scenario.toml").write_text('system = "etcd"\nseed = 1\n')
    lines = [
        {"index": at, "time": at, "process": 0, "type": kind, "f": "write", "value": [1, 7]}
        for at, kind in enumerate(("invoke", "ok"))
    ]
    header = {"polygraph": 1, "workload": "register", "independent": True}
    (folder / PLAIN).write_text("".join(json.dumps(line) + "\n" for line in (header, *lines)))
    (folder / "faults.jsonl").write_text(json.dumps(ENTRY) + "\n")
    (folder / "evidence" / "run.json").write_text('{"checkers": ["linearizable"]}')
    (folder / "nodes" / "n1" / "etcd.log").write_text("started\n")
    return folder


def test_a_whole_folder_is_read_whole(folder: Path) -> None:
    record = load_record(folder)
    assert len(record.history) == 2
    assert record.faults is not None
    assert [entry.fault for entry in record.faults] == ["kill"]
    assert record.logs is not None
    assert [(log.node, list(log.lines())) for log in record.logs] == [("n1", ["started\n"])]
    assert record.run is not None
    assert list(record.run["checkers"]) == ["linearizable"]
    assert record.states is None


@pytest.mark.parametrize("how", ["link", "pipe"])
@pytest.mark.parametrize("name", [PLAIN, "faults.jsonl", "scenario.toml"])
def test_what_must_be_plain_and_is_not_is_refused(
    folder: Path, name: str, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    replaced(folder / name, how)
    assert run(("check", str(folder))) == 4
    told = capfd.readouterr()
    assert told.out == ""
    assert f"is a {how}" in told.err
    assert SECRET not in told.err
    with pytest.raises((HistoryError, UsageError), match=f"is a {how}"):
        recorded_table(folder) if name == "scenario.toml" else load_record(folder)


@pytest.mark.parametrize("how", ["link", "pipe"])
def test_logs_and_evidence_that_are_not_plain_count_as_missing(folder: Path, how: str) -> None:
    replaced(folder / "evidence" / "run.json", how)
    replaced(folder / "nodes" / "n1" / "etcd.log", how)
    (folder / "nodes" / "n2").symlink_to(folder.parents[3])
    (folder / "nodes" / "n3").mkdir()
    (folder / "nodes" / "n3" / "deeper").mkdir()
    (folder / "nodes" / "n3" / "deeper" / "x.log").write_text("too deep\n")
    record = load_record(folder)
    assert record.run is None
    assert record.logs == []


def test_logs_that_are_left_out_are_named(folder: Path) -> None:
    before = load_record(folder).history.notices
    os.mkfifo(folder / "nodes" / "n1" / "pipe.log")
    (folder / "nodes" / "n2").symlink_to(folder.parents[3])
    *others, notice = load_record(folder).history.notices
    assert tuple(others) == before
    assert notice == "left out, for they are no plain files: nodes/n1/pipe.log, nodes/n2"


def test_a_folder_of_evidence_that_leads_out_is_not_followed(folder: Path) -> None:
    outside = folder.parents[3] / "elsewhere"
    (folder / "evidence").rename(outside)
    (folder / "evidence").symlink_to(outside)
    assert load_record(folder).run is None


@pytest.mark.parametrize("said", ["[1]", "7", '"text"', "{", "[" * 100_000])
def test_evidence_of_an_odd_type_says_nothing(folder: Path, said: str) -> None:
    (folder / "evidence" / "run.json").write_text(said)
    (folder / "evidence" / "final_states.json").write_text(said)
    record = load_record(folder)
    assert record.run is None
    assert record.states is not None
    assert not record.states["states"]


def test_a_log_that_became_a_link_is_not_read(folder: Path) -> None:
    path = folder / "nodes" / "n1" / "etcd.log"
    replaced(path, "link")
    with pytest.raises(OSError, match="link"):
        next(LogFile(node="n1", path=path).lines())


def test_a_line_of_a_log_without_end_is_cut(folder: Path) -> None:
    path = folder / "nodes" / "n1" / "etcd.log"
    with path.open("w") as out:
        out.write("first\n" + "x" * (3 * LONGEST_LOG_LINE) + "y\nlast\n")
    lines = list(LogFile(node="n1", path=path).lines())
    assert [lines[0], lines[2]] == ["first\n", "last\n"]
    assert lines[1] == "x" * LONGEST_LOG_LINE
    assert len(lines) == 3


def test_a_log_that_is_a_hole_is_left_alone_at_once_and_makes_unknown(folder: Path) -> None:
    log = folder / "nodes" / "n1" / "etcd.log"
    os.truncate(log, 1 << 40)
    record = load_record(folder)
    options = {"crash_patterns": ["^panic"], "log_patterns": {"panic": ["^panic"]}}
    verdicts, _ = run_checkers(record, ["crash", "logs"], options, Registry(), seconds=60)
    assert "etcd.log of n1 holds a line of more than 64 MiB" in verdicts["logs"].why
    assert verdicts["logs"].valid == "unknown"


def test_a_ledger_nested_too_deeply_is_an_error_that_names_the_line(folder: Path) -> None:
    deep = json.dumps(ENTRY).replace("{}", '{"a":' * 100_000 + "1" + "}" * 100_000)
    (folder / "faults.jsonl").write_text(deep + "\n")
    with pytest.raises(HistoryError, match="line 1: not a ledger entry"):
        read_ledger(folder / "faults.jsonl")


def replaced(path: Path, how: str) -> None:
    """Put something else in the place of a plain file."""
    path.unlink()
    if how == "link":
        path.symlink_to(
            next(up / "outside" for up in path.parents if (up / "outside").is_file()).resolve()
        )
    else:
        os.mkfifo(path)


READ_ONLY: Final = """
import ctypes, os, sys
from pathlib import Path
store, out = sys.argv[1], sys.argv[2]
libc = ctypes.CDLL(None, use_errno=True)
user, group = os.geteuid(), os.getegid()
def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        sys.exit(f"{name}: {os.strerror(ctypes.get_errno())}")
call("unshare", 0x20000 if user == 0 else 0x10020000)
if user != 0:
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
call("mount", b"none", b"/", None, 0x44000, None)
call("mount", os.fsencode(store), os.fsencode(store), None, 0x1000, None)  # bind
call("mount", b"none", os.fsencode(store), None, 0x1000 | 0x20 | 0x1, None)  # bind, remount, ro
from harness.cli.main import run
codes = [run(("check", "--store", store, "latest")),
         run(("export", "--store", store, "latest", "-f", "edn", "-o", out))]
print(codes)
"""


@pytest.mark.userns
def test_a_read_only_store_is_checked_and_exported(folder: Path, tmp_path: Path) -> None:
    store = folder.parents[2]
    (store / "latest").symlink_to(folder.relative_to(store))
    seal(folder)
    before = {path: path.lstat().st_mtime_ns for path in store.rglob("*")}
    out = tmp_path / "out.edn"
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(store), str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[2, 0]"
    assert "the verdict is not kept" in done.stderr
    assert "Read-only file system" in done.stderr
    assert out.read_text().count(":type :ok") == 1
    assert {path: path.lstat().st_mtime_ns for path in store.rglob("*")} == before
