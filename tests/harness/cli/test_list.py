"""``polygraph list``: names, origins, and what runs on what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


Fixture = Any

FAULTS = """
from typing import Protocol

class Disk(Protocol):
    pass

class FullDisk:
    name = "full-disk"
    needs = (Disk,)

    def __init__(self, options):
        pass

class Silent:
    name = "silent"

    def __init__(self, options):
        pass

NEMESES = {"full-disk": FullDisk, "silent": Silent}
"""


def test_everything_is_listed_with_its_origin(polygraph: Fixture, toys: tuple[str, str]) -> None:
    listed = json.loads(polygraph("list", "--json", *toys).stdout)
    assert listed["systems"]["etcd"] == "built in"
    assert listed["systems"]["toy"] == toys[1]
    assert set(listed) == {"systems", "workloads", "nemeses", "checkers"}


def test_the_matrix_names_the_abilities_that_are_missing(polygraph: Fixture, toys: Fixture) -> None:
    matrix = json.loads(polygraph("list", "--matrix", "--json", *toys).stdout)
    assert matrix["workloads"]["toy-work"]["toy"] == ["Registers"]
    assert matrix["workloads"]["toy-work"]["etcd"] == []


def test_the_matrix_tells_which_fault_is_possible_where(polygraph: Fixture, tmp_path: Path) -> None:
    plug_in = tmp_path / "faults.py"
    plug_in.write_text(FAULTS)
    asked = ("list", "--matrix", "--plugin", str(plug_in))
    faults = json.loads(polygraph(*asked, "--json").stdout)["faults"]
    assert faults["clock"]["system"] == ["ClockPath", "ReportsTime"]
    assert faults["clock"]["providers"]["docker"] == {"missing": [], "conditions": []}
    assert len(faults["partition"]["providers"]["local:plain"]["conditions"]) == 1
    assert faults["full-disk"]["providers"]["ssh"]["missing"] == ["Disk"]
    assert faults["silent"] is None
    rows = {tuple(line.split()[:3]): line for line in polygraph(*asked).stdout.splitlines()}
    assert rows["kill", "on", "local:root"].endswith(" yes")
    assert rows["clock", "on", "docker"].endswith("if the system has ClockPath and ReportsTime")
    assert "yes, if the system can tell its peers" in rows["partition", "on", "local:plain"]
    assert rows["full-disk", "on", "ssh"].endswith("no: it lacks Disk")
    assert rows["silent", "on", "ssh"].endswith("asked before set-up")
    on_none = [row for row in rows if row[1:] == ("on", "none") and row[0] != "silent"]
    assert len(on_none) >= 6
    assert all(" no: it lacks" in rows[row] for row in on_none)


def test_people_read_yes_or_the_reason(polygraph: Fixture, toys: Fixture) -> None:
    told = polygraph("list", "--matrix", *toys).stdout
    rows = {tuple(line.split()[:3]): line for line in told.splitlines()}
    assert rows["toy-work", "on", "etcd"].endswith("yes")
    assert rows["toy-work", "on", "toy"].endswith("no: its clients lack Registers")
