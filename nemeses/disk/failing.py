"""Disk: a node's disk is full, may only be read, is slow, or fails some calls.

What the disk of a database does when it does not simply work: the database may go on, may answer
with errors, or may end itself, which is what many do when a sync fails; it must not lose what it
acknowledged, nor answer wrongly. Its ends while its disk fails are excused; when it is healed what
ended is started again.

It takes a disk of its own for each node (``Disk``). Proof of bite are calls of ours through the
kernel that fail with just that error, or take that long, and calls of the system's own that met the
same; that of healing are calls of ours that work. Several on one node hold beside each other.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Final
from weakref import WeakKeyDictionary

from harness.contract.fault import Effects, Proof, Stage
from harness.contract.node import Cluster, Disk
from harness.contract.option import SystemOption
from harness.contract.roles import Role
from harness.contract.system import System
from harness.errors import UsageError, unknown_name
from nemeses.disk.disks import disk_of, no_disks
from nemeses.process.starting import attempt_all, raise_all, runs_again, start_again
from nemeses.targets import (
    PRIMARIES,
    TARGETS,
    Aim,
    check_roles,
    choices,
    no_processes,
    plan_targets,
    resolve_targets,
)

_BEHAVIOURS, _TARGETS = "disk_behaviors", "disk_targets"
FULL, READ_ONLY, SLOW, ERRORS = "full", "read-only", "slow", "errors"
DEFAULTS: Final[Mapping[str, float | None]] = {
    FULL: None,
    READ_ONLY: None,
    SLOW: 0.2,
    ERRORS: 0.2,
}
"""What a disk does, to its figure by default: seconds that a sync takes, the share that fails."""

_TRIES: Final = {FULL: 3, READ_ONLY: 3, SLOW: 3, ERRORS: 20}
_ERROR: Final = {FULL: "28", READ_ONLY: "30", ERRORS: "5"}
_CALLS: Final = {
    FULL: ("write", "change"),
    READ_ONLY: ("write", "change"),
    SLOW: ("sync",),
    ERRORS: ("read", "write", "sync"),
}


@dataclass(frozen=True)
class Failure:
    """One of :data:`DEFAULTS`, with its figure: ``slow=0.2``."""

    word: str
    figure: float | None

    @classmethod
    def of(cls, text: str, flag: str) -> Failure:
        """From ``slow`` or ``slow=0.5``; ``UsageError``."""
        word, is_given, told = text.partition("=")
        if word not in DEFAULTS:
            raise UsageError(f"{flag}: {unknown_name('behaviour of disks', word, tuple(DEFAULTS))}")
        if not is_given:
            return cls(word, DEFAULTS[word])
        try:
            figure = float(told)
        except ValueError:
            figure = -1.0
        most = {SLOW: 10.0, ERRORS: 1.0}.get(word, 0.0)
        if not 0 < figure <= most:
            takes = f"above 0 and at most {most:g}" if most else "none"
            raise UsageError(f"{flag} {text}: {word} takes a figure {takes}", f"{flag} {word}")
        return cls(word, figure)

    def __str__(self) -> str:
        return self.word if self.figure is None else f"{self.word}={self.figure:g}"

    def rule(self) -> dict[str, Any]:
        """As a disk takes it."""
        does: dict[str, dict[str, Any]] = {
            FULL: {"full": True},
            READ_ONLY: {"read_only": True},
            SLOW: {"delay_s": self.figure},
            ERRORS: {"error": self.figure},
        }
        return {"calls": list(_CALLS[self.word]), **does[self.word]}

    def shows(self, trial: Mapping[str, Any], beside: Sequence[Failure]) -> bool:
        """Whether calls of ours met it, or what others hold on the same disk in its place."""
        if self.word == SLOW:
            return bool(trial["sync"]["median_s"] >= (self.figure or 0.0))
        numbers = {_ERROR[each.word] for each in (self, *beside) if each.word in _ERROR}
        return any(numbers & set(trial[call]["errors"]) for call in _CALLS[self.word])


class Failing:
    """Disks that fail, on targets that run; healed by disks that work, and a start."""

    name = "disk"
    needs_processes = True
    needs = (Disk,)
    options = (
        SystemOption(
            name=_BEHAVIOURS,
            kind=str,
            default=",".join(DEFAULTS),
            help=f"what disks do: a list of {', '.join(DEFAULTS)}, the last two with a figure if"
            " wanted: slow=0.5 (seconds a sync takes), errors=0.1 (share of reads, writes, syncs)",
        ),
        SystemOption(
            name=_TARGETS,
            kind=str,
            default=",".join(TARGETS),
            help=f"whose disks: a list of {', '.join(TARGETS)}, or alpha:one for the role alpha",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        given = options.get(_BEHAVIOURS) or ",".join(DEFAULTS)
        words = given.split(",") if isinstance(given, str) else list(given)
        flag = "--" + _BEHAVIOURS.replace("_", "-")
        self._failures = [Failure.of(word.strip(), flag) for word in words if word.strip()]
        if not self._failures:
            raise UsageError(f"{flag} is empty", f"one or more of {','.join(DEFAULTS)}")
        self._words = choices(options, _TARGETS, TARGETS, "target", roles=True)

    def aim(self, roles: Sequence[Role]) -> None:
        """Refuses roles that there are not."""
        check_roles(self._words, _TARGETS, roles)

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Where nodes have no disks of their own, or nothing runs there."""
        return no_processes(system) or no_disks(cluster)

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """What, and to whom."""
        return {
            "behaviour": str(rng.choice(self._failures)),
            **plan_targets(self._words, nodes, rng),
        }

    def resolves_late(self, plan: Mapping[str, Any]) -> bool:
        """Where the disks of the leaders are meant."""
        return Aim.of(plan["target"]).word == PRIMARIES

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """The targets that run now, and their processes."""
        targets, detail = resolve_targets(plan, stage)
        what = f"disks of {' '.join(targets)}: {plan['behaviour']}"
        return targets, {**detail, "behaviour": plan["behaviour"], "what": what}

    def effects(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Effects:
        """Disks that fail calls, unless they are merely slow."""
        is_slow = _failure(detail).word == SLOW
        return Effects() if is_slow else Effects(fails_disk=tuple(targets))

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Give each disk its rule, beside those that it has."""
        held = _held_on(stage)
        failure = _failure(detail)
        steps = {
            (node, ""): partial(held.hold, stage, node, _key(detail), failure) for node in targets
        }
        raise_all(attempt_all(steps))

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether, on each disk, calls of ours meet it, and calls of the system's did."""
        failure, key, held = _failure(detail), _key(detail), _held_on(stage)
        shown, met = [], {}
        for node in targets:
            told = disk_of(stage, node).try_disk(_TRIES[failure.word])
            met[node] = told["met"].get(key, 0)
            trial = told["trial"]
            if trial is not None and failure.shows(trial, held.beside(node, key)):
                shown.append(node)
        reached = [node for node in targets if met[node]]
        return Proof(
            holds=bool(targets) and set(shown) == set(targets) == set(reached),
            what=f"{failure} met calls of ours on {len(shown)} of {len(targets)} disks, and"
            f" {sum(met.values())} calls of the system's, on {len(reached)}",
            figures={"met": met},
        )

    def heal(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Take the rule away from each disk, then start what ended."""
        held = _held_on(stage)
        steps = {(node, ""): partial(held.drop, stage, node, _key(detail)) for node in targets}
        raise_all(attempt_all(steps))
        start_again(stage, detail)

    def healed(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether calls of ours work on each disk, and everything runs."""
        failure, held = _failure(detail), _held_on(stage)
        works = []
        for node in targets:
            trial = disk_of(stage, node).try_disk(3)["trial"]
            beside = held.beside(node, _key(detail))
            left = any(each.word == failure.word for each in beside)
            if left or (trial is not None and not failure.shows(trial, ())):
                works.append(node)
        runs = runs_again(stage, targets, detail)
        return Proof(
            holds=len(works) == len(targets) and runs.holds,
            what=f"{len(works)} of {len(targets)} disks work; {runs.what}",
            figures=runs.figures,
        )


class Held:
    """The failures that occurrences hold on the disks of one cluster."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, dict[str, Failure]] = {}

    def hold(self, stage: Stage, node: str, key: str, failure: Failure) -> None:
        """One more on a disk."""
        with self._lock:
            self._held.setdefault(node, {})[key] = failure
            self._tell(stage, node)

    def drop(self, stage: Stage, node: str, key: str) -> None:
        """One less, if it is held. Safe twice."""
        with self._lock:
            if self._held.get(node, {}).pop(key, None) is not None:
                self._tell(stage, node)

    def beside(self, node: str, key: str) -> list[Failure]:
        """What others hold there."""
        with self._lock:
            return [each for of, each in self._held.get(node, {}).items() if of != key]

    def _tell(self, stage: Stage, node: str) -> None:
        rules = {key: failure.rule() for key, failure in self._held[node].items()}
        disk_of(stage, node).set_disk(rules)


_OF_CLUSTERS: WeakKeyDictionary[Cluster, Held] = WeakKeyDictionary()
_LOCK = threading.Lock()


def _held_on(stage: Stage) -> Held:
    with _LOCK:
        return _OF_CLUSTERS.setdefault(stage.cluster, Held())


def _failure(detail: Mapping[str, Any]) -> Failure:
    return Failure.of(detail["behaviour"], "behaviour")


def _key(detail: Mapping[str, Any]) -> str:
    return str(detail.get("occurrence", -1))


NEMESES = {"disk": Failing}
