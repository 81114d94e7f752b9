"""Standard streams that are closed or full, for every verb that needs no cluster."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.real_run import write_run

pytestmark = pytest.mark.slow


Fixture = Any

SCRIPT = str(Path(sys.executable).with_name("polygraph"))
CLOSED = ("<&-", ">&-", "2>&-")
ALONE = ("unshare", "--user", "--map-root-user", "--mount")
ALL = " ".join(CLOSED)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one run, which is valid."""
    found = tmp_path_factory.mktemp("streams") / "store"
    run_dir = write_run(found / "etcd/register/20261122T120000-abcdef")
    (found / "latest").symlink_to(run_dir)
    return found


@pytest.fixture
def shell(store: Path, environment: dict[str, str]) -> Any:
    """Run a command line of ``polygraph`` with redirections, beside the store."""

    def run(words: str, redirections: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", f"exec {SCRIPT} {words} {redirections}"],
            cwd=store.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("check latest", 0),
        ("check latest store/latest/history.jsonl.zst", 0),
        ("check nothing-there", 4),
        ("export latest -f edn", 0),
        ("report latest", 0),
        ("list", 0),
        ("explain G1a", 0),
        ("validate nothing-there.toml", 4),
        ("test etcd --print-config --seed 1", 0),
    ],
)
def test_closed_streams_change_no_exit_code(shell: Fixture, words: str, code: int) -> None:
    done = shell(words, ALL)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    for closed in CLOSED if words == "check latest" else ():
        done = shell(words, closed)
        assert done.returncode == code, (closed, done.stderr)
        assert done.stdout == ("" if closed == ">&-" else "latest\ttrue\n"), closed


def test_what_is_opened_first_does_not_get_the_number_of_a_closed_stream(
    shell: Fixture, toys: tuple[str, str]
) -> None:
    """A plug-in has the command line carried out by a child, behind a pipe of its own."""
    done = shell(f"check latest {' '.join(toys)}", ALL)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("words", ["check latest", "export latest -f edn", "list", "explain G1a"])
def test_an_answer_that_a_full_disk_does_not_take_is_told_and_ends_in_3(
    shell: Fixture, words: str
) -> None:
    done = shell(words, ">/dev/full")
    assert (done.returncode, done.stdout) == (3, "")
    last = done.stderr.splitlines()[-1]
    assert last == f"polygraph: standard output cannot be written: {os.strerror(errno.ENOSPC)}"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["check latest -v", "check nothing-there"])
def test_what_cannot_be_said_to_people_costs_nothing(shell: Fixture, words: str) -> None:
    whole, full = shell(words, ""), shell(words, "2>/dev/full")
    assert (full.returncode, full.stdout) == (whole.returncode, whole.stdout)


def test_a_verdict_that_a_folder_holds_outlives_its_answer() -> None:
    program = (
        "from harness.linux.standard_streams import prepare\nprepare()\n"
        "from harness.cli.test import told_or_kept\n"
        "with told_or_kept():\n    print('INVALID')\nprint('more')\nraise SystemExit(1)"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=250,
        )
    assert done.returncode == 1
    assert done.stderr == "polygraph: standard output cannot be written: No space left on device\n"


@pytest.mark.cluster
@pytest.mark.userns
def test_a_store_on_a_read_only_file_system_is_read_and_what_is_wrong_is_said(
    store: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    (store / "latest").resolve().joinpath("verdict.json").unlink(missing_ok=True)
    mounted = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'

    def read_only(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*ALONE, "sh", "-c", mounted, "sh", store, SCRIPT, *argv, "--store", store],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )

    checked = read_only("check", "latest")
    assert (checked.returncode, checked.stdout) == (0, "latest\ttrue\n"), checked.stderr
    notices = [line for line in checked.stderr.splitlines() if "not kept" in line]
    assert len(notices) == 1
    assert "Read-only file system" in notices[0]
    report = read_only("report", "latest")
    assert report.returncode == 3
    assert "Read-only file system\n  try: -o FILE" in report.stderr
    for output, page in (("page.html", "page.html"), (".", "report.html")):
        assert read_only("report", "latest", "-o", output).returncode == 0
        assert (tmp_path / page).read_text().startswith("<!DOCTYPE html>")
    exported = read_only("export", "latest", "-f", "edn")
    assert exported.returncode == 0
    assert exported.stdout.startswith(";; polygraph")
    begun = read_only("test", "etcd", "--nodes", "1", "--time-limit", "1")
    assert begun.returncode == 3
    assert "Read-only file system" in begun.stderr
    assert "read only: --store DIR" in begun.stderr
    assert "free some space" not in begun.stderr
