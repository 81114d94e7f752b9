"""Names of consistency models, so that a misspelt claim is refused and not judged against.

A verdict compares the models that an anomaly rules out with the models claimed, by name. An
unknown name would match nothing and turn every violation into "not claimed". The names are
Elle's friendly ones (jepsen-io/elle, consistency_model.clj); Adya's (``PL-3``) and Elle's second
names for the same model are accepted and replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from harness.errors import UsageError, unknown_name

MODELS: Final = (
    "read-uncommitted",
    "read-committed",
    "cursor-stability",
    "monotonic-view",
    "monotonic-snapshot-read",
    "monotonic-atomic-view",
    "read-atomic",
    "update-atomic",
    "causal-cerone",
    "prefix",
    "parallel-snapshot-isolation",
    "consistent-view",
    "forward-consistent-view",
    "update-serializable",
    "repeatable-read",
    "snapshot-isolation",
    "view-serializable",
    "serializable",
    "strong-session-read-uncommitted",
    "strong-session-read-committed",
    "strong-session-snapshot-isolation",
    "strong-session-serializable",
    "strong-read-uncommitted",
    "strong-read-committed",
    "strong-snapshot-isolation",
    "strict-serializable",
    "session-serializable",
    "1SR",
    "causal",
    "PRAM",
    "writes-follow-reads",
    "monotonic-reads",
    "monotonic-writes",
    "read-your-writes",
    "sequential",
    "linearizable",
)

SYNONYMS: Final[Mapping[str, str]] = {
    "PL-1": "read-uncommitted",
    "PL-2": "read-committed",
    "PL-CS": "cursor-stability",
    "PL-2L": "monotonic-view",
    "PL-MSR": "monotonic-snapshot-read",
    "PL-2+": "consistent-view",
    "PL-FCV": "forward-consistent-view",
    "PL-3U": "update-serializable",
    "PL-2.99": "repeatable-read",
    "PL-SI": "snapshot-isolation",
    "PL-3": "serializable",
    "conflict-serializable": "serializable",
    "PL-SS": "strict-serializable",
    "strong-serializable": "strict-serializable",
    "strong-session-PL-1": "strong-session-read-uncommitted",
    "strong-session-PL-2": "strong-session-read-committed",
    "strong-PL-1": "strong-read-uncommitted",
    "strong-PL-2": "strong-read-committed",
}


def known_models(names: Iterable[str]) -> tuple[str, ...]:
    """The models under their usual names; ``UsageError`` with the nearest for an unknown one."""
    models = tuple(SYNONYMS.get(name, name) for name in names)
    for model in models:
        if model not in MODELS:
            raise UsageError(unknown_name("consistency model", model, MODELS))
    return models
