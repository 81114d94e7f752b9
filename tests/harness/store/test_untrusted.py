"""Files of a foreign folder: plain ones are read, to a bound; nothing else is, or is followed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from harness.store.untrusted import Folder, NotPlain, TooLarge, parsed_json

ODD = (
    "link",
    "dangling",
    "linked/secret",
    "pipe",
    "folder",
    "in-file/x",
    "../secret",
    "/etc/passwd",
)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with one good file at each depth, and one of each odd thing."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    inside = tmp_path / "inside"
    (inside / "folder" / "deep").mkdir(parents=True)
    (inside / "plain").write_text("plain")
    (inside / "in-file").write_text("x")
    (inside / "folder" / "deep" / "one").write_text("[1]")
    (inside / "link").symlink_to(tmp_path / "outside" / "secret")
    (inside / "dangling").symlink_to("nowhere")
    (inside / "linked").symlink_to(tmp_path / "outside")
    os.mkfifo(inside / "pipe")
    return Folder(inside)


def test_plain_files_are_read(folder: Folder) -> None:
    assert folder.read("plain", 5) == b"plain"
    assert folder.json("folder/deep/one") == [1]
    assert folder.has("folder/deep/one")
    assert folder.stat("plain").st_size == 5
    assert list(folder.files()) == ["folder/deep/one", "in-file", "plain"]
    assert list(folder.files("folder")) == ["folder/deep/one"]
    assert list(folder.files("nothing")) == list(folder.files("linked")) == []


def test_a_folder_inside_is_reached_by_no_link(folder: Folder, tmp_path: Path) -> None:
    below = folder.below("folder").below("deep")
    assert below.json("one") == [1]
    below.write("new/two", b"2")
    assert list(folder.files("folder")) == ["folder/deep/new/two", "folder/deep/one"]
    assert folder.folders() == ["folder"]
    with pytest.raises(NotPlain):
        folder.below("linked").read("secret", 10)
    with pytest.raises(NotPlain):
        folder.below("linked").write("new", b"")
    with pytest.raises(NotPlain):
        folder.below("../outside")
    (tmp_path / "inside" / "folder" / "deep").rename(tmp_path / "gone")
    (tmp_path / "inside" / "folder" / "deep").symlink_to(tmp_path / "outside")
    with pytest.raises(NotPlain):
        below.read("secret", 10)


def test_a_folder_is_passed_over_where_it_is_not_wanted(folder: Folder) -> None:
    assert list(folder.files(enters=lambda name: name != "folder/deep")) == ["in-file", "plain"]


@pytest.mark.parametrize("name", ODD)
def test_odd_files_are_refused_at_once(folder: Folder, name: str) -> None:
    with pytest.raises(NotPlain) as refused:
        folder.open(name)
    assert refused.value.strerror
    assert not folder.has(name)


def test_a_device_is_not_opened() -> None:
    with pytest.raises(NotPlain, match="device"):
        Folder(Path("/dev")).read("zero", 10)


def test_what_is_larger_than_the_bound_is_refused(folder: Folder) -> None:
    with pytest.raises(TooLarge, match="larger than 4 bytes"):
        folder.read("plain", 4)


def test_what_is_not_there_says_so(folder: Folder) -> None:
    with pytest.raises(FileNotFoundError):
        folder.open("folder/nothing")


@pytest.mark.parametrize("data", [b"[" * 100_000, b"9" * 10_000, b"{", b"\xff\xfe\x00"])
def test_odd_json_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"nested|digits|double quotes|decode|codec"):
        parsed_json(data)


def test_a_written_file_replaces_a_link_and_follows_none(folder: Folder, tmp_path: Path) -> None:
    folder.write("link", b"ours")
    folder.write("made/here", b"too")
    with pytest.raises(NotPlain):
        folder.write("linked/secret", b"ours")
    assert (tmp_path / "outside" / "secret").read_text() == "secret"
    assert folder.read("link", 9) == b"ours"
    assert folder.read("made/here", 9) == b"too"
    assert stat.S_ISREG((folder.path / "link").lstat().st_mode)
    assert os.listdir(tmp_path / "outside") == ["secret"]


def test_folders_in_folders_end_somewhere(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=here)
        following = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = following
    os.close(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    (tmp_path / "plain").write_text("x")
    assert list(Folder(tmp_path).files()) == ["plain"]


def test_a_bound_beyond_all_memory_costs_no_more_than_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (3 << 20))
    assert Folder(tmp_path).read("a", 1 << 62) == b"x" * (3 << 20)
    assert Folder(tmp_path).read("a", 3 << 20) == b"x" * (3 << 20)
    with pytest.raises(TooLarge):
        Folder(tmp_path).read("a", (3 << 20) - 1)
