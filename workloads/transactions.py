"""Generates random transactions of reads and writes over a changing pool of keys.

After Elle's ``wr-txns``, with its options and defaults. A pool of ``key_count`` keys is in use;
each read or write picks one of them, by an exponential distribution (each key twice as likely as
the one before), a Zipf distribution, or all alike. Every write to a key has the next integer as
its value, so that values are unique in a key. After some writes, at most ``max_writes_per_key``
(how many is drawn for each key by a Zipf distribution), a key is given up for a fresh one, so that
young and old keys are always under way together.

Beyond Elle's: a share of transactions only reads; a share is *held* open, with pauses between its
steps, and reads a key again at its end (:mod:`workloads.micro_operations` says why); and
:func:`final_reads` reads every key that was used when all is over, in transactions of 8, because
reads among the operations miss what is lost last.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from harness.contract.client import SystemClient, Transactions
from harness.contract.system import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.errors import SetupError, UsageError
from harness.generator import PENDING, Combinator, Context, Generator, Random, Step, invoke, lift
from harness.generator.leaves import fill_in, waiting
from harness.history.operation import Operation
from workloads.micro_operations import (
    APPENDS,
    GET_AND_PUT,
    OWN,
    PAUSES,
    MicroOperation,
    begin,
    carry_out,
    has_append,
)

TXN: Final = "txn"
READ: Final = "r"
KEYS_PER_FINAL_READ: Final = 8
DISTRIBUTIONS: Final = ("exponential", "uniform", "zipf")

OPTIONS: Final = (
    SystemOption(name="key_count", kind=int, default=None, help="keys in use at any time"),
    SystemOption(
        name="key_dist", kind=str, default="exponential", help="exponential, uniform or zipf"
    ),
    SystemOption(
        name="max_writes_per_key", kind=int, default=256, help="the most writes that a key gets"
    ),
    SystemOption(
        name="min_txn_length", kind=int, default=1, help="the fewest steps of a transaction"
    ),
    SystemOption(
        name="max_txn_length", kind=int, default=4, help="the most steps of a transaction"
    ),
    SystemOption(
        name="read_only_share",
        kind=float,
        default=0.0,
        help="share of transactions that only read, beside those that do so by chance",
    ),
    SystemOption(
        name="held_share",
        kind=float,
        default=0.02,
        help="share of transactions that are held open between their steps and read a key again",
    ),
    SystemOption(
        name="held_s",
        kind=float,
        default=2.0,
        help="the longest that a held transaction pauses in all (keep it below --op-timeout)",
    ),
)
"""The options of every workload that asks these transactions."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What transactions look like; fields as in :data:`OPTIONS`, ``write`` is ``w`` or ``append``.

    ``key_weights`` and ``life_weights`` are cumulative: the odds of each place in the pool, and of
    the number of writes that a fresh key will get.
    """

    write: str
    min_length: int
    max_length: int
    read_only_share: float
    held_share: float
    held_s: float
    key_weights: tuple[float, ...]
    life_weights: tuple[float, ...]


def shape(write: str, options: WorkloadOptions) -> Shape:
    """The shape that ``options`` ask for; ``UsageError`` for numbers that make no sense."""
    chosen = {option.name: option.default for option in OPTIONS}
    chosen.update({k: v for k, v in options.extra.items() if k in chosen and v is not None})
    dist = chosen["key_dist"]
    if dist not in DISTRIBUTIONS:
        raise UsageError(f"key_dist is {dist!r}", f"one of {', '.join(DISTRIBUTIONS)}")
    if chosen["key_count"] is None:
        chosen["key_count"] = 3 if dist == "uniform" else 10
    for name in ("key_count", "max_writes_per_key", "min_txn_length", "max_txn_length"):
        if chosen[name] < 1:
            raise UsageError(f"{name} must be at least 1, not {chosen[name]}")
    for name in ("read_only_share", "held_share"):
        if not 0 <= chosen[name] <= 1:
            raise UsageError(f"{name} must be between 0 and 1, not {chosen[name]}")
    if chosen["max_txn_length"] < chosen["min_txn_length"]:
        raise UsageError("max_txn_length is below min_txn_length")
    if chosen["held_s"] < 0:
        raise UsageError(f"held_s must not be negative, and is {chosen['held_s']}")
    return Shape(
        write=write,
        min_length=chosen["min_txn_length"],
        max_length=chosen["max_txn_length"],
        read_only_share=chosen["read_only_share"],
        held_share=chosen["held_share"],
        held_s=chosen["held_s"],
        key_weights=_weights(dist, chosen["key_count"]),
        life_weights=_weights("zipf", chosen["max_writes_per_key"]),
    )


def _weights(dist: str, count: int) -> tuple[float, ...]:
    """Cumulative odds of 0 to ``count`` - 1, the last one 1."""
    if dist == "exponential":  # counted back from the likeliest, for 2 ** 5000 is no float
        odds = [2.0 ** (place + 1 - count) for place in range(count)]
    elif dist == "zipf":
        odds = [1.0 / (place + 1) for place in range(count)]
    else:
        odds = [1.0] * count
    total = sum(odds)
    return tuple(part / total for part in accumulate(odds))


def _drawn(weights: Sequence[float], random: Random) -> int:
    return min(bisect(weights, random.random()), len(weights) - 1)


class Pool(msgspec.Struct, frozen=True, gc=False):
    """The keys in use; by place: the key, the value of its next write, and that of its last."""

    keys: tuple[int, ...]
    next_values: tuple[int, ...]
    last_values: tuple[int, ...]
    next_key: int

    def written(self, place: int) -> Pool:
        """After one more write to the key at ``place``."""
        return replace(
            self, next_values=_with(self.next_values, place, self.next_values[place] + 1)
        )

    def renewed(self, place: int, last_value: int) -> Pool:
        """With a fresh key at ``place``, to be written up to ``last_value``."""
        return Pool(
            _with(self.keys, place, self.next_key),
            _with(self.next_values, place, 1),
            _with(self.last_values, place, last_value),
            self.next_key + 1,
        )


def _with(items: tuple[int, ...], place: int, item: int) -> tuple[int, ...]:
    return (*items[:place], item, *items[place + 1 :])


class Transactional(Combinator, frozen=True, gc=False):
    """Endless random transactions of one shape. ``pool`` is ``None`` until the first is made."""

    shape: Shape
    stream: int = 0
    emitted: int = 0
    pool: Pool | None = None

    def op(self, context: Context) -> Step:
        """The next transaction, if a thread is free; held ones carry their pauses."""
        if not context.free:
            return waiting(context)
        random = Random(self.stream, self.emitted)
        pool = self.pool or self._first_pool(random)
        micro_operations, pool = self._transaction(random, pool)
        made = invoke(TXN, micro_operations)
        if random.random() < self.shape.held_share:
            made = held(micro_operations, random, self.shape.held_s)
        operation = fill_in(made, context)
        if operation is PENDING:
            return PENDING
        assert isinstance(operation, Operation)
        return operation, Transactional(self.shape, self.stream, self.emitted + 1, pool)

    def bound(self, stream: int) -> Generator:
        """Draws from ``stream``."""
        return replace(self, stream=stream)

    def _first_pool(self, random: Random) -> Pool:
        count = len(self.shape.key_weights)
        lives = tuple(1 + _drawn(self.shape.life_weights, random) for _ in range(count))
        return Pool(tuple(range(count)), (1,) * count, lives, count)

    def _transaction(self, random: Random, pool: Pool) -> tuple[list[MicroOperation], Pool]:
        shape = self.shape
        length = shape.min_length + random.below(shape.max_length - shape.min_length + 1)
        only_reads = random.random() < shape.read_only_share
        made: list[MicroOperation] = []
        while len(made) < length:
            reads = only_reads or random.below(2) == 0
            place = _drawn(shape.key_weights, random)
            if reads:
                made.append([READ, pool.keys[place], None])
            elif pool.next_values[place] > pool.last_values[place]:
                pool = pool.renewed(place, 1 + _drawn(shape.life_weights, random))
            else:
                made.append([shape.write, pool.keys[place], pool.next_values[place]])
                pool = pool.written(place)
        return made, pool


def transactions(of: Shape) -> Generator:
    """Endless random transactions: operations ``txn`` with a list of micro-operations."""
    return Transactional(of)


def held(micro_operations: Sequence[MicroOperation], random: Random, longest_s: float) -> Operation:
    """These steps, with one key read once more at the end, and pauses before some of them.

    The pauses, before at least the last step, add up to at most ``longest_s`` seconds.
    """
    read = next((step for step in micro_operations if step[0] == READ), None)
    steps = list(micro_operations)
    if read is None:
        read = [READ, steps[0][1], None]
        steps.insert(0, read)
    steps.append([READ, read[1], None])
    total_s = longest_s * random.random()
    parts = [0.0] + [random.random() * random.below(2) for _ in steps[1:-1]] + [random.random()]
    scale = total_s / (sum(parts) or 1.0)
    template = invoke(TXN, steps)
    return replace(template, extra={PAUSES: [round(part * scale, 3) for part in parts]})


def final_reads(last_key: int) -> Generator | None:
    """Every key from 0 to ``last_key`` read once, eight in a transaction; ``None`` if no key was.

    ``last_key`` is the greatest key that was ever asked for, or -1.
    """
    if last_key < 0:
        return None
    keys = range(last_key + 1)
    chunks = [
        keys[at : at + KEYS_PER_FINAL_READ] for at in range(0, len(keys), KEYS_PER_FINAL_READ)
    ]
    return lift([invoke(TXN, [[READ, key, None] for key in chunk]) for chunk in chunks])


def greatest_key(value: Any) -> int:
    """The greatest key in a list of micro-operations."""
    return max((int(step[1]) for step in value), default=-1)


class RandomTransactions:
    """What the workloads of random transactions share; a subclass names itself and its write.

    ``write`` is the micro-operation that changes a key, ``prefix`` begins the keys' stored names.
    """

    name: str
    write: str
    needs: Sequence[type] = (Transactions,)
    checkers: Sequence[str]
    model: str
    independent = False
    options: tuple[SystemOption, ...] = OPTIONS

    def __init__(self, options: WorkloadOptions) -> None:
        self._shape = shape(self.write, options)
        self._last_key = -1
        self.facts: dict[str, str] = {}

    async def setup(self, client: SystemClient) -> None:
        """Nothing to make; proves that a transaction is served and that no key is there yet."""
        names = [self.stored_name(key) for key in range(len(self._shape.key_weights))]
        transaction = begin(client)
        if self.write == "append":
            self.facts = {APPENDS: OWN if has_append(transaction) else GET_AND_PUT}
        found = await transaction.get_many(names)
        await transaction.commit()
        for name, value in found.items():
            if value is not None:
                raise SetupError(
                    f"{self.name}: key {name} holds {value!r} before the first operation",
                    "an empty database: what others wrote would be taken for a wrong answer",
                )

    def stored_name(self, key: int) -> str:
        """Under what name the system stores ``key``."""
        return f"{self.name}-{key}"

    def generator(self) -> Generator:
        """Endless random transactions."""
        return transactions(self._shape)

    def final_generator(self) -> Generator | None:
        """Every key that was used, read once."""
        return final_reads(self._last_key)

    async def invoke(self, client: SystemClient, operation: Operation) -> Operation:
        """One transaction. A refused commit passes through as ``Failed``."""
        self._last_key = max(self._last_key, greatest_key(operation.value))
        return await carry_out(client, operation, self.stored_name)
