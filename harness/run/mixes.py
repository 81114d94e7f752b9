"""Mixes of faults: ``--nemesis all`` and ``random``, and how hard they come (``--intensity``).

``all`` is every fault and action there is that the system survives, by its own word, and that is
possible here: what destroys data (:class:`harness.contract.fault.Damages`) is by name only, since
no system promises to survive that. ``random`` is some of these, drawn from the run's seed: so each
run of a soak has a mix of its own, and the same seed the same one. Further names are in the mix in
any case, ``-packet`` is not.

An intensity says when faults come, and how long they last, where nobody says it, and, if gentle, on
how many nodes at most.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from harness.cluster import providers
from harness.cluster.abilities import ABILITIES, lacking, of_systems
from harness.cluster.provider import Request
from harness.contract.fault import Damages, HasNeeds
from harness.contract.system import Survives, System
from harness.errors import PolygraphError, UsageError
from harness.option import Option, defaults_of
from harness.plugins import Registry
from harness.run.schedule import LEAST_BITE_S

ALL: Final = "all"
RANDOM: Final = "random"
WORDS: Final = (ALL, RANDOM)
LEAST_INTERVAL_S: Final = 1.0


@dataclass(frozen=True)
class Intensity:
    """Seconds from fault to fault, how long each lasts (``None``: half of that), and on whom."""

    interval_s: float
    duration_s: float | None
    targets: Sequence[str] = ()


INTENSITIES: Final[Mapping[str, Intensity]] = {
    "gentle": Intensity(15.0, 5.0, ("one", "minority", "one-way", "primaries")),
    "default": Intensity(10.0, None),
    "brutal": Intensity(3.0, 6.0),
}
"""Gentle: one at a time, with time to recover, and a majority that is left alone. Brutal: two or
three in force at once."""


def is_mix(words: Sequence[str]) -> bool:
    """Whether a ``--nemesis`` names a mix."""
    return any(word in WORDS for word in words)


def default_of(option: Option, intensity: str) -> Any:
    """What an option of a fault is where nobody says it: of targets, those of the intensity."""
    targets = INTENSITIES[intensity].targets
    if not targets or not option.name.endswith("_targets") or not isinstance(option.default, str):
        return option.default
    words = [word for word in option.default.split(",") if word in targets]
    return ",".join(words) or option.default


def paced(
    table: Mapping[str, Any], intensity: str, faults: int, time_limit_s: float, *, fits: bool
) -> tuple[float, float | None]:
    """Interval and duration: as ``table`` says, else those of the intensity.

    With ``fits`` an interval that nobody asked for is so short that each of so many ``faults`` has
    its turn within the time limit.
    """
    wanted = INTENSITIES[intensity]
    interval_s = wanted.interval_s
    if fits and faults:
        room_s = math.floor((time_limit_s - LEAST_BITE_S) / faults * 10) / 10
        interval_s = max(LEAST_INTERVAL_S, min(interval_s, room_s))
    given_s, lasts_s = table.get("nemesis_interval"), table.get("nemesis_duration")
    is_own = given_s is None and lasts_s is None
    return (
        interval_s if given_s is None else float(given_s),
        wanted.duration_s if is_own else lasts_s,
    )


def expanded(
    words: Sequence[str],
    registry: Registry,
    system: System,
    request: Request,
    seed: int,
    most: int,
) -> tuple[str, ...]:
    """The faults that a ``--nemesis`` with a mix means; ``most`` is how many a random one may have.

    ``UsageError`` where that is none, with why.
    """
    refused = {word.removeprefix("-") for word in words if word.startswith("-")}
    named = [word for word in words if word not in WORDS and not word.startswith("-")]
    reasons: dict[str, str] = {}
    pool = [
        name
        for name in _survived(registry, system, request, reasons)
        if name not in refused and name not in named
    ]
    if not pool and not named:
        why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise UsageError(f"--nemesis {','.join(words)}: no fault is possible here ({why})")
    if RANDOM in words and ALL not in words:
        rng = Random(f"polygraph mix {seed}")
        count = rng.randint(1, max(1, min(len(pool), most - len(named))))
        pool = sorted(rng.sample(pool, min(count, len(pool))))
    return (*named, *pool)


def _survived(
    registry: Registry, system: System, request: Request, reasons: dict[str, str]
) -> Iterator[str]:
    """Every fault that is possible and survived; why the others are not goes into ``reasons``."""
    chosen = providers.choose(request)
    not_survived = system.not_survived() if isinstance(system, Survives) else {}
    for name, found in sorted(registry.usable("nemeses").items()):
        fault = found.factory(defaults_of(found.factory))
        if isinstance(fault, Damages) and fault.damages:
            reasons[name] = "it destroys data: by name only"
        elif name in not_survived:
            reasons[name] = not_survived[name]
        elif (why := _refusal(fault, system, chosen)) is not None:
            reasons[name] = why
        else:
            yield name


def _stand_in(provider: str) -> Any:
    """What has every ability of a cluster of that provider, and refuses nothing by itself.

    So a fault that is asked tells what the system does not allow; what this machine does not, it
    tells when there is a cluster.
    """
    names = {
        name
        for ability in ABILITIES.get(provider, ())
        for name in vars(ability)
        if not name.startswith("_")
    }
    return type("StandIn", (), {name: lambda self, *rest: None for name in names})()


def _refusal(fault: Any, system: System, request: Request) -> str | None:
    """Why a fault is not possible, as far as that is known before there is a cluster."""
    cluster = _stand_in(request.provider)
    cluster.provider, cluster.nodes = request.provider, []
    needs = fault.needs if isinstance(fault, HasNeeds) else ()
    missing = [need for need in of_systems(needs) if not isinstance(system, need)]
    if request.provider in ABILITIES:
        missing += lacking(needs, request.provider)
    if missing:
        return f"it needs {', '.join(each.__name__ for each in missing)}"
    try:
        fault.plan(request.nodes, Random(0))
        refusal: str | None = fault.refusal(cluster, system)
    except PolygraphError as error:
        return error.message
    return refusal
