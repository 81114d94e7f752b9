"""What the system's own timestamps add to a proof of the checker ``bank``.

A client that is told at which of the system's times a transaction began and committed says so
(``"timestamps": {"start": 7, "commit": 9}``). Then it is known which transfers a snapshot must not
show, and, by adding up those of one account in the order of their commits, which of them brought it
to zero: where accounts are deleted at zero that is the one that deleted it. Only transfers that
were acknowledged count; one of unknown outcome in between may make the sum another, so it is looked
for only where the balance comes to exactly zero and the read does not show the account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.history.calls import Call
from harness.history.operation import Operation
from harness.history.values import key_text


def timestamps(operation: Operation) -> str:
    """``, start 7, commit 9``; empty where nothing was told."""
    told = operation.timestamps or {}
    return "".join(f", {name} {at}" for name, at in told.items())


def deleting_transfer(
    read: Operation, account: str, balance: Any, transfers: Sequence[Call]
) -> Call | None:
    """The transfer that took ``account`` to zero after the snapshot of ``read``, if that is told.

    ``balance`` is what it held there. ``None`` where timestamps are lacking, or none does.
    """
    start = _number(read, "start")
    if start is None or not isinstance(balance, int) or balance <= 0:
        return None
    later = [
        (commit, call)
        for call in transfers
        if call.ok and (commit := _number(call.last, "commit")) is not None and commit > start
    ]
    for _, call in sorted(later, key=lambda each: each[0]):
        value = call.value if isinstance(call.value, Mapping) else {}
        amount = value.get("amount")
        if not isinstance(amount, int):
            return None
        balance += _gain(value, account, amount)
        if balance == 0 and _is(value.get("from"), account):
            return call
    return None


def _gain(transfer: Mapping[str, Any], account: str, amount: int) -> int:
    if _is(transfer.get("from"), account):
        return -amount
    return amount if _is(transfer.get("to"), account) else 0


def _is(value: Any, account: str) -> bool:
    return value is not None and key_text(value) == account


def _number(operation: Operation, name: str) -> int | None:
    at = (operation.timestamps or {}).get(name)
    return at if isinstance(at, int) else None
