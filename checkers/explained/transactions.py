"""What can be wrong with transactions beside circles: reads of what never was, or was undone."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from checkers.explained.entries import anomaly, elle_registers, lists, registers, script, table
from checkers.isolation.causal import Causal
from checkers.isolation.causal_reverse import CausalReverse
from checkers.isolation.long_fork import LongFork
from checkers.isolation.predicates.checker import PredicateReads
from checkers.isolation.torn import Torn
from checkers.isolation.write_skew import WriteSkew
from harness.verdict.verdict import UNKNOWN

_LOST: Final = "a: [rx ax1]\nb: [rx ax2]"

TRANSACTION_ENTRIES: Final = table(
    anomaly(
        "G1",
        """Any of G1a, G1b and G1c: reading what was undone, what was not finished, or in a
        circle. It has no case of its own; what is told is the one of the three.""",
        lists("a: [ax1 !\nb:        [rx1]\nc: [ay1]\nd: [ry1]", "G1a"),
        papers="adya00 5.2",
    ),
    *(
        anomaly(
            f"G1-{order}",
            f"""As G1, with {meaning} taken in: G1c-{order} or any of G1. What is told is the one
            that it is.""",
            lists(drawing, f"G1c-{order}"),
            papers="elle",
        )
        for order, meaning, drawing in (
            ("process", "the order of each process", "a: [rx1] [ax1]\nb: [rx1]"),
            ("realtime", "real time", "a: [rx1]\nb:       [ax1]"),
        )
    ),
    anomaly(
        "G1a",
        "Aborted read: a transaction saw a value that only a failed transaction wrote.",
        lists("a: [ax1 !\nb:        [rx1]\nc: [ay1]\nd: [ry1]", "G1a"),
        papers="adya00 5.2",
        other=("aborted-read",),
    ),
    anomaly(
        "G1b",
        """Intermediate read: a transaction saw a value that its writer itself had overwritten
        before it was done, so a state that no finished transaction left.""",
        lists("a: [ax1 ax2]\nb: [rx1     ]", "G1b"),
        papers="adya00 5.2",
        other=("intermediate-read",),
    ),
    anomaly(
        "dirty-update",
        """A transaction that succeeded built upon the write of one that failed: the failed
        write lives on in what came after it.""",
        lists("a: [ax1 !\nb:        [ax2]\nc: [rx12]", "G1a", "dirty-update"),
        papers="elle",
    ),
    anomaly(
        "internal",
        """A transaction disagrees with itself: it read something else than it had itself read
        or written just before.""",
        lists("a: [rx rx1]\nb: [ax1]", "internal", models="read-atomic"),
        papers="cerone, elle",
    ),
    anomaly(
        "own-write-overwritten",
        """A transaction read a key that it had written itself before, and found another one's value
        there: until it had ended, nobody might write over what it had written. Only below read
        committed that may be, so there it is left open.""",
        elle_registers(
            "a: [wx1    ]\nb: [wx2 rx1]\nc:          [rx2]",
            "own-write-overwritten",
            models="read-committed",
        ),
        papers="adya00",
    ),
    anomaly(
        "non-repeatable-read",
        """A transaction read a key twice and found two states of it, both committed by others (or
        one of them the initial state). Whichever of them came first, it ran before a write and
        after it. Read committed allows that.""",
        elle_registers("a: [rx_ rx1]\nb: [wx1]", "non-repeatable-read", "G-single-item"),
        papers="berenson, adya99",
        other=("fuzzy-read", "P2"),
    ),
    anomaly(
        "own-write-unread",
        """A transaction read a key that it had written itself before, and what it had written was
        not there. That is wrong at every level.""",
        elle_registers("a: [wx1 rx_]\nb: [rx1]", "own-write-unread"),
        papers="adya00",
    ),
    anomaly(
        "future-read",
        """A transaction saw a value before it wrote that value itself. That is wrong at every
        level: no read comes before the write that it shows.""",
        lists("a: [rx1 ax1]\nb:          [rx1]", "future-read"),
        papers="elle, adya00 4.1",
    ),
    anomaly(
        "own-appends-reordered",
        """A list shows what one transaction appended in another order than it made the appends,
        or a later one without an earlier one. No order of transactions does that.""",
        lists("a: [ax1 ax2]\nb:          [rx21]", "own-appends-reordered"),
        papers="adya00 4.1",
    ),
    anomaly(
        "thin-air",
        "A read shows a value that nobody ever wrote: it came out of thin air.",
        lists("a: [ax1]\nb: [rx13]\nc: [rx1]", "thin-air"),
        papers="elle",
        other=("garbage-read",),
    ),
    anomaly(
        "duplicate-elements",
        "A list shows one appended value twice: one write took effect two times.",
        lists("a: [ax1]\nb: [rx11]", "duplicate-elements"),
        papers="elle",
    ),
    anomaly(
        "incompatible-order",
        """Two reads of one list of which neither begins with the other: the list was in two
        orders, so at least one of the two reads saw a state that was undone.""",
        lists("a: [ax1]\nb: [ax2]\nc: [rx12]\nd: [rx21]", "incompatible-order"),
        papers="elle",
    ),
    anomaly(
        "cyclic-versions",
        """The versions of one key have no order: what is known of it (and what the options
        assume of the system) says that each came before the other.""",
        elle_registers(
            "p: [wx1] [wx2]\nq:            [rx2] [rx1]", "cyclic-versions", sequential_keys=True
        ),
        papers="elle",
    ),
    anomaly(
        "no-commit-order",
        """The transactions cannot have committed in any order: whoever sees a transaction that
        wrote a key, and yet reads another one's value there, demands that the second committed
        after the first, and these demands are a circle. The example breaks even read atomicity;
        other cases break causal consistency alone.""",
        elle_registers(
            "p: [wx1 wy1 ]\nq: [wx2 wy2 ]\nr:              [rx1 ry2]",
            "no-commit-order",
            models="read-atomic",
        ),
        papers="biswas",
    ),
    anomaly(
        "no-consistent-view",
        """No order of the versions gives every transaction a consistent view: either of two
        writes of a key may have come first, and whichever did, some transaction read a version
        that was overwritten by one that it came after. Every order was tried.""",
        elle_registers(
            "p: [rx_ wx1 wy1]\nq: [ry_ wx2 wy2]", "no-consistent-view", models="consistent-view"
        ),
        papers="adya99 ch 4",
    ),
    anomaly(
        "no-serial-order",
        """No serial order of the transactions explains all reads, with each session's own order, or
        real time, kept where the model asks so. What must be so of the order of versions makes a
        circle; or nothing tells which of some versions came first, and each choice makes one. Here
        two transactions read what a third wrote, one x and one y, and each overwrote what the other
        had read: a write skew of blind writes, which nobody read.""",
        elle_registers(
            "p: [wx2 wy2]\nq: [wy1 rx2]\nr: [wx1 ry2]",
            "no-serial-order",
            models="serializable",
        ),
        papers="biswas",
    ),
    anomaly(
        "no-snapshot-order",
        """No order of snapshots and commits explains all reads, if of two transactions that write
        the same key one commits before the other takes its snapshot, with each session's own
        order, or real time, kept where the model asks so. Here the first missed x = 2, so it began
        before that was committed, and as both wrote x it committed first; but who read x = 2 missed
        the y that it wrote.""",
        elle_registers(
            "p: [rx_ wx1 wy1      ]\nq: [wx2] [rx2 ry_ wx3]",
            "no-snapshot-order",
            models="snapshot-isolation",
        ),
        papers="cerone, biswas",
    ),
    anomaly(
        "no-prefix-order",
        """No order of snapshots and commits explains all reads, though two transactions that write
        the same key may even be under way at once. Here x and y each had two values, and all four
        mixtures of them were read: no single store went through them all.""",
        elle_registers(
            "p: [wx1] [rx1 ry8]\nq: [wy2] [rx9 ry2]\nr: [wx9] [rx1 ry2]\ns: [wy8] [rx9 ry8]",
            "no-prefix-order",
            models="prefix",
        ),
        papers="cerone",
    ),
    anomaly(
        "lost-update",
        """Two transactions read the same version of a key and both wrote it: one of the two
        changes was made without knowing of the other and is gone.""",
        lists(_LOST, "lost-update", models="update-atomic"),
        registers(WriteSkew, "q: [rx_ wx1]\nr: [rx_ wx2]", "lost-update"),
        papers="berenson 4.1, bailis",
    ),
    anomaly(
        "write-skew",
        """Two transactions read the same state, and each overwrote what the other had read: each
        must come before the other. Every one of them alone would have been right. Over single items
        it is G2-item as well, which repeatable read forbids, too.""",
        registers(WriteSkew, "q: [rx_ ry_ wx2]\nr: [rx_ ry_ wy2]", "write-skew"),
        papers="berenson 4.2",
    ),
    anomaly(
        "long-fork",
        """Two readers that see two independent writes in opposite orders: the store had two
        histories for a while.""",
        registers(LongFork, "p: [wx1  ]\nq: [wy1  ]\nr:   [rx1 ry_]\ns:   [rx_ ry1]", "long-fork"),
        papers="sovran, cerone",
    ),
    anomaly(
        "torn-transaction",
        """A read saw a transaction over several keys in part: its new value at one key, and the
        older one at another that it wrote as well.""",
        registers(Torn, "p: [wx1 wy1 ]\nr:  [rx1 ry_]", "torn-transaction"),
        papers="ramp",
        other=("fractured-read",),
    ),
    anomaly(
        "torn-write",
        """A transaction over several keys is in the store in part: it was seen so by a read
        that began after every writer of both keys was done.""",
        registers(Torn, "p: [wx1 wy1]\nr:            [rx1 ry_]", "torn-write"),
        papers="ramp",
    ),
    anomaly(
        "predicate-read-miss",
        """A read by a condition missed a row which fulfilled that condition in every version
        that it ever had.""",
        script(
            PredicateReads,
            """
            0 init {"1": 3}
            1 + txn [["w", "1", 5]]
            2 txn [["rp", ["mod", 2, 1]]] = [["rp", ["mod", 2, 1], {}]]
            1 - ok
            """,
            "predicate-read-miss",
        ),
        papers="adya00 5.3",
    ),
    anomaly(
        "predicate-mismatch",
        "A read by a condition found a row that does not fulfil it.",
        script(
            PredicateReads,
            """
            0 + txn [["insert", "1", 5]]
            1 txn [["rp", ["=", 4]]] = [["rp", ["=", 4], {"1": 5}]]
            0 - ok
            """,
            "predicate-mismatch",
        ),
        papers="kingsbury",
    ),
    anomaly(
        "causal-initial-read",
        "A read found nothing, although a write of that key is among its causes.",
        registers(Causal, "p: [wx1] [rx_]", "causal-initial-read"),
        papers="bouajjani",
    ),
    anomaly(
        "causal-stale-read",
        "A read found an old value, although a later write of that key is among its causes.",
        registers(Causal, "p: [wx1] [wx2]\nq: [rx2] [rx1]", "causal-stale-read"),
        papers="bouajjani",
    ),
    anomaly(
        "causal-cycle",
        "By who read what from whom, an operation would be its own cause.",
        registers(Causal, "p: [rx1] [wy1]\nq: [ry1] [wx1]", "causal-cycle"),
        papers="bouajjani",
    ),
    anomaly(
        "causal-conflict",
        """Readers demand opposite orders of two writes of a key. Plain causal consistency allows
        it, a store that settles on one order for all (causal convergence) does not.""",
        registers(Causal, "p: [wx1] [rx2]\nq: [wx2] [rx1]", "causal-conflict"),
        papers="bouajjani",
    ),
    anomaly(
        "causal-reverse",
        """A later write is visible without an earlier one that had been acknowledged before the
        later one was even sent.""",
        script(CausalReverse, "0 write 7\n1 write 8\n2 read = [8]", "causal-reverse"),
        papers="kingsbury",
    ),
    anomaly(
        "G-SI",
        """Either of G-SIa and G-SIb: what snapshot isolation forbids beyond G1. What is told is
        the circle, here read skew.""",
        lists("a: [ax1 ay1]\nb: [rx  ry1]", "G-single-item"),
        papers="adya99 ch 4",
    ),
    anomaly(
        "G-SIa",
        """Interference: a transaction depends on another one that had not committed when it
        started. That needs the moments of start and commit, which a client does not see, so no
        checker here tells it by itself; the example is told as read skew.""",
        lists("a: [ax1 ay1]\nb: [rx  ry1]", "G-single-item"),
        papers="adya99 ch 4",
    ),
    anomaly(
        "G-SIb",
        """Missed effects: a circle with exactly one missed write, the order of starts taken in.
        Told as G-single or G-single-item, which imply it.""",
        lists("a: [ax1 ay1]\nb: [rx  ry1]", "G-single-item"),
        papers="adya99 ch 4",
    ),
    anomaly(
        "G-cursor",
        """A circle of one missed write and writes of one and the same key: the lost update of
        cursor stability. Told as lost-update.""",
        lists(_LOST, "lost-update", models="cursor-stability"),
        papers="adya99 ch 4",
    ),
    anomaly(
        "G-monotonic",
        """A transaction reads on from an older state than it has already seen. No checker here
        looks for it by itself: the order of the reads inside a transaction is not used. The
        example, in which y is read after the other transaction and then x before it, is told
        as read skew.""",
        lists("a: [ax1 ay1]\nb: [ry1 rx ]", "G-single-item"),
        papers="adya99 ch 4",
    ),
    anomaly(
        "G-MSR",
        """Reads that do not come from snapshots that move forward. No checker here looks for it
        by itself; the example is told as read skew.""",
        lists("a: [ax1 ay1]\nb: [ry1 rx ]", "G-single-item"),
        papers="adya99 ch 4",
    ),
    anomaly(
        "G-update",
        """A circle that some transactions which write make with one read-only transaction. No
        checker here looks for it by itself; the example is told as read skew.""",
        lists("a: [ax1 ay1]\nb: [rx  ry1]", "G-single-item"),
        papers="adya99 ch 4",
    ),
    anomaly(
        "empty-transaction-graph",
        """No transaction depends on any other: nothing was read that somebody wrote. Such a
        history proves nothing, so the answer is unknown.""",
        replace(lists("a: [ax1]", "empty-transaction-graph", models="serializable"), valid=UNKNOWN),
        papers="elle",
    ),
    anomaly(
        "cycle-search-timeout",
        """The search for circles ran out of time, so a clean answer would prove nothing: unknown.
        A longer --cycle-search-timeout, or a shorter history, decides it.""",
        papers="elle",
    ),
)
