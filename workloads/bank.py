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

from harness.contract.client import Transaction, Transactions
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

ACCOUNTS = whole("accounts", 8, "how many accounts there are", least=2)
TOTAL = whole("total", 100, "what they hold together", least=0)
MAX_TRANSFER = whole("max_transfer", 5, "the largest transfer")
NEGATIVE_BALANCES = flag("negative_balances", False, "let transfers take an account below zero")
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
        *(ACCOUNTS, TOTAL, MAX_TRANSFER, NEGATIVE_BALANCES),
        *(HELD_SHARE, HELD_S),
    )

    def __init__(self, options: WorkloadOptions) -> None:
        self._accounts = ACCOUNTS.of(options, self.name)
        self._total = TOTAL.of(options, self.name)
        self._max_transfer = MAX_TRANSFER.of(options, self.name)
        self._negative_balances = NEGATIVE_BALANCES.of(options, self.name)
        self._held_share = HELD_SHARE.of(options, self.name)
        self._held_s = HELD_S.of(options, self.name)
        self._nodes = options.nodes

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

    async def invoke(self, client: Transactions, operation: Operation) -> Operation:
        """One transaction. A refused commit passes through as ``Failed``."""
        transaction = await client.begin(read_only=operation.f == READ)
        pauses = pauses_of(operation)
        if operation.f == READ and len(pauses) == 2:
            return await self._held_read(transaction, operation, pauses)
        if operation.f == READ:
            balances = await self._balances(transaction)
            await transaction.commit()
            return completed(operation, OK, balances)
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
        done = completed(operation, OK, first | rest)
        return replace(done, extra={AGAIN: changed}) if changed else done

    async def _move(self, transaction: Transaction, operation: Operation) -> Operation:
        source, target = _key(operation.value["from"]), _key(operation.value["to"])
        amount = operation.value["amount"]
        found = await transaction.get_many([source, target])
        refusal = self._refusal(found[source], found[target], amount)
        if refusal is not None:
            await transaction.abort()
            return completed(operation, FAIL, operation.value, refusal)
        await transaction.put(source, found[source] - amount)
        await transaction.put(target, found[target] + amount)
        await transaction.commit()
        return completed(operation, OK, operation.value)

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


WORKLOADS = {"bank": Bank}
