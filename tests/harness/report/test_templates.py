"""Templates are compiled once for an installation, and never stand for another text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest

from harness.report.templates import environment

Render = Callable[..., str]


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the templates of a package of its own, which may be written."""
    package = tmp_path / "kept_templates"
    (package / "assets").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    return package / "assets"


@pytest.fixture
def render(assets: Path) -> Render:
    """What ``t`` says, by an environment of its own, as in a process of its own."""

    def rendered(made_in: str = __file__, **values: Any) -> str:
        made = environment(
            "kept_templates", made_in, lambda name: (assets / name).read_text("utf-8")
        )
        text: str = made.get_template("t").render(**values)
        return text

    return rendered


def never(*_: object, **__: object) -> None:
    raise AssertionError("compiled again")


def test_a_template_is_compiled_once_and_escapes(
    assets: Path, render: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    (assets / "t").write_text("<b>{{ name }}</b>")
    assert render(name="<i>") == "<b>&lt;i&gt;</b>"
    monkeypatch.setattr(jinja2.Environment, "compile", never)
    assert render(name="<u>") == "<b>&lt;u&gt;</b>"


def test_another_text_or_another_maker_is_compiled_anew(
    assets: Path, render: Render, tmp_path: Path
) -> None:
    maker = tmp_path / "maker.py"
    maker.write_text("one way")
    (assets / "t").write_text("old")
    assert render(str(maker)) == "old"
    (assets / "t").write_text("new")
    assert render(str(maker)) == "new"
    maker.write_text("another way")
    assert render(str(maker)) == "new"
    assert len(list((assets / "__pycache__").iterdir())) == 2


def test_code_that_is_damaged_is_made_again(assets: Path, render: Render) -> None:
    (assets / "t").write_text("whole")
    assert render() == "whole"
    (kept,) = (assets / "__pycache__").iterdir()
    kept.write_bytes(kept.read_bytes()[:-5])
    assert render() == "whole"
    kept.write_bytes(b"")
    assert render() == "whole"


def test_where_nothing_can_or_may_be_written_it_is_compiled_as_ever(
    assets: Path, render: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    (assets / "t").write_text("all the same")
    (assets / "__pycache__").write_text("no folder")
    assert render() == "all the same"
    (assets / "__pycache__").unlink()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert render() == "all the same"
    assert not (assets / "__pycache__").exists()
