"""Generates random transactions of reads and writes over a changing pool of keys.

After Elle's ``wr-txns``, with its options and defaults. A pool of ``key_count`` keys is in use;
each read or write picks one of them, by an exponential distribution (each key twice as likely as
the one before), a Zipf distribution, or all alike. Every write to a key has the next integer as
its value, so that values are unique in a key. After some writes, at most ``max_writes_per_key``
(how many is drawn for each key by a Zipf distribution), a key is given up for a fresh one, so that
young and old keys are always under way together.

Beyond Elle's: a share of transactions only reads; a share is *held* open, with pauses between its
steps, and reads a key again at its end (:mod:`workloads.micro_operations` says why); and
:func:`final_reads` reads every key that was used when all is over, on every node and in
transactions of 8, because reads among the operations miss what is lost last.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import msgspec
from msgspec.structs import replace

from harness.contract.client import Transactions
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.errors import UsageError
from harness.generator import Generator, Random, invoke
from harness.history.operation import Operation
from harness.wording import shown
from workloads.kit import (
    Draw,
    draws,
    not_new,
    on_every_node,
    seconds,
    share,
    whole,
    whole_or_none,
    word,
)
from workloads.micro_operations import (
    APPENDS,
    GET_AND_PUT,
    OWN,
    PAUSES,
    TXN,
    MicroOperation,
    carry_out,
    greatest_key,
    has_append,
    reads_of,
)

READ: Final = "r"
KEYS_PER_FINAL_READ: Final = 8

KEY_COUNT = whole_or_none("key_count", "keys in use at any time")
KEY_DIST = word(
    "key_dist",
    "exponential",
    "exponential, uniform or zipf",
    one_of=("exponential", "uniform", "zipf"),
)
MAX_WRITES_PER_KEY = whole("max_writes_per_key", 256, "the most writes that a key gets")
MIN_TXN_LENGTH = whole("min_txn_length", 1, "the fewest steps of a transaction")
MAX_TXN_LENGTH = whole("max_txn_length", 4, "the most steps of a transaction")
READ_ONLY_SHARE = share(
    "read_only_share",
    0.0,
    "share of transactions that only read, beside those that do so by chance",
)
HELD_SHARE = share(
    "held_share",
    0.02,
    "share of transactions that are held open between their steps and read a key again",
)
HELD_S = seconds(
    "held_s", 2.0, "the longest that a held transaction pauses in all (keep it below --op-timeout)"
)

OPTIONS: Final = (
    *(KEY_COUNT, KEY_DIST, MAX_WRITES_PER_KEY, MIN_TXN_LENGTH, MAX_TXN_LENGTH),
    *(READ_ONLY_SHARE, HELD_SHARE, HELD_S),
)
"""The options of every workload that asks these transactions."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What transactions look like; fields as in :data:`OPTIONS`, ``write`` is ``w`` or ``append``.

    ``key_weights`` and ``life_weights`` are cumulative: the odds of each place in the pool, and of
    the number of writes that a fresh key will get. ``reads_first``: a key is read before it is
    written, in each transaction.
    """

    write: str
    min_length: int
    max_length: int
    read_only_share: float
    held_share: float
    held_s: float
    key_weights: tuple[float, ...]
    life_weights: tuple[float, ...]
    reads_first: bool = False


def shape(write: str, options: WorkloadOptions, workload: str) -> Shape:
    """The shape that ``options`` ask for; ``UsageError`` for numbers that make no sense."""
    dist = KEY_DIST.of(options, workload)
    key_count = KEY_COUNT.of(options, workload) or (3 if dist == "uniform" else 10)
    made = Shape(
        write=write,
        min_length=MIN_TXN_LENGTH.of(options, workload),
        max_length=MAX_TXN_LENGTH.of(options, workload),
        read_only_share=READ_ONLY_SHARE.of(options, workload),
        held_share=HELD_SHARE.of(options, workload),
        held_s=HELD_S.of(options, workload),
        key_weights=_weights(dist, key_count),
        life_weights=_weights("zipf", MAX_WRITES_PER_KEY.of(options, workload)),
    )
    if made.max_length < made.min_length:
        raise UsageError(f"{workload}: max_txn_length is below min_txn_length")
    return made


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


def transactions(of: Shape) -> Generator:
    """Endless random transactions: operations ``txn`` with a list of micro-operations."""

    def make(draw: Draw, so_far: Pool | None) -> tuple[Operation, Pool]:
        steps, pool = _transaction(of, draw.random, so_far or _first_pool(of, draw.random))
        if draw.random.random() < of.held_share:
            return held(steps, draw.random, of.held_s), pool
        return invoke(TXN, steps), pool

    return draws(make, None)


def _first_pool(of: Shape, random: Random) -> Pool:
    count = len(of.key_weights)
    lives = tuple(1 + _drawn(of.life_weights, random) for _ in range(count))
    return Pool(tuple(range(count)), (1,) * count, lives, count)


def _transaction(of: Shape, random: Random, pool: Pool) -> tuple[list[MicroOperation], Pool]:
    length = of.min_length + random.below(of.max_length - of.min_length + 1)
    only_reads = random.random() < of.read_only_share
    made: list[MicroOperation] = []
    while len(made) < length:
        reads = only_reads or random.below(2) == 0
        place = _drawn(of.key_weights, random)
        if reads:
            made.append([READ, pool.keys[place], None])
        elif pool.next_values[place] > pool.last_values[place]:
            pool = pool.renewed(place, 1 + _drawn(of.life_weights, random))
        else:
            read = [READ, pool.keys[place], None]
            if of.reads_first and read not in made:
                made.append(read)
            made.append([of.write, pool.keys[place], pool.next_values[place]])
            pool = pool.written(place)
    return made, pool


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


def final_reads(last_key: int, nodes: int) -> Generator | None:
    """Every key from 0 to ``last_key`` read on every node, eight in a transaction.

    ``None`` if no key was ever used.

    ``last_key`` is the greatest key that was ever asked for, or -1.
    """
    if last_key < 0:
        return None
    keys = range(last_key + 1)
    chunks = [
        keys[at : at + KEYS_PER_FINAL_READ] for at in range(0, len(keys), KEYS_PER_FINAL_READ)
    ]
    return on_every_node(nodes, [invoke(TXN, reads_of(chunk)) for chunk in chunks])


class RandomTransactions:
    """What the workloads of random transactions share; a subclass names itself and its write.

    ``write`` is the micro-operation that changes a key, ``prefix`` begins the keys' stored names,
    ``reads_first`` is that of :class:`Shape`.
    """

    name: str
    write: str
    needs: Sequence[type] = (Transactions,)
    checkers: Sequence[str]
    model: str
    independent = False
    options: tuple[SystemOption, ...] = OPTIONS
    reads_first = False

    def __init__(self, options: WorkloadOptions) -> None:
        self._shape = replace(shape(self.write, options, self.name), reads_first=self.reads_first)
        self._nodes = options.nodes
        self._last_key = -1
        self.facts: dict[str, str] = {}

    async def setup(self, client: Transactions) -> None:
        """Nothing to make; proves that a transaction is served and that no key is there yet."""
        names = [self.stored_name(key) for key in range(len(self._shape.key_weights))]
        transaction = await client.begin()
        if self.write == "append":
            self.facts = {APPENDS: OWN if has_append(transaction) else GET_AND_PUT}
        found = await transaction.get_many(names)
        await transaction.commit()
        for name, value in found.items():
            if value is not None:
                raise not_new(self.name, f"key {name} holds {shown(value)}")

    def stored_name(self, key: int) -> str:
        """Under what name the system stores ``key``."""
        return f"{self.name}-{key}"

    def generator(self) -> Generator:
        """Endless random transactions."""
        return transactions(self._shape)

    def final_generator(self) -> Generator | None:
        """Every key that was used, read on every node."""
        return final_reads(self._last_key, self._nodes)

    async def invoke(self, client: Transactions, operation: Operation) -> Operation:
        """One transaction. A refused commit passes through as ``Failed``."""
        self._last_key = max(self._last_key, greatest_key(operation.value))
        return await carry_out(client, operation, self.stored_name)
