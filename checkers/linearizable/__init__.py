"""Linearizability: does one order explain every answer?

- :mod:`register_models`, :mod:`object_models`   what there is: registers; locks, queues, sets,
  one's own
- :mod:`object_answers`   what asks and what answers, what nil means, which shapes are refused
- :mod:`register_entries`, :mod:`register_columns`, :mod:`object_entries`   from a history to
  intervals, key by key
- :mod:`zones`, :mod:`zone_columns`, :mod:`containers`   near-linear rules for distinct values
- :mod:`search_problem`, :mod:`key_problems`   what every exact search is given
- :mod:`frontier`, :mod:`sweep`, :mod:`wgl`   exact searches: plain, compiled, depth first
- :mod:`search`, :mod:`judge_registers`, :mod:`judge_objects`   who decides what, in which order
- :mod:`minimal`, :mod:`attempts`   the few operations that have no order by themselves
- :mod:`explain`, :mod:`narrator`   the proof in words
- :mod:`lost_writes`   what a run acknowledged and has no longer
- :mod:`checker`   the checker itself
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from checkers.linearizable.checker import Linearizable
from checkers.linearizable.object_models import OBJECTS
from checkers.linearizable.register_models import MODELS
from harness.verdict.verdict import Checker

_Factory = Callable[[Mapping[str, Any]], Checker]


def _judge_of(model: Any, name: str) -> _Factory:
    factory = partial(Linearizable, model=model)
    factory.line = _LINES[name]  # type: ignore[attr-defined]
    return factory


_LINES: Final[Mapping[str, str]] = {
    "register": "a linearizable register",
    "cas-register": "a linearizable register with compare-and-set",
    "multi-register": "linearizable registers, several read or written at once",
    "kv": "a linearizable map with get, put and append",
    "mutex": "a linearizable lock, whoever gives it back",
    "owner-mutex": "a linearizable lock that only its holder gives back",
    "reentrant-mutex": "a linearizable lock that its holder may take again",
    "fenced-mutex": "a linearizable lock whose tokens rise",
    "linearizable-set": "a linearizable set",
    "fifo-queue": "a linearizable queue, first in, first out",
    "unordered-queue": "a linearizable queue without order",
    "stack": "a linearizable stack, last in, first out",
    "linearizable-counter": "a linearizable counter",
}

CHECKERS: Final[Mapping[str, _Factory]] = {
    Linearizable.name: Linearizable,
    **{name: _judge_of(model, name) for name, model in {**MODELS, **OBJECTS}.items()},
}
"""``linearizable`` takes its model from header or options; the models' own names fix it."""

__all__ = ["CHECKERS", "Linearizable"]
