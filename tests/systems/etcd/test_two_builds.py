"""Which node runs which of two builds of etcd."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.errors import NeedsError, UsageError
from systems.etcd.install import TwoBuilds

NODES = ["n1", "n2", "n3", "n4", "n5"]


@pytest.mark.parametrize(
    ("first", "with_b"),
    [("minority", ["n4", "n5"]), ("none", []), ("n1+n3", ["n1", "n3"])],
)
def test_some_nodes_begin_with_the_other_build(first: str, with_b: list[str]) -> None:
    builds = TwoBuilds(None, sys.executable, first)
    builds.begin(NODES)
    assert [node for node in NODES if builds.of(node) == "b"] == with_b
    builds.use("n2", "b")
    builds.begin(NODES)
    assert builds.of("n2") == "b", "it was set back"


def test_a_node_that_there_is_not_and_a_program_that_there_is_not_are_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match="no node called"):
        TwoBuilds(None, sys.executable, "n9").begin(NODES)
    with pytest.raises(NeedsError, match="--binary-b"):
        TwoBuilds(sys.executable, str(tmp_path / "etcd"), "none").programs()


def test_without_another_build_all_are_the_first() -> None:
    builds = TwoBuilds(None, None, "minority")
    builds.begin(NODES)
    assert {builds.of(node) for node in NODES} == {"a"}
