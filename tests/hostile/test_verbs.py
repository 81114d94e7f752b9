"""Every verb that reads a run, over hostile folders of every kind: nothing of one is trusted.

One folder goes through all verbs, one after the other. What must hold of each ending is told in
``verbs.py``; ``scripts/fuzz_runs.py`` goes through more of them, for as long as one likes.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.hostile.run_folders import Attack, attacks, hostile_runs
from tests.hostile.verbs import command, every_verb, faults_of, words

THINNED = 8
"""Of what is too much for every time, one part is tried; by name, so that it is the same one."""


def some(of: Sequence[Attack], parts: int) -> list[Attack]:
    """One of ``parts`` of the attacks, and never none."""
    found = [each for each in of if zlib.crc32(each.name.encode()) % parts == 0]
    return found or list(of[:1])


GROUPS = {
    **{kind: attacks(kind) for kind in ("registered", "columns")},
    **{kind: some(attacks(kind), 4) for kind in ("link", "fifo", "header", "plugin")},
    **{
        kind: some(attacks(kind), THINNED)
        for kind in ("relative-link", "loop", "dangling", "device-link", "device", "socket",
                     "missing", "folder", "empty", "unreadable", "huge", "empty-folder",
                     "closed-folder", "plain-file", "bytes", "number", "deep")
    },
    "name": some(attacks("name"), 20),
    "verdict": some(attacks("type:verdict.json*"), 25),
    "facts": some(attacks("type:evidence*"), 40),
    "registration": some(attacks("type:cluster.json*"), 20),
    "records": some(attacks("type:header*", "type:record*", "type:faults.jsonl*"), 40),
    "scenario": some(attacks("type:scenario.toml*"), 30),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_no_verb_trusts_what_stands_in_a_run(tmp_path: Path, group: str) -> None:
    found = [
        fault
        for at, hostile in enumerate(hostile_runs(tmp_path, GROUPS[group]))
        for fault in faults_of(hostile, list(every_verb(hostile, shorter=at % 2 == 1)))
    ]
    assert found == []


@pytest.mark.slow
def test_a_damaged_copy_turns_no_invalid_run_into_a_valid_one(tmp_path: Path) -> None:
    derived = [each for each in some(attacks(), THINNED * 4) if each.derived]
    assert len(derived) > 20
    said = set()
    for hostile in hostile_runs(tmp_path, derived, valid=False):
        ending = command("check", str(hostile.run))
        assert faults_of(hostile, [ending]) == []
        said.update(words(ending))
    assert "false" in said
    assert "true" not in said
