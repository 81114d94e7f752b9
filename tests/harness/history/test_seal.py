"""Sealing is atomic, keeps every record, and an unsealed run is known to be partial."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import HistoryError, StoreError
from harness.history import reader
from harness.history import seal as seal_module
from harness.history.columns import columns
from harness.history.journal import Journal
from harness.history.operation import Header, Operation
from harness.history.reader import read_history
from harness.history.seal import PLAIN, find_history, seal
from harness.store.untrusted import Folder


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run folder whose history is written and not sealed."""
    (tmp_path / "scenario.toml").write_text("")
    with Journal(tmp_path / PLAIN, Header(system="etcd", independent=True)) as journal:
        for number in range(100):
            journal.append(Operation(-1, -1, number, "invoke", "write", ["k", number]))
    return tmp_path


def no_zstandard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal_module.importlib.util, "find_spec", lambda name: None)


@pytest.mark.parametrize("suffix", [".zst", ".gz"])
def test_a_sealed_history_reads_as_before_and_whole(
    run_dir: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_history(run_dir)
    assert before.partial
    assert "did not come to seal" in before.notices[-1]
    if suffix == ".gz":
        no_zstandard(monkeypatch)
    sealed = seal(run_dir)
    assert sealed == run_dir / (PLAIN + suffix)
    assert sorted(path.name for path in run_dir.iterdir()) == [PLAIN + suffix, "scenario.toml"]
    after = read_history(run_dir)
    assert list(after) == list(before)
    assert after.header == before.header
    assert (after.partial, after.notices) == (False, ())
    assert seal(run_dir) == sealed == find_history(run_dir)


def test_a_plain_file_outside_a_run_is_not_partial(run_dir: Path) -> None:
    (run_dir / "scenario.toml").unlink()
    assert not read_history(run_dir / PLAIN).partial


@pytest.mark.parametrize("step", ["fsync", "replace", "open"])
def test_a_seal_that_fails_leaves_the_plain_history_alone(
    run_dir: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (run_dir / PLAIN).read_bytes()

    def refuse(*arguments: Any, **named: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if step == "fsync":
            patch.setattr(os, "fsync", refuse)
        else:
            patch.setattr(Path, step, refuse)
        with pytest.raises(StoreError, match="No space left on device"):
            seal(run_dir)
    assert (run_dir / PLAIN).read_bytes() == before
    assert sorted(path.name for path in run_dir.iterdir()) == [PLAIN, "scenario.toml"]
    assert seal(run_dir).is_file()


def test_a_crash_before_the_plain_file_went_is_repaired_by_sealing_again(run_dir: Path) -> None:
    plain = (run_dir / PLAIN).read_bytes()
    sealed = seal(run_dir)
    (run_dir / PLAIN).write_bytes(plain)
    assert find_history(run_dir) == sealed
    assert seal(run_dir) == sealed
    assert not (run_dir / PLAIN).exists()
    assert len(read_history(run_dir)) == 100


def test_a_torn_history_is_partial_after_sealing_too(run_dir: Path) -> None:
    with (run_dir / PLAIN).open("ab") as out:
        out.write(b'{"index":100,"ti')
    seal(run_dir)
    history = read_history(run_dir)
    assert history.partial
    assert len(history) == 100


def test_a_history_that_breaks_the_rules_is_sealed_and_still_refused(run_dir: Path) -> None:
    with (run_dir / PLAIN).open("ab") as out:
        out.write(b'{"index":100,"time":1,"process":7,"type":"invoke","f":"w","value":1}\n')
    seal(run_dir)
    with pytest.raises(HistoryError, match="still open"):
        read_history(run_dir)


def test_a_folder_without_history_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="no history in this folder"):
        read_history(tmp_path)


@pytest.mark.parametrize("copy", ["a bound too far", "no archive", "a link out"])
def test_what_an_old_run_says_of_its_history_in_columns_is_not_believed(
    run_dir: Path, copy: str
) -> None:
    sealed = seal(run_dir)
    before = columns(read_history(run_dir))
    beside = run_dir / "history.npz"
    if copy == "a bound too far":
        tables = {"of_bytes": sealed.stat().st_size, "f_names": ["read"], "keys": [], "values": []}
        text = np.frombuffer(json.dumps(tables).encode(), dtype=np.uint8)
        with beside.open("wb") as out:
            np.savez_compressed(out, tables=text, index=np.arange(7), value=np.full(7, 1 << 40))
    elif copy == "no archive":
        beside.write_bytes(b"PK")
    else:
        beside.symlink_to("/dev/zero")
    after = columns(read_history(run_dir))
    assert after.value.tolist() == before.value.tolist()
    assert len(after) == 100


def test_two_who_seal_at_once_lose_nothing(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the front dies while the run seals: two threads of the run process do it then."""
    before, compress = list(read_history(run_dir)), seal_module._compress
    sealed: list[Path] = []
    other = threading.Thread(target=lambda: sealed.append(seal(run_dir)))

    def beside_another(plain: Path, out: Any, suffix: str) -> None:
        monkeypatch.setattr(seal_module, "_compress", compress)
        other.start()
        other.join(0.3)  # time to spoil it, if it may
        compress(plain, out, suffix)

    monkeypatch.setattr(seal_module, "_compress", beside_another)
    sealed.append(seal(run_dir))
    other.join()
    assert sealed == [find_history(run_dir)] * 2
    assert list(read_history(run_dir)) == before


@pytest.mark.parametrize("moment", ["before it is looked for", "before it is read"])
def test_a_run_that_is_sealed_while_it_is_read_is_read_whole(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    before = list(read_history(run_dir))
    find, stat = reader.history_in, Folder.stat

    def find_and_be_too_late(folder: Path) -> str:
        found = find(folder)
        seal(folder)
        return found

    def look_too_early(folder: Folder, name: str) -> os.stat_result:
        if name == PLAIN:
            monkeypatch.setattr(Folder, "stat", stat)
            seal(folder.path)
        return stat(folder, name)

    if moment == "before it is read":
        monkeypatch.setattr(reader, "history_in", find_and_be_too_late)
    else:
        monkeypatch.setattr(Folder, "stat", look_too_early)
    history = read_history(run_dir)
    assert list(history) == before
    assert not history.partial
