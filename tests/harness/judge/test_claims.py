"""A verdict is against models that exist, those that the system promises of what is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.contract.client import Predicates, Registers, Sets, Transactions
from harness.errors import UsageError
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.judge.claims import Claim, models_of, with_known_claims
from harness.judge.composing import against_claims
from harness.judge.judge import judge_history
from harness.plugins import Registry
from harness.run.claims import claim_of
from harness.verdict.verdict import UNKNOWN, Anomaly, Verdict


def claimed(claims: Any, *needs: type, asked: tuple[str, ...] = ()) -> Claim:
    system: Any = SimpleNamespace(name="db", claims=lambda: claims)
    workload: Any = SimpleNamespace(name="work", needs=needs or (Registers,))
    return claim_of(system, workload, asked)


@pytest.mark.parametrize(
    ("claims", "models"),
    [
        (("PL-3", "strong-serializable"), ("serializable", "strict-serializable")),
        ("serializable", ("serializable",)),
        ("serializable, causal", ("serializable", "causal")),
        ([], ()),
    ],
)
def test_claims_are_models_by_their_usual_names_and_never_letters(claims: Any, models: Any) -> None:
    assert claimed(claims).models == models


@pytest.mark.parametrize("claims", [["linearisable"], "linearisable", [1], 7, None, {"l": 1}])
def test_what_no_model_is_called_is_refused_and_told_where(claims: Any) -> None:
    with pytest.raises(UsageError, match=r"claims\(\) of the system 'db'"):
        claimed(claims)


BY_ABILITY = {Transactions: ["serializable"], Registers: ["linearizable"]}


def test_a_run_is_against_what_is_promised_of_its_abilities() -> None:
    assert claimed(BY_ABILITY, Registers) == Claim(("linearizable",), ("Registers",))
    assert claimed(BY_ABILITY, Transactions) == Claim(("serializable",), ("Transactions",))
    assert claimed(BY_ABILITY, Predicates) == Claim(("serializable",), ("Transactions",))
    assert claimed(BY_ABILITY, Sets, asked=("PL-3",)) == Claim(("serializable",))


def test_an_ability_of_which_nothing_is_promised_is_refused() -> None:
    with pytest.raises(UsageError, match="says nothing of Sets"):
        claimed(BY_ABILITY, Sets)
    with pytest.raises(UsageError, match="promises no model of all"):
        claimed(BY_ABILITY, Transactions, Registers)


def test_every_list_is_checked_also_one_that_this_run_does_not_need() -> None:
    with pytest.raises(UsageError, match=r"did you mean .*linearizable"):
        claimed({Transactions: ["serializable"], Registers: ["linearisable"]}, Transactions)
    with pytest.raises(UsageError, match="no ability"):
        claimed({"Registres": ["linearizable"]})


def test_the_claims_of_a_header_are_put_right_or_refused() -> None:
    header = Header(claims=["PL-SS"])
    assert with_known_claims(History((), header)).header.claims == ["strict-serializable"]
    with pytest.raises(UsageError, match="did you mean"):
        judge_history(History((), Header(claims=["serialisable"])), [], {}, Registry())
    with pytest.raises(UsageError, match="header"):
        models_of([3], "the claims of the history's header")


def test_a_violation_of_a_model_claimed_by_another_name_is_a_violation() -> None:
    steps = [["append", 1, 1], ["r", 2, []]], [["append", 2, 1], ["r", 1, []]]
    operations = [
        Operation(0, 0, 0, "invoke", "txn", [steps[0][0], ["r", 2, None]]),
        Operation(1, 1, 1, "invoke", "txn", [steps[1][0], ["r", 1, None]]),
        Operation(2, 2, 0, "ok", "txn", steps[0]),
        Operation(3, 3, 1, "ok", "txn", steps[1]),
        Operation(4, 4, 2, "invoke", "txn", [["r", 1, None], ["r", 2, None]]),
        Operation(5, 5, 2, "ok", "txn", [["r", 1, [1]], ["r", 2, [1]]]),
    ]
    history = History(operations, Header(claims=["PL-3"]))
    assert judge_history(history, ["list-append"], {}, Registry())["valid"] is False


def lost(*others: str) -> Verdict:
    cases = {kind: [Anomaly(message=kind)] for kind in ("lost", *others)}
    return Verdict(valid=False, why="1 lost", anomalies=cases, not_=("linearizable",))


def test_a_loss_is_judged_by_durability_and_not_by_isolation() -> None:
    assert against_claims(lost(), ["read-committed"]).valid is False
    permitted = against_claims(lost(), ["read-committed"], "synchronous_commit=off")
    assert permitted.valid == UNKNOWN
    assert "synchronous_commit=off" in permitted.why
    assert against_claims(lost("x"), ["linearizable"], "fsync=off").valid is False
