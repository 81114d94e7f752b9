"""Bank: transfers between accounts and reads of all of them; no money may appear or vanish.

After ``jepsen.tests.bank``, with its defaults: 8 accounts that hold 100 together, transfers of
1 to 5 between two different accounts, as many reads as transfers. A transfer reads both balances
in one transaction, gives up (``fail``) if there is too little, and else writes both. Lost
updates, dirty reads and reads torn between two states all show as a wrong total.

A share of the reads is *held*: they pause halfway through the accounts, and at their end read the
first half again. A transaction that is never open for long cannot see what a database does to one
that is. What it found the second time, where that is something else, stands beside the value:
``"again": {"0": 12}``.

Any system with :class:`harness.contract.client.Transactions` can run it. Where its clients can
delete (:class:`harness.contract.client.Predicates`), an account is deleted when it comes to zero,
made anew by the next transfer to it, and not shown by reads while it is not there; half of the
reads ask for all accounts by a condition. A current database lost what it had deleted from older
snapshots, and passed every workload that only overwrites. ``--no-delete`` is Jepsen's form. With
deletions, what another transaction made or removed is a phantom, which levels below consistent view
allow, so the verdict is against that and what is stronger.

Values are JSON: a read is ``{"0": 13, ...}``, a transfer ``{"from": 0, "to": 3, "amount": 2}``.
Beside the invocation of a read by a condition stands ``"scan": true``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, TypeGuard

from msgspec.structs import replace

from harness.contract.client import Predicates, PredicateTransaction, Transaction, Transactions
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.errors import SetupError
from harness.generator import Context, Generator, function, invoke, mix
from harness.history.operation import FAIL, OK, Operation
from workloads.kit import completed, flag, on_every_node, seconds, share, whole
from workloads.micro_operations import PAUSES, pauses_of

READ: Final = "read"
TRANSFER: Final = "transfer"
AGAIN: Final = "again"
"""The key beside a held read's value of what it found otherwise the second time."""
SCAN: Final = "scan"
"""The key beside the invocation of a read that asks by a condition."""
DELETES: Final = "deletes"
"""The header's option that tells that accounts are deleted at zero."""

ACCOUNTS = whole("accounts", 8, "how many accounts there are", least=2)
TOTAL = whole("total", 100, "what they hold together", least=0)
MAX_TRANSFER = whole("max_transfer", 5, "the largest transfer")
NEGATIVE_BALANCES = flag("negative_balances", False, "let transfers take an account below zero")
DELETE = flag("delete", True, "delete an account at zero, where clients can delete")
SCAN_SHARE = share(
    "scan_share", 0.5, "share of reads that ask by a condition, where accounts are deleted"
)
HELD_SHARE = share(
    "held_share", 0.02, "share of reads that are held open halfway and read the first half again"
)
HELD_S = seconds(
    "held_s", 2.0, "the longest that a held read pauses in all (keep it below --op-timeout)"
)


