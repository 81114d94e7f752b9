"""A *yes* is replayed and a *no* gone through again, and neither lets anything wrong pass."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from checkers.isolation.rw_register import derivation
from checkers.isolation.rw_register.begin_commit_graph import Turns, turns_of
from checkers.isolation.rw_register.greedy_schedule import guess
from checkers.isolation.rw_register.problem import LEVELS, Level, problem
from checkers.isolation.rw_register.refutation import Circle, Finding, Refutation, fault_in
from checkers.isolation.rw_register.replay import explains
from checkers.isolation.rw_register.saturation import saturate
from checkers.isolation.rw_register.solver import choose
from checkers.proof.models import canonical
from harness.verdict.verdict import Budget
from tests.checkers.elle.registers.drawing import drawn, judged
from tests.checkers.isolation.rw_register.campaign import known_of
from tests.checkers.isolation.rw_register.contested import contested
from tests.checkers.isolation.rw_register.schedule_oracle import MODELS, allows
from tests.checkers.isolation.rw_register.test_small_histories import FORK


def graph_of(seed: int, level: Level) -> Turns | None:
    """The graph of a contested history, ``None`` if some read is wrong by itself."""
    stated = problem(known_of(contested(seed, transactions=6, keys=2)))
    return None if stated is None else turns_of(stated, level)


def replays(graph: Turns, order: np.ndarray) -> bool:
    """Whether the replay takes an order of nodes."""
    nodes = order[order < graph.moments]
    txns = graph.problem.txns[nodes // graph.turns]
    commits = nodes % graph.turns == graph.turns - 1
    return explains(graph.problem.known, graph.level, txns, commits)


@pytest.mark.slow
@pytest.mark.parametrize("model", list(MODELS))
def test_the_replay_takes_no_order_of_a_history_that_has_none(model: str) -> None:
    rng = random.Random(model)
    level = LEVELS[canonical(model)]
    taken = refused = 0
    for seed in range(150):
        history = contested(seed, transactions=5, keys=2)
        stated = problem(known_of(history))
        if stated is None:
            continue
        is_allowed = allows(history, *MODELS[model])
        graph = turns_of(stated, level)
        right = guess(graph)
        orders = [right.order] if right.harm == 0 else []
        for _ in range(20):
            txns = rng.sample(range(len(stated)), len(stated))
            nodes = [t * graph.turns + turn for t in txns for turn in range(graph.turns)]
            orders.append(np.array(nodes))
        for order in orders:
            if replays(graph, order):
                assert is_allowed, seed
                taken += 1
            else:
                refused += 1
    assert taken > 30
    assert refused > 100


def test_the_replay_wants_every_turn_once_and_in_order() -> None:
    graph = graph_of(0, LEVELS["PL-SI"])
    assert graph is not None
    order = guess(graph).order
    assert replays(graph, order)
    assert not replays(graph, order[:-1])
    assert not replays(graph, np.append(order, order[-1]))
    assert not replays(graph, order[::-1])


def test_the_replay_keeps_what_the_clock_tells() -> None:
    history = drawn("p: [wx1]\nq:       [rx_]")
    stated = problem(known_of(history))
    assert stated is not None
    for model, is_kept in (("PL-3", True), ("PL-SS", False)):
        graph = turns_of(stated, LEVELS[model])
        assert replays(graph, np.array([1, 0])) is is_kept
    assert not replays(turns_of(stated, LEVELS["PL-3"]), np.array([0, 1]))


def refutations(levels: tuple[str, ...]) -> list[tuple[Turns, Refutation]]:
    """Proofs of contested histories that break a level."""
    found = []
    for seed in range(60):
        for model in levels:
            graph = graph_of(seed, LEVELS[model])
            if graph is None:
                continue
            now = saturate(graph, Budget.start(60))
            if now.is_circular:
                found.append((graph, derivation.of_a_circle(graph, now.left)))
    return found


@pytest.mark.slow
def test_every_proof_holds_and_none_with_a_step_taken_out() -> None:
    made = refutations(("PL-SI", "PL-3", "PL-SS", "prefix", "strong-session-serializable"))
    assert len(made) > 60
    assert any(refutation.findings for _, refutation in made)
    for graph, refutation in made:
        assert fault_in(refutation, graph.problem, graph.level) == ""
        (circle,) = refutation.circles
        for at in range(len(circle.steps)):
            steps = circle.steps[:at] + circle.steps[at + 1 :]
            broken = replace(refutation, circles=(Circle(steps),))
            assert fault_in(broken, graph.problem, graph.level) != ""
        for finding in refutation.findings:
            others = tuple(other for other in refutation.findings if other != finding)
            broken = replace(refutation, findings=others)
            assert fault_in(broken, graph.problem, graph.level) != ""
            turned = Finding((finding.order[1], finding.order[0]), finding.read, finding.path)
            broken = replace(refutation, findings=(turned, *others))
            assert fault_in(broken, graph.problem, graph.level) != ""


def test_a_proof_at_a_level_that_keeps_more_is_none_at_one_that_keeps_less() -> None:
    plain = 0
    for graph, refutation in refutations(("PL-SS",)):
        weaker = LEVELS["PL-3"]
        history_breaks_it = turns_of(graph.problem, weaker)
        is_broken = saturate(history_breaks_it, Budget.start(60)).is_circular
        if fault_in(refutation, graph.problem, weaker) == "":
            assert is_broken
        else:
            plain += 1
    assert plain > 10


def test_a_proof_by_choices_covers_every_choice() -> None:
    stated = problem(known_of(drawn(FORK)))
    assert stated is not None
    graph = turns_of(stated, LEVELS["PL-3"])
    now = saturate(graph, Budget.start(60))
    assert not now.is_circular
    made = choose(now, guess(graph, patient=True).order, Budget.start(60))
    assert made.order is None
    refutation = derivation.of_choices(graph, made.circles)
    assert fault_in(refutation, stated, graph.level) == ""
    assert len(refutation.circles) > 1
    for circle in refutation.circles:
        others = tuple(other for other in refutation.circles if other != circle)
        broken = replace(refutation, circles=others)
        assert fault_in(broken, stated, graph.level) == "some choice has no circle"


def test_a_proof_spells_out_the_orders_that_it_infers() -> None:
    """1 was read by one that came after the writer of 2, and both were written long before."""
    drawing = "p: [wx1] [wx2]\nq:                [rx1]"
    verdict = judged(drawing, "strict-serializable")
    message = verdict.anomalies["no-serial-order"][0].message
    assert (
        '(1) key "x": 2 before 1, because T3 read 1, which T1 wrote, and comes after T2' in message
    )
    assert "T2 completed at index 3, before T3 was invoked, at index 4" in message
    assert "which came later (1): a contradiction!" in message
    steps = verdict.anomalies["no-serial-order"][0].data["steps"]
    assert steps == [
        {"type": "realtime"},
        {"type": "ww", "key": "x", "value": 2, "value'": 1},
    ]


def test_choices_are_told_one_by_one() -> None:
    verdict = judged(FORK, "serializable")
    message = verdict.anomalies["no-serial-order"][0].message
    assert message.count("Suppose key ") >= 2
    assert message.count(": a contradiction!") == message.count("Suppose key ")
    assert message.startswith("Let:\n  T1 = {index ")
    assert len(verdict.anomalies["no-serial-order"][0].witness) == 8
