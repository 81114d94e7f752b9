"""A plug-in's file imports the modules beside it; they stand in for nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.plugins import Registry
from harness.plugins.files import PREFIX, load_file
from tests.harness.plugins.laid import a_checker, a_file

HELPED = """
import replies
from replies import NAME
from replies import NAME as again
import replies as other
import kit.inner
import kit.inner as inner
from kit import inner as third

def make(options):
    from late import WORD
    assert NAME == again == other.NAME == replies.NAME
    assert kit.inner is inner is third
    return (NAME, inner.NAME, WORD)

CHECKERS = {NAME: make}
"""


def helped(folder: Path) -> Path:
    """A plug-in that says the folder's name, in the words of its neighbours."""
    name = folder.name
    a_file(folder / "replies.py", f"NAME = {name!r}\n")
    a_file(folder / "late.py", "from replies import NAME\nWORD = 'late ' + NAME\n")
    a_file(folder / "kit" / "__init__.py", "")
    a_file(folder / "kit" / "inner.py", "from replies import NAME\n")
    return a_file(folder / "helped.py", HELPED)


def test_every_way_of_importing_a_neighbour_works(tmp_path: Path) -> None:
    factory = Registry([helped(tmp_path / "one")]).get("checkers", "one")
    assert factory({}) == ("one", "one", "late one")


def test_two_plug_ins_with_neighbours_of_equal_names_get_each_its_own(tmp_path: Path) -> None:
    registry = Registry([helped(tmp_path / name) for name in ("two", "three")])
    for name in ("three", "two", "three"):
        assert registry.get("checkers", name)({}) == (name, name, f"late {name}")
    assert {"replies", "late", "kit"} & set(sys.modules) == set()


def test_two_plug_ins_in_one_folder_share_their_neighbours(tmp_path: Path) -> None:
    a_file(tmp_path / "shared.py", "MADE = object()\n")
    first = a_file(tmp_path / "first.py", "import shared\n")
    second = a_file(tmp_path / "second.py", "from . import shared\nimport first\n")
    assert load_file(first).shared is load_file(second).shared
    assert load_file(second).first is load_file(first)


def test_a_relative_import_is_of_a_neighbour(tmp_path: Path) -> None:
    a_file(tmp_path / "json.py", "NAME = 'mine'\n")
    path = a_file(tmp_path / "plug.py", "from . import json\nfrom .json import NAME\n")
    module = load_file(path)
    assert (module.NAME, module.json.NAME) == ("mine", "mine")
    assert sys.modules["json"].__name__ == "json"
    assert not hasattr(sys.modules["json"], "NAME")


STANDARD = ("json", "wave", "harness", "checkers", "msgspec", "click")


def test_a_neighbour_stands_in_for_nothing(tmp_path: Path) -> None:
    """Not for the standard library, not for ours, not for what is installed; not for the plug-in
    either, nor for what it imports by way of others."""
    for name in STANDARD:
        a_file(tmp_path / f"{name}.py", "MINE = True\n")
    a_file(tmp_path / "between.py", f"import {', '.join(STANDARD)}\n")
    text = f"import between\nimport {', '.join(STANDARD)}\n"
    module = load_file(a_file(tmp_path / "plug.py", text))
    for name in STANDARD:
        for importer in (module, module.between):
            assert getattr(importer, name) is sys.modules[name]
        assert not hasattr(sys.modules[name], "MINE")


def test_a_plug_in_that_has_the_name_of_its_driver_gets_the_driver(tmp_path: Path) -> None:
    module = load_file(a_file(tmp_path / "msgspec.py", "import msgspec\n"))
    assert module.msgspec is sys.modules["msgspec"]
    assert module is not sys.modules["msgspec"]


def test_nobody_else_finds_a_neighbour(tmp_path: Path) -> None:
    load_file(helped(tmp_path / "four"))
    with pytest.raises(ModuleNotFoundError):
        __import__("replies")
    assert str(tmp_path / "four") not in sys.path


def test_the_working_folder_is_no_neighbour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_file(tmp_path / "here" / "replies.py", "NAME = 'here'\n")
    monkeypatch.chdir(tmp_path / "here")
    path = a_file(tmp_path / "there" / "plug.py", "import replies\n")
    with pytest.raises(UsageError, match=r"plug\.py cannot be loaded: .*'replies'"):
        load_file(path)


def test_a_file_named_from_its_own_folder_has_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = helped(tmp_path / "five")
    monkeypatch.chdir(path.parent)
    factory = Registry([Path("helped.py")]).get("checkers", "five")
    monkeypatch.chdir("/")
    assert factory({}) == ("five", "five", "late five")


def test_the_neighbours_of_a_link_are_those_of_the_file_itself(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "link.py").symlink_to(helped(tmp_path / "six"))
    assert "six" in Registry([tmp_path / "bin" / "link.py"]).names("checkers")


BROKEN = {
    "a neighbour that raises": "1 / 0\n",
    "one that lacks a module": "import no_such_module_at_all\n",
    "one that leaves": "raise SystemExit(0)\n",
    "one that lacks a name": "",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_neighbour_is_told_by_the_plug_ins_name(tmp_path: Path, text: str) -> None:
    a_file(tmp_path / "replies.py", text)
    path = a_file(tmp_path / "plug.py", "from replies import NAME\n")
    before = set(sys.modules)
    with pytest.raises(UsageError, match=r"plug\.py cannot be loaded"):
        load_file(path)
    assert [
        m for m in set(sys.modules) - before if m.startswith(PREFIX) and m.endswith(".plug")
    ] == []


def test_two_plug_ins_of_the_same_file_name_are_two(tmp_path: Path) -> None:
    files = [a_checker(tmp_path / name / "plugin file.py", name) for name in ("one", "two")]
    assert {"one", "two"} <= set(Registry(files).names("checkers"))


def test_file_names_that_are_no_names_of_modules_stay_apart(tmp_path: Path) -> None:
    names = ["a b.py", "a.b.py", "a-b.py", "a_b.py", "1.py", "ä b.py"]
    files = [a_checker(tmp_path / name, f"checker {name}") for name in names]
    registry = Registry(files)
    assert {f"checker {name}" for name in names} <= set(registry.names("checkers"))
    assert [registry.get("checkers", f"checker {n}")({}) for n in names] == [
        Path(name).stem for name in names
    ]
