"""Foreign text made visible, and figures that read well."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from harness.report.display import duration, seconds, shown, visible
from harness.report.timeline import script_json

anything = st.text(alphabet=st.characters(exclude_categories=()), max_size=60)


@given(anything)
def test_what_is_shown_has_nothing_unseen_and_can_be_written(text: str) -> None:
    result = visible(text)
    result.encode("utf-8")
    unseen = {c for c in result if unicodedata.category(c) in ("Cc", "Zl", "Zp")}
    assert unseen <= {"\n", "\t"}
    assert not set(result) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200f")


def test_long_text_is_cut_and_says_how_long_it_was() -> None:
    assert visible("x" * 5000, 10) == "xxxxxxxxxx … (cut, 5,000 characters in all)"
    assert visible("x" * 10, 10) == "x" * 10


def test_values_read_as_json_and_nothing_as_nil() -> None:
    assert [shown(v) for v in (None, "a", [1, None], {"k": "v"})] == [
        "nil", "a", "[1,null]", '{"k":"v"}'
    ]  # fmt: skip


@given(st.recursive(anything | st.integers(), lambda inner: st.lists(inner, max_size=3)))
def test_json_in_a_script_cannot_end_the_script_and_keeps_its_value(value: object) -> None:
    text = script_json(value)
    assert text.isascii()
    assert not set(text) & set("<>&")
    assert json.loads(text) == value


def test_times_are_told_in_units_that_read_well() -> None:
    assert [duration(ns) for ns in (1500, 2_500_000, 3_200_000_000, 300_000_000_000)] == [
        "2 µs", "2.5 ms", "3.2 s", "5.0 min"
    ]  # fmt: skip
    assert seconds(1_234_567_890) == "1.235 s"
    assert seconds(None) == "—"
