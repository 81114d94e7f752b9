"""The loops give the same compiled and plain; clocks over folded chains; many processes."""

from __future__ import annotations

import random

import numpy as np
import pytest

from checkers.elle import kernels
from checkers.elle.kernels import has_numba
from checkers.isolation.rw_register import greedy_schedule, replay, vector_clocks
from checkers.isolation.rw_register.begin_commit_graph import turns_of
from checkers.isolation.rw_register.decision import decide
from checkers.isolation.rw_register.problem import LEVELS, problem
from checkers.isolation.rw_register.saturation import saturate
from checkers.proof.models import canonical
from harness.history.history import History
from harness.history.operation import Operation
from harness.verdict.verdict import Budget
from tests.checkers.elle.registers.stores import recorded
from tests.checkers.isolation.rw_register.campaign import known_of
from tests.checkers.isolation.rw_register.contested import contested

ALL = ("PL-SI", "strong-session-serializable", "strong-snapshot-isolation", "PL-SS", "prefix")


def decisions() -> list[object]:
    """How a number of histories are decided, proofs included."""
    found: list[object] = []
    for seed in range(24):
        stated = problem(known_of(contested(seed, transactions=7, keys=2)))
        if stated is None:
            continue
        for model in ALL:
            made = decide(stated, LEVELS[model], Budget.start(60))
            found.append((seed, model, made.holds, made.how, made.refutation))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not has_numba(), reason="needs numba")
def test_compiled_loops_decide_as_plain_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = decisions()
    for module in (kernels, greedy_schedule, replay):
        monkeypatch.setattr(module, "is_worth_compiling", lambda work: True)
    assert decisions() == plain
    assert {made[2] for made in plain if isinstance(made, tuple)} == {True, False}


@pytest.mark.parametrize("level", ["snapshot-isolation", "serializable", "strict-serializable"])
def test_a_store_at_its_level_is_proved_with_many_infos(level: str) -> None:
    """Each info ends a process and begins another one."""
    for seed in range(3):
        history = recorded(level, seed, transactions=150, processes=6, keys=6, infos=0.2)
        stated = problem(known_of(history))
        assert stated is not None
        assert len(np.unique(stated.process)) > 15
        made = decide(stated, LEVELS[canonical(level)], Budget.start(60))
        assert made.holds is True, (seed, made.why)


def test_chains_go_on_where_a_process_ended() -> None:
    """Fifty processes one after another, in real time: one chain holds them all."""
    operations = []
    for n in range(50):
        value = [["r", "x", n or None], ["w", "x", n + 1]]
        for kind in ("invoke", "ok"):
            at = len(operations)
            operations.append(Operation(at, at, n, kind, "txn", value))
    stated = problem(known_of(History(operations)))
    assert stated is not None
    for keeps in ("PL-SS", "strong-session-serializable", "PL-SI"):
        now = vector_clocks.clocks(turns_of(stated, LEVELS[keeps]))
        assert now.clock.shape[1] == 1
        assert now.place.tolist() == list(range(50))


def test_what_has_no_chain_for_want_of_memory_is_decided_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = decisions()
    monkeypatch.setattr(vector_clocks, "MOST_BYTES", 0)
    monkeypatch.setattr(vector_clocks, "FEWEST_CHAINS", 1)
    few = decisions()
    assert [made[:3] for made in few] == [made[:3] for made in whole]  # type: ignore[index]


def test_clocks_tell_who_reaches_whom() -> None:
    for seed in range(30):
        stated = problem(known_of(contested(seed, transactions=6, keys=2)))
        if stated is None:
            continue
        for model in ALL:
            graph = turns_of(stated, LEVELS[model])
            now = saturate(graph, Budget.start(60))
            if now.is_circular:
                continue
            step = np.eye(graph.nodes, dtype=bool)
            step[graph.edges.source, graph.edges.target] = True
            reach = step
            for _ in range(graph.nodes.bit_length()):
                reach = reach @ reach
            for node in range(graph.moments):
                txn = node // graph.turns
                place = graph.turns * now.place[txn] + node % graph.turns
                told = now.clock[:, now.chain[txn]] >= place
                assert (told == reach[node]).all(), (seed, model, node)


def test_edges_are_inferred_in_small_portions_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from checkers.isolation.rw_register import saturation

    whole = decisions()
    monkeypatch.setattr(saturation, "MOST_AT_ONCE", 3)
    assert [made[:3] for made in decisions()] == [made[:3] for made in whole]  # type: ignore[index]


def test_a_large_contested_history_is_chosen_and_replayed() -> None:
    """Blind writes of three keys in sessions without times, each read of what was there."""
    rng = random.Random(5)
    state = dict.fromkeys("xyz")
    given = 0
    sessions: list[list[list[list[object]]]] = [[] for _ in range(6)]
    for _ in range(300):
        steps: list[list[object]] = []
        for key in rng.sample("xyz", 2):
            if rng.random() < 0.6:
                given += 1
                state[key] = given
                steps.append(["w", key, given])
            else:
                steps.append(["r", key, state[key]])
        rng.choice(sessions).append(steps)
    operations = []
    for process, mine in enumerate(sessions):
        for steps in mine:
            at = len(operations)
            operations.append(Operation(at, at, process, "ok", "txn", steps))
    known = known_of(History(operations))
    stated = problem(known)
    assert stated is not None
    made = decide(stated, LEVELS["strong-session-serializable"], Budget.start(60))
    assert made.holds is True
