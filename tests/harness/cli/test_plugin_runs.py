"""Whole runs of plug-ins that lean on their neighbours and on names of before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.disturbance import undisturbed

Fixture = Any

pytestmark = [pytest.mark.cluster, pytest.mark.userns]

SHORT = ("--nodes", "3", "--time-limit", "2", "--nemesis", "none", "--store", "store")

SYSTEM = """
from harness.client import Failed
from systems.etcd import Etcd

class Neighbourly(Etcd):
    name = "neighbourly"

    def client(self, op_timeout_s):
        from replies import SAYS
        assert SAYS == "the system's"
        return super().client(op_timeout_s)

SYSTEMS = {"neighbourly": Neighbourly}
"""
WORKLOAD = """
from replies import SAYS
from harness.history.verdict import Verdict
from workloads.register import Register

class Asks(Register):
    name = "asks"
    checkers = ("linearizable", "neighbours")

    def generator(self):
        import replies
        assert replies.SAYS == SAYS
        return super().generator()

class Neighbours:
    name = "neighbours"
    reads = frozenset({"history"})

    def __init__(self, options):
        pass

    def check(self, record, budget):
        import replies
        return Verdict(valid=True, stats={"says": replies.SAYS})

WORKLOADS = {"asks": Asks}
CHECKERS = {"neighbours": Neighbours}
"""


@pytest.fixture
def plugins(tmp_path: Path) -> tuple[str, ...]:
    """The flags that load a system and its workload, each beside a module called ``replies``."""
    flags: list[str] = []
    for folder, text, says in (("a", SYSTEM, "the system's"), ("b", WORKLOAD, "the workload's")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "plug.py").write_text(text)
        (tmp_path / folder / "replies.py").write_text(f"SAYS = {says!r}\n")
        flags += ["--plugin", f"{folder}/plug.py"]
    (tmp_path / "replies.py").write_text("raise SystemExit('the working folder is not asked')\n")
    return tuple(flags)


@pytest.mark.parametrize("verb", [("test",), ("soak", "--runs", "1")], ids=["test", "soak"])
def test_neighbours_are_found_in_the_run_and_where_it_is_judged(
    polygraph: Fixture, plugins: tuple[str, ...], tmp_path: Path, verb: tuple[str, ...]
) -> None:
    argv = (*verb, "neighbourly", "--workload", "asks", *plugins, *SHORT)
    done = undisturbed(lambda: polygraph(*argv), tmp_path / "store")
    assert done.returncode == 0, done.stderr
    kept = tmp_path / "store" / "latest"
    verdict = json.loads((kept / "verdict.json").read_text())
    assert verdict["checkers"]["neighbours"]["stats"] == {"says": "the workload's"}
    assert done.stderr.count("that moved") == 2  # once for each of the plug-ins
    again = polygraph("check", "latest", *plugins, "--json")
    found = json.loads(again.stdout)["checkers"]["neighbours"]
    assert (again.returncode, found["valid"]) == (0, True), again.stderr
