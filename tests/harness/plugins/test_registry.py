"""What can be named: found, suggested, and told when it is broken."""

from __future__ import annotations

import os
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from harness.errors import PolygraphError, UsageError
from harness.plugins import BUILT_IN, Registry
from tests.harness.plugins.laid import Site, a_checker, a_file


def test_the_built_in_things_are_found() -> None:
    registry = Registry()
    assert "etcd" in registry.names("systems")
    assert {"register", "bank"} <= set(registry.names("workloads"))
    assert {"partition", "kill", "pause"} <= set(registry.names("nemeses"))
    assert {"linearizable", "bank", "stats"} <= set(registry.names("checkers"))
    assert registry.errors == []


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean linearizable"):
        Registry().get("checkers", "linearisable")


BROKEN = {
    "leaves": ("import sys; sys.exit(0)", r"loaded: SystemExit: 0 \(.*/plugin file\.py:1, "),
    "raises": (
        "raise ValueError('no')",
        r"loaded: ValueError: no \(.*/plugin file\.py:1, in <module>",
    ),
    "names its table otherwise": ("SYSTEM = {}", "has no table, so there is nothing in it to name"),
    "does not parse": ("x = (\n", r"loaded: SyntaxError: .*\(.*plugin file\.py:1\)"),
    "ends a generator": ("raise GeneratorExit", "cannot be loaded: GeneratorExit"),
    "is no Python": ("this is no python", "cannot be loaded: SyntaxError"),
    "has a byte too many": ("CHECKERS = {}\0", "cannot be loaded: "),
    "has no table": ("CHECKERS = 5", "CHECKERS must map names to factories, not be 5"),
    "has no factory": ("CHECKERS = {'a': 5}", r"CHECKERS\['a'\] is 5, no factory"),
    "overrides in a list": ("OVERRIDES = ['bank']", "OVERRIDES must map kinds to lists of names"),
    "overrides a word": ("OVERRIDES = {'checkers': 'bank'}", "must map kinds to lists of names"),
    "overrides no kind": ("OVERRIDES = {'checker': ['bank']}", "knows systems.*not 'checker'"),
    "overrides what it lacks": ("OVERRIDES = {'checkers': ['bank']}", "'bank', which is not in"),
    "lacks a module": ("import no_such_module_at_all", "No module named 'no_such_module_at_all'"),
}


