"""EDN becomes JSON values as the design says, and nothing unequal becomes equal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.history.formats.edn_forms import parse
from harness.history.formats.tags import revived
from harness.history.values import Members, Tagged, exact, form, wire


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nil true false", [None, True, False]),
        ("0 -7 +3 12N", [0, -7, 3, 12]),
        ("123456789012345678901234567890N", [123456789012345678901234567890]),
        ("1.5 -0.25e3 1. 2.5M 1e400", [1.5, -250, 1, 2.5, Tagged("1e400")]),
        (
            "0.1000000000000000055511151231257827M",
            [Tagged("0.1000000000000000055511151231257827M")],
        ),
        ("4/2 1/3 1/0", [2, Tagged("1/3"), Tagged("1/0")]),
        ("##Inf ##NaN", [Tagged("##Inf"), Tagged("##NaN")]),
        (":a :a/b :timed-out sym", [*map(Tagged, (":a", ":a/b", ":timed-out", "sym"))]),
        (r'"a\n\t\"\\ \u00e9 \101" "\ud83d\ude00"', ['a\n\t"\\ é A', "\U0001f600"]),
        ('"two\nlines"', ["two\nlines"]),
        (
            r"[\a \newline \space \u00e9 \(]",
            [list(map(Tagged, ("\\a", r"\newline", r"\space", "\\é", "\\(")))],
        ),
        ("[1, 2] (1 2) []", [[1, 2], [1, 2], []]),
        ("#{3 1 2} #{}", [Members([1, 2, 3]), Members()]),
        ('#{"b" 2 nil "a" true [2] [1 2]}', [Members([None, True, 2, "a", "b", [1, 2], [2]])]),
        ("{0 97, 1 3}", [{"0": 97, "1": 3}]),
        ('{:from 1 "to" 2 nil 3 [1 :a] 4}', [Tagged('{"to" 2, :from 1, [1 :a] 4, nil 3}')]),
        (
            '#inst "2020-01-01" #foo/bar {:a 1}',
            [Tagged('#inst "2020-01-01"'), Tagged("#foo/bar {:a 1}")],
        ),
        ("#_ a b #_ #_ c d e [#_ 1] [#_ 1 2]", [Tagged("b"), Tagged("e"), [], [2]]),
        ("#t #_ a b", [Tagged("#t b")]),
        ("; a comment\n1 ;another\n,,2", [1, 2]),
        ("", []),
        ("[" * 5000 + "]" * 5000, None),
    ],
)
def test_forms_become_json_values(text: str, expected: list[Any] | None) -> None:
    found = parse(text)
    if expected is not None:
        assert found == expected
        assert [type(item) for item in found] == [type(item) for item in expected]
    else:
        assert len(found) == 1


@pytest.mark.parametrize(
    "text",
    [
        "]",
        "[1)",
        "{1}",
        '"open',
        "[",
        "#",
        "#_",
        "[#_]",
        "#tag",
        ":",
        "1x",
        r"\nonsense",
        "{1 2 1 3}",
    ],
)
def test_what_is_not_edn_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse(text)


def test_a_number_too_long_for_python_is_refused() -> None:
    with pytest.raises(ValueError, match="digits"):
        parse("1" * 5000)


def test_keys_of_different_kinds_stay_different() -> None:
    assert parse('{1 "a", "1" "b"}') == [Tagged('{"1" "b", 1 "a"}')]
    with pytest.raises(ValueError, match="expected each key once, found 1 twice"):
        parse('{1 "a", 1 "b"}')


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (":a", '"a"'),
        ('{1 "a"}', '{"1" "a"}'),
        ("{:x 1}", '{"x" 1}'),
        ("#{1 2}", "[1 2]"),
        ("[#{1}]", "[[1]]"),
        ("\\a", '"a"'),
        ("1/2", '"1/2"'),
        ("foo", ":foo"),
        ('#uuid "x"', '"x"'),
    ],
)
def test_what_differs_in_edn_differs_here_and_in_every_format(one: str, other: str) -> None:
    first, second = parse(f"{one} {other}")
    assert first != second
    assert second != first
    assert exact(first) != exact(second)
    assert exact([first]) != exact([second])
    for item in (first, second):
        assert parse(form(item)) == [item]
        assert revived(json.loads(json.dumps(wire(item)))) == item


def test_a_number_is_the_same_however_it_is_written() -> None:
    assert parse("1.0 1e2 -0.0 1.5") == [1, 100, 0, 1.5]
    assert [type(item) for item in parse("1.0 1e2 -0.0 1.5")] == [int, int, int, float]
    assert parse("9007199254740993.0 9007199254740992") == [9007199254740993, 9007199254740992]


def test_a_character_that_only_looks_like_an_escape_is_refused() -> None:
    """Found by fuzzing: process names a character u, or nothing."""
    with pytest.raises(ValueError, match="expected a character"):
        parse("{:a \\ucess}")


def test_integers_to_other_bases_are_read_as_clojure_reads_them() -> None:
    assert parse("0x1f -0X1F 017 36rZZ -2r101 0 00.5") == [31, -31, 15, 1295, -5, 0, 0.5]


@pytest.mark.parametrize("text", ["08", "0x", "0xg", "1r0", "2r3", "40r1", "-09N"])
def test_what_is_no_integer_to_its_base_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number"):
        parse(text)
