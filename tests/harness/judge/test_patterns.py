"""Patterns that came with a run: those of our systems are searched for, endless ones are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.contract.system import LogPatterns
from harness.judge.facts import FACTS, UNREADABLE, read_facts
from harness.judge.patterns import is_harmless
from harness.plugins import Registry

ENDLESS = [
    "(a+)+b",
    "(a*)*$",
    "(.*,)*x",
    "(a|a)*b",
    "(a|b|ab)*c",
    "(?:(?:a{0,99}){0,99})b",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(?=(a+)+b)",
    "(a{0,30}){0,30}b",
    "(a{0,30}){30}b",
    "((a{1,4}){1,4}){1,4}b",
    "(?:a|aa){30}b",
    r"(x)(?:\\1y*)*z",
    "a" * 2000,
    "(",
    None,
    7,
    "(" * 500 + ")" * 500 + "{",
]
SHORT = [
    "panic: .*",
    r"^fatal error|DATA RACE",
    r"level\":\"(?:panic|fatal)",
    "a{1,3}(b|c){2}",
    "x*?y+",
    r"(?:\d{1,3}\.){3}\d{1,3}",
    "(?:at [0-9a-f]{40} ){2}",
]


@pytest.mark.parametrize("pattern", ENDLESS, ids=range(len(ENDLESS)))
def test_what_may_take_for_ever_is_not_searched_for(pattern: object) -> None:
    assert not is_harmless(pattern)


@pytest.mark.parametrize("pattern", SHORT)
def test_what_tells_a_line_is(pattern: str) -> None:
    assert is_harmless(pattern)


def test_every_pattern_of_our_own_systems_is_searched_for() -> None:
    registry, seen = Registry(), 0
    for name in registry.names("systems"):
        system = registry.get("systems", name)({})
        if not isinstance(system, LogPatterns):
            continue
        tables = (system.log_patterns(), system.expected_lines())
        patterns = [each for table in tables for kind in table.values() for each in kind]
        assert all(map(is_harmless, patterns)), name
        seen += len(patterns)
    assert seen > 0


def test_a_run_with_an_endless_pattern_says_which_fact_was_left_out(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    facts = {"checker_options": {"log_patterns": {"panic": ["(a+)+b"]}}, "stuck_threads": 0}
    (tmp_path / FACTS).write_text(json.dumps(facts))
    found = read_facts(tmp_path)
    assert found is not None
    assert "checker_options" not in found
    assert found[UNREADABLE] == ["checker_options"]
    assert found["stuck_threads"] == 0
