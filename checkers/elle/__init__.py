"""Transactional isolation after Elle: which consistency models does a history still allow?

Kingsbury & Alvaro, *Elle: Inferring Isolation Anomalies from Experimental Observations* (VLDB
2020), over Adya, *Weak Consistency* (1999). From what transactions observed, dependencies
between them are inferred; a cycle of dependencies is an anomaly, and each anomaly rules out
models.

- :mod:`transactions`  from the history's columns to transactions and micro-operations
- :mod:`lists`, :mod:`registers`   dependencies of values that are lists, only appended to, and of
  registers
- :mod:`graph`         labelled edges between transactions, process and realtime order
- :mod:`existence`, :mod:`cycles`   is there a cycle, and the shortest of each type
- :mod:`decide`        the answer
- :mod:`explain`, :mod:`draw`       the proof in words and as a picture
- :mod:`analysis`      from inference to verdict, the same for every kind of value

Nothing heavy is imported until a history is judged.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from harness.verdict.verdict import Checker


def _later(module: str, name: str) -> Callable[[Mapping[str, Any]], Checker]:
    """A factory that imports the checker when one is made."""

    def factory(options: Mapping[str, Any]) -> Checker:
        checker: Checker = getattr(importlib.import_module(module), name)(options)
        return checker

    return factory


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {
    "list-append": _later("checkers.elle.lists.dependencies", "ListAppend"),
    "rw-register": _later("checkers.elle.registers.dependencies", "RwRegister"),
}