class Bank:
    """The workload ``bank``."""

    name = "bank"
    needs = (Transactions,)
    checkers = ("bank",)
    model = "bank"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = (
        *(ACCOUNTS, TOTAL, MAX_TRANSFER, NEGATIVE_BALANCES, DELETE, SCAN_SHARE),
        *(HELD_SHARE, HELD_S),
    )

    def __init__(self, options: WorkloadOptions) -> None:
        self._accounts = ACCOUNTS.of(options, self.name)
        self._total = TOTAL.of(options, self.name)
        self._max_transfer = MAX_TRANSFER.of(options, self.name)
        self._negative_balances = NEGATIVE_BALANCES.of(options, self.name)
        self._held_share = HELD_SHARE.of(options, self.name)
        self._held_s = HELD_S.of(options, self.name)
        self._deletes = DELETE.of(options, self.name) and Predicates in options.abilities
        self._scan_share = SCAN_SHARE.of(options, self.name) if self._deletes else 0.0
        self._nodes = options.nodes
        self.facts = {DELETES: "at zero"} if self._deletes else {}

    def initial(self) -> dict[str, int]:
        """The balances at the start: the total spread evenly, the first ones a little richer."""
        share, rest = divmod(self._total, self._accounts)
        return {str(n): share + (n < rest) for n in range(self._accounts)}

    async def setup(self, client: Transactions) -> dict[str, int]:
        """Make the accounts unless they are there; prove by a read that they hold the initial.

        Raises ``SetupError`` if they hold anything else: somebody has been here before.
        """
        initial = self.initial()
        transaction = await client.begin()
        if all(balance is None for balance in (await self._balances(transaction)).values()):
            for account, balance in initial.items():
                await transaction.put(_key(account), balance)
            await transaction.commit()
        else:
            await transaction.abort()
        proof = await client.begin(read_only=True)
        found = await self._balances(proof)
        await proof.commit()
        if found != initial:
            raise SetupError(
                f"bank: the accounts hold {found} before the first transfer, not {initial}",
                "an empty database",
            )
        return initial

    def generator(self) -> Generator:
        """Endless: reads and transfers, as likely."""
        return mix([function(self._read), function(self._transfer)])

    def final_generator(self) -> Generator:
        """One read of all accounts on every node."""
        return on_every_node(self._nodes, invoke(READ))

    def _read(self, context: Context) -> Operation:
        random, beside = context.random, dict[str, Any]()
        if random.random() < self._held_share:
            total_s = self._held_s * random.random()
            first_s = total_s * random.random()
            beside[PAUSES] = [round(first_s, 3), round(total_s - first_s, 3)]
        if random.random() < self._scan_share:
            beside[SCAN] = True
        return replace(invoke(READ), extra=beside) if beside else invoke(READ)

    def _transfer(self, context: Context) -> Operation:
        source = context.random.below(self._accounts)
        step = 1 + context.random.below(self._accounts - 1)
        target = (source + step) % self._accounts
        amount = 1 + context.random.below(self._max_transfer)
        return invoke(TRANSFER, {"from": source, "to": target, "amount": amount})

    async def invoke(self, client: Transactions, operation: Operation) -> Operation:
        """One transaction. A refused commit passes through as ``Failed``."""
        transaction = await client.begin(read_only=operation.f == READ)
        if operation.f != READ:
            return await self._move(transaction, operation)
        pauses, scans = pauses_of(operation), bool((operation.extra or {}).get(SCAN))
        if len(pauses) == 2:
            return await self._held_read(transaction, operation, pauses, scans=scans)
        balances = await self._balances(transaction, scans=scans)
        await transaction.commit()
        return completed(operation, OK, balances)

    async def _held_read(
        self,
        transaction: Transaction,
        operation: Operation,
        pauses: Sequence[float],
        *,
        scans: bool,
    ) -> Operation:
        """Half of the accounts, a pause, the other half, a pause, and the first half again.

        One that ``scans`` is shown all of them by its condition, the first time and the last: what
        it was shown first is its answer, and the others must agree with it.
        """
        half = self._accounts // 2
        first = await self._some(transaction, range(half), scans=scans)
        await asyncio.sleep(pauses[0])
        rest = await self._some(transaction, range(half, self._accounts))
        await asyncio.sleep(pauses[1])
        again = await self._some(transaction, range(half), scans=scans)
        await transaction.commit()
        changed = _differences(first, again)
        if scans:
            shown = {name: b for name, b in first.items() if not 0 <= _number(name) < half}
            changed = _differences(shown, rest) | changed
        done = completed(operation, OK, first if scans else first | rest)
        return replace(done, extra={AGAIN: changed}) if changed else done

    async def _move(self, transaction: Transaction, operation: Operation) -> Operation:
        source, target = _key(operation.value["from"]), _key(operation.value["to"])
        amount = operation.value["amount"]
        found = await transaction.get_many([source, target])
        if self._can_delete(transaction):
            found = {key: balance or 0 for key, balance in found.items()}
        refusal = self._refusal(found[source], found[target], amount)
        if refusal is not None:
            await transaction.abort()
            return completed(operation, FAIL, operation.value, refusal)
        for key, balance in ((source, found[source] - amount), (target, found[target] + amount)):
            if balance == 0 and self._can_delete(transaction):
                await transaction.delete(key)
            else:
                await transaction.put(key, balance)
        await transaction.commit()
        return completed(operation, OK, operation.value)

    def _can_delete(self, transaction: Transaction) -> TypeGuard[PredicateTransaction]:
        return self._deletes

    def _refusal(self, source: Any, target: Any, amount: int) -> list[Any] | None:
        """Why the transfer must not be made, given the balances found."""
        if source is None or target is None:
            return ["no such account", source, target]
        if source < amount and not self._negative_balances:
            return ["insufficient funds", source]
        return None

    async def _balances(self, transaction: Transaction, *, scans: bool = False) -> dict[str, Any]:
        return await self._some(transaction, range(self._accounts), scans=scans)

    async def _some(
        self, transaction: Transaction, accounts: range, *, scans: bool = False
    ) -> dict[str, Any]:
        """The balances of ``accounts``, or all that there are by a condition."""
        if scans and self._can_delete(transaction):
            rows = await transaction.scan(_key(""))
            return {name.removeprefix(_key("")): balance for name, balance in rows.items()}
        names = [str(account) for account in accounts]
        found: Mapping[Any, Any] = await transaction.get_many([_key(name) for name in names])
        balances = {name: found[_key(name)] for name in names}
        if not self._deletes:
            return balances
        return {name: balance for name, balance in balances.items() if balance is not None}


def _key(account: int | str) -> str:
    return f"account-{account}"


def _number(name: str) -> int:
    """The number of an account; -1 of what is none of the bank's."""
    return int(name) if name.isdecimal() else -1


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """What the second look shows of the accounts that it does not show as the first one did."""
    names = first.keys() | second.keys()
    return {name: second.get(name) for name in names if second.get(name) != first.get(name)}


WORKLOADS = {"bank": Bank}
