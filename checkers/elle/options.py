"""What a checker of transactions is asked: which models, which anomalies, how long to search.

Names of options are Elle's with ``_`` for ``-``; the models come from ``consistency_models``,
else from the claims (``polygraph check -c``, or the history's header), else they are
``strict-serializable``, as Elle's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from checkers.elle.models import (
    EXISTENCE,
    PROCESS_CYCLES,
    REALTIME_CYCLES,
    anomalies_implying,
    canonical,
    implied_models,
    prohibited,
    stronger_models,
)
from harness.history.operation import Header

DEFAULT_MODELS: Final = ("strict-serializable",)
SEARCH_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """``consistency_models`` are expected to hold; ``anomalies`` must not be found besides.

    ``cycle_search_timeout_s`` is for each component of the graph; ``additional_graphs`` out of
    ``process`` and ``realtime`` are taken in even where no model asked for needs them;
    ``directory`` is where pictures go, if anywhere.
    """

    consistency_models: tuple[str, ...] = DEFAULT_MODELS
    anomalies: tuple[str, ...] = ()
    cycle_search_timeout_s: float = SEARCH_TIMEOUT_S
    additional_graphs: frozenset[str] = frozenset()
    directory: Path | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any], header: Header) -> Options:
        """The options of a checker, with the history's header for what they leave open."""
        models = options.get("consistency_models") or options.get("claims") or header.claims
        timeout_ms = options.get("cycle_search_timeout")
        directory = options.get("directory")
        return cls(
            consistency_models=_names(models) or DEFAULT_MODELS,
            anomalies=_names(options.get("anomalies")),
            cycle_search_timeout_s=SEARCH_TIMEOUT_S if timeout_ms is None else timeout_ms / 1e3,
            additional_graphs=frozenset(_names(options.get("additional_graphs"))),
            directory=Path(directory) if directory else None,
        )

    @property
    def prohibited(self) -> frozenset[str]:
        """Anomalies that break what was asked for."""
        return anomalies_implying(self.anomalies) | prohibited(self.consistency_models)

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
        return [
            model
            for model in self.consistency_models
            if canonical(model) not in out and not stronger_models([model]) & proved
        ]

    def orders(self) -> frozenset[str]:
        """Which of ``process`` and ``realtime`` order the graph needs."""
        found = set(self.additional_graphs)
        reported = self.prohibited
        if reported & REALTIME_CYCLES or self._needs_realtime():
            found.add("realtime")
        elif reported & PROCESS_CYCLES:
            found.add("process")
        return frozenset(found)

    def _needs_realtime(self) -> bool:
        """Whether some model can only be proved by strict serializability."""
        plain = implied_models(["strong-session-serializable"])
        return any(canonical(model) not in plain for model in self.consistency_models)


def _names(found: Any) -> tuple[str, ...]:
    """Names from a list or from text with commas."""
    if not found:
        return ()
    if isinstance(found, str):
        return tuple(part.strip() for part in found.split(",") if part.strip())
    return tuple(found)
