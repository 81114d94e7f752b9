"""The checker ``agreement``: after the last heal all nodes hold the same.

Replicas may lag while there are faults; once everything is healed and all nodes say that they
are ready, they were given time to agree (``waited_s``), and what each of them then holds by
itself is compared, key by key: value and version. Two that differ have diverged, whatever the
clients happened to read (etcd issue 13766 is of this kind: a member that forgot a transaction).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from checkers.proof.faults_active import while_they_ran
from checkers.proof.words import moment
from harness.history.operation import FAIL, INVOKE, Operation
from harness.verdict.record import Record
from harness.verdict.steps import ASK_EVERY_NODE
from harness.verdict.verdict import UNKNOWN, Anomaly, Budget, Checker, Verdict

DIVERGENCE: Final = "replica-divergence"
SHOWN: Final = 20
"""Keys told; all are counted."""


class Agreement:
    """No options."""

    name = "agreement"
    reads = frozenset({"history", "states"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        del options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """Invalid if two nodes differ; ``unknown`` if a node's state could not be had."""
        found = record.states or {}
        states, unread = found.get("states") or {}, found.get("unread") or {}
        keys = sorted({key for state in states.values() for key in state})
        apart = [key for key in keys if len(_holders(states, key)) > 1]
        stats = {"nodes": len(states), "keys": len(keys), "keys-apart": len(apart)}
        if apart:
            budget.spend_check("comparing the nodes")
            cases = list(_cases(record, states, apart[:SHOWN], float(found.get("waited_s", 0))))
            why = f"{len(apart)} of {len(keys)} keys are not the same on all nodes after the heal"
            return Verdict(valid=False, why=why, anomalies={DIVERGENCE: cases}, stats=stats)
        if unread or not states:
            told = ", ".join(f"{node}: {why}" for node, why in unread.items()) or "nobody was asked"
            why = f"not every node's state is known ({told})"
            return Verdict(valid=UNKNOWN, why=why, settle=ASK_EVERY_NODE)
        return Verdict(valid=True, stats=stats)


def _holders(states: Mapping[str, Any], key: str) -> dict[bytes, list[str]]:
    """The nodes by what they hold for ``key`` (``null`` where it is absent)."""
    holders: dict[bytes, list[str]] = {}
    for node, state in states.items():
        holders.setdefault(msgspec.json.encode(state.get(key)), []).append(node)
    return holders


def _cases(
    record: Record, states: Mapping[str, Any], keys: Sequence[str], waited_s: float
) -> Iterator[Anomaly]:
    for key in keys:
        holders = _holders(states, key)
        writers = {held: _last_writer(record, key, held) for held in holders}
        lines = [_line(record, held, nodes, writers[held]) for held, nodes in holders.items()]
        yield Anomaly(
            message=(
                f"The nodes hold different things for key {key}, {waited_s:.1f} s after all was"
                " healed and ready:\n" + "\n".join(f"  - {line}" for line in lines)
            ),
            witness=tuple(writer.index for writer in writers.values() if writer is not None),
            key=key,
            data={"held": {held.decode(): nodes for held, nodes in holders.items()}},
        )


def _line(record: Record, held: bytes, nodes: Sequence[str], writer: Operation | None) -> str:
    entry = msgspec.json.decode(held)
    what = "nothing" if entry is None else f"{entry.get('value')} (version {entry.get('version')})"
    told = f"{', '.join(nodes)}: {what}"
    if writer is None:
        return told
    how = f"{writer.f}, {writer.type}, {moment(writer)}"
    position = record.history.operations.index(writer)
    begun = record.history.operations[record.history.pairs[position]]
    active = while_they_ran(record.faults, (begun, writer))
    return f"{told}, last written by process {writer.process} ({how}). {active}".rstrip()


def _last_writer(record: Record, key: str, held: bytes) -> Operation | None:
    """The last completion that wrote what is held, where values name their key.

    So do those of independent keys, ``[key, value]``, and the steps of transactions.
    """
    entry = msgspec.json.decode(held)
    if entry is None:
        return None
    last = None
    for operation in record.history:
        if operation.is_client and operation.type not in (INVOKE, FAIL) and operation.f != "read":
            written = _written(operation.value, key)
            last = operation if any(_is_held(new, entry.get("value")) for new in written) else last
    return last


def _written(value: Any, key: str) -> list[Any]:
    """What an operation with this value may have written to ``key``."""
    if not isinstance(value, list):
        return []
    if value and all(isinstance(step, list) and len(step) == 3 for step in value):
        return [new for f, of, new in value if f != "r" and _text(of) == key]
    if len(value) == 2 and _text(value[0]) == key:
        return [value[1][-1] if isinstance(value[1], list) and value[1] else value[1]]
    return []


def _is_held(new: Any, held: Any) -> bool:
    """Whether ``held``, JSON or its text, is what was written, or a list that ends with it."""
    if isinstance(held, str) and held.startswith("["):
        with contextlib.suppress(msgspec.MsgspecError):
            held = msgspec.json.decode(held)
    last = held[-1] if isinstance(held, list) and held else held
    return _text(new) in (held, last) or (new == last and type(new) is type(last))


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {Agreement.name: Agreement}
