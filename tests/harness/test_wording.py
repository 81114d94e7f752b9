"""Messages say things as people write them, and no module says them otherwise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.wording import named, placed, shown

ROOT = Path(__file__).parents[2]
PYTHON_IS_MEANT = {
    "harness/generator/leaves.py": "what an author gave in place of a generator",
    "harness/generator/transform.py": "what an author's generator gave",
    "harness/conformance/kit.py": "what an author's client gave",
    "harness/conformance/through_proxy.py": "what an author's client gave",
    "harness/cluster/hands/inside.py": "runs on nodes, by the standard library alone",
    "harness/history/ledger.py": "a slip of our own",
    "harness/judge/health.py": "names alone",
    "harness/soak/page.py": "values of a scenario, which read the same in TOML",
}
"""Files with Python's own notation in messages, and why."""


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


def test_no_message_is_written_in_python() -> None:
    found = {
        str(path.relative_to(ROOT))
        for package in ("harness", "systems", "workloads", "nemeses")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"\{[^{}]+!r[:}]", path.read_text("utf-8"))
    }
    assert found - set(PYTHON_IS_MEANT) == set(), "say it by harness.wording.shown or named"


def test_bytes_are_shown_as_text() -> None:
    assert shown(b"+OK") == "'+OK'"
    assert shown([b"+OK", 1]) == '["+OK", 1]'
    assert shown(b"\xff") == shown("\N{REPLACEMENT CHARACTER}")
    assert shown([object()]) == "a list"
