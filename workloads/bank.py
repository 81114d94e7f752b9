"""Bank: transfers between accounts and reads of all of them; no money may appear or vanish.

After ``jepsen.tests.bank``, with its defaults: 8 accounts that hold 100 together, transfers of
1 to 5 between two different accounts, as many reads as transfers. A transfer reads both balances
in one transaction, gives up (``fail``) if there is too little, and else writes both. Lost
updates, dirty reads and reads torn between two states all show as a wrong total.

A share of the reads is *held*: they pause halfway through the accounts, and at their end read the
first half again. A transaction that is never open for long cannot see what a database does to one
that is. What it found the second time, where that is something else, stands beside the value:
``"again": {"0": 12}``.

Any system with :class:`harness.contract.client.Transactions` can run it. Values are JSON: a read is
``{"0": 13, ...}``, a transfer ``{"from": 0, "to": 3, "amount": 2}``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from msgspec.structs import replace

from harness.contract.client import SystemClient, Transaction, Transactions
from harness.contract.system import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.errors import SetupError, UsageError
from harness.generator import (
    Context,
    Generator,
    each_thread,
    function,
    invoke,
    mix,
    on_threads,
)
from harness.history.operation import FAIL, OK, Operation
from workloads.micro_operations import PAUSES, pauses_of

READ: Final = "read"
TRANSFER: Final = "transfer"
AGAIN: Final = "again"
"""The key beside a held read's value of what it found otherwise the second time."""


class Bank:
    """The workload ``bank``."""

    name = "bank"
    needs = (Transactions,)
    checkers = ("bank",)
    model = "bank"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = (
        SystemOption(name="accounts", kind=int, default=8, help="how many accounts there are"),
        SystemOption(name="total", kind=int, default=100, help="what they hold together"),
        SystemOption(name="max_transfer", kind=int, default=5, help="the largest transfer"),
        SystemOption(
            name="negative_balances",
            kind=bool,
            default=False,
            help="let transfers take an account below zero",
        ),
        SystemOption(
            name="held_share",
            kind=float,
            default=0.02,
            help="share of reads that are held open halfway and read the first half again",
        ),
        SystemOption(
            name="held_s",
            kind=float,
            default=2.0,
            help="the longest that a held read pauses in all (keep it below --op-timeout)",
        ),
    )

    def __init__(self, options: WorkloadOptions) -> None:
        chosen = {option.name: option.default for option in self.options}
        chosen.update({k: v for k, v in options.extra.items() if k in chosen and v is not None})
        self._accounts: int = chosen["accounts"]
        self._total: int = chosen["total"]
        self._max_transfer: int = chosen["max_transfer"]
        self._negative_balances: bool = chosen["negative_balances"]
        self._held_share: float = chosen["held_share"]
        self._held_s: float = chosen["held_s"]
        self._nodes = options.nodes
        if not 0 <= self._held_share <= 1:
            raise UsageError(f"bank: held_share must be between 0 and 1, not {self._held_share}")
        if self._held_s < 0:
            raise UsageError(f"bank: held_s must not be negative, and is {self._held_s}")
        for name, least in (("accounts", 2), ("total", 0), ("max_transfer", 1)):
            if chosen[name] < least:
                raise UsageError(f"bank: {name} must be at least {least}, not {chosen[name]}")

    def initial(self) -> dict[str, int]:
        """The balances at the start: the total spread evenly, the first ones a little richer."""
        share, rest = divmod(self._total, self._accounts)
        return {str(n): share + (n < rest) for n in range(self._accounts)}

    async def setup(self, client: SystemClient) -> dict[str, int]:
        """Make the accounts unless they are there; prove by a read that they hold the initial.

        Raises ``SetupError`` if they hold anything else: somebody has been here before.
        """
        initial = self.initial()
        transaction = _begin(client)
        if all(balance is None for balance in (await self._balances(transaction)).values()):
            for account, balance in initial.items():
                await transaction.put(_key(account), balance)
            await transaction.commit()
        else:
            await transaction.abort()
        proof = _begin(client)
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
        return on_threads(range(self._nodes), each_thread(invoke(READ)))

    def _read(self, context: Context) -> Operation:
        if context.random.random() >= self._held_share:
            return invoke(READ)
        total_s = self._held_s * context.random.random()
        first_s = total_s * context.random.random()
        pauses = [round(first_s, 3), round(total_s - first_s, 3)]
        return replace(invoke(READ), extra={PAUSES: pauses})

    def _transfer(self, context: Context) -> Operation:
        source = context.random.below(self._accounts)
        step = 1 + context.random.below(self._accounts - 1)
        target = (source + step) % self._accounts
        amount = 1 + context.random.below(self._max_transfer)
        return invoke(TRANSFER, {"from": source, "to": target, "amount": amount})

    async def invoke(self, client: SystemClient, operation: Operation) -> Operation:
        """One transaction. A refused commit passes through as ``Failed``."""
        transaction = _begin(client)
        pauses = pauses_of(operation)
        if operation.f == READ and len(pauses) == 2:
            return await self._held_read(transaction, operation, pauses)
        if operation.f == READ:
            balances = await self._balances(transaction)
            await transaction.commit()
            return _completed(operation, OK, balances)
        return await self._move(transaction, operation)

    async def _held_read(
        self, transaction: Transaction, operation: Operation, pauses: Sequence[float]
    ) -> Operation:
        """Half of the accounts, a pause, the other half, a pause, and the first half again."""
        half = self._accounts // 2
        first = await self._some(transaction, range(half))
        await asyncio.sleep(pauses[0])
        rest = await self._some(transaction, range(half, self._accounts))
        await asyncio.sleep(pauses[1])
        again = await self._some(transaction, range(half))
        await transaction.commit()
        changed = {name: balance for name, balance in again.items() if balance != first[name]}
        done = _completed(operation, OK, first | rest)
        return replace(done, extra={AGAIN: changed}) if changed else done

    async def _move(self, transaction: Transaction, operation: Operation) -> Operation:
        source, target = _key(operation.value["from"]), _key(operation.value["to"])
        amount = operation.value["amount"]
        found = await transaction.get_many([source, target])
        refusal = self._refusal(found[source], found[target], amount)
        if refusal is not None:
            await transaction.abort()
            return _completed(operation, FAIL, operation.value, refusal)
        await transaction.put(source, found[source] - amount)
        await transaction.put(target, found[target] + amount)
        await transaction.commit()
        return _completed(operation, OK, operation.value)

    def _refusal(self, source: Any, target: Any, amount: int) -> list[Any] | None:
        """Why the transfer must not be made, given the balances found."""
        if source is None or target is None:
            return ["no such account", source, target]
        if source < amount and not self._negative_balances:
            return ["insufficient funds", source]
        return None

    async def _balances(self, transaction: Transaction) -> dict[str, Any]:
        return await self._some(transaction, range(self._accounts))

    async def _some(self, transaction: Transaction, accounts: range) -> dict[str, Any]:
        names = [str(account) for account in accounts]
        found: Mapping[Any, Any] = await transaction.get_many([_key(name) for name in names])
        return {name: found[_key(name)] for name in names}


def _key(account: int | str) -> str:
    return f"account-{account}"


def _begin(client: SystemClient) -> Transaction:
    return client.transaction()  # type: ignore[attr-defined, no-any-return]


def _completed(invocation: Operation, kind: str, value: Any, error: Any = None) -> Operation:
    return Operation(-1, -1, invocation.process, kind, invocation.f, value, error)


WORKLOADS = {"bank": Bank}
