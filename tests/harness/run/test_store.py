"""The store: one folder a run, found again by folder, link or name."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError, UsageError
from harness.run.store import find_run, link, new_run_dir, read_json, write_json, write_text

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

    def another_first(*names: Any, **where: int) -> None:
        monkeypatch.setattr(os, "replace", replace)
        write_text(path, "by another thread")
        replace(*names, **where)

    monkeypatch.setattr(os, "replace", another_first)
    write_text(path, "ours")
    assert path.read_text() == "ours"
    assert list(tmp_path.iterdir()) == [path]