@pytest.mark.parametrize(("text", "why"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plug_in_is_a_usage_error_that_names_the_file(
    tmp_path: Path, text: str, why: str
) -> None:
    path = a_file(tmp_path / "plugin file.py", text)
    with pytest.raises(UsageError, match=rf"(?s)plugin file\.py.*{why}"):
        Registry([path]).names("checkers")


@pytest.mark.parametrize(("text", "why"), BROKEN.values(), ids=BROKEN)
def test_a_list_tells_of_a_broken_file_and_has_all_the_rest(
    tmp_path: Path, text: str, why: str
) -> None:
    broken = a_file(tmp_path / "plugin file.py", text)
    good = a_checker(tmp_path / "good.py", "good")
    registry = Registry([broken, good], tolerant=True)
    assert {"good", "bank"} <= set(registry.usable("checkers"))
    assert "etcd" in registry.usable("systems")
    [error] = registry.errors
    assert "plugin file.py" in str(error)
    assert registry.is_file_refused


def test_a_plug_in_that_forks_while_it_is_loaded_goes_on_once(tmp_path: Path) -> None:
    """The copy ends where the loading does; the parent waits for it as the test would hang else."""
    text = "import os\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\n"
    path = a_checker(tmp_path / "forks.py", "forked")
    a_file(path, text + path.read_text())
    before = os.getpid()
    assert "forked" in Registry([path]).names("checkers")
    assert os.getpid() == before


def test_what_is_no_file_is_a_usage_error_that_says_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    for name, why in {
        "none.py": "cannot be loaded: no such file",
        ".": "is a directory",
        "pipe.py": "is no file",
    }.items():
        with pytest.raises(UsageError, match=why):
            Registry([tmp_path / name]).names("checkers")


def test_what_is_no_python_file_by_its_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a readable Python file"):
        Registry([a_file(tmp_path / "notes.txt", "CHECKERS = {}")]).names("checkers")


def test_what_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(loader: object, path: str) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(SourceFileLoader, "get_data", refuse)
    path = a_checker(tmp_path / "secret.py", "secret")
    with pytest.raises(UsageError, match=r"secret\.py cannot be loaded: PermissionError"):
        Registry([path]).names("checkers")


def test_a_file_is_loaded_once_however_often_and_by_whatever_path_it_is_given(
    tmp_path: Path,
) -> None:
    path = a_checker(tmp_path / "one.py", "one")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.py").symlink_to(path)
    again = tmp_path / "folder" / ".." / "one.py"
    registry = Registry([path, again, path, tmp_path / "link.py"])
    assert registry.found("checkers")["one"].origin == str(path)


INSTALLED = "[polygraph.checkers]\nsound = apart:sound\nbroken = apart:no_such\nodd = apart:FIVE\n"


def test_what_is_installed_is_known_by_name_and_loaded_when_it_is_used(site: Site) -> None:
    site.install("apart", "FIVE = 5\nsound = lambda options: 'sound'\n", INSTALLED)
    registry = Registry()
    assert {"sound", "broken", "odd", "bank"} <= set(registry.names("checkers"))
    assert "apart" not in sys.modules
    assert registry.is_extended()
    assert registry.get("checkers", "sound")({}) == "sound"
    assert registry.found("checkers")["sound"].origin == "apart"
    with pytest.raises(UsageError, match="the entry point broken of apart cannot be loaded: Attr"):
        registry.get("checkers", "broken")
    with pytest.raises(UsageError, match="the entry point odd of apart is 5, no factory"):
        registry.get("checkers", "odd")


def test_what_is_installed_and_leaves_breaks_its_own_name_only(site: Site) -> None:
    site.install("leaver", "import sys; sys.exit(0)", "[polygraph.checkers]\nleft = leaver:left\n")
    registry = Registry()
    assert {"bank", "stats"} <= set(registry.usable("checkers"))
    assert "left" not in registry.usable("checkers")
    [error] = registry.errors
    assert "the entry point left of leaver cannot be loaded: SystemExit: 0 (" in str(error)
    assert not registry.is_file_refused


def test_nothing_of_third_parties_is_no_extension() -> None:
    assert not Registry().is_extended()


@pytest.fixture
def without_bank(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module of the checker ``bank`` cannot be imported."""
    monkeypatch.setitem(sys.modules, "checkers.objects.bank", None)


@pytest.mark.usefixtures("without_bank")
def test_a_broken_module_of_ours_breaks_its_own_names_only() -> None:
    registry = Registry()
    assert "bank" in registry.names("checkers")
    assert registry.get("checkers", "lock").__name__ == "Lock"
    with pytest.raises(PolygraphError) as caught:
        registry.get("checkers", "bank")
    assert "checkers.objects.bank, which is built in, cannot be imported" in caught.value.message
    assert caught.value.hint is not None
    usable = registry.usable("checkers", BUILT_IN)
    assert set(registry.names("checkers")) - set(usable) == {"bank"}
    assert [error.message for error in registry.errors] == [caught.value.message]


def test_a_missing_package_is_named_with_what_would_change_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "checkers.objects.bank", raising=False)
    monkeypatch.setitem(sys.modules, "checkers.objects.bank_proofs", None)
    with pytest.raises(PolygraphError, match=r"bank_proofs.*\n.*install polygraph-db again"):
        Registry().get("checkers", "bank")


def test_another_word_for_a_name_is_taken_for_it_unless_somebody_has_it(tmp_path: Path) -> None:
    assert Registry().name_of("systems", "postgres") == "postgresql"
    assert Registry().get("systems", "postgres") is Registry().get("systems", "postgresql")
    own = a_file(tmp_path / "own.py", "SYSTEMS = {'postgres': print}")
    assert Registry([own]).name_of("systems", "postgres") == "postgres"
    assert Registry([own]).get("systems", "postgres") is print


@pytest.mark.parametrize(
    ("name", "instead"), [("mysql", "mariadb"), ("cockroachdb", "--dialect cockroachdb")]
)
def test_a_database_without_a_name_of_its_own_is_told_how_it_is_tested(
    name: str, instead: str
) -> None:
    with pytest.raises(UsageError) as refused:
        Registry().get("systems", name)
    assert instead in (refused.value.hint or "")
