"""``polygraph doctor --clock``: what a trace sees, against what a system declares."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cluster.clock_path import Examined, sum_up
from harness.cluster.hands import syscalls
from harness.cluster.hands.syscalls import READS, SETS, WAITS
from harness.contract.system import BYPASSES, FAITHFUL, WAITS_ON_TRUE_CLOCK

TOYS = Path(__file__).parents[2] / "toys/clock_paths.py"
ROOT = Path(__file__).parents[3]


def doctor(system: str) -> tuple[int, Any]:
    """The exit code and the JSON of a trace as plain processes, which every machine allows."""
    argv = [sys.executable, "-m", "harness.cli.main", "doctor", "--clock", system, "--json"]
    argv += ["--plugin", str(TOYS), "--provider", "local:plain", "--seconds", "0.3"]
    done = subprocess.run(argv, capture_output=True, cwd=ROOT, timeout=200, check=False)
    assert done.stdout, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("system", "declared", "seen", "code"),
    [
        ("toy-faithful", FAITHFUL, FAITHFUL, 0),
        ("toy-waits", WAITS_ON_TRUE_CLOCK, WAITS_ON_TRUE_CLOCK, 0),
        ("toy-bypasses", BYPASSES, BYPASSES, 0),
        ("toy-liar", FAITHFUL, WAITS_ON_TRUE_CLOCK, 3),
    ],
)
def test_a_trace_sees_how_a_system_comes_by_the_time(
    system: str, declared: str, seen: str, code: int
) -> None:
    exit_code, found = doctor(system)
    assert (found["declared"], found["seen"]) == (declared, seen)
    assert exit_code == code
    assert found["calls"] > 100


CALL = {"orig_rax": 0, "rdi": 0, "rsi": 0, "rdx": 0, "r10": 0, "r8": 0}


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ({"orig_rax": 228, "rdi": 0}, READS),
        ({"orig_rax": 228, "rdi": 5}, READS),
        ({"orig_rax": 228, "rdi": 1}, None),
        ({"orig_rax": 96}, READS),
        ({"orig_rax": 201}, READS),
        ({"orig_rax": 230, "rdi": 0, "rsi": 1}, WAITS),
        ({"orig_rax": 230, "rdi": 0, "rsi": 0}, None),
        ({"orig_rax": 230, "rdi": 1, "rsi": 1}, None),
        ({"orig_rax": 202, "rsi": 128 | 256 | 9, "r10": 1}, WAITS),
        ({"orig_rax": 202, "rsi": 128 | 256 | 9, "r10": 0}, None),
        ({"orig_rax": 202, "rsi": 128 | 9, "r10": 1}, None),
        ({"orig_rax": 202, "rsi": 128, "r10": 1}, None),
        ({"orig_rax": 202, "rsi": 128 | 6, "r10": 1}, WAITS),
        ({"orig_rax": 449, "r10": 1, "r8": 0}, WAITS),
        ({"orig_rax": 449, "r10": 1, "r8": 1}, None),
        ({"orig_rax": 243, "r8": 1}, WAITS),
        ({"orig_rax": 286, "rdi": 10**6, "rsi": 0}, None),
        ({"orig_rax": 227}, SETS),
        ({"orig_rax": 0}, None),
    ],
)
def test_system_calls_are_told_apart_by_clock_and_by_absolute_times(
    call: dict[str, int], kind: str | None
) -> None:
    found = syscalls.kind_of(SimpleNamespace(**{**CALL, **call}), 1)
    assert (found and found[0]) == kind


def examined(declared: str | None, **kinds: dict[str, int]) -> Examined:
    named = {"reads": READS, "waits": WAITS, "sets": SETS}
    found = {named[kind]: calls for kind, calls in kinds.items()}
    return Examined(system="x", declared=declared, seconds=1.0, calls=9, kinds=found)


def test_a_declaration_is_refuted_by_worse_and_never_by_better() -> None:
    assert examined(FAITHFUL).is_as_declared
    assert examined(BYPASSES).is_as_declared
    assert not examined(FAITHFUL, waits={"futex": 1}).is_as_declared
    assert not examined(WAITS_ON_TRUE_CLOCK, reads={"time": 1}).is_as_declared
    assert examined(WAITS_ON_TRUE_CLOCK, waits={"futex": 1}).is_as_declared
    assert not examined(None).is_as_declared
    assert not examined(BYPASSES, sets={"setting it": 1}).is_as_declared


def test_the_lines_name_what_was_seen_what_was_not_and_what_follows() -> None:
    text = "\n".join(examined(FAITHFUL, waits={"futex": 3}).lines())
    assert "x declares: faithful" in text
    assert f"{WAITS}: futex 3 times" in text
    assert f"{READS}: never" in text
    assert "tick counter" in text
    assert f"refuted: what was seen is: {WAITS_ON_TRUE_CLOCK}" in text
    assert "let clock_path() say so" in "\n".join(examined(None).lines())


def test_nodes_are_summed_up() -> None:
    states = [{"calls": 2, "kinds": {WAITS: {"futex": 1}}}] * 2
    assert sum_up(states) == (4, {WAITS: {"futex": 2}})
