"""The checker ``bank``: money is moved between accounts, never made or lost.

Every transfer takes from one account what it gives to another, in one transaction. Under
snapshot isolation or better every read of all accounts must then find the same total, and no
account below zero. After ``jepsen.tests.bank``; the errors have its names, each read counting
under the first that applies:

- ``unexpected-key``: an account that does not exist (only if the accounts are known)
- ``nil-balance``: an account whose balance is nil
- ``wrong-total``: the balances do not add up
- ``negative-value``: an account below zero, unless ``negative_balances`` allows it
- ``unrepeatable-read``: a read that was held open found other balances when it read accounts
  again (beside its value, ``"again": {account: balance}``)

An account that a read does not show counts as zero (systems may delete it at zero); if it held
something, the total tells. Balances that are no whole numbers are added up as the decimal numbers
that they are written as: 0.1 + 0.2 + 0.7 is 1, in any order. A read that is a list of numbers (old
Jepsen) has its accounts by position, and shows none that does not exist.

A read that answered nil answered nothing, and without one that shows an account nothing was tested.
One of any other shape, balances as text among them, proves nothing and makes ``unknown``, and so
does a declared initial state that is neither balances by account nor a list of them. Cost: one
look at every read.

A wrong total, an account below zero and an unrepeatable read are each a cycle with one
anti-dependency at least, so consistent view forbids them, and parallel snapshot isolation does: a
transfer that reads what it writes makes a chain of versions, and a read that shows a later version
of one account than of another has missed a transfer that it also saw. Where accounts are deleted
and made anew (``deletes`` in the header's options), a read by a condition may have missed a row
that came meanwhile: a cycle by predicates, which consistent view forbids and weaker levels allow.
Against a model that forbids neither, reads that add up have tested nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from typing import Any, Final

from checkers.objects.bank_proofs import (
    AGAIN,
    NEGATIVE_VALUE,
    UNREPEATABLE,
    WRONG_TOTAL,
    ReadExplainer,
)
from checkers.proof.claim import STRONGER, claims
from checkers.proof.models import canonical, friendly, impossible, stronger_models, weakest
from harness.history.history import History
from harness.history.operation import OK, Header, Operation
from harness.verdict.lookout import Lookout, Sighting, sighting
from harness.verdict.record import Record
from harness.verdict.steps import MEND_ANSWERS
from harness.verdict.verdict import UNKNOWN, Anomaly, Budget, Checker, Verdict, untested
from harness.verdict.wording import shown

UNEXPECTED_KEY: Final = "unexpected-key"
NIL_BALANCE: Final = "nil-balance"
_RULED_OUT: Final = impossible(("G-single-item",)) | stronger_models(
    ("parallel-snapshot-isolation",)
)
_RULED_OUT_WITH_PHANTOMS: Final = impossible(("G-single",))
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
    deletes: bool = False

    @property
    def ruled_out(self) -> frozenset[str]:
        """The models that cannot hold where a read breaks it."""
        return _RULED_OUT_WITH_PHANTOMS if self.deletes else _RULED_OUT


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

    Options (else the header's): ``total``, ``accounts`` (a list), ``negative_balances``,
    ``deletes`` (accounts are deleted and made anew). The initial balances in the header give
    total and accounts; without any of these the total is that of the first sound read.
    """

    name = "bank"
    reads = frozenset({"history"})
    operations = frozenset({"read", "transfer"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def lookout(self, header: Header) -> Lookout | None:
        """Over the reads, where header or options tell what they must add up to."""
        if header.initial is not None and _initial_of(header.initial) is None:
            return None
        promise = _promise(header, self.options, ())
        return None if promise.total is None else BankLookout(promise)

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ok reads of ``record``."""
        answered = [
            (position, operation)
            for position, operation in enumerate(record.history.operations)
            if operation.is_client
            and operation.type == OK
            and operation.f == "read"
            and operation.value is not None
        ]
        initial = record.header.initial
        if initial is not None and _initial_of(initial) is None:
            why = f"the initial state {shown(initial)} is no balances by account"
            stats = {"read-count": len(answered)}
            return Verdict(valid=UNKNOWN, why=why, settle=MEND_ANSWERS, stats=stats)
        reads = [(at, op, balances_of(op.value)) for at, op in answered]
        readable = [(at, op, found) for at, op, found in reads if found is not None]
        promise = _promise(record.header, self.options, (found for _, _, found in readable))
        errors: dict[str, Errors] = {}
        for position, operation, balances in readable:
            is_listed = not isinstance(operation.value, Mapping)
            kind, bad = _judge(position, balances, promise, is_listed=is_listed)
            if bad is None:
                kind, bad = _judge_again(position, operation, balances)
            if bad is not None:
                errors.setdefault(kind, Errors()).add(bad)
        unreadable = [op for _, op, found in reads if found is None]
        saw = any(found for _, _, found in readable)
        claimed = claims(record, self.options)
        return _verdict(record, promise, (len(answered), saw), errors, unreadable, claimed)


class BankLookout:
    """Looks at every read of all accounts as it comes."""

    def __init__(self, promise: Promise) -> None:
        self.promise = promise

    def see(self, operation: Operation) -> Sighting | None:
        """Take in the next record."""
        if operation.type != OK or operation.f != "read" or not operation.is_client:
            return None
        balances = None if operation.value is None else balances_of(operation.value)
        if balances is None:
            return None
        is_listed = not isinstance(operation.value, Mapping)
        kind, bad = _judge(operation.index, balances, self.promise, is_listed=is_listed)
        if bad is None:
            kind, bad = _judge_again(operation.index, operation, balances)
        return None if bad is None else sighting(kind, operation, f"a read {bad.what}")


def balances_of(value: Any) -> Mapping[str, Any] | None:
    """Balances by account, of a list by their positions; ``None`` if ``value`` is neither.

    Nil is a balance here, for it is an answer; text is not.
    """
    if isinstance(value, list | tuple):
        value = {str(place): balance for place, balance in enumerate(value)}
    if not isinstance(value, Mapping):
        return None
    return value if all(map(_may_be_balance, value.values())) else None


def _may_be_balance(value: Any) -> bool:
    return value is None or (isinstance(value, int | float | Fraction) and type(value) is not bool)


def _initial_of(initial: Any) -> Mapping[str, Any] | None:
    """The balances at the start; ``None`` if ``initial`` is none of a bank."""
    found = balances_of(initial)
    return found if found and all(map(_is_amount, found.values())) else None


def _promise(
    header: Header, options: Mapping[str, Any], reads: Iterable[Mapping[str, Any] | None]
) -> Promise:
    told: list[tuple[str, Mapping[str, Any]]] = [
        ("options", options),
        ("header's options", header.options),
        ("header", header.extra or {}),
    ]
    initial = None if header.initial is None else _initial_of(header.initial)
    if initial is not None:
        known = {"total": total_of(initial), "accounts": list(initial)}
        told.append(("initial balances", known))
    negative = any(facts.get("negative_balances") for _, facts in told[:2])
    deletes = any(facts.get("deletes") for _, facts in told[:2])
    accounts = next((facts["accounts"] for _, facts in told if _is_list(facts, "accounts")), None)
    names = None if accounts is None else frozenset(map(str, accounts))
    for source, facts in told:
        if _is_amount(facts.get("total")):
            return Promise(_exact(facts["total"]), source, names, negative, deletes)
    for read in reads:
        if read and all(_is_amount(balance) for balance in read.values()):
            return Promise(total_of(read), "first read", names, negative, deletes)
    return Promise(None, "nowhere", names, negative, deletes)


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
    position: int, balances: Mapping[str, Any], promise: Promise, *, is_listed: bool
) -> tuple[str, BadRead | None]:
    """The first error that applies to one read."""
    if promise.accounts is not None and not is_listed:
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


def _judge_again(
    position: int, operation: Operation, first: Mapping[str, Any]
) -> tuple[str, BadRead | None]:
    """Whether a read found other balances when it read accounts again."""
    again = balances_of((operation.extra or {}).get(AGAIN))
    if again is None:
        return "", None
    changed = {name: balance for name, balance in again.items() if first.get(name) != balance}
    if not changed:
        return "", None
    listed = ", ".join(f"{name} at {first.get(name)} and then {b}" for name, b in changed.items())
    what = f"shows accounts twice, and with other balances: {listed}"
    return UNREPEATABLE, BadRead(position, len(changed), what, dict(changed))


def _listed(accounts: Sequence[Any]) -> str:
    return ", ".join(f"account {shown(account)}" for account in accounts)


def _verdict(
    record: Record,
    promise: Promise,
    reads: tuple[int, bool],
    errors: Mapping[str, Errors],
    unreadable: Sequence[Operation],
    claimed: Sequence[str],
) -> Verdict:
    """``reads``: how many were answered, and whether one of them shows an account."""
    read_count, shows_some = reads
    count = sum(found.count for found in errors.values())
    stats = {
        "read-count": read_count,
        "error-count": count,
        "total": _plain(promise.total),
        "total-from": promise.total_from,
        "errors": {kind: _figures(record.history, kind, found) for kind, found in errors.items()},
    }
    if errors:
        explainer = ReadExplainer(
            record,
            total=f"{_plain(promise.total)} (known from: {promise.total_from})",
            accounts=promise.accounts,
            is_sound=lambda op: _is_sound(op, promise),
        )
        return Verdict(
            valid=False,
            why=_why(count, read_count, errors),
            anomalies={
                kind: [
                    _anomaly(explainer, kind, role, bad, found, promise)
                    for role, bad in found.shown()
                ]
                for kind, found in errors.items()
            },
            not_=_ruled_out(errors, promise)[0],
            also_not=_ruled_out(errors, promise)[1],
            stats=stats,
        )
    if unreadable:
        why = f"read {unreadable[0].index} is not balances by account: {shown(unreadable[0].value)}"
        return Verdict(valid=UNKNOWN, why=why, settle=MEND_ANSWERS, stats=stats)
    if not shows_some:
        return untested("no read showed the balance of an account", stats=stats)
    if claimed and not any(canonical(model) in promise.ruled_out for model in claimed):
        deleted = " where accounts are deleted and made anew" if promise.deletes else ""
        why = f"{' nor '.join(claimed)} does not forbid a wrong total{deleted}"
        return untested(why, stats=stats, settle=STRONGER)
    return Verdict(valid=True, stats=stats)


def _anomaly(
    explainer: ReadExplainer, kind: str, role: str, bad: BadRead, errors: Errors, promise: Promise
) -> Anomaly:
    return explainer.anomaly(
        kind,
        bad.position,
        bad.what,
        {
            "role": role,
            "count": errors.count,
            "found": bad.found,
            "expected": _plain(promise.total),
        },
    )


def _is_sound(read: Operation, promise: Promise) -> bool:
    balances = balances_of(read.value)
    if not balances:
        return False
    return _judge(0, balances, promise, is_listed=not isinstance(read.value, Mapping))[1] is None


def _why(count: int, read_count: int, errors: Mapping[str, Errors]) -> str:
    kinds = ", ".join(f"{found.count} {kind}" for kind, found in sorted(errors.items()))
    return f"{count} of {read_count} reads of all accounts are wrong ({kinds})"


def _ruled_out(
    errors: Mapping[str, Errors], promise: Promise
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The models that forbid what was seen; none where no model at all could excuse it."""
    if set(errors) & {UNEXPECTED_KEY, NIL_BALANCE}:
        return (), ()
    least = weakest(promise.ruled_out)
    others = promise.ruled_out - least
    return tuple(sorted(map(friendly, least))), tuple(sorted(map(friendly, others)))


def _figures(history: History, kind: str, errors: Errors) -> dict[str, Any]:
    figures: dict[str, Any] = {"count": errors.count}
    for role, bad in (("first", errors.first), ("worst", errors.worst), ("last", errors.last)):
        if bad is not None:
            figures[role] = history.operations[bad.position].index
    if kind in (WRONG_TOTAL, NEGATIVE_VALUE):
        figures.update(lowest=min(errors.found), highest=max(errors.found))
    return figures


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {Bank.name: Bank}
