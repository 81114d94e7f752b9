"""What can be wrong with single objects: registers, sets, queues, counters, locks, accounts."""

from __future__ import annotations

from typing import Final

from checkers.explained.entries import anomaly, register, run, script, table
from checkers.explained.notation import scripted
from checkers.isolation.monotonic import Monotonic
from checkers.isolation.sequential import Sequential
from checkers.objects.bank import Bank
from checkers.objects.comments import Comments
from checkers.objects.counter import Counter
from checkers.objects.insert_order import InsertOrder
from checkers.objects.lock import Lock
from checkers.objects.queue import Queue
from checkers.objects.session_monotonic import SessionMonotonic
from checkers.objects.set_full import SetFull
from checkers.objects.sets import Set
from checkers.objects.total_queue import TotalQueue
from checkers.objects.unique_ids import UniqueIds
from checkers.objects.watch import Watch
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import Record

_BANK: Final = {"model": "bank", "initial": {"0": 10, "1": 10}}
_TWICE: Final = """
    0 + add [0, null]
    1 + add [{row}, null]
    0 - ok [0, 1]
    1 - ok [{row}, 1]
"""
_WRITES: Final = '0 write "a" = ["a", 2]\n0 write "b" = ["b", 5]\n'


def _watched(events: str, to: int = 5) -> str:
    return f'2 watch 0 = {{"after": 0, "to": {to}, "events": [{events}]}}\n'


def _looked_again() -> History:
    moved, found = {"from": 0, "to": 1, "amount": 5}, {"0": 10, "1": 10}
    return History(
        [
            Operation(0, 0, 0, "invoke", "read", None),
            Operation(1, 1_000_000, 1, "invoke", "transfer", moved),
            Operation(2, 2_000_000, 1, "ok", "transfer", moved),
            Operation(3, 3_000_000, 0, "ok", "read", found, extra={"again": {"0": 5}}),
        ],
        Header(model="bank", initial=found),
    )


