"""The proofs of the checker ``bank``: what a bad read shows, and whose transfers explain it.

A read that lost an account most often lost it to a transfer that took it to zero, or changed it,
while the read was open. So the *culprits* are named first: the acknowledged transfers out of (where
there are none, into) the accounts in question that were answered while the read was open. In
question are the accounts that the read lacks, has no balance for, shows below zero or found changed
when it looked again. Where that names nobody, the latest transfers since the last sound read are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from checkers.objects.bank_timestamps import deleting_transfer, timestamps
from checkers.proof.faults_active import while_they_ran
from checkers.proof.words import moment, operation_line
from harness.history.calls import Call, calls, is_measured, short
from harness.history.operation import OK, Operation
from harness.history.values import key_text
from harness.verdict.record import Record
from harness.verdict.verdict import Anomaly

WRONG_TOTAL: Final = "wrong-total"
NEGATIVE_VALUE: Final = "negative-value"
UNREPEATABLE: Final = "unrepeatable-read"
AGAIN: Final = "again"
NEARBY: Final = 6
"""Transfers named in a proof where no culprit is known."""
CULPRITS: Final = 12
"""Culprits named in a proof; all are counted."""


class ReadExplainer:
    """Tells of single bad reads what came before them and what went on beside them."""

    def __init__(
        self,
        record: Record,
        *,
        total: str,
        accounts: Collection[str] | None,
        is_sound: Callable[[Operation], bool],
    ) -> None:
        self.record, self.history = record, record.history
        self.total, self.accounts, self.is_sound = total, accounts, is_sound
        found = calls(record.history)
        self.transfers = [call for call in found if call.f == "transfer" and not call.failed]

    def anomaly(self, kind: str, position: int, what: str, data: Mapping[str, Any]) -> Anomaly:
        """The proof that the read answered at ``position`` is wrong: it ``what``."""
        completion = self.history.operations[position]
        pair = self.history.pairs[position]
        invocation = self.history.operations[pair] if pair >= 0 else completion
        good = self._sound_read_before(pair if pair >= 0 else position)
        before = self.history.operations[good] if good >= 0 else None
        culprits = self._culprits(completion, before, pair, position)
        named = culprits[:CULPRITS] or self._latest(max(good, 0), position)
        lines = [
            f"T1 = {operation_line('read of all accounts', invocation, completion)}"
            f"{timestamps(completion)}: {_balances(completion)}",
            f"T1 {what}.",
            *self._reason(kind, invocation, completion),
            _before(before),
            *self._deletions(completion),
            *_transfers_since(named, culprits, position),
        ]
        witness = {completion.index, *(_index(call, position) for call in named)}
        witness |= {before.index} if before is not None else set()
        involved = [invocation, completion, *(call.last for call in named)]
        beside = {op.index: dict(op.extra) for op in involved if op.extra}
        lines += [f"Beside the value of {index}: {short(facts)}" for index, facts in beside.items()]
        faults = while_they_ran(self.record.faults, [invocation, completion])
        lines += [faults] if faults else []
        return Anomaly(
            message="\n".join(lines),
            witness=tuple(sorted(witness)),
            data={
                **data,
                "read": completion.index,
                "culprits": [call.last.index for call in culprits],
                **(
                    {"beside": {str(index): facts for index, facts in beside.items()}}
                    if beside
                    else {}
                ),
            },
        )

    def _reason(self, kind: str, invocation: Operation, completion: Operation) -> list[str]:
        if kind == WRONG_TOTAL:
            return [
                "Every transfer gives to one account what it takes from another, in one"
                " transaction, so in every order of whole transactions the total is always"
                f" {self.total}: a contradiction."
            ]
        if kind == NEGATIVE_VALUE:
            return [
                "A transfer looks at the balance in the same transaction and gives up if it is"
                " too small, so in no order of whole transactions is one below zero:"
                " a contradiction."
            ]
        if kind == UNREPEATABLE:
            return [
                f"One transaction reads one snapshot{_held(invocation, completion)}: whatever"
                " others commit meanwhile, it must find the same when it looks again:"
                " a contradiction."
            ]
        return ["No transaction makes such a record, so no order of them explains it."]

    def _deletions(self, read: Operation) -> list[str]:
        """Of each account that the read does not show (any more): which transfer deleted it."""
        lines = []
        for account, balance in self._vanished(read).items():
            call = deleting_transfer(read, account, balance, self.transfers)
            if call is not None:
                lines.append(
                    f"In the snapshot of T1 {account} held {balance}. It came to zero, and was"
                    f" deleted, by {_transfer(call)} (ok, index {call.last.index}"
                    f"{timestamps(call.last)}), which committed after T1's start and which T1 must"
                    " not see."
                )
        return lines

    def _vanished(self, read: Operation) -> dict[str, int]:
        """The accounts that it saw before and no more, or the one that it lacks; what they held."""
        if self.record.header.options.get("deletes") is None or not isinstance(read.value, Mapping):
            return {}
        again = (read.extra or {}).get(AGAIN) or {}
        shown = {name: read.value.get(name) for name, balance in again.items() if not balance}
        found = {name: balance for name, balance in shown.items() if isinstance(balance, int)}
        absent = {str(name) for name in self.accounts or ()} - {str(name) for name in read.value}
        balances = list(read.value.values())
        if len(absent) != 1 or not all(isinstance(balance, int) for balance in balances):
            return found
        lacking = int(self.total) - sum(balances) if self.total.isdecimal() else 0
        return {absent.pop(): lacking, **found}

    def _sound_read_before(self, position: int) -> int:
        """Position of the last sound read answered before ``position``, or -1."""
        for earlier in range(position - 1, -1, -1):
            operation = self.history.operations[earlier]
            is_read = operation.is_client and operation.type == OK and operation.f == "read"
            if is_read and self.is_sound(operation):
                return earlier
        return -1

    def _culprits(
        self, read: Operation, before: Operation | None, start: int, end: int
    ) -> list[Call]:
        """The acknowledged transfers out of (else into) accounts in question, while it was open."""
        asked = self._in_question(read, before)
        beside = [call for call in self.transfers if call.ok and start < call.end < end]
        out = [call for call in beside if _account(call, "from") in asked]
        return out or [call for call in beside if _account(call, "to") in asked]

    def _in_question(self, read: Operation, before: Operation | None) -> set[str]:
        """The accounts with which something is wrong, as far as the read tells."""
        again = (read.extra or {}).get(AGAIN)
        value = read.value
        if not isinstance(value, Mapping):
            return set()
        if isinstance(again, Mapping) and again:
            return {name for name in again if value.get(name) != again[name]}
        known = self.accounts
        if known is None:
            known = before.value if before is not None and isinstance(before.value, Mapping) else ()
        absent = {str(name) for name in known} - {str(name) for name in value}
        odd = {str(n) for n, balance in value.items() if balance is None or balance < 0}
        return absent | odd

    def _latest(self, start: int, end: int) -> list[Call]:
        """The last transfers, not failed, that were under way between two positions."""
        under_way = [call for call in self.transfers if call.start < end and call.end > start]
        answered = sorted((c for c in under_way if c.end < end), key=lambda call: call.end)
        return [*answered, *(c for c in under_way if c.end >= end)][-NEARBY:]


def _transfers_since(named: Sequence[Call], culprits: Sequence[Call], position: int) -> list[str]:
    if not named:
        return []
    listed = "; ".join(
        f"{_transfer(call)} ({'ok' if call.end < position else 'not answered by then'}, index"
        f" {_index(call, position)}{timestamps(call.last) if call.end < position else ''})"
        for call in named
    )
    if not culprits:
        return [f"Transfers since then, the latest {len(named)}: {listed}."]
    more = f" and {len(culprits) - len(named)} more" if len(culprits) > len(named) else ""
    return [
        "Acknowledged while T1 was open, of the accounts in question: one of these explains"
        f" it if T1 saw a part of it: {listed}{more}."
    ]


def _index(call: Call, position: int) -> int:
    """The index of the completion where there was one by then."""
    return call.last.index if call.end < position else call.invocation.index


def _account(call: Call, which: str) -> str | None:
    value = call.value
    account = value.get(which) if isinstance(value, Mapping) else None
    return None if account is None else key_text(account)


def _transfer(call: Call) -> str:
    value = call.value
    if isinstance(value, Mapping):
        return f"{value.get('from')} -> {value.get('to')}: {value.get('amount')}"
    return str(value)


def _before(read: Operation | None) -> str:
    if read is None:
        return "No read before it was sound."
    return (
        f"The last sound read before it (T2) was answered at {moment(read)}{timestamps(read)}:"
        f" {_balances(read)}"
    )


def _held(invocation: Operation, completion: Operation) -> str:
    if invocation is completion or not is_measured(completion.time, completion.index):
        return ""
    held_s = (completion.time - invocation.time) / 1e9
    return f", and this one was open for {held_s:.3f} s"


def _balances(read: Operation) -> str:
    value = read.value
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    shown = value.items() if isinstance(value, Mapping) else ()
    told = (f"{account}: {short(balance)}" for account, balance in sorted(shown))
    return "{" + ", ".join(told) + "}"
