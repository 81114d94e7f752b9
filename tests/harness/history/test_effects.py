"""Effects of faults: written and read again, and read from what anybody may have written."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.history.effects import WORDS, Effects, Ended, effects_of, is_undeclared
from harness.linux.identity import ProcessIdentity

IDENTITIES = st.builds(
    ProcessIdentity,
    pid=st.integers(1, 1 << 22),
    start_ticks=st.integers(0, 1 << 40),
    boot_id=st.text(max_size=8),
    pid_namespace=st.integers(0, 1 << 32),
)
NODES = st.sampled_from(["n1", "n2", "n3"])
STATUSES = st.lists(st.integers(-64, 255), max_size=3).map(tuple)
ALL = st.builds(
    Effects,
    ends=st.lists(st.builds(Ended, NODES, IDENTITIES, STATUSES), max_size=3).map(tuple),
    stops=st.lists(st.tuples(NODES, IDENTITIES), max_size=3).map(tuple),
    cuts=st.dictionaries(NODES, st.lists(NODES, max_size=3).map(tuple), max_size=3),
    shifts_clock=st.lists(NODES, max_size=3).map(tuple),
    fails_disk=st.lists(NODES, max_size=3).map(tuple),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(ALL)
def test_what_was_declared_is_read_again(effects: Effects) -> None:
    detail = json.loads(json.dumps({"effects": effects.as_json(), "what": "something"}))
    read = effects_of(detail)
    assert read == effects
    assert read is not None
    assert read.words == effects.words
    assert not is_undeclared(detail)
    for end in effects.ends:
        for status in end.statuses:
            assert read.explains_end(end.node, end.process, status)
        assert not read.explains_end(end.node, end.process, None)


@given(st.dictionaries(st.sampled_from([*WORDS, "x"]), JSON) | JSON)
def test_what_anybody_may_have_written_is_read_or_left_out(told: Any) -> None:
    effects = effects_of({"effects": told})
    assert (effects is None) == (not isinstance(told, dict))
    if effects is not None:
        json.dumps(effects.as_json())
        assert effects_of({"effects": effects.as_json()}) == effects


def test_each_kind_of_effect_has_its_word() -> None:
    process = ProcessIdentity(pid=1, start_ticks=1, boot_id="b", pid_namespace=1)
    some = {
        "ends": Effects(ends=(Ended("n1", process, (-9,)),)),
        "stops": Effects(stops=(("n1", process),)),
        "cuts": Effects(cuts={"n1": ("n2",)}),
        "shifts-clock": Effects(shifts_clock=("n1",)),
        "slows": Effects(slows={"n1": ("n2",)}),
        "fails-disk": Effects(fails_disk=("n1",)),
    }
    assert {word: set(effects.words) for word, effects in some.items()} == {w: {w} for w in WORDS}
    assert Effects(cuts={"n1": ()}).words == frozenset()


def test_a_failing_disk_explains_that_a_process_ends_itself_and_no_slip_of_memory() -> None:
    process = ProcessIdentity(pid=1, start_ticks=1, boot_id="b", pid_namespace=1)
    effects = Effects(fails_disk=("n1",))
    assert all(effects.explains_end("n1", process, status) for status in (0, 1, 2, -6, -7))
    assert not any(effects.explains_end("n1", process, status) for status in (-11, -9, -4, None))
    assert not effects.explains_end("n2", process, 1)


def test_a_fault_that_declares_none_is_told_from_a_ledger_of_before() -> None:
    assert is_undeclared({"effects": None})
    assert not is_undeclared({})
