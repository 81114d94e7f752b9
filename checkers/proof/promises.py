"""What a claim promises of a single object: fresh reads, and that what is acknowledged lasts.

Three things decide whether an odd answer of a set, a counter or a queue breaks a promise:

- *Durability*: what was acknowledged is there for good. Every system claims that, whatever its
  isolation level, unless an option that the user set disclaims it (``not_durable`` in the header).
  A loss is what *every last read* lacks: in a run the last one on each node after all was healed
  and ready again (the phase ``final``), for a replica that lags behind shows the same as a loss
  until then. A file does not tell when that was, so there the last read stands for them all, as in
  Jepsen.
- *Freshness*: a read that lacks something for a while only is *stale*. Real time must forbid that:
  linearizability, strong snapshot isolation and whatever is stronger.
- *Dirty reads*: only read uncommitted lets one see what was refused in the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from checkers.proof.claim import claims
from checkers.proof.models import (
    MODELS,
    canonical,
    friendly,
    impossible,
    stronger_models,
    weakest,
)
from harness.history.calls import Call
from harness.verdict.record import Record

_STALE: Final = impossible(("G-single-item-realtime",)) | stronger_models(("linearizable",))
STALE_NOT: Final = tuple(sorted(map(friendly, weakest(_STALE))))
"""The weakest models that a stale read rules out."""
STALE_ALSO_NOT: Final = tuple(sorted(map(friendly, _STALE - weakest(_STALE))))
_DIRTY: Final = frozenset(("PL-1", "strong-session-PL-1", "strong-PL-1"))
_OF_SESSIONS: Final = ("session", "sequential", "causal", "monotonic", "PRAM", "writes", "1SR")


@dataclass(frozen=True)
class Promises:
    """What is promised. ``recovered_ns`` is when the reads after recovery began, in a run."""

    claimed: tuple[str, ...]
    not_durable: str
    is_run: bool
    recovered_ns: int | None

    @property
    def forbid_stale(self) -> bool:
        """Whether a read must show all that was acknowledged before it began."""
        return any(model in _STALE for model in self._models())

    @property
    def are_of_sessions(self) -> bool:
        """Whether staleness may break a promise to a session, which nobody here looks at."""
        return any(word in model for word in _OF_SESSIONS for model in self._models())

    @property
    def allow_dirty(self) -> bool:
        """Whether a read may show what failed, as nothing more than PL-1 is claimed."""
        models = self._models()
        return bool(models) and all(model in _DIRTY for model in models)

    @property
    def excuse(self) -> str:
        """Why what is lost or stale breaks no promise, in a few words."""
        durable = f"acknowledged writes may be lost: {self.not_durable}" if self.not_durable else ""
        fresh = (
            "" if self.forbid_stale else f"no claim forbids stale reads ({self._claims_in_words()})"
        )
        return "; ".join(part for part in (durable, fresh) if part)

    def _claims_in_words(self) -> str:
        return ", ".join(self.claimed) or "none is made"

    def may_have_happened(self, call: Call) -> bool:
        """Whether an answer may show what ``call`` did."""
        return not call.failed or self.allow_dirty

    def last_reads(self, reads: Sequence[Call]) -> list[Call]:
        """The reads of which all must lack what is lost; none in a run without a final phase."""
        if not self.is_run:
            return sorted(reads, key=lambda call: call.end)[-1:]
        start_ns = self.recovered_ns
        last: dict[Any, Call] = {}
        for call in sorted(reads, key=lambda call: call.end):
            if start_ns is not None and call.invocation.time >= start_ns:
                node = call.last.node or call.invocation.node
                last[node if node is not None else ("process", call.process)] = call
        return list(last.values())

    def _models(self) -> list[str]:
        names = [name for name in self.claimed if name in MODELS or _is_known(name)]
        return [canonical(name) for name in names]


def promises(record: Record, options: Mapping[str, Any]) -> Promises:
    """What is promised of ``record``."""
    phases = (record.run or {}).get("phases") or {}
    final = phases.get("final") if isinstance(phases, Mapping) else None
    return Promises(
        claimed=claims(record, options),
        not_durable=record.header.not_durable or "",
        is_run=record.run is not None,
        recovered_ns=final[0] if final else None,
    )


def _is_known(name: str) -> bool:
    try:
        canonical(name)
    except ValueError:
        return False
    return True


def are_all_stale(kinds: Iterable[str], stale: Iterable[str]) -> bool:
    """Whether nothing but staleness was found, which only some models forbid."""
    found = set(kinds)
    return bool(found) and found <= set(stale)
