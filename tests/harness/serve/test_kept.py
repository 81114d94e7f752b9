"""The rows that are kept from one ``serve`` to the next: the user's own, and a hint at most."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.serve import rows
from harness.serve.catalogue import Catalogue
from harness.serve.kept import Kept, cache_folder

Make = Callable[..., Path]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    path = tmp_path / "cache"
    path.mkdir()
    return path


def looked(store: Path, cache: Path | None) -> Catalogue:
    catalogue = Catalogue(store, Kept(store.resolve(), cache))
    catalogue.refresh()
    return catalogue


def test_what_was_read_is_not_read_again_by_the_next(
    store: Path, cache: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("20261120T100000-aaaaaa")
    changed = make("20261121T100000-bbbbbb")
    first = looked(store, cache).state
    read: list[str] = []
    read_row = rows.read_row
    monkeypatch.setattr(
        rows, "read_row", lambda inside, path: read.append(path) or read_row(inside, path)
    )
    assert list(looked(store, cache).state.all_rows) == list(first.all_rows)
    assert read == []
    (changed / "verdict.json").write_text('{"valid": false}')
    assert looked(store, cache).state.all_rows[0].verdict == "invalid"
    assert read == ["etcd/register/20261121T100000-bbbbbb"]


def the_file(cache: Path) -> Path:
    (found,) = (cache / "polygraph" / "indices").iterdir()
    return found


def spoiled(value: Any, **changes: Any) -> str:
    for _, row in value["runs"]:
        row.update(changes)
    return json.dumps(value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: "",
        lambda value: "[" * 100_000,
        lambda value: "[]",
        lambda value: json.dumps({**value, "runs": 5}),
        lambda value: json.dumps({**value, "runs": [5, [], ["x"], [[], {}]]}),
        lambda value: json.dumps({**value, "version": 99}),
        lambda value: json.dumps({**value, "store": "another"}),
        lambda value: spoiled(value, path="../../../etc", verdict="lie"),
        lambda value: spoiled(value, seed="lie", verdict="lie"),
        lambda value: spoiled(value, verdict="lie", more=1),
    ],
)
def test_a_spoiled_file_is_as_if_it_were_not_there(
    store: Path, cache: Path, make: Make, spoil: Callable[[Any], str]
) -> None:
    make("20261120T100000-aaaaaa")
    looked(store, cache)
    path = the_file(cache)
    path.write_text(spoil(json.loads(path.read_text())))
    (row,) = looked(store, cache).state.all_rows
    assert (row.verdict, row.path) == ("valid", "etcd/register/20261120T100000-aaaaaa")


@pytest.mark.parametrize("what", ["link", "link above", "for all", "file", "link for the file"])
def test_a_folder_that_others_may_have_made_is_not_used(
    store: Path, cache: Path, tmp_path: Path, make: Make, what: str
) -> None:
    make("20261120T100000-aaaaaa")
    outside = tmp_path / "outside"
    outside.mkdir()
    ours = cache / "polygraph"
    if what == "link above":
        ours.symlink_to(outside)
    elif what == "file":
        ours.write_text("")
    elif what == "link for the file":
        looked(store, cache)
        path = the_file(cache)
        (outside / "file").write_text(spoiled(json.loads(path.read_text()), verdict="lie"))
        path.unlink()
        path.symlink_to(outside / "file")
    else:
        ours.mkdir()
        (ours / "indices").symlink_to(outside) if what == "link" else (ours / "indices").mkdir()
    if what == "for all":
        (ours / "indices").chmod(0o777)
    before = {path.name: path.read_text() for path in outside.iterdir()}
    (row,) = looked(store, cache).state.all_rows
    assert row.verdict == "valid"
    assert {path.name: path.read_text() for path in outside.iterdir()} == before
    if what == "for all":
        assert list((ours / "indices").iterdir()) == []


def test_the_cache_is_where_the_standard_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert cache_folder() == tmp_path / "elsewhere"
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_folder() == tmp_path / ".cache"


def test_without_a_cache_the_rows_are_in_memory(store: Path, make: Make) -> None:
    make("20261120T100000-aaaaaa")
    assert len(looked(store, None).state.all_rows) == 1
