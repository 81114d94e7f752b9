"""What can be named: found, suggested, and told when it is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.plugins import Registry

GOOD = "def make(options):\n    return options\n\nCHECKERS = {{'{name}': make}}\n"


def plugin(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "plugin file.py"
    path.write_text(text)
    return path


def test_the_built_in_things_are_found() -> None:
    registry = Registry()
    assert "etcd" in registry.names("systems")
    assert {"register", "bank"} <= set(registry.names("workloads"))
    assert {"partition", "kill", "pause"} <= set(registry.names("nemeses"))
    assert {"linearizable", "bank", "stats"} <= set(registry.names("checkers"))
    assert registry.errors == []


def test_two_plug_ins_of_the_same_file_name_are_two(tmp_path: Path) -> None:
    files = [plugin(tmp_path / name, GOOD.format(name=name)) for name in ("one", "two")]
    assert {"one", "two"} <= set(Registry(files).names("checkers"))


@pytest.mark.parametrize(
    "text",
    [
        "import sys; sys.exit(0)",
        "raise ValueError('no')",
        "this is not python",
        "CHECKERS = 5",
        "CHECKERS = {'a': 5}",
    ],
)
def test_a_broken_plug_in_is_a_usage_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    path = plugin(tmp_path, text)
    with pytest.raises(UsageError, match=r"plugin file\.py"):
        Registry([path]).names("checkers")


def test_a_plug_in_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a readable"):
        Registry([tmp_path / "none.py"]).names("checkers")


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean linearizable"):
        Registry().get("checkers", "linearisable")
