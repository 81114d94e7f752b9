"""The store: one folder a run, found again by folder, link or name."""

from __future__ import annotations

import errno
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError, UsageError
from harness.store.runs import (
    find_run,
    is_over,
    link,
    new_run_dir,
    read_json,
    write_json,
    write_text,
    written_by_owner_alone,
)

NOW = datetime(2026, 11, 22, 12, 0, 0)


def make_run(store: Path) -> Path:
    run_dir = new_run_dir(store, "etcd", "register", NOW)
    (run_dir / "scenario.toml").write_text("system = 'etcd'\n")
    return run_dir


def test_a_run_is_found_by_folder_link_and_name(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path / "store")
    link(tmp_path / "store", "latest", run_dir)
    for name in (str(run_dir), "latest", "current", run_dir.name):
        assert find_run(tmp_path / "store", name) == run_dir


def test_two_runs_of_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    assert make_run(tmp_path / "store") != make_run(tmp_path / "store")


def test_a_run_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        find_run(tmp_path, "nowhere")


def test_the_last_run_begun_is_latest_and_the_one_under_way_is_current(tmp_path: Path) -> None:
    store = tmp_path / "store"
    first, second = make_run(store), make_run(store)
    assert find_run(store, "latest") == find_run(store, "current") == second
    is_over(store, first)
    assert (store / "current").resolve() == second
    is_over(store, second)
    assert not (store / "current").is_symlink()
    assert find_run(store, "current") == second, "nothing is under way, so it is the last one"


def test_only_the_owner_writes_to_a_run_folder_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with written_by_owner_alone():
            run_dir = make_run(tmp_path / "store")
            write_json(run_dir / "nodes" / "a.json", {})
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    for path in (run_dir, *run_dir.rglob("*"), run_dir.parent, run_dir.parents[1]):
        assert path.stat().st_mode & 0o022 == 0, path


def test_a_store_leads_nobody_out_of_it(tmp_path: Path) -> None:
    elsewhere = make_run(tmp_path / "elsewhere")
    store = tmp_path / "store"
    (store / "etcd" / "register").mkdir(parents=True)
    (store / "latest").symlink_to(elsewhere)
    (store / "etcd" / "register" / "20261122T120000-led0ut").symlink_to(elsewhere)
    for name in ("latest", "current", "20261122T120000-led"):
        with pytest.raises(UsageError, match="leads out of the store"):
            find_run(store, name)
    assert find_run(store, str(store / "latest")) == elsewhere, "the user named it"


def test_what_is_written_into_a_run_passes_no_link(tmp_path: Path) -> None:
    outside, run_dir = tmp_path / "outside", make_run(tmp_path / "store")
    outside.mkdir()
    (outside / "kept.txt").write_text("kept")
    (run_dir / "report.html").symlink_to(outside / "kept.txt")
    write_text(run_dir / "report.html", "the page")
    assert (outside / "kept.txt").read_text() == "kept"
    assert not (run_dir / "report.html").is_symlink()
    (run_dir / "plots").symlink_to(outside)
    with pytest.raises(StoreError, match="plots"):
        write_text(run_dir / "plots" / "rate.png", "a picture")
    assert [path.name for path in outside.iterdir()] == ["kept.txt"]


def test_what_is_read_from_a_run_passes_no_link_and_never_waits(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path / "store")
    (tmp_path / "secret.json").write_text('{"a": 1}')
    (run_dir / "verdict.json").symlink_to(tmp_path / "secret.json")
    os.mkfifo(run_dir / "pipe.json")
    (run_dir / "deep.json").write_text("[" * 100_000)
    for name in ("verdict.json", "pipe.json", "deep.json", "missing.json"):
        assert read_json(run_dir / name) is None, name


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "as a user who may write there"),
        (errno.EPERM, "as a user who may write there"),
        (errno.EROFS, "read only"),
        (errno.ENAMETOOLONG, "a shorter name"),
        (errno.ENOTDIR, "is a file, no folder"),
        (errno.EIO, "does not work"),
    ],
)
def test_a_store_that_cannot_be_written_says_what_would_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    def refuse(*names: Any, **where: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(StoreError, match=os.strerror(number)) as caught:
        make_run(tmp_path / "store")
    assert advice in (caught.value.hint or "")
    assert ("space" in (caught.value.hint or "")) == (number == errno.ENOSPC)


def test_an_unwritable_store_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file, not a folder")
    with pytest.raises(StoreError, match="run folder"):
        new_run_dir(tmp_path / "store", "etcd", "register", NOW)


def test_json_is_replaced_whole_and_a_torn_file_reads_as_none(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"n": 1})
    write_json(tmp_path / "a.json", {"n": 2})
    assert read_json(tmp_path / "a.json") == {"n": 2}
    (tmp_path / "b.json").write_text('{"n": ')
    assert read_json(tmp_path / "b.json") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]


def test_whoever_lists_the_store_never_meets_a_link_in_the_making(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    run_dir = make_run(store)
    replace, seen = os.replace, []

    def look_and_replace(*names: Any) -> None:
        seen.append(sorted(path.name for path in store.iterdir()))
        replace(*names)

    monkeypatch.setattr(os, "replace", look_and_replace)
    link(store, "latest", run_dir)
    assert seen == [["current", "etcd", "latest"]]
    assert (store / "latest").resolve() == run_dir
    assert sorted(path.name for path in run_dir.iterdir()) == ["evidence", "scenario.toml"]


def test_two_who_write_a_file_at_the_same_time_both_write_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, replace = tmp_path / "page.html", os.replace

    def another_first(*names: Any, **where: Any) -> None:
        monkeypatch.setattr(os, "replace", replace)
        write_text(path, "by another thread")
        replace(*names, **where)

    monkeypatch.setattr(os, "replace", another_first)
    write_text(path, "ours")
    assert path.read_text() == "ours"
    assert list(tmp_path.iterdir()) == [path]
