"""Plug-ins on the command line: broken ones are told, old ones work, neighbours are found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


Fixture = Any

READ = """\
{"index": 2, "time": 30, "process": 0, "type": "invoke", "f": "read", "value": null}
{"index": 3, "time": 40, "process": 0, "type": "ok", "f": "read", "value": 1}
"""

WITHOUT = """
import sys
sys.modules[{module!r}] = None
from harness.cli.main import run
sys.exit(run(sys.argv[1:]))
"""
"""The command where a module of ours cannot be imported."""


def polygraph_without(module: str, *argv: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", WITHOUT.format(module=module), *argv]
    return subprocess.run(program, capture_output=True, text=True, check=False, timeout=250)


@pytest.mark.slow
def test_a_list_tells_what_of_ours_is_broken_why_and_what_to_try() -> None:
    done = polygraph_without("checkers.objects.bank", "list", "--json")
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    assert "bank" not in listed["checkers"]
    assert {"lock", "linearizable"} <= set(listed["checkers"])
    assert {"bank", "register"} <= set(listed["workloads"])
    first, hint = done.stderr.splitlines()
    assert first.startswith("not loaded: checkers.objects.bank, which is built in, cannot be imp")
    assert (
        hint == "  try: install polygraph-db again; POLYGRAPH_TRACEBACK=1 shows where it comes from"
    )


def test_a_matrix_has_what_is_not_broken() -> None:
    done = polygraph_without("workloads.bank", "list", "--matrix", "--json")
    assert done.returncode == 0, done.stderr
    matrix = json.loads(done.stdout)["workloads"]
    assert ("bank" in matrix, matrix["register"]["etcd"]) == (False, [])
    assert "workloads.bank" in done.stderr


def test_who_does_not_need_what_is_broken_does_not_notice(tmp_path: Path, history: str) -> None:
    path = tmp_path / history
    path.write_text(path.read_text() + READ)
    done = polygraph_without("checkers.objects.bank", "check", "-m", "cas-register", str(path))
    assert (done.returncode, done.stdout) == (0, f"{path}\ttrue\n"), done.stderr


def test_who_needs_what_is_broken_is_told_why(tmp_path: Path, history: str) -> None:
    done = polygraph_without(
        "checkers.objects.bank", "check", "-m", "bank", str(tmp_path / history)
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "checkers.objects.bank, which is built in, cannot be imported" in done.stderr


def test_a_run_that_needs_what_is_broken_does_not_begin(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    done = polygraph_without("systems.etcd", "test", "etcd", "--store", store)
    assert (done.returncode, done.stdout) == (3, "")
    assert "systems.etcd, which is built in, cannot be imported" in done.stderr


def test_a_list_has_the_rest_where_a_plug_in_is_broken(
    polygraph: Fixture, toys: Fixture, tmp_path: Path
) -> None:
    (tmp_path / "one.py").write_text("1 / 0\n")
    (tmp_path / "two.py").write_text("WORKLOADS = []\n")
    done = polygraph("list", "--plugin", "one.py", *toys, "--plugin", "two.py", "--json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["systems"]["toy"] == toys[1]
    told = [line for line in done.stderr.splitlines() if line.startswith("not loaded: ")]
    assert told == [
        "not loaded: the plug-in one.py cannot be loaded: ZeroDivisionError: division by zero"
        f" ({tmp_path / 'one.py'}:1, in <module>)",
        "not loaded: two.py: WORKLOADS must map names to factories, not be []",
    ]


SAYS = """
from harness.contract.client import Failed
from harness.verdict.verdict import Verdict
{imports}

class Says:
    reads = frozenset({{"history"}})

    def __init__(self, options):
        pass

    def check(self, record, budget):
        {late}
        return Verdict(valid=VALID, why="" if VALID else "a neighbour says so")

CHECKERS = {{{name!r}: Says}}
"""


def says(folder: Path, valid: bool, late: str = "pass") -> str:
    """A plug-in whose checker, named for its folder, says what a neighbour does."""
    folder.mkdir()
    (folder / "opinion.py").write_text(f"VALID = {valid}\n")
    imports = "from opinion import VALID" if late == "pass" else ""
    text = SAYS.format(imports=imports, late=late, name=folder.name)
    (folder / "plug.py").write_text(text)
    return str(folder / "plug.py")


@pytest.mark.slow
@pytest.mark.parametrize("late", ["pass", "from opinion import VALID"])
def test_neighbours_are_found_where_files_are_judged(
    polygraph: Fixture, history: str, tmp_path: Path, late: str
) -> None:
    (tmp_path / "opinion.py").write_text("raise SystemExit('the working folder is not asked')\n")
    (tmp_path / "again.jsonl").write_bytes((tmp_path / history).read_bytes())
    both = ("--plugin", says(tmp_path / "yes", True, late))
    both += ("--plugin", says(tmp_path / "no", False, late))
    for name, code, said in (("yes", 0, "true"), ("no", 1, "false")):
        done = polygraph("check", *both, "-m", name, history, "again.jsonl")
        assert done.returncode == code, done.stderr
        assert done.stdout == f"{history}\t{said}\nagain.jsonl\t{said}\n"


def test_an_old_plug_in_works_and_its_author_is_told_once(
    polygraph: Fixture, history: str, tmp_path: Path
) -> None:
    text = Path(says(tmp_path / "old", True)).read_text()
    (tmp_path / "again.jsonl").write_bytes((tmp_path / history).read_bytes())
    text = text.replace("harness.contract.client", "harness.client")
    (tmp_path / "old" / "plug.py").write_text(text.replace("harness.verdict", "harness.history"))
    done = polygraph("check", "--plugin", "old/plug.py", "-m", "old", history, "again.jsonl")
    assert done.stdout == f"{history}\ttrue\nagain.jsonl\ttrue\n"
    assert done.returncode == 0
    notice = (
        "polygraph: the plug-in old/plug.py imports modules that moved (its names still work):\n"
        "  harness.client is harness.contract.client\n"
        "  harness.history.verdict is harness.verdict.verdict\n"
    )
    assert done.stderr.count("that moved") == 1
    assert notice in done.stderr


def test_a_doubled_name_refuses_the_command(
    polygraph: Fixture, history: str, tmp_path: Path
) -> None:
    plugin = says(tmp_path / "bank", True)
    done = polygraph("check", "--plugin", plugin, "-m", "cas-register", history)
    assert (done.returncode, done.stdout) == (4, "")
    assert f"'bank' is claimed by what is built in and by {plugin}" in done.stderr
