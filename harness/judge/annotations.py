"""Annotations of a case's operations, what they say beside their values, are part of its proof.

Clients and workloads may say more of an operation than its value: the balances read again in the
same transaction, how long it was held open, the system's own timestamps, who served it. Such facts
travel as further keys of the operation, and often they are what settles whose fault a case is. So
every case shows those of its witnesses, unless its checker has done so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from harness.judge.witnesses import Witness
from harness.verdict.verdict import Anomaly, Verdict

ANNOTATIONS: Final = "beside"
"""The figure of verdict.json that holds them, by the index of their operation (as text)."""
MOST: Final = 12
"""Operations of one case whose facts are shown."""
LONGEST: Final = 300
"""Characters of the facts of one operation; longer ones are cut in words and left out as data."""
NOT_ANNOTATIONS: Final = frozenset({"exception", "error", "debug"})
"""Keys of other tools that hold traces."""


def with_annotations(verdict: Verdict, found: Mapping[int, Witness]) -> Verdict:
    """``verdict`` with the facts of its witnesses in the words and figures of each case."""
    if not any(_annotations(witness) for witness in found.values()):
        return verdict
    anomalies = {
        kind: [_annotated(case, found) for case in cases]
        for kind, cases in verdict.anomalies.items()
    }
    return replace(verdict, anomalies=anomalies)


def _annotated(case: Anomaly, found: Mapping[int, Witness]) -> Anomaly:
    if ANNOTATIONS in case.data:
        return case
    named: dict[int, dict[str, Any]] = {}
    for index in case.witness:
        if index in found:
            witness = found[index]
            first = min(index, index if witness.other is None else witness.other.index)
            named.setdefault(first, {}).update(_annotations(witness))
    facts = {index: each for index, each in named.items() if each}
    if not facts:
        return case
    shown = list(facts.items())[:MOST]
    lines = [f"Beside the value of operation {index}: {_words(each)}" for index, each in shown]
    data = {str(index): each for index, each in shown if len(_words(each)) < LONGEST}
    return replace(
        case,
        message="\n".join([case.message, *lines]),
        data={**case.data, **({ANNOTATIONS: data} if data else {})},
    )


def _annotations(witness: Witness) -> dict[str, Any]:
    """The further keys of both halves; the completion knows better."""
    halves = sorted(
        (each for each in (witness.record, witness.other) if each is not None),
        key=lambda each: each.index,
    )
    facts = {key: value for half in halves for key, value in (half.extra or {}).items()}
    return {key: value for key, value in facts.items() if key not in NOT_ANNOTATIONS}


def _words(facts: Mapping[str, Any]) -> str:
    text = ", ".join(f"{key} {json.dumps(value, default=str)}" for key, value in facts.items())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
