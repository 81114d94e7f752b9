"""Linearizability of registers: does one order explain every answer?

- :mod:`models`    what the objects can do
- :mod:`entries`   from a history to intervals and value numbers, key by key
- :mod:`zones`     near-linear decision where each value was made once
- :mod:`frontier`  exact search for all others
- :mod:`minimal`   the few operations that have no order by themselves
- :mod:`explain`, :mod:`prose`   the proof in words
- :mod:`checker`   the checker itself
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from checkers.linearizable.checker import Linearizable
from checkers.linearizable.models import MODELS
from checkers.linearizable.objects import OBJECTS
from harness.history.verdict import Checker

CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {
    Linearizable.name: Linearizable,
    **{name: partial(Linearizable, model=model) for name, model in MODELS.items()},
    **{name: partial(Linearizable, model=model) for name, model in OBJECTS.items()},
}
"""``linearizable`` takes its model from header or options; the models' own names fix it."""

__all__ = ["CHECKERS", "Linearizable"]
