"""The checker ``bank``: money is moved between accounts, never made or lost.

Every transfer takes from one account what it gives to another, in one transaction. Under
snapshot isolation or better every read of all accounts must then find the same total, and no
account below zero. After ``jepsen.tests.bank``; the errors have its names, each read counting
under the first that applies:

- ``unexpected-key``: an account that does not exist (only if the accounts are known)
- ``nil-balance``: an account without a balance
- ``wrong-total``: the balances do not add up
- ``negative-value``: an account below zero, unless ``negative_balances`` allows it
- ``unrepeatable-read``: a read that was held open found other balances when it read accounts
  again (beside its value, ``"again": {account: balance}``)

An account that a read does not show counts as zero (systems may delete it at zero); if it held
something, the total tells. Balances that are no whole numbers are added up as the decimal numbers
that they are written as: 0.1 + 0.2 + 0.7 is 1, in any order. Cost: one look at every read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from typing import Any, Final

from checkers.faults_active import while_it_ran
from harness.history.history import History
from harness.history.operation import FAIL, INVOKE, OK, Operation
from harness.history.record import Record
from harness.history.verdict import UNKNOWN, Anomaly, Budget, Checker, Verdict

UNEXPECTED_KEY: Final = "unexpected-key"
NIL_BALANCE: Final = "nil-balance"
WRONG_TOTAL: Final = "wrong-total"
NEGATIVE_VALUE: Final = "negative-value"
UNREPEATABLE: Final = "unrepeatable-read"
AGAIN: Final = "again"
NEARBY: Final = 6
"""Transfers named in a proof."""
_LARGEST: Final = 2**1000
"""Beyond this, a number is whole or as good as whole, and would not fit a double."""

Number = int | Fraction


@dataclass(frozen=True)
class Promise:
    """What every read must find. ``accounts`` is ``None`` if unknown; so is ``total``."""

    total: Number | None
    total_from: str
    accounts: frozenset[str] | None
    negative_balances: bool


@dataclass(frozen=True)
class BadRead:
    """One read that broke the promise. ``badness`` compares errors of one type."""

    position: int
    badness: Number
    what: str
    found: Any


@dataclass
class Errors:
    """The bad reads of one type: how many, and those worth showing."""

    count: int = 0
    first: BadRead | None = None
    worst: BadRead | None = None
    last: BadRead | None = None
    found: list[Any] = field(default_factory=list)

    def add(self, bad: BadRead) -> None:
        """Count ``bad``, which comes after all before it."""
        self.count += 1
        self.first = self.first or bad
        if self.worst is None or bad.badness > self.worst.badness:
            self.worst = bad
        self.last = bad
        self.found.append(bad.found)

    def shown(self) -> list[tuple[str, BadRead]]:
        """First, worst and last, each read once, with the words that apply to it."""
        roles: dict[int, tuple[list[str], BadRead]] = {}
        for role, bad in (("first", self.first), ("worst", self.worst), ("last", self.last)):
            if bad is not None:
                roles.setdefault(bad.position, ([], bad))[0].append(role)
        return [(", ".join(words), bad) for words, bad in roles.values()]


class Bank:
    """Judges reads of all accounts.

    Options (else the header's): ``total``, ``accounts`` (a list), ``negative_balances``. The
    initial balances in the header give total and accounts; without any of these the total is
    that of the first sound read.
    """

    name = "bank"
    reads = frozenset({"history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ok reads of ``record``."""
        reads = [
            (position, operation)
            for position, operation in enumerate(record.history.operations)
            if operation.is_client and operation.type == OK and operation.f == "read"
        ]
        unreadable = [op for _, op in reads if not isinstance(op.value, Mapping | None)]
        balances = (op.value for _, op in reads if isinstance(op.value, Mapping))
        promise = _promise(record, self.options, balances)
        errors: dict[str, Errors] = {}
        for position, operation in reads:
            if isinstance(operation.value, Mapping | None):
                kind, bad = _judge(position, operation.value or {}, promise)
                if bad is None:
                    kind, bad = _judge_again(position, operation)
                if bad is not None:
                    errors.setdefault(kind, Errors()).add(bad)
        return _verdict(record, promise, len(reads), errors, unreadable)


def _promise(
    record: Record, options: Mapping[str, Any], reads: Iterable[Mapping[str, Any] | None]
) -> Promise:
    header = record.header
    told: list[tuple[str, Mapping[str, Any]]] = [
        ("options", options),
        ("header's options", header.options),
        ("header", header.extra or {}),
    ]
    initial = header.initial if isinstance(header.initial, Mapping) else None
    if initial is not None and all(_is_amount(balance) for balance in initial.values()):
        known = {"total": total_of(initial), "accounts": list(initial)}
        told.append(("initial balances", known))
    negative = any(facts.get("negative_balances") for _, facts in told[:2])
    accounts = next((facts["accounts"] for _, facts in told if _is_list(facts, "accounts")), None)
    names = None if accounts is None else frozenset(map(str, accounts))
    for source, facts in told:
        if _is_amount(facts.get("total")):
            return Promise(_exact(facts["total"]), source, names, bool(negative))
    for read in reads:
        if read and all(_is_amount(balance) for balance in read.values()):
            return Promise(total_of(read), "first read", names, bool(negative))
    return Promise(None, "nowhere", names, bool(negative))


def _is_list(facts: Mapping[str, Any], name: str) -> bool:
    return isinstance(facts.get(name), list | tuple)


def _is_amount(value: Any) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    return isinstance(value, int | Fraction) and not isinstance(value, bool)


def total_of(balances: Mapping[str, Any]) -> Number:
    """The sum, exactly: of floats, that of the decimal numbers that they are written as."""
    quick = sum(balances.values())
    return quick if isinstance(quick, int) else sum(map(_exact, balances.values()), Fraction(0))


def _exact(amount: Any) -> Number:
    return amount if isinstance(amount, int | Fraction) else Fraction(str(amount))


def _plain(number: Number | None) -> int | float | None:
    """As JSON has it, and as it is shown."""
    if number is None or isinstance(number, int):
        return number
    is_whole = number.denominator == 1 or abs(number) > _LARGEST
    return int(number) if is_whole else float(number)


def _judge(
    position: int, balances: Mapping[str, Any], promise: Promise
) -> tuple[str, BadRead | None]:
    """The first error that applies to one read."""
    if promise.accounts is not None:
        odd = [account for account in balances if str(account) not in promise.accounts]
        if odd:
            what = f"shows {_listed(odd)}, which is no account of this bank"
            return UNEXPECTED_KEY, BadRead(position, len(odd), what, odd)
    nils = [account for account, balance in balances.items() if not _is_amount(balance)]
    if nils:
        what = f"shows no balance for {_listed(nils)}"
        return NIL_BALANCE, BadRead(position, len(nils), what, nils)
    total = total_of(balances)
    if promise.total is not None and total != promise.total:
        off: Number = total - promise.total
        what = f"adds up to {_plain(total)}, not to {_plain(promise.total)} ({_plain(off):+})"
        return WRONG_TOTAL, BadRead(position, max(off, -off), what, _plain(total))
    below = {account: balance for account, balance in balances.items() if balance < 0}
    if below and not promise.negative_balances:
        listed = ", ".join(f"{account} at {balance}" for account, balance in below.items())
        what = f"shows an account below zero: {listed}"
        return NEGATIVE_VALUE, BadRead(position, -total_of(below), what, min(below.values()))
    return "", None


def _judge_again(position: int, operation: Operation) -> tuple[str, BadRead | None]:
    """Whether a read found other balances when it read accounts again."""
    again = (operation.extra or {}).get(AGAIN)
    if not isinstance(again, Mapping) or not isinstance(operation.value, Mapping):
        return "", None
    first = operation.value
    changed = {name: balance for name, balance in again.items() if first.get(name) != balance}
    if not changed:
        return "", None
    listed = ", ".join(f"{name} at {first.get(name)} and then {b}" for name, b in changed.items())
    what = f"shows accounts twice, and with other balances: {listed}"
    return UNREPEATABLE, BadRead(position, len(changed), what, dict(changed))


def _listed(accounts: Sequence[Any]) -> str:
    return ", ".join(f"account {account!r}" for account in accounts)


def _verdict(
    record: Record,
    promise: Promise,
    read_count: int,
    errors: Mapping[str, Errors],
    unreadable: Sequence[Operation],
) -> Verdict:
    count = sum(found.count for found in errors.values())
    stats = {
        "read-count": read_count,
        "error-count": count,
        "total": _plain(promise.total),
        "total-from": promise.total_from,
        "errors": {kind: _figures(record.history, kind, found) for kind, found in errors.items()},
    }
    if errors:
        tell = _Teller(record, promise, {b.position for e in errors.values() for b in _all(e)})
        return Verdict(
            valid=False,
            why=_why(count, read_count, errors),
            anomalies={kind: tell.anomalies(kind, found) for kind, found in errors.items()},
            not_=_ruled_out(errors)[0],
            also_not=_ruled_out(errors)[1],
            stats=stats,
        )
    if not read_count:
        return Verdict(valid=UNKNOWN, why="no read was answered, so nothing is known", stats=stats)
    if unreadable:
        why = f"read {unreadable[0].index} is not a map of balances: {unreadable[0].value!r:.80}"
        return Verdict(valid=UNKNOWN, why=why, stats=stats)
    return Verdict(valid=True, stats=stats)


def _all(errors: Errors) -> list[BadRead]:
    return [bad for _, bad in errors.shown()]


def _why(count: int, read_count: int, errors: Mapping[str, Errors]) -> str:
    kinds = ", ".join(f"{found.count} {kind}" for kind, found in sorted(errors.items()))
    return f"{count} of {read_count} reads of all accounts are wrong ({kinds})"


def _ruled_out(errors: Mapping[str, Errors]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The models that forbid what was seen; none where no model at all could excuse it."""
    if set(errors) & {UNEXPECTED_KEY, NIL_BALANCE}:
        return (), ()
    stronger = ("serializable", "strong-session-serializable", "strong-session-snapshot-isolation")
    strongest = ("strong-snapshot-isolation", "strict-serializable")
    return ("repeatable-read", "snapshot-isolation"), (*stronger, *strongest)


def _figures(history: History, kind: str, errors: Errors) -> dict[str, Any]:
    figures: dict[str, Any] = {"count": errors.count}
    for role, bad in (("first", errors.first), ("worst", errors.worst), ("last", errors.last)):
        if bad is not None:
            figures[role] = history.operations[bad.position].index
    if kind in (WRONG_TOTAL, NEGATIVE_VALUE):
        figures.update(lowest=min(errors.found), highest=max(errors.found))
    return figures


class _Teller:
    """Tells of single bad reads what came before them and what went on beside them."""

    def __init__(self, record: Record, promise: Promise, bad: set[int]) -> None:
        self.record = record
        self.history = record.history
        self.promise = promise
        self.bad = bad

    def anomalies(self, kind: str, errors: Errors) -> list[Anomaly]:
        """First, worst and last of ``errors``."""
        return [self._anomaly(kind, role, bad, errors) for role, bad in errors.shown()]

    def _anomaly(self, kind: str, role: str, bad: BadRead, errors: Errors) -> Anomaly:
        completion = self.history.operations[bad.position]
        pair = self.history.pairs[bad.position]
        invocation = self.history.operations[pair] if pair >= 0 else completion
        good = self._sound_read_before(pair if pair >= 0 else bad.position)
        beside = self._transfers(good if good >= 0 else 0, bad.position)
        lines = [
            f"T1 = read of all accounts by process {completion.process}"
            f"{f' on {completion.node}' if completion.node else ''}, invoked at"
            f" {_moment(invocation)}, ok at {_moment(completion)}: {_balances(completion)}",
            f"T1 {bad.what}.",
            *self._reason(kind),
            *self._before(good),
            *beside[1],
        ]
        faults = while_it_ran(self.record.faults, invocation.time, completion.time)
        lines += [faults] if faults else []
        witness = {completion.index, *(beside[0])}
        witness |= {self.history.operations[good].index} if good >= 0 else set()
        return Anomaly(
            message="\n".join(lines),
            witness=tuple(sorted(witness)),
            data={
                "role": role,
                "count": errors.count,
                "found": bad.found,
                "expected": _plain(self.promise.total),
                "read": completion.index,
            },
        )

    def _reason(self, kind: str) -> list[str]:
        if kind == WRONG_TOTAL:
            return [
                "Every transfer gives to one account what it takes from another, in one"
                " transaction, so in every order of whole transactions the total is always"
                f" {_plain(self.promise.total)} (known from: {self.promise.total_from}):"
                " a contradiction."
            ]
        if kind == NEGATIVE_VALUE:
            return [
                "A transfer looks at the balance in the same transaction and gives up if it is"
                " too small, so in no order of whole transactions is one below zero:"
                " a contradiction."
            ]
        return ["No transaction makes such a record, so no order of them explains it."]

    def _before(self, good: int) -> list[str]:
        if good < 0:
            return ["No read before it was sound."]
        read = self.history.operations[good]
        return [
            f"The last sound read before it (T2) was answered at {_moment(read)}: {_balances(read)}"
        ]

    def _sound_read_before(self, position: int) -> int:
        """Position of the last sound read answered before ``position``, or -1."""
        for earlier in range(position - 1, -1, -1):
            operation = self.history.operations[earlier]
            if operation.is_client and operation.type == OK and operation.f == "read":
                sound = isinstance(operation.value, Mapping) and operation.value
                if sound and _judge(earlier, operation.value, self.promise)[1] is None:
                    return earlier
        return -1

    def _transfers(self, start: int, end: int) -> tuple[list[int], list[str]]:
        """The last transfers, not failed, that were under way between two positions."""
        under_way: list[Operation] = []
        open_at: dict[Any, Operation] = {}
        for position in range(end):
            operation = self.history.operations[position]
            if not operation.is_client or operation.f != "transfer":
                continue
            if operation.type == INVOKE:
                open_at[operation.process] = operation
            else:
                begun = open_at.get(operation.process)
                if operation.type == OK:
                    open_at.pop(operation.process, None)
                    if position > start:
                        under_way.append(operation)
                elif operation.type == FAIL and begun is not None:
                    del open_at[operation.process]
        named = (under_way + list(open_at.values()))[-NEARBY:]
        if not named:
            return [], []
        listed = "; ".join(
            f"{_transfer(op)} ({'ok' if op.type == OK else 'not answered by then'}, index"
            f" {op.index})"
            for op in named
        )
        return [op.index for op in named], [
            f"Transfers since then, the latest {len(named)}: {listed}."
        ]


def _transfer(operation: Operation) -> str:
    value = operation.value
    if isinstance(value, Mapping):
        return f"{value.get('from')} -> {value.get('to')}: {value.get('amount')}"
    return str(value)


def _balances(read: Operation) -> str:
    value = read.value if isinstance(read.value, Mapping) else {}
    shown = ", ".join(f"{account}: {balance}" for account, balance in sorted(value.items()))
    return "{" + shown + "}"


def _moment(operation: Operation) -> str:
    time = f", {operation.time / 1e9:.3f} s" if operation.time >= 0 else ""
    return f"index {operation.index}{time}"


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {Bank.name: Bank}
