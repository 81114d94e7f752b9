"""Every order of a small history: one that explains all reads, or the proof that there is none.

:mod:`checkers.elle.registers.serial_order` looks for an order and gives up; this tries them all,
within a limit of steps (:mod:`checkers.elle.registers.exhaustive_search`). That settles (strict,
session) serializability, which is NP-complete otherwise (Papadimitriou, 1979; for few sessions:
Biswas & Enea, OOPSLA 2019), and snapshot isolation with its session and real-time forms, which
without an order of versions is no easier.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from checkers.elle.explain import Explainer, show
from checkers.elle.graph import Graph
from checkers.elle.options import Options
from checkers.elle.registers.exhaustive_search import MOST_STEPS, Search, SnapshotTrial, Trial
from checkers.elle.registers.versions import Versions
from checkers.proof.models import canonical, friendly, implied_models, stronger_models, weakest
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Anomaly, Verdict

MOST_TRANSACTIONS: Final = 2_000
MOST_SHOWN: Final = 6
NO_ORDER: Final = "no-serial-order"
NO_SNAPSHOTS: Final = "no-snapshot-order"
PROVED: Final = "an order, of all tried"

_SESSION: Final = frozenset(("process",))
_REALTIME: Final = frozenset(("realtime",))
SERIAL: Final[Mapping[str, frozenset[str]]] = {
    "PL-2.99": frozenset(),
    "view-serializable": frozenset(),
    "PL-3": frozenset(),
    "strong-session-serializable": _SESSION,
    "PL-SS": _REALTIME,
}
"""What must be kept of the recorded order, by model; none is weaker than one before it.

Without such an order, neither is there repeatable read: a graph of items without circles has one.
"""
SNAPSHOTS: Final[Mapping[str, frozenset[str]]] = {
    "PL-SI": frozenset(),
    "strong-session-snapshot-isolation": _SESSION,
    "strong-snapshot-isolation": _REALTIME,
}


def settle(
    verdict: Verdict, known: Versions, graph: Graph, options: Options, record: Record
) -> Verdict:
    """``verdict``, decided if it is open and all orders of a model that tells could be tried.

    Of the serial models, and then of those of snapshots, the strongest that is asked for, or
    follows from what is, breaks the claim if no order keeps it; the weakest from which all that
    is asked for follows proves it.
    """
    if verdict.valid != UNKNOWN or options.anomalies:
        return verdict
    if verdict.anomalies or len(known.found) > MOST_TRANSACTIONS:
        return verdict
    asked = frozenset(map(canonical, options.consistency_models))
    for kind, name, models in ((Trial, NO_ORDER, SERIAL), (SnapshotTrial, NO_SNAPSHOTS, SNAPSHOTS)):
        in_time = options.timed and options.realtime
        testable = [m for m in models if in_time or models[m] != _REALTIME]
        breaking = [model for model in testable if model in implied_models(asked)][-1:]
        proving = [model for model in testable if asked <= implied_models([model])][:1]
        for model in dict.fromkeys(breaking + proving):
            trial = kind.of(known, graph, models[model])
            if trial is None:
                continue
            search = trial.search(MOST_STEPS)
            if search.found and model in proving:
                return Verdict(valid=True, stats={**verdict.stats, "proved_by": PROVED})
            if search.found is False and model in breaking:
                proof = _proof(trial, search, Explainer(known.found, record))
                same = [other for other in models if models[other] == models[model]]
                return _broken(verdict, same, name, proof)
    return verdict


def _broken(verdict: Verdict, models: list[str], name: str, proof: Anomaly) -> Verdict:
    least = weakest(models)
    return Verdict(
        valid=False,
        why=f"{name}, which {friendly(models[-1])} forbids",
        anomalies={name: [proof]},
        not_=tuple(sorted(map(friendly, least))),
        also_not=tuple(sorted(map(friendly, stronger_models(models) - least))),
        stats=verdict.stats,
    )


def _proof(trial: Trial, search: Search, explainer: Explainer) -> Anomaly:
    """Where the longest order ends, and why nobody can go on."""
    for turn in search.longest:
        trial.go(turn)
    left = [at for at in range(len(trial.numbers)) if not trial.done >> at & 1]
    left.sort(key=lambda at: ((trial.needs[at] & ~trial.done).bit_count(), at))
    shown = left[:MOST_SHOWN]
    names = {at: f"T{number}" for number, at in enumerate(shown, 1)}
    lines = [f"  - {names[at]} {_why(trial, at, names)}." for at in shown]
    more = f" ({len(left) - len(shown)} more wait for these.)" if len(left) > len(shown) else ""
    text = (
        f"Every {trial.what.format(len(trial.numbers))} was tried; in none does each read what"
        f" the ones before it left. The longest runs {len(trial.numbers) - len(left)} of them,"
        f" and then nobody can go on:{more}"
    )
    return explainer.anomaly([trial.numbers[at] for at in shown], "\n".join([text, *lines]))


def _why(trial: Trial, at: int, names: Mapping[int, str]) -> str:
    """Why ``at`` cannot have its next turn."""
    if trial.open >> at & 1:
        return f"has started and cannot commit, because {_overwrites(trial, at, names)}"
    keys = trial.known.found.keys
    why = _overwrites(trial, at, names)
    rivals = [other for other in names if trial.stand_off(at) >> other & 1]
    missing = trial.needs[at] & ~trial.done
    for key, version in reversed(trial.reads[at]):
        if trial.store[key] != version:
            have, want = (show(trial.known.name(v)) for v in (trial.store[key], version))
            missing, rivals = 0, []
            why = f"it read key {show(keys[key])} = {want}, and that is {have} now"
    if missing:
        one = (missing & -missing).bit_length() - 1
        why = f"{_who(trial, one, names)} must come before it"
    elif rivals:
        why = f"{_who(trial, rivals[0], names)}, which writes a key that it writes, is under way"
    return f"cannot {trial.next}, because {why}"


def _overwrites(trial: Trial, at: int, names: Mapping[int, str]) -> str:
    keys = trial.known.found.keys
    for key, _ in trial.writes[at]:
        held = trial.store[key]
        for other in range(len(trial.numbers)):
            waits = other != at and not (trial.done | trial.open) >> other & 1
            if waits and (key, held) in trial.reads[other]:
                who, value = _who(trial, other, names), show(trial.known.name(held))
                return f"it overwrites key {show(keys[key])} = {value}, which {who} has yet to read"
    return "it would leave others without what they read"


def _who(trial: Trial, at: int, names: Mapping[int, str]) -> str:
    return names.get(at, f"the transaction at index {trial.known.found.index(trial.numbers[at])}")
