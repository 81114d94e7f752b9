"""The table of hands: every line is one that can be carried out, wherever python3 is."""

from __future__ import annotations

import ast
import errno
import inspect
import os
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.hands import (
    attached,
    clocks,
    cuts,
    dialling,
    disk,
    inside,
    links,
    meter,
    probes,
    signals,
    usage,
)
from harness.cluster.hands.daemons import Daemons
from harness.cluster.hands.inside import HANDS, Inside, Part, obey
from harness.cluster.hands.refused import Refused

HANDS_FOLDER = Path(inside.__file__).parent


@pytest.fixture
def node() -> Inside:
    """The inside of a node that has neither clock nor watch."""

    def none() -> Any:
        raise Refused("no clock here")

    return Inside(Daemons(), clock=none, watch=none)


@pytest.mark.parametrize("op", HANDS)
def test_every_line_of_the_table_names_a_hand(op: str) -> None:
    file, _, name = HANDS[op].partition(".")
    files = {"attached": attached, "clocks": clocks, "cuts": cuts, "dialling": dialling}
    files |= {"links": links, "meter": meter, "probes": probes, "signals": signals}
    files |= {"disk": disk, "usage": usage}
    hand = getattr(files[file], name)
    assert inspect.getdoc(hand).startswith("The hand: ")
    assert list(inspect.signature(hand).parameters) == ["inside", "request"]


def test_what_cannot_be_done_is_refused_with_the_reason(node: Inside) -> None:
    assert obey(node, {"op": "clock", "do": "set"}) == {"refused": "no clock here"}
    assert obey(node, {"op": "syscalls"}) == {"refused": "no clock here"}


def test_what_the_kernel_refuses_is_told_in_its_words(
    node: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*request: Any) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), "/some/file")

    monkeypatch.setattr(signals, "look", fail)
    assert obey(node, {"op": "look"}) == {"refused": "Permission denied: /some/file"}


def test_a_defect_of_a_hand_is_told_and_takes_nobody_along(node: Inside) -> None:
    assert "a defect inside the node (look): KeyError" in obey(node, {"op": "look"})["refused"]


def test_every_part_is_ended_also_behind_one_that_cannot_be(node: Inside) -> None:
    ended = []

    class Stuck(Part):
        def end(self) -> None:
            raise Refused("it is stuck")

    class Loose(Part):
        def end(self) -> None:
            ended.append(self)

    node.part(Stuck)
    loose = node.part(Loose)
    assert node.part(Loose) is loose
    assert node.end_parts() == ["it is stuck"]
    assert ended == [loose]


@pytest.mark.parametrize("path", sorted(HANDS_FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_hands_are_written_for_the_oldest_python_of_hosts(path: Path) -> None:
    ast.parse(path.read_text("utf-8"), feature_version=(3, 7))
