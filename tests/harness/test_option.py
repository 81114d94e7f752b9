"""An option checks what it is given, in one way wherever that comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.contract.option import PASSWORD, Duration, Option, Size, SystemOption
from harness.errors import UsageError
from harness.option import Milliseconds, defaults_of
from harness.quantities import seconds, size, spelled


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("90", 90.0),
        (90, 90.0),
        (1.5, 1.5),
        ("90s", 90.0),
        ("1m", 60.0),
        ("8h", 28800.0),
        ("1h30m", 5400.0),
        ("2 min", 120.0),
        ("200ms", 0.2),
        ("200us", 0.0002),
        ("5ns", 5e-9),
        (".5s", 0.5),
        ("1d", 86400.0),
        ("0", 0.0),
        ("1e3", 1000.0),
    ],
)
def test_times_are_written_in_many_ways(text: Any, value: float) -> None:
    assert seconds(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["", "s", "1x", "1m2", "ten", True, None, "nan", "inf", "1 2"])
def test_what_is_no_time_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="no length of time"):
        seconds(text)


@given(st.floats(0.001, 1e6))
def test_a_spelled_time_is_read_back(value: float) -> None:
    assert seconds(spelled(value)) == pytest.approx(value, rel=1e-12)


def test_sizes_have_units_of_two_kinds() -> None:
    assert [size(text) for text in ("8GiB", "500MB", "1000", "1k")] == [
        8 << 30,
        5 * 10**8,
        1000,
        1000,
    ]
    for text in ("0", "8 bits", "-1", ""):
        with pytest.raises(ValueError, match="no size"):
            size(text)


LIMIT = Option(name="time_limit", kind=Duration, above=0, help="how long")
MODE = Option(name="mode", choices=("buffered", "sync"), help="how")
NAMES = Option(name="names", many=True, help="some")


@pytest.mark.parametrize(
    ("option", "given", "told"),
    [
        (LIMIT, "soon", "--time-limit 'soon' is not a length of time\n  try: 90, 90s, 1.5s"),
        (LIMIT, 0, "--time-limit must be above zero"),
        (LIMIT, "nan", "is not a length of time"),
        (MODE, "buferred", "one of buffered, sync; did you mean buffered?"),
        (NAMES, 5, "--names 5 is not a list of names"),
        (Option(name="n", kind=int), 2.5, "--n 2.5 is not a whole number"),
        (Option(name="n", kind=int, least=1, most=3), 4, "--n must be between 1 and 3, not 4"),
        (Option(name="n", kind=float), "nan", "--n 'nan' is not a number"),
        (Option(name="b", kind=bool), "perhaps", "--b 'perhaps' is not true or false"),
        (Option(name="s", kind=Size), "big", "--s 'big' is not a size\n  try: 8GiB"),
        (Option(name="t"), {"a": 1}, '--t {"a": 1} is not a text'),
    ],
)
def test_a_refusal_says_what_was_expected(option: Option, given: Any, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        option.value(given)
    assert told in str(refused.value)


def test_values_come_as_their_kind() -> None:
    assert LIMIT.value("1m") == 60.0
    assert NAMES.value("a, b,") == NAMES.value(["a", "b"]) == ("a", "b")
    assert Option(name="p", kind=Path).value("x/../y") == str(Path("y").resolve())
    assert Option(name="b", kind=bool).value("off") is False
    assert Option(name="m", kind=Milliseconds).value("2s") == 2000.0
    assert Option(name="m", kind=Milliseconds).value(15) == 15.0
    assert LIMIT.value(None) is None


def test_an_option_of_an_older_plug_in_works_on() -> None:
    old = SystemOption(name="shards", kind=int, default=3, help="how many")
    assert (old.value("7"), old.flag, old.twin) == (7, "--shards", "POLYGRAPH_SHARDS")


def test_a_secret_is_set_by_a_file() -> None:
    assert (PASSWORD.file.flag, PASSWORD.file.secret) == ("--password-file", False)


def test_a_factory_is_given_the_defaults_that_a_run_gives_and_no_secret() -> None:
    class Database:
        options = (
            Option(name="flush", kind=Duration, default="2m"),
            Option(name="path", kind=Path),
            Option(name="token", secret=True),
        )

    assert defaults_of(Database) == {"flush": 120.0, "path": None}
    assert defaults_of(object) == {}
