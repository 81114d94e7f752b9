"""Messages say things as people write them, and no module says them otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.wording import named, placed, shown

ROOT = Path(__file__).parents[2]
VALUES_OF_THEIR_OWN = {
    "harness/history/values.py": "a number, which is written so in JSON",
    "harness/history/formats/edn_forms.py": "compares numbers",
    "harness/confidential.py": "looks for how a secret may stand in somebody's message",
    "harness/cli/self_test.py": "tells examples apart",
    "harness/store/scenario.py": "numbers, which are written so in TOML and as flags",
    "checkers/linearizable/register_columns.py": "looks how numbers are written",
}
"""Files that ask Python how it writes a value, for no message, and why."""


def test_values_are_shown_as_people_write_them() -> None:
    told = [shown(value) for value in ("it's", None, True, {"a": [1, None]}, ("x",), 2.5)]
    assert told == ["'it's'", "null", "true", '{"a": [1, null]}', '["x"]', "2.5"]
    assert shown("a\x1b[2J\nb") == "'a\\x1b[2J\\nb'"
    assert shown(shown) == "a function called shown"
    assert shown(object()) == "an object"
    assert len(shown("x" * 500)) == 120


def test_an_exception_is_named_and_placed() -> None:
    with pytest.raises(KeyError) as caught:
        {}["missing"]
    assert named(caught.value) == "KeyError: 'missing'"
    where = r"KeyError: 'missing' \(.*test_wording\.py:\d+, in .*\)"
    assert re.fullmatch(where, placed(caught.value))
    assert named(ValueError()) == "ValueError"


PACKAGES = ("harness", "systems", "workloads", "nemeses", "checkers")


def sources() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            yield str(path.relative_to(ROOT)), path.read_text("utf-8")


def test_no_message_is_written_in_python() -> None:
    found = {name for name, text in sources() if re.search(r"\{[^{}]+!r[:}]|%r\b", text)}
    assert found == set(), "say it by harness.wording.shown or named"


def test_python_is_asked_how_it_writes_a_value_only_where_that_is_no_message() -> None:
    found = {name for name, text in sources() if re.search(r"(?<![\w.])(?:repr|ascii)\(", text)}
    assert found == set(VALUES_OF_THEIR_OWN), "say it by harness.wording.shown or named"


def test_bytes_are_shown_as_text() -> None:
    assert shown(b"+OK") == "'+OK'"
    assert shown([b"+OK", 1]) == '["+OK", 1]'
    assert shown(b"\xff") == shown("\N{REPLACEMENT CHARACTER}")
    assert shown([object()]) == "a list"
