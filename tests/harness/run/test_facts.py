"""The facts that a run keeps for those who judge it."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.run.logs import Logs
from harness.errors import UsageError
from harness.run.facts import log_options


class WithoutWords:
    name = "mute"


class OfVersionTwo(WithoutWords):
    def crash_patterns(self) -> list[str]:
        return ["^panic: "]

    def expected_exits(self) -> dict[str, list[str]]:
        return {"ends": ["in use"]}


class OfToday(OfVersionTwo):
    def log_patterns(self) -> dict[str, list[str]]:
        return {"panic": ["^panic: "]}

    def expected_lines(self) -> dict[str, list[str]]:
        return {}


def options_of(system: Any) -> Any:
    return log_options(system)


def test_a_system_that_names_no_patterns_has_none() -> None:
    assert options_of(WithoutWords()) == {}


def test_the_patterns_of_a_system_of_version_two_are_of_one_kind() -> None:
    options = options_of(OfVersionTwo())
    assert options == {
        "log_patterns": {"crash": ["^panic: "]},
        "expected_lines": {"ends": ["in use"]},
    }
    assert list(Logs(options).patterns) == ["crash"]


def test_where_both_are_there_the_new_ones_count() -> None:
    assert options_of(OfToday()) == {"log_patterns": {"panic": ["^panic: "]}, "expected_lines": {}}


@pytest.mark.parametrize("pattern", ["(a+)+b", "("])
def test_a_pattern_whose_search_may_never_end_is_refused(pattern: str) -> None:
    system = OfVersionTwo()
    system.crash_patterns = lambda: [pattern]  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="mute: the search for the log pattern"):
        options_of(system)
