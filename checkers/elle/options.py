"""What a checker of transactions is asked: which models, which anomalies, how long to search.

Names of options are Elle's with ``_`` for ``-``; the models come from ``consistency_models``,
else from the claims (``polygraph check -c``, or the history's header), else they are
``strict-serializable``, as Elle's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from checkers.proof.models import (
    BESIDE,
    EXISTENCE,
    IN_NO_HISTORY,
    PROCESS_CYCLES,
    REALTIME_CYCLES,
    anomalies_implying,
    canonical,
    friendly,
    implied_models,
    impossible,
    prohibited,
    stronger_models,
)
from harness.history.intakes import is_timed
from harness.history.operation import Header
from harness.verdict.verdict import Verdict

DEFAULT_MODELS: Final = ("strict-serializable",)
UNTIMED_DEFAULT: Final = ("strong-session-serializable",)
OF_SESSIONS: Final = {
    "PL-1": "strong-session-read-uncommitted",
    "PL-2": "strong-session-read-committed",
    "PL-SI": "strong-session-snapshot-isolation",
    "PL-3": "strong-session-serializable",
}
"""What those who write sessions without times mean by a model: there the order of a session counts
everywhere (Biswas & Enea 2019, and AWDIT, Plume, PolySI, IsoVista after them)."""
WITHOUT_TIMES: Final = implied_models(UNTIMED_DEFAULT)
"""Models that can be told without times."""
SEARCH_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """``consistency_models`` are expected to hold; ``anomalies`` must not be found besides.

    ``cycle_search_timeout_s`` is for each component of the graph; ``additional_graphs`` out of
    ``process`` and ``realtime`` are taken in even where no model asked for needs them;
    ``directory`` is where pictures go, if anywhere. Where histories are not ``timed``, only the
    order of each process is known, and the models are those :data:`OF_SESSIONS`.
    """

    consistency_models: tuple[str, ...] = DEFAULT_MODELS
    anomalies: tuple[str, ...] = ()
    cycle_search_timeout_s: float = SEARCH_TIMEOUT_S
    additional_graphs: frozenset[str] = frozenset()
    directory: Path | None = None
    timed: bool = True
    realtime: bool = True
    """Whether anything is known of real time: not where no invocation was recorded."""
    asked: tuple[str, ...] = ()
    """The models as they were asked for."""
    named: bool = True
    """Whether they were: else they are what is usual."""

    @classmethod
    def of(cls, options: Mapping[str, Any], header: Header) -> Options:
        """The options of a checker, with the history's header for what they leave open."""
        models = options.get("consistency_models") or options.get("claims") or header.claims
        timeout_ms = options.get("cycle_search_timeout")
        directory = options.get("directory")
        timed = is_timed(header)
        asked = _names(models) or (DEFAULT_MODELS if timed else UNTIMED_DEFAULT)
        named = bool(_names(models))
        return cls(
            consistency_models=asked if timed else tuple(map(of_sessions, asked)),
            timed=timed,
            asked=asked,
            named=named,
            anomalies=_names(options.get("anomalies")),
            cycle_search_timeout_s=SEARCH_TIMEOUT_S if timeout_ms is None else timeout_ms / 1e3,
            additional_graphs=frozenset(_names(options.get("additional_graphs"))),
            directory=Path(directory) if directory else None,
        )

    def without_realtime(self) -> Options:
        """These for a history of completions alone, of which only processes have an order."""
        if self.named or not self.timed:
            return replace(self, realtime=False)
        models = UNTIMED_DEFAULT
        return replace(self, realtime=False, consistency_models=models, asked=models)

    @property
    def reading_proves(self) -> bool:
        """Whether what was read was committed, if the models asked for hold."""
        return "PL-2" in implied_models(self.consistency_models)

    @property
    def prohibited(self) -> frozenset[str]:
        """Anomalies that break what was asked for."""
        beside = {kind for model in self._models for kind in BESIDE.get(model, ())}
        broken = anomalies_implying(self.anomalies) | prohibited(self.consistency_models)
        return broken | beside | IN_NO_HISTORY

    @property
    def _models(self) -> frozenset[str]:
        return frozenset(map(canonical, self.consistency_models))

    def fallen(self, found: Iterable[str]) -> tuple[str, ...]:
        """Models asked for that the anomalies ``found`` break and that no lattice says so of."""
        kinds = set(found)
        always = bool(kinds & IN_NO_HISTORY)
        return tuple(
            friendly(model)
            for model in sorted(self._models - impossible(kinds))
            if always or kinds & set(BESIDE.get(model, ()))
        )

    def undecided(
        self,
        impossible: Iterable[str],
        unproved: Iterable[str] = (),
        searched: Iterable[str] = (),
    ) -> list[str]:
        """The models asked for of which the absence of anomalies proves nothing.

        A model is proved by itself if it is exactly the absence of cycles, or by a stronger one
        of that kind that is not ``impossible``, those in ``unproved`` left aside; or by one of
        ``searched``, models whose breach a search for cycles would have found.
        """
        out = frozenset(impossible)
        proved = (frozenset(EXISTENCE) | frozenset(searched)) - out - frozenset(unproved)
        proved = proved if self.timed and self.realtime else proved & WITHOUT_TIMES
        return [
            model
            for model in self.consistency_models
            if canonical(model) not in out and not stronger_models([model]) & proved
        ]

    def as_asked(self, verdict: Verdict) -> Verdict:
        """``verdict`` with models asked for among those ruled out, if what they mean here is."""
        out = {*verdict.not_, *verdict.also_not}
        more = [
            name
            for name in self.asked
            if name not in out and friendly(canonical(of_sessions(name))) in out
        ]
        if self.timed or verdict.valid is not False or not more:
            return verdict
        why = f"{verdict.why} (where no times are known, the order of sessions counts)"
        return replace(verdict, why=why, not_=(*more, *verdict.not_))

    def orders(self) -> frozenset[str]:
        """Which of ``process`` and ``realtime`` order the graph needs."""
        found = set(self.additional_graphs)
        reported = self.prohibited
        if reported & REALTIME_CYCLES or self._needs_realtime():
            found.add("realtime")
        elif reported & PROCESS_CYCLES:
            found.add("process")
        if not self.timed and "realtime" in found:
            found = found - {"realtime"} | {"process"}
        return frozenset(found)

    def _needs_realtime(self) -> bool:
        """Whether some model can only be proved by strict serializability."""
        plain = implied_models(["strong-session-serializable"])
        return any(canonical(model) not in plain for model in self.consistency_models)


def of_sessions(model: str) -> str:
    """The model that ``model`` means where only sessions are known."""
    return OF_SESSIONS.get(canonical(model), model)


def _names(found: Any) -> tuple[str, ...]:
    """Names from a list or from text with commas."""
    if not found:
        return ()
    if isinstance(found, str):
        return tuple(part.strip() for part in found.split(",") if part.strip())
    return tuple(found)
