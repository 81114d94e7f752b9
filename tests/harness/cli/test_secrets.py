"""A password is in no file of a run, in no argument of a process, and in nothing that is said.

The system tells it to whoever hears: its daemon's log, the errors of its operations, its refusal.
"""

from __future__ import annotations

import gzip
import re
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

Fixture = Any

pytestmark = [pytest.mark.cluster, pytest.mark.userns]

PLUGIN = ("--plugin", str(Path(__file__).parents[2] / "toys/indiscreet_system.py"))
SHORT = ("--nodes", "2", "--time-limit", "2", "--store", "store", "--key-operations", "50")
PLANTED = "pl4nted p/ssword"
SPELLINGS = (PLANTED, "pl4nted%20p%2Fssword", "pl4nted+p%2Fssword")


@contextmanager
def watched() -> Iterator[set[str]]:
    """The command lines of all processes that there are meanwhile."""
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def texts(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file below ``folder``, unpacked."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if path.suffix == ".gz":
                data = gzip.decompress(data)
            elif path.suffix == ".zst":
                zstandard = pytest.importorskip("zstandard")
                data = zstandard.ZstdDecompressor().stream_reader(data).read()
            yield path, data.decode("utf-8", "replace")


def leaks(folder: Path, *said: str) -> list[str]:
    """Where the secret stands: files below ``folder``, and what was ``said``."""
    places = [(str(path), text) for path, text in texts(folder)]
    places += [(f"said {number}", text) for number, text in enumerate(said)]
    return [where for where, text in places for each in SPELLINGS if each in text]


def test_a_secret_reaches_nothing_that_is_written_or_can_be_seen(
    polygraph: Fixture, tmp_path: Path
) -> None:
    with watched() as processes:
        done = polygraph("test", "indiscreet", *PLUGIN, *SHORT, POLYGRAPH_PASSWORD=PLANTED)
    assert done.returncode in (0, 2), done.stderr
    assert leaks(tmp_path / "store", done.stdout, done.stderr, *processes) == []
    # and yet it was told everywhere
    told = dict(texts(tmp_path / "store/latest"))
    logs = [text for path, text in told.items() if path.name == "indiscreet.log"]
    assert len(logs) == 2
    logged = f"logged in with {'*' * len(PLANTED)}, inherited nothing"
    assert all(logged in log for log in logs)
    history = next(text for path, text in told.items() if path.name.startswith("history.jsonl"))
    assert "refused by http://admin:***@127.0.0.1/" in history
    assert any("harness.run" in process for process in processes)
    # who repeats the run is told what it needs
    repeat = re.search(r"^repeat  polygraph (.*)$", done.stdout, re.MULTILINE)
    assert repeat is not None
    again = polygraph(*shlex.split(repeat[1]))
    assert again.returncode == 4
    assert "needs the secret password" in again.stderr
    assert "try: POLYGRAPH_PASSWORD in the environment, or --password-file FILE" in again.stderr


def test_an_error_before_the_first_operation_tells_no_secret(
    polygraph: Fixture, tmp_path: Path
) -> None:
    asked = ("test", "indiscreet", "--misbehave", "refuse", *PLUGIN, *SHORT)
    done = polygraph(*asked, POLYGRAPH_PASSWORD=PLANTED)
    assert done.returncode == 3
    assert "the login admin:*** was refused" in done.stderr
    assert leaks(tmp_path / "store", done.stdout, done.stderr) == []


def test_every_run_of_a_soak_gets_the_secret_that_a_file_holds(
    polygraph: Fixture, tmp_path: Path
) -> None:
    (tmp_path / "word").write_text(PLANTED + "\n", "utf-8")
    asked = ("soak", "indiscreet", *PLUGIN, *SHORT, "--runs", "1", "--password-file", "word")
    with watched() as processes:
        done = polygraph(*asked)
    assert done.returncode in (0, 2), done.stderr
    assert leaks(tmp_path / "store", done.stdout, done.stderr, *processes) == []
    (tmp_path / "word").unlink()
    scenario = next((tmp_path / "store/indiscreet").rglob("scenario.toml"))
    refused = polygraph("validate", str(scenario), *PLUGIN)
    assert refused.returncode == 4
    assert f"--password-file {tmp_path / 'word'}: no such file" in refused.stderr