OBJECT_ENTRIES: Final = table(
    anomaly(
        "nonlinearizable",
        """No order of the operations that respects real time explains all answers: the object
        did not behave like one copy.""",
        register("p: [w1]\nq:      [r2]", "nonlinearizable"),
        papers="herlihy",
    ),
    anomaly(
        "stale-read",
        """A read was answered with an older value, although a newer one was certainly in place
        before the read was sent.""",
        register("p: [w1] [w2]\nq:           [r1]", "stale-read"),
        papers="herlihy",
    ),
    anomaly(
        "wrong-total",
        """The balances of one read do not add up to the money that there is: a transfer was seen
        (or made) in half.""",
        script(
            Bank,
            """
            0 transfer {"from": 0, "to": 1, "amount": 5}
            1 read = {"0": 5, "1": 10}
            """,
            "wrong-total",
            header=_BANK,
        ),
        papers="kingsbury",
    ),
    anomaly(
        "negative-value",
        "An account is below zero, although every transfer asks for the balance first.",
        script(
            Bank,
            """
            0 transfer {"from": 0, "to": 1, "amount": 15}
            1 read = {"0": -5, "1": 25}
            """,
            "negative-value",
            header=_BANK,
        ),
        papers="kingsbury",
    ),
    anomaly(
        "nil-balance",
        "An account that is there was read without a balance.",
        script(Bank, '1 read = {"0": null, "1": 10}', "nil-balance", header=_BANK),
        papers="kingsbury",
    ),
    anomaly(
        "unexpected-key",
        "A read shows an account that does not exist.",
        script(Bank, '1 read = {"0": 10, "1": 10, "7": 0}', "unexpected-key", header=_BANK),
        papers="kingsbury",
    ),
    anomaly(
        "unrepeatable-read",
        """One transaction read accounts twice, and found other balances the second time: it did
        not read one snapshot.""",
        run(
            Bank,
            """
            process 0 begins to read, process 1 moves 5 from account 0 to account 1, and the read
            answers {"0": 10, "1": 10}, and beside it what it found when it looked again: {"0": 5}
            """,
            lambda folder: Record(history=_looked_again()),
            "unrepeatable-read",
        ),
        papers="adya00 4",
    ),
    anomaly(
        "lost",
        """Something that was acknowledged is gone: an element that every last read lacks, a
        message that never came out although the queue was emptied, a part of a counter, or an
        append to a list, though the order of transactions may show nothing of that. In a run
        the last reads are those after recovery, on every node; in a file the last one decides.
        Every system claims that what it acknowledged lasts, unless an option that the user set
        disclaims it.""",
        script(Set, "0 add 1\n0 add 2\n1 read = [2]", "lost"),
        script(TotalQueue, "0 enqueue 1\n1 drain = []", "lost"),
        run(
            Counter,
            "in a run 3 is added and acknowledged, and the last read after recovery shows 0",
            lambda folder: Record(
                history=scripted("0 add 3\n1 read = 0", claims=["read-committed"]),
                run={"phases": {"final": [2_000_000, 9_000_000]}},
            ),
            "lost",
        ),
        papers="kingsbury",
    ),
    anomaly(
        "reappeared",
        """An element whose remove was acknowledged is in the last reads, and nobody added it
        again: the remove is lost.""",
        script(Set, "0 add 1\n0 remove 1\n1 read = [1]", "reappeared"),
        papers="kingsbury",
    ),
    anomaly(
        "unexpected",
        """Something was seen that nobody had put there: never, or only later, or in an attempt
        that failed.""",
        script(Set, "0 add 1\n0 read = [1, 9]", "unexpected"),
        script(Queue, "0 enqueue 1\n1 dequeue = 2", "unexpected"),
        script(Comments, "0 write 1 !\n1 read = [1]", "unexpected"),
        script(Watch, _WRITES + _watched('[2, "a"], [5, "b"], [6, "x"]', 6), "unexpected"),
        papers="kingsbury",
    ),
    anomaly(
        "duplicated",
        """Something came twice that was there once: an element in a read, a message out of a
        queue, an id that two clients were given, a change in a watch.""",
        script(Set, "0 add 1\n0 read = [1, 1]", "duplicated"),
        script(Queue, "0 enqueue 1\n1 dequeue = 1\n2 dequeue = 1", "duplicated"),
        script(UniqueIds, "0 generate = 7\n1 generate = 7", "duplicated"),
        script(Watch, _WRITES + _watched('[2, "a"], [5, "b"], [5, "b"]'), "duplicated"),
        papers="kingsbury",
    ),
    anomaly(
        "stale",
        """A read lacks an element that was certainly in the set before the read was sent, and
        other reads show it: late, not lost. Only claims that keep to real time forbid it.""",
        script(SetFull, "0 add 1\n1 read = []\n1 read = [1]", "stale", claims=("linearizable",)),
        papers="kingsbury",
    ),
    anomaly(
        "too-low",
        "A counter was read below the sum of what had certainly been counted.",
        script(Counter, "0 add 1\n0 read = 0", "too-low"),
        papers="kingsbury",
    ),
    anomaly(
        "too-high",
        "A counter was read above the sum of all that can have been counted.",
        script(Counter, "0 add 1\n0 read = 2", "too-high"),
        papers="kingsbury",
    ),
    anomaly(
        "unreachable",
        """A counter was read at a value between what must and what can have been counted, which
        no choice of the doubtful changes adds up to.""",
        script(Counter, "0 add 5 ?\n1 add 3 ?\n2 read = 4", "unreachable"),
        papers="kingsbury",
    ),
    anomaly(
        "overlap",
        "Two processes certainly held the lock at one moment.",
        script(Lock, "0 acquire\n1 acquire", "overlap"),
        papers="kingsbury",
    ),
    anomaly(
        "not-held",
        "A release was acknowledged of a process that did not hold the lock.",
        script(Lock, "0 acquire\n1 release\n0 release", "not-held"),
        papers="kingsbury",
    ),
    anomaly(
        "fence-fell",
        """A later holder was given a lower fence token than an earlier one, so a store that
        refuses old tokens would refuse the rightful holder.""",
        script(Lock, "0 acquire = 5\n0 release\n1 acquire = 4\n1 release", "fence-fell"),
        papers="burrows 2.4",
    ),
    anomaly(
        "fence-repeated",
        "Two holders were given one fence token: it tells nobody apart.",
        script(Lock, "0 acquire = 5\n0 release\n1 acquire = 5\n1 release", "fence-repeated"),
        papers="burrows 2.4",
    ),
    anomaly(
        "out-of-order",
        "A watch told changes in an order that is not the order of their revisions.",
        script(Watch, _WRITES + _watched('[5, "b"], [2, "a"]'), "out-of-order"),
        papers="kingsbury",
    ),
    anomaly(
        "divergent",
        "One revision has two values, by two watches or by a watch and a write's answer.",
        script(Watch, _WRITES + _watched('[2, "a"], [5, "c"]'), "divergent", "unexpected"),
        papers="kingsbury",
    ),
    anomaly(
        "missed",
        "A watch lacks a change in its range, which a write or another watch proves.",
        script(Watch, _WRITES + _watched('[5, "b"]'), "missed"),
        papers="kingsbury",
    ),
    anomaly(
        "write-order",
        "A write was acknowledged before another one was sent, and has the higher revision.",
        script(
            Watch,
            '0 write "a" = ["a", 5]\n1 write "b" = ["b", 3]\n' + _watched('[3, "b"], [5, "a"]'),
            "write-order",
        ),
        papers="kingsbury",
    ),
    anomaly(
        "missing",
        """A read shows a comment without one that was acknowledged before that comment was sent:
        an effect without its cause.""",
        script(Comments, "0 write 1\n0 write 2\n1 read = [2]", "missing"),
        papers="kingsbury",
    ),
    anomaly(
        "trailing-nil",
        """A reader that looked in the reverse order found a client's later insert, and after
        that not its earlier one.""",
        script(InsertOrder, '0 read 1 = [1, ["c", null, "a"]]', "trailing-nil"),
        papers="kingsbury",
    ),
    anomaly(
        "fell",
        "A process saw a value fall that only ever rises.",
        script(SessionMonotonic, "0 read = 3\n0 read = 2", "fell"),
        papers="terry",
    ),
    anomaly(
        "lost-increment",
        "Two acknowledged increments were answered with one value: one of them is lost.",
        script(SessionMonotonic, "0 inc = 1\n1 inc = 1", "lost-increment"),
        papers="kingsbury",
    ),
    anomaly(
        "duplicate-value",
        "Two increments counted on from one value: a lost update.",
        script(Monotonic, _TWICE.format(row=0), "duplicate-value"),
        script(
            Sequential,
            '0 inc ["x", null] = ["x", 3]\n1 inc ["x", null] = ["x", 3]',
            "duplicate-value",
        ),
        papers="berenson 4.1",
    ),
    anomaly(
        "duplicate-value-skew",
        "Two increments of different rows, each of which missed the other: write skew.",
        script(Monotonic, _TWICE.format(row=1), "duplicate-value-skew"),
        papers="berenson 4.2",
    ),
    anomaly(
        "falling-value",
        """Something that only counts up was seen lower than before: after one that was already
        answered, or by the same process.""",
        script(Monotonic, "0 add [0, null] = [0, 5]\n1 add [1, null] = [1, 4]", "falling-value"),
        script(
            Sequential,
            '0 read ["x", null] = ["x", 5]\n0 read ["x", null] = ["x", 4]',
            "falling-value",
        ),
        papers="kingsbury",
    ),
    anomaly(
        "falling-value-process",
        "As falling-value, within one process: its session went back.",
        script(
            Monotonic,
            '0 add [0, null] = [0, 5]\n0 read = {"0": 4}',
            "falling-value-process",
            "lost-value-process",
        ),
        papers="daudjee",
    ),
    anomaly(
        "lost-value",
        "A read found less in a row than an add had put there before the read was sent.",
        script(
            Monotonic,
            """
            0 add [0, null] = [0, 1]
            1 add [1, null] = [1, 2]
            2 read = {"0": null, "1": 2}
            """,
            "lost-value",
        ),
        papers="kingsbury",
    ),
    anomaly(
        "lost-value-process",
        "As lost-value, within one process: it does not find what it had put there itself.",
        script(
            Monotonic,
            """
            0 add [0, null] = [0, 1]
            1 add [1, null] = [1, 2]
            0 read = {"0": null, "1": 2}
            """,
            "lost-value-process",
        ),
        papers="daudjee",
    ),
)
