"""What users take for granted and what is documented: one is judged, both are told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.cli.ending import verdict_lines
from harness.contract.client import Registers, Sets
from harness.contract.system import Documentation
from harness.errors import UsageError
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.judge.claims import Claim
from harness.judge.composing import compose
from harness.run.claims import claim_of, other_claim_of
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Anomaly, Verdict

LOSES = Documentation(not_durable="replication is asynchronous", source="https://example/page")


def system(documentation: Documentation | None) -> Any:
    return SimpleNamespace(
        name="db", claims=lambda: ["linearizable"], documented=lambda: documentation
    )


WORK: Any = SimpleNamespace(name="work", needs=(Registers,))


def test_the_default_is_what_is_taken_for_granted_and_the_documentation_stands_beside() -> None:
    claim = claim_of(system(LOSES), WORK, ())
    assert claim == Claim(("linearizable",))
    other = other_claim_of(system(LOSES), WORK, claim)
    assert other is not None
    assert (other.by, other.models, other.not_durable) == ("documented", (), LOSES.not_durable)


def test_the_documentation_is_judged_where_that_is_asked_for() -> None:
    claim = claim_of(system(LOSES), WORK, (), "documented")
    assert (claim.by, claim.models, claim.not_durable) == ("documented", (), LOSES.not_durable)
    assert other_claim_of(system(LOSES), WORK, claim) == Claim(("linearizable",))


def test_models_that_are_asked_for_are_judged_with_the_documented_durability() -> None:
    claim = claim_of(system(LOSES), WORK, ("serializable",), "documented")
    assert (claim.models, claim.not_durable) == (("serializable",), LOSES.not_durable)


@pytest.mark.parametrize("db", [system(None), SimpleNamespace(name="db", claims=lambda: [])])
def test_a_system_without_such_documentation_says_so(db: Any) -> None:
    with pytest.raises(UsageError, match="says of no documentation"):
        claim_of(db, WORK, (), "documented")
    assert other_claim_of(db, WORK, claim_of(db, WORK, ())) is None


def test_a_documentation_may_promise_by_ability() -> None:
    by_ability = Documentation(models={Registers: ["sequential"], Sets: ["causal"]})
    assert claim_of(system(by_ability), WORK, (), "documented").models == ("sequential",)


def composed(answer: Verdict, *, name: str = "register", by: str = "documented") -> Any:
    """The whole verdict of a run that loses a write, of which one checker answered that."""
    operations = [
        Operation(index=0, time=0, process=0, type="invoke", f="write", value=1),
        Operation(index=1, time=1, process=0, type="ok", f="write", value=1),
    ]
    claims = ["linearizable"] if by == "assumed" else []
    lost = LOSES.not_durable if by == "documented" else None
    documented = by == "documented"
    other = Claim(("linearizable",)) if documented else Claim((), not_durable="so", by="documented")
    record = Record(
        history=History(operations, Header(claims=claims, not_durable=lost)),
        run={"claims_by": by, "other_claim": other.as_json()},
    )
    return compose(record, {name: answer}, claims=claims, health_findings=[], requested_faults=[])


def found(kind: str) -> Verdict:
    anomaly = Anomaly(message="m", witness=(0, 1))
    return Verdict(valid=False, why=f"1 {kind}", anomalies={kind: [anomaly]})


@pytest.mark.parametrize("kind", ["nonlinearizable", "lost", "duplicated"])
def test_what_no_documented_model_forbids_is_told_and_is_no_broken_promise(kind: str) -> None:
    verdict = composed(found(kind))
    assert verdict["valid"] == UNKNOWN
    assert "no model of consistency" in verdict["why"]
    assert composed(found(kind), by="assumed")["valid"] is False


@pytest.mark.parametrize("name", ["agreement", "crash", "no-recovery", "logs"])
def test_what_is_no_matter_of_models_is_promised_all_the_same(name: str) -> None:
    assert composed(found("replica-divergence"), name=name)["valid"] is False


def test_either_verdict_tells_the_other_claim() -> None:
    lines = list(verdict_lines(composed(Verdict(valid=True))))
    assert lines[0].startswith("VALID  No anomaly was found against the documented claim no model")
    assert lines[1] == "  taken for granted: linearizable; --claims assumed judges that"
    lines = list(verdict_lines(composed(Verdict(valid=True), by="assumed")))
    assert lines[1] == (
        "  documented: no model of consistency; acknowledged writes may be lost: so"
        "; --claims documented judges that"
    )
