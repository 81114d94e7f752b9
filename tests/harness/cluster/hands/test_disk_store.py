"""What a disk of ours holds after a loss of power, beside an oracle that copies everything."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from random import Random

import pytest

from harness.cluster.hands.disk_store import OURS, PAGE, ROOT, Inode, Store

FILE, FOLDER = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY))


def write(store: Store, inode: Inode, offset: int, data: bytes) -> None:
    store.write(inode, offset, memoryview(data))


def content(store: Store, name: str) -> bytes:
    inode = store.find(ROOT, name)
    return store.read(inode, 0, inode.size)


def held(store: Store) -> dict[str, bytes]:
    """Every file of the root folder with its bytes."""
    listed = [name for name, inode in store.listed(ROOT) if not inode.is_folder]
    return {name: content(store, name) for name in listed}


def test_what_was_synced_stays_and_what_was_not_is_gone(store: Store) -> None:
    synced, other = (store.make(ROOT, name, FILE, 0, 0) for name in ("synced", "other"))
    write(store, synced, 0, b"first")
    store.sync(synced)
    write(store, synced, 5, b" second")
    write(store, other, 0, b"never synced")
    assert held(store) == {"synced": b"first second", "other": b"never synced"}
    assert store.lose_power() == {"names": 0, "files": 2, "pages": 2}
    assert held(store) == {"synced": b"first", "other": b""}
    assert store.lose_power() == {"names": 0, "files": 0, "pages": 0}


def test_names_are_kept_by_the_next_sync_of_anything_but_ours(store: Store) -> None:
    old, new = (store.make(ROOT, name, FILE, 0, 0) for name in ("old", "new"))
    write(store, old, 0, b"old")
    write(store, new, 0, b"new")
    store.sync(new)
    store.sync(old)
    store.rename(ROOT, "new", ROOT, "old", 0)
    probe = store.find(ROOT, next(iter(OURS)))
    write(store, probe, 0, b"ours")
    store.sync(probe)
    assert held(store) == {"old": b"new"}
    store.lose_power()
    assert held(store) == {"old": b"old", "new": b"new"}
    assert content(store, next(iter(OURS))) == b"ours"
    store.rename(ROOT, "new", ROOT, "old", 0)
    store.sync(store.inodes[ROOT])
    store.lose_power()
    assert held(store) == {"old": b"new"}


def test_a_file_that_was_cut_and_grown_again_comes_back_as_it_was_kept(store: Store) -> None:
    file = store.make(ROOT, "file", FILE, 0, 0)
    before = bytes(range(256)) * (3 * PAGE // 256)
    write(store, file, 0, before)
    store.sync(file)
    store.resize(file, PAGE + 10)
    store.resize(file, 4 * PAGE)
    write(store, file, 2 * PAGE, b"again")
    store.lose_power()
    assert content(store, "file") == before
    store.resize(file, PAGE + 10)
    store.resize(file, 2 * PAGE)
    store.sync(file)
    store.lose_power()
    assert content(store, "file") == before[: PAGE + 10] + bytes(PAGE - 10)


def test_a_folder_with_all_in_it_comes_back_and_another_does_not(store: Store) -> None:
    kept = store.make(ROOT, "kept", FOLDER, 0, 0)
    inner = store.make(kept.number, "inner", FILE, 0, 0)
    write(store, inner, 0, b"inner")
    store.sync(inner)
    store.remove(kept.number, "inner", is_folder=False)
    store.remove(ROOT, "kept", is_folder=True)
    lost = store.make(ROOT, "lost", FOLDER, 0, 0)
    store.make(lost.number, "file", FILE, 0, 0)
    store.lose_power()
    assert [name for name, _ in store.listed(ROOT)] == [".", "..", "kept"]
    again = store.find(store.find(ROOT, "kept").number, "inner")
    assert store.read(again, 0, 10) == b"inner"


def test_what_nobody_can_reach_leaves_no_file_behind(store: Store, tmp_path: Path) -> None:
    file = store.make(ROOT, "file", FILE, 0, 0)
    write(store, file, 0, b"bytes")
    store.sync(file)
    store.remove(ROOT, "file", is_folder=False)
    assert len(list(tmp_path.iterdir())) == 2  # it would come back without power
    store.sync(store.inodes[ROOT])
    assert list(tmp_path.iterdir()) == []


def test_our_files_are_not_listed_nor_made_nor_removed(store: Store) -> None:
    assert held(store) == {}
    for name in OURS:
        with pytest.raises(OSError, match=name) as refused:
            store.make(ROOT, name, FILE, 0, 0)
        assert refused.value.errno == errno.EEXIST
        with pytest.raises(OSError, match=name):
            store.remove(ROOT, name, is_folder=False)


class Oracle:
    """Files of one folder; what is kept is copied whole."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.bytes: dict[int, bytes] = {}
        self.kept_names: dict[str, int] = {}
        self.kept_bytes: dict[int, bytes] = {}

    def sync(self, name: str) -> None:
        number = self.names[name]
        self.kept_bytes[number] = self.bytes[number]
        self.kept_names = dict(self.names)

    def lose_power(self) -> None:
        self.names = dict(self.kept_names)
        self.bytes = {number: self.kept_bytes.get(number, b"") for number in self.names.values()}

    def held(self) -> dict[str, bytes]:
        return {name: self.bytes[number] for name, number in self.names.items()}


def test_random_work_ends_as_the_oracle_says(tmp_path: Path) -> None:
    for seed in range(30):
        folder = tmp_path / str(seed)
        folder.mkdir()
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        work(Store(fd), Oracle(), Random(seed))
        os.close(fd)


def work(store: Store, oracle: Oracle, rng: Random) -> None:
    for step in range(120):
        does = rng.choice(("make", "write", "write", "cut", "sync", "rename", "remove", "power"))
        name = rng.choice(sorted(oracle.names) or ["none"])
        if does == "make" or not oracle.names:
            name = f"f{step % 7}"
            if name not in oracle.names:
                made = store.make(ROOT, name, FILE, 0, 0)
                oracle.names[name], oracle.bytes[made.number] = made.number, b""
            continue
        inode, before = store.find(ROOT, name), oracle.bytes[oracle.names[name]]
        if does == "write":
            offset, data = rng.randrange(3 * PAGE), rng.randbytes(rng.randrange(1, 2 * PAGE))
            write(store, inode, offset, data)
            start = before.ljust(offset, b"\0")[:offset]
            oracle.bytes[inode.number] = start + data + before[offset + len(data) :]
        elif does == "cut":
            size = rng.randrange(4 * PAGE)
            store.resize(inode, size)
            oracle.bytes[inode.number] = before[:size].ljust(size, b"\0")
        elif does == "sync":
            store.sync(inode)
            oracle.sync(name)
        elif does == "rename":
            other = rng.choice([*oracle.names, "new"])
            store.rename(ROOT, name, ROOT, other, 0)
            oracle.names[other] = oracle.names[name]
            if other != name:
                del oracle.names[name]
        elif does == "remove":
            store.remove(ROOT, name, is_folder=False)
            del oracle.names[name]
        elif does == "power":
            store.lose_power()
            oracle.lose_power()
        assert held(store) == oracle.held()
