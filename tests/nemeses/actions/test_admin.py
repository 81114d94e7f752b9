"""Admin: what the system can be asked for, drawn from the seed, asked once of a node that runs."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from harness.contract.action import Action, Outcome
from nemeses.actions.admin import AdminAction
from tests.toys import honest_cluster

NODES = ["n1", "n2", "n3"]


class Asked(honest_cluster.HonestSystem):
    """Remembers what it was asked for."""

    def __init__(self, *known: str) -> None:
        super().__init__()
        self.known = known
        self.asked: list[tuple[str, str]] = []

    def admin_actions(self) -> Sequence[str]:
        return self.known

    def administer(self, stage: Any, node: Any, action: str, timeout_s: float) -> Outcome:
        self.asked.append((action, node.name))
        return Outcome(is_done=True, what="done")


@pytest.fixture
def stage() -> Any:
    made: Any = honest_cluster.stage(3)
    made.system = Asked("compact", "vacuum")
    return made


def done(action: AdminAction, stage: Any, seed: int) -> tuple[str, str]:
    plan = action.plan(NODES, Random(seed))
    targets, detail = action.resolve(plan, stage)
    assert action.act(stage, targets, detail).is_done
    assert detail["what"] == f"{targets[0]}: {detail['action']}"
    return stage.system.asked[-1]  # type: ignore[no-any-return]


def test_it_is_an_action() -> None:
    assert isinstance(AdminAction({}), Action)


def test_the_seed_fixes_what_is_asked_of_whom(stage: Any) -> None:
    asked = [done(AdminAction({}), stage, seed) for seed in range(40)]
    assert asked == [done(AdminAction({}), stage, seed) for seed in range(40)]
    assert set(asked) == {(word, node) for word in stage.system.known for node in NODES}


def test_only_what_was_chosen_is_asked_for(stage: Any) -> None:
    action = AdminAction({"admin_actions": "vacuum"})
    assert {done(action, stage, seed)[0] for seed in range(9)} == {"vacuum"}


def test_a_node_that_does_not_run_is_passed_over(stage: Any) -> None:
    stage.daemons["n1"][0].end(-9)
    assert {done(AdminAction({}), stage, seed)[1] for seed in range(20)} == {"n2", "n3"}


@pytest.mark.parametrize(
    ("system", "words", "said"),
    [
        (honest_cluster.HonestSystem(), "", "does not say what it can be asked for"),
        (Asked(), "", "can be asked for nothing"),
        (Asked("compact"), "compactt", "did you mean compact"),
        (Asked("compact"), "compact", None),
    ],
)
def test_it_is_refused_where_the_system_cannot_do_it(
    system: Any, words: str, said: str | None
) -> None:
    refusal = AdminAction({"admin_actions": words}).refusal(None, system)  # type: ignore[arg-type]
    assert refusal is None if said is None else said in str(refusal)
