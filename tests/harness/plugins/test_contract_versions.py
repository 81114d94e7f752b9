"""Plug-ins of before go on working, and their authors are told what moved."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import contract
from harness.errors import UsageError
from harness.plugins import Registry, notices
from harness.plugins.changes import CHANGES, MOVED, PACKAGES, REUSED, VERSION
from harness.plugins.files import load_file
from tests.harness.plugins.laid import Site, a_file

VERSION_1 = '''
"""As an author wrote it before the modules moved: a system, a workload, a nemesis, a checker."""

import harness.client
import harness.fault as faults
from harness import workload
from harness.client import Failed, Indeterminate, Registers
from harness.cluster.node import Cluster
from harness.history.operation import OK
from harness.history.record import Record
from harness.history.verdict import Budget, Verdict
from harness.system import SystemOption
from checkers.bank import Bank
from checkers.proof import proof
from nemeses.kill import Kill
from nemeses.clock import Clock
from systems.etcd_client import EtcdClient


class Ledger(Bank):
    name = "ledger"

    def check(self, record: Record, budget: Budget) -> Verdict:
        from harness.history.consistency import known_models
        return known_models


CHECKERS = {"ledger": Ledger}
'''
USED = {
    *("harness.client", "harness.fault", "harness.workload", "harness.cluster.node"),
    *("harness.history.record", "harness.history.verdict", "harness.system", "checkers.bank"),
    *("nemeses.kill", "systems.etcd_client", "harness.history.consistency"),
}


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What is said of plug-ins meanwhile."""
    said: list[str] = []
    notices.listen(said.append)
    yield said
    notices._listeners.clear()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A plug-in of version 1."""
    return a_file(tmp_path / "old.py", VERSION_1)


def test_the_contract_says_its_version() -> None:
    assert contract.VERSION == VERSION == 3
    assert set(CHANGES) == set(range(2, VERSION + 1))


def test_every_old_name_leads_somewhere_and_is_nobodys_now() -> None:
    for new in [*MOVED.values(), *REUSED.values()]:
        assert importlib.import_module(new).__name__ == new
    root = Path(contract.__file__).parents[2]
    for name in MOVED:
        place = root / name.replace(".", "/")
        assert not place.exists()
        assert not place.with_suffix(".py").exists()
        assert name.partition(".")[0] in PACKAGES
    assert all((root / name.replace(".", "/") / "__init__.py").exists() for name in REUSED)


def test_a_plug_in_of_version_1_works_with_the_modules_of_today(old: Path) -> None:
    module = load_file(old)
    from checkers.objects.bank import Bank
    from checkers.proof.prose import proof
    from harness.contract import client, fault, workload
    from nemeses.clock.skew import Clock
    from nemeses.process.kill import Kill
    from systems.etcd.client import EtcdClient

    assert module.Failed is client.Failed
    assert module.harness.client is client
    assert (module.faults, module.workload) == (fault, workload)
    assert issubclass(module.Ledger, Bank)
    assert (module.Kill, module.Clock, module.proof) == (Kill, Clock, proof)
    assert module.EtcdClient is EtcdClient
    assert module.Ledger({}).check(None, None).__module__ == "harness.verdict.consistency"
    assert Registry([old]).get("checkers", "ledger") is module.Ledger


def test_one_notice_says_what_moved_and_to_what(old: Path, told: list[str]) -> None:
    load_file(old)
    load_file(old)
    Registry([old]).names("systems")
    [notice] = told
    lines = notice.splitlines()
    assert str(old) in lines[0]
    names = {name: MOVED[name] for name in USED}
    names |= REUSED
    assert lines[1:] == [f"  {name} is {names[name]}" for name in sorted(names)]


def test_what_a_neighbour_uses_is_told_too(tmp_path: Path, told: list[str]) -> None:
    a_file(tmp_path / "beside.py", "from harness.client import Failed\n")
    load_file(a_file(tmp_path / "plug.py", "import beside\nfrom harness.system import System\n"))
    [notice] = told
    assert notice.splitlines()[1:] == [
        "  harness.client is harness.contract.client",
        "  harness.system is harness.contract.system",
    ]


def test_a_notice_is_said_once_by_a_process_and_its_forks(tmp_path: Path) -> None:
    said = tmp_path / "said"
    program = (
        "import os, sys\n"
        "from harness.plugins.notices import listen, notify\n"
        "listen(lambda text: print(text, flush=True))\n"
        "children = []\n"
        "for _ in range(5):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        notify('one'); notify('two'); os._exit(0)\n"
        "    children.append(child)\n"
        "for child in children: os.waitpid(child, 0)\n"
        "notify('two'); notify('three')\n"
    )
    with said.open("w") as out:
        subprocess.run([sys.executable, "-c", program], stdout=out, check=True, timeout=100)
    assert sorted(said.read_text().split()) == ["one", "three", "two"]


def test_a_plug_in_of_today_is_told_nothing(tmp_path: Path, told: list[str]) -> None:
    text = (
        f"POLYGRAPH_CONTRACT = {VERSION}\n"
        "from harness.contract.client import Failed\nimport nemeses.clock\n"
    )
    load_file(a_file(tmp_path / "today.py", text + "from nemeses.clock import skew\n"))
    assert told == []


def test_one_that_says_it_is_of_version_1_is_told_what_changed(
    tmp_path: Path, told: list[str]
) -> None:
    load_file(a_file(tmp_path / "old.py", "POLYGRAPH_CONTRACT = 1\n"))
    [notice] = told
    assert "old.py was written for version 1 of the contract" in notice
    assert f"version 2: {CHANGES[2]}" in notice


def test_one_of_a_version_to_come_is_refused(tmp_path: Path) -> None:
    path = a_file(tmp_path / "new.py", f"POLYGRAPH_CONTRACT = {VERSION + 1}\n")
    with pytest.raises(
        UsageError, match=rf"new\.py was written for version {VERSION + 1} .* has version {VERSION}"
    ):
        load_file(path)


@pytest.mark.parametrize("version", ["'2'", "2.0", "0", "True", "None"])
def test_a_version_that_is_none_is_refused(tmp_path: Path, version: str) -> None:
    path = a_file(tmp_path / "odd.py", f"POLYGRAPH_CONTRACT = {version}\n")
    with pytest.raises(UsageError, match=r"odd\.py: POLYGRAPH_CONTRACT is .*, no version"):
        load_file(path)


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("import harness.clients", "harness.contract.client, if that is what it was"),
        ("from harness.untrusted import read", "what is in harness.contract and harness.verdict"),
        ("from harness.contract.client import NoSuch", r"docs/plugins\.md says what is where"),
        ("from nemeses.clock import NoSuch", r"nemeses\.clock\.skew"),
    ],
)
def test_an_old_name_that_leads_nowhere_is_told_with_the_table(
    tmp_path: Path, line: str, advice: str
) -> None:
    with pytest.raises(UsageError, match=rf"(?s)plug\.py cannot be loaded.*{advice}") as caught:
        load_file(a_file(tmp_path / "plug.py", f"{line}\n"))
    assert "version 2: modules moved" in str(caught.value)


def test_no_name_of_others_is_redirected(tmp_path: Path) -> None:
    text = "try:\n    import {name}\nexcept ModuleNotFoundError:\n    MISSING = True\n"
    for name in ("client", "bank", "harness_client", "harness.no_such", "partition"):
        path = a_file(tmp_path / f"of_{name.replace('.', '_')}.py", text.format(name=name))
        assert load_file(path).MISSING


def test_without_a_plug_in_nothing_is_redirected() -> None:
    program = (
        "from harness.plugins import Registry\n"
        "Registry().get('checkers', 'bank')\n"
        "try:\n    import harness.client\nexcept ModuleNotFoundError:\n    print('none')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "none\n", done.stderr


def test_an_installed_plug_in_of_version_1_works_and_is_told(site: Site, told: list[str]) -> None:
    text = "from harness.client import Failed\ndef make(options):\n    return Failed\n"
    site.install("elder", text, "[polygraph.checkers]\nelder = elder:make\n")
    from harness.contract.client import Failed

    registry = Registry()
    assert registry.get("checkers", "elder")({}) is Failed
    [notice] = told
    assert notice.splitlines() == [
        "elder (elder) imports modules that moved (its names still work):",
        "  harness.client is harness.contract.client",
    ]
