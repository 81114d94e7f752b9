"""The catalogue: every anomaly that our checkers name and every consistency model, explained.

``polygraph explain NAME`` shows an entry, docs/anomalies.md holds them all, and
``polygraph check --self-test`` feeds every example to the checker that it names.

- :mod:`notation`       small histories as text
- :mod:`entries`        how an entry is put together
- :mod:`cycles`, :mod:`transactions`, :mod:`objects`, :mod:`logs_and_runs`  the anomalies
- :mod:`model_entries`  the consistency models
- :mod:`sources`        the papers
- :mod:`trials`, :mod:`simulated`  what the self-test tries beside the examples
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final

from checkers.explained.cycles import CYCLE_ENTRIES
from checkers.explained.entries import Catalogue
from checkers.explained.logs_and_runs import LOG_ENTRIES, RUN_ENTRIES
from checkers.explained.model_entries import model_entries
from checkers.explained.objects import OBJECT_ENTRIES
from checkers.explained.transactions import TRANSACTION_ENTRIES
from harness.verdict.explanation import Example, Explanation

ANOMALIES: Final[Catalogue] = (
    CYCLE_ENTRIES | TRANSACTION_ENTRIES | OBJECT_ENTRIES | LOG_ENTRIES | RUN_ENTRIES
)


def breaking(model: str) -> Example | None:
    """An example that breaks ``model``, and as few other models as can be beside it."""
    found = sorted(
        (len(out), number) for number, (out, _) in enumerate(_ruled_out()) if model in out
    )
    for size, number in found:
        example = _ruled_out()[number][1]
        verdict = example.judged()
        out = {*verdict.not_, *verdict.also_not}
        if model in out and len(out) <= size:
            return example
    return None


@cache
def _ruled_out() -> tuple[tuple[frozenset[str], Example], ...]:
    """Every example that shows an anomaly under its own name, with all that this rules out."""
    found = []
    for factory in dict.fromkeys(ANOMALIES.values()):
        entry = factory()
        out = (*entry.rules_out, *entry.also_rules_out)
        for example in entry.examples:
            if entry.name in example.expects:
                if example is not entry.examples[0]:
                    verdict = example.judged()
                    out = (*verdict.not_, *verdict.also_not)
                found.append((frozenset(out), example))
    return tuple(found)


EXPLANATIONS: Final[Mapping[str, Callable[[], Explanation]]] = ANOMALIES | model_entries(breaking)


def _trials() -> Sequence[Example]:
    from checkers.explained.trials import trials

    return trials()


TRIALS: Final[Mapping[str, Callable[[], Sequence[Example]]]] = {"built in": _trials}
"""By an origin: more examples to try, of what must be found and of what must not be accused."""
