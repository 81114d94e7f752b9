"""One fault or action, from its arming to its end.

*Arming* resolves the plan and has the intention on disk; *firing* does it. Mostly one follows on
the other, but what waits for a moment (a milestone) is armed ahead, so that the moment finds all
done that can be done before. An armed one that never fires is disarmed, and the ledger says so.

Each step is in the ledger before it is taken. Whether a fault bites is measured again and again by
a thread of its own, from the injection until the heal, because a cut bites only when the database
runs into it; other faults need not wait for that. What fails is written down with its phase
(``inject``, ``bite``, ``heal`` or ``act``) and its reason, and an injection that is not proved
healed stays open, to be healed again at the end of the run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.contract.action import Action, Outcome
from harness.contract.fault import Fault, HasEffects, Prepares, Proof, Shot, Stage
from harness.errors import PolygraphError, StoreError
from harness.history.effects import KEY as EFFECTS
from harness.history.ledger import (
    ARMED,
    BIT,
    DISARMED,
    DONE,
    FAILED,
    HEAL,
    HEALED,
    INJECTED,
    MOMENTARY,
    REFUSED,
    SHOT_NS,
    Ledger,
)
from harness.wording import named

FIRST_POLL_S = 0.005
"""A bite is looked for so soon after the first look, then ever more patiently."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How patient the nemesis is, in seconds.

    ``poll_s`` between two measurements, ``heal_s`` for a heal to show, ``call_s`` for one whole
    step (an injection, a heal) to return.
    """

    poll_s: float = 0.1
    heal_s: float = 10.0
    call_s: float = 60.0


@dataclass(eq=False)
class Attempt:
    """What faults and actions have in common. Every method blocks: worker threads only.

    ``busy`` is held by whoever takes a step; all but :meth:`disarm` want it held.
    """

    what: Fault | Action
    stage: Stage
    ledger: Ledger
    limits: Limits
    occurrence: int
    busy: threading.Lock = field(default_factory=threading.Lock)
    id: int | None = None
    targets: list[str] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The word given to ``--nemesis``."""
        return self.what.name

    def arm(self, plan: Mapping[str, Any], *, is_ahead: bool = False) -> None:
        """Resolve and write the intention down; ``is_ahead`` if it is not fired at once.

        Raises what the fault raises. Nothing may be done if the ledger cannot be written.
        """
        self.targets, detail = self.what.resolve(plan, self.stage)
        self.detail = self._completed(detail, is_ahead=is_ahead)
        self.id = self.ledger.intend(self.name, self.targets, self.detail)

    def is_current(self, plan: Mapping[str, Any]) -> bool:
        """Whether arming it now would give the same targets and the same detail."""
        targets, detail = self.what.resolve(plan, self.stage)
        return targets == self.targets and self._completed(detail, is_ahead=True) == self.detail

    def disarm(self, why: str) -> None:
        """It is never fired: nothing was done, and the ledger says so."""
        if self.id is not None:
            self._note(DISARMED, {"why": why})
            self.id = None

    def _completed(self, detail: Mapping[str, Any], *, is_ahead: bool) -> dict[str, Any]:
        more: dict[str, Any] = {"occurrence": self.occurrence, EFFECTS: self._effects(detail)}
        if is_ahead:
            more[ARMED] = True
        return {**detail, **more}

    def _effects(self, detail: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the fault says that it will do; ``None`` if it says nothing."""
        if not isinstance(self.what, HasEffects):
            return None
        return self.what.effects(self.stage, self.targets, detail).as_json()

    def _note_fire(self) -> Callable[[], None]:
        """Say in the ledger that what was armed is fired; call what is returned after that."""
        try:
            if self.detail.get(ARMED) and self.id is not None:
                return self.ledger.fire(self.id)
        except StoreError as error:
            self.trouble.append(said(error))
        return lambda: None

    def _note(self, event: str, detail: Mapping[str, Any]) -> None:
        """Record, and go on if that fails: a full disk must not keep a fault from its heal."""
        assert self.id is not None
        try:
            self.ledger.record(self.id, event, detail)
        except StoreError as error:
            self.trouble.append(said(error))

    def __str__(self) -> str:
        """``partition of n1 n2``."""
        return f"{self.name} of {' '.join(self.targets) or 'nobody'}"


@dataclass(eq=False)
class Injection(Attempt):
    """One fault in force, or on its way in or out."""

    has_bitten: bool = False
    is_healed: bool = False
    shot: Shot | None = None
    _shot_ns: int | None = None
    _misfire: BaseException | None = None
    _ending: threading.Event = field(default_factory=threading.Event)
    _watcher: threading.Thread | None = None

    @property
    def fault(self) -> Fault:
        """The fault that is injected."""
        assert not isinstance(self.what, Action)
        return self.what

    def disarm(self, why: str) -> None:
        """It is never fired: nothing was done, and the ledger says so."""
        super().disarm(why)
        self.is_healed = True

    def arm(self, plan: Mapping[str, Any], *, is_ahead: bool = False) -> None:
        """As any attempt; what is armed ahead is made ready besides, where the fault can do so."""
        super().arm(plan, is_ahead=is_ahead)
        if is_ahead:
            self.prepare()

    def prepare(self) -> None:
        """Make the injection ready for :meth:`shoot`, as the cluster is now. May be repeated."""
        if isinstance(self.fault, Prepares):
            self.shot = self.fault.prepare(self.stage, self.targets, self.detail)

    def shoot(self) -> None:
        """Fire what was made ready, at once: nobody is waited for. :meth:`fire` does the rest."""
        assert self.shot is not None
        tell = self._note_fire()
        try:
            self.shot.fire()
        except BaseException as error:  # whatever a plug-in raises
            self._misfire = error
        self._shot_ns = self.ledger.now()
        tell()

    def fire(self) -> None:
        """Inject what was armed, and begin to watch for the bite. Raises what the fault raises."""
        if self._shot_ns is None:
            self._note_fire()()
        try:
            if self._shot_ns is None:
                self.fault.inject(self.stage, self.targets, self.detail)
            elif self._misfire is not None:
                raise self._misfire
            elif self.shot is not None:
                self.shot.settle()
        except BaseException as error:  # whatever a plug-in raises
            self._note(FAILED, {"phase": "inject", "why": said(error)})
            raise
        self._watcher = threading.Thread(
            target=self._watch, name=f"bite-of-{self.name}-{self.id}", daemon=True
        )
        shot = {} if self._shot_ns is None else {SHOT_NS: self._shot_ns}
        self._note(INJECTED, {**self.detail, **shot})
        self._watcher.start()

    def end(self) -> str | None:
        """Heal and prove it; why it is not healed, or ``None`` if it is. May be called again."""
        if self.is_healed or self.id is None:
            self.is_healed = True
            return None
        self._ending.set()
        if self._watcher is not None:
            self._watcher.join(self.limits.call_s)
        self._note(HEAL, {})
        failure = self._heal()
        proof, why = self._measure_healed(0.0 if failure else self.limits.heal_s)
        if proof is not None and proof.holds:
            self._note(HEALED, {"proof": as_json(proof), **({"error": failure} if failure else {})})
            self.is_healed = True
            return None
        why = f"{failure}; {why}" if failure else why
        self._note(FAILED, {"phase": "heal", "why": why})
        return why

    def troubled(self, node: str, why: str) -> None:
        """What was done to a node may not be in force any more, by no heal: the ledger says so."""
        cuts = (self.detail.get(EFFECTS) or {}).get("cuts") or {}
        if self.id is not None and not self.is_healed and node in {*self.targets, *cuts}:
            self._note(FAILED, {"phase": "in force", "node": node, "why": why})

    def _heal(self) -> str | None:
        try:
            self.fault.heal(self.stage, self.targets, self.detail)
        except Exception as error:
            return said(error)
        return None

    def _measure_healed(self, limit_s: float) -> tuple[Proof | None, str]:
        """Measure until the proof holds or ``limit_s`` is over: the last proof, and in words."""
        deadline = time.monotonic() + limit_s
        while True:
            proof, why = None, ""
            try:
                proof = self.fault.healed(self.stage, self.targets, self.detail)
                why = proof.what
            except Exception as error:
                why = said(error)
            if (proof is not None and proof.holds) or time.monotonic() >= deadline:
                return proof, why
            threading.Event().wait(self.limits.poll_s)

    def _watch(self) -> None:
        """Measure the bite until it holds; the last measurement comes just before the heal."""
        pause_s = FIRST_POLL_S
        while True:
            is_last = self._ending.is_set()
            figures: Mapping[str, Any] = {}
            try:
                proof = self.fault.bit(self.stage, self.targets, self.detail)
                why, figures = proof.what, proof.figures
                if proof.holds:
                    self.has_bitten = True
                    self._note(BIT, {"proof": as_json(proof)})
                    return
            except Exception as error:
                why = said(error)
            if is_last:
                self._note(FAILED, {"phase": "bite", "why": why, "figures": dict(figures)})
                return
            self._ending.wait(min(pause_s, self.limits.poll_s))
            pause_s *= 2


@dataclass(eq=False)
class Deed(Attempt):
    """One action that is done, or on its way."""

    outcome: Outcome | None = None

    @property
    def action(self) -> Action:
        """What is done."""
        assert isinstance(self.what, Action)
        return self.what

    def fire(self) -> None:
        """Do what was armed. Raises what the action raises."""
        self._note_fire()()
        try:
            self.outcome = self.action.act(self.stage, self.targets, self.detail)
        except BaseException as error:  # whatever a plug-in raises
            self._note(FAILED, {"phase": "act", "why": said(error)})
            raise
        outcome = self.outcome
        told = {"what": outcome.what, "figures": dict(outcome.figures)}
        self._note(DONE if outcome.is_done else REFUSED, told)

    def _completed(self, detail: Mapping[str, Any], *, is_ahead: bool) -> dict[str, Any]:
        completed = {**super()._completed(detail, is_ahead=is_ahead), MOMENTARY: True}
        if completed[EFFECTS] is None:  # one that declares none has none
            del completed[EFFECTS]
        return completed


def said(error: BaseException) -> str:
    """What went wrong in words: our own errors as they are, others with their type."""
    if isinstance(error, PolygraphError):
        return error.message
    return named(error)


def as_json(proof: Proof) -> dict[str, Any]:
    """A proof for ledger and history."""
    return {"what": proof.what, "figures": dict(proof.figures)}
