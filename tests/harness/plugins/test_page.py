"""The page for authors is true: its plug-in works, and its tables say what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import run
from harness.errors import UsageError
from harness.plugins import Registry
from harness.plugins.changes import CHANGES
from harness.plugins.registry import SINGULAR
from tests.harness.plugins.laid import a_file

PAGE = (Path(__file__).parents[3] / "docs" / "plugins.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
EVEN, OPTIONS, OVERRIDES = (
    next(block for block in BLOCKS if word in block)
    for word in ("even.py", "class MyDatabase", "OVERRIDES =")
)
READ = """\
{{"index": 0, "time": 1, "process": 0, "type": "invoke", "f": "read", "value": null}}
{{"index": 1, "time": 2, "process": 0, "type": "ok", "f": "read", "value": {value}}}
"""


@pytest.mark.parametrize(("value", "code"), [(4, 0), (5, 1)])
def test_the_plug_in_of_the_page_judges(tmp_path: Path, value: int, code: int) -> None:
    plugin = a_file(tmp_path / "even.py", EVEN)
    history = a_file(tmp_path / "one.jsonl", READ.format(value=value))
    assert run(["check", str(history), "--plugin", str(plugin), "-m", "even"]) == code


def test_the_options_of_the_page_check_what_they_are_given() -> None:
    page: dict[str, Any] = {}
    exec(OPTIONS, page)
    options = {option.name: option for option in page["MyDatabase"].options}
    assert options["lease"].value("1m") == 60.0
    with pytest.raises(UsageError, match="did you mean snapshot"):
        options["level"].value("snapshoot")
    assert [name for name, option in options.items() if option.secret] == ["password"]


def test_the_line_that_overrides_does(tmp_path: Path) -> None:
    text = EVEN.replace('"even": Even', '"bank": Even')
    with pytest.raises(UsageError, match="is claimed by"):
        Registry([a_file(tmp_path / "one.py", text)]).names("checkers")
    registry = Registry([a_file(tmp_path / "two.py", text + OVERRIDES)])
    assert registry.get("checkers", "bank").__name__ == "Even"


def test_every_table_and_every_version_is_on_the_page() -> None:
    for kind in SINGULAR:
        assert f"| `{kind.upper()}` |" in PAGE
    for version in CHANGES:
        assert f"\n| {version} | " in PAGE
    rows = re.findall(r"`(harness\.[a-z.]+)\.([A-Z]\w+)`", PAGE)
    assert len(rows) >= 6
    for module, name in rows:
        assert hasattr(__import__(module, fromlist=[name]), name), f"{module}.{name}"
