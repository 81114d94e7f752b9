"""``polygraph list``: names, origins, and what runs on what."""

from __future__ import annotations

import json
from typing import Any

Fixture = Any


def test_everything_is_listed_with_its_origin(polygraph: Fixture, toys: tuple[str, str]) -> None:
    listed = json.loads(polygraph("list", "--json", *toys).stdout)
    assert listed["systems"]["etcd"] == "built in"
    assert listed["systems"]["toy"] == toys[1]
    assert set(listed) == {"systems", "workloads", "nemeses", "checkers"}


def test_the_matrix_names_the_abilities_that_are_missing(polygraph: Fixture, toys: Fixture) -> None:
    matrix = json.loads(polygraph("list", "--matrix", "--json", *toys).stdout)
    assert matrix["toy-work"]["toy"] == ["Registers"]
    assert matrix["toy-work"]["etcd"] == []


def test_people_read_yes_or_the_reason(polygraph: Fixture, toys: Fixture) -> None:
    told = polygraph("list", "--matrix", *toys).stdout
    rows = {tuple(line.split()[:3]): line for line in told.splitlines()}
    assert rows["toy-work", "on", "etcd"].endswith("yes")
    assert rows["toy-work", "on", "toy"].endswith("no: its clients lack Registers")
