"""What a run is to be judged against: what its user asked for, or what its system promises.

A system may promise different things of different abilities (serializable transactions,
linearizable registers); a run is then against what it promises of the abilities that its workload
needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.contract.client import ABILITIES
from harness.contract.system import Documented, Durability, System
from harness.contract.workload import Workload
from harness.errors import UsageError
from harness.judge.claims import ASSUMED, DOCUMENTED, Claim, models_of
from harness.wording import shown

INCLUDES: Mapping[str, str] = {"Predicates": "Transactions"}
"""An ability that is another one and more: what is claimed of that one holds of it."""


def claim_of(system: System, workload: Workload, asked: Sequence[str], by: str = ASSUMED) -> Claim:
    """What a run of ``workload`` on ``system`` is judged against; ``UsageError`` for odd claims.

    ``by`` is whether that is what users take for granted or what is documented.
    """
    if by == ASSUMED and asked:  # whatever is promised of what the workload needs
        models = models_of(asked, "--consistency-models")
        return Claim(models, not_durable=_not_durable(system))
    found = _assumed(system, workload) if by == ASSUMED else documented_claim(system, workload)
    if found is None:
        raise UsageError(
            f"{shown(system.name)} says of no documentation that it promises less than"
            " what is claimed anyway",
            "leave --claims documented away",
        )
    if not asked:
        return found
    return replace(found, models=models_of(asked, "--consistency-models"), of=())


def other_claim_of(system: System, workload: Workload, claim: Claim) -> Claim | None:
    """The claim that is not judged: the documented one, or what is taken for granted.

    ``None`` where that says nothing of what the workload needs.
    """
    try:
        if claim.by == DOCUMENTED:
            return _assumed(system, workload)
        return documented_claim(system, workload)
    except UsageError:
        return None


def documented_claim(system: System, workload: Workload) -> Claim | None:
    """What the documentation of ``system`` promises, if that is less."""
    found = system.documented() if isinstance(system, Documented) else None
    if found is None:
        return None
    where = f"documented() of the system {shown(system.name)}"
    claim = _claim(found.models, workload, where)
    return replace(
        claim,
        not_durable=found.not_durable or _not_durable(system),
        by=DOCUMENTED,
        source=found.source,
    )


def _assumed(system: System, workload: Workload) -> Claim:
    where = f"claims() of the system {shown(system.name)}"
    return replace(_claim(system.claims(), workload, where), not_durable=_not_durable(system))


def _not_durable(system: System) -> str | None:
    return system.not_durable() if isinstance(system, Durability) else None


def _claim(claimed: Any, workload: Workload, where: str) -> Claim:
    if not isinstance(claimed, Mapping):
        return Claim(models_of(claimed, where))
    by_ability = {
        _ability(key, where): models_of(models, f"{where}, {_ability(key, where)}")
        for key, models in claimed.items()
    }
    needed = [ability.__name__ for ability in workload.needs]
    found = [name if name in by_ability else INCLUDES.get(name, name) for name in needed]
    missing = [name for name in found if name not in by_ability]
    if missing:
        raise UsageError(
            f"{where} says nothing of {', '.join(missing)}, which the workload"
            f" {shown(workload.name)} needs (only of {', '.join(by_ability)})",
            "--consistency-models MODEL, to judge against that",
        )
    common = _common([by_ability[name] for name in found])
    if not common:
        raise UsageError(
            f"{where} promises no model of all that {shown(workload.name)} needs"
            f" ({', '.join(found)})",
            "--consistency-models MODEL, to judge against that",
        )
    return Claim(common, tuple(found))


def _ability(key: Any, where: str) -> str:
    name = getattr(key, "__name__", key)
    if name not in ABILITIES:
        raise UsageError(f"{where}: {shown(key)} is no ability (known: {', '.join(ABILITIES)})")
    return str(name)


def _common(lists: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The models that all of ``lists`` promise, in the order of the first."""
    first, *others = lists or ((),)
    return tuple(model for model in first if all(model in other for other in others))
