"""What a verdict is against: the models that a system promises, or that the user asked for.

Every name is one that we know (:mod:`harness.verdict.consistency`), under its usual spelling. A
name that no model has would match nothing, so that a proved violation became "not claimed"; it
is refused at once, wherever it comes from. A system may promise different things of different
abilities (serializable transactions, linearizable registers); a run is then against what it
promises of the abilities that its workload needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from msgspec import structs

from harness.contract.client import ABILITIES
from harness.contract.system import System
from harness.contract.workload import Workload
from harness.errors import UsageError
from harness.history.history import History
from harness.verdict.consistency import known_models

INCLUDES: Mapping[str, str] = {"Predicates": "Transactions"}
"""An ability that is another one and more: what is claimed of that one holds of it."""


@dataclass(frozen=True)
class Claim:
    """The models promised; ``of`` names the abilities where a system promises different things."""

    models: tuple[str, ...]
    of: tuple[str, ...] = ()


def models_of(names: Any, where: str) -> tuple[str, ...]:
    """The models that ``names`` are, usual spelling; a text is names with commas, not letters.

    ``UsageError`` says ``where`` an unknown name came from, with the nearest names.
    """
    found = names.split(",") if isinstance(names, str) else names
    if not isinstance(found, Sequence) or not all(isinstance(name, str) for name in found):
        raise UsageError(f"{where}: {names!r} is no list of consistency models")
    try:
        return known_models(name.strip() for name in found if name.strip())
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def with_known_claims(history: History) -> History:
    """``history`` with the claims of its header under their usual names; refused if unknown."""
    claims = list(models_of(history.header.claims, "the claims of the history's header"))
    if claims == history.header.claims:
        return history
    return replace(history, header=structs.replace(history.header, claims=claims))


def claim_of(system: System, workload: Workload, asked: Sequence[str]) -> Claim:
    """What a run of ``workload`` on ``system`` is judged against; ``UsageError`` for odd claims."""
    if asked:
        return Claim(models_of(asked, "--consistency-models"))
    where = f"claims() of the system {system.name!r}"
    claimed: Any = system.claims()
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
            f" {workload.name!r} needs (only of {', '.join(by_ability)})",
            "--consistency-models MODEL, to judge against that",
        )
    common = _common([by_ability[name] for name in found])
    if not common:
        raise UsageError(
            f"{where} promises no model of all that {workload.name!r} needs ({', '.join(found)})",
            "--consistency-models MODEL, to judge against that",
        )
    return Claim(common, tuple(found))


def _ability(key: Any, where: str) -> str:
    name = getattr(key, "__name__", key)
    if name not in ABILITIES:
        raise UsageError(f"{where}: {key!r} is no ability (known: {', '.join(ABILITIES)})")
    return str(name)


def _common(lists: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The models that all of ``lists`` promise, in the order of the first."""
    first, *others = lists or ((),)
    return tuple(model for model in first if all(model in other for other in others))
