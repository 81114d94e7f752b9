"""How long the checker ``linearizable`` takes: 100,000 operations on 500 keys, 10 processes a key.

Histories are valid by construction (each operation acts once on one register in memory, inside
its interval), with values unique within a key (decided by zones) or from a range of 5 (decided
by the exact search), without or with 2 % of operations of unknown outcome. Prints one line each,
and on the last line JSON: seconds of processor time by case.

    python benchmarks/linearizable.py [KEYS]
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from checkers.linearizable import Linearizable
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import Budget

OPERATIONS_PER_KEY = 200
PROCESSES = 10


class Register:
    """One key: open calls, what they will answer, and the value held."""

    def __init__(self, key: int, random: Random, value_range: int | None, unknown: float) -> None:
        self.key, self.random, self.range, self.unknown = key, random, value_range, unknown
        self.held: int | None = None
        self.fresh = 0
        self.free = list(range(key * 1000, key * 1000 + PROCESSES))
        self.waiting: list[Operation] = []
        self.acted: list[Operation] = []

    def _value(self) -> int:
        self.fresh += 1
        return self.fresh if self.range is None else self.random.randrange(self.range)

    def invoke(self) -> Operation:
        """A new call: reads and changes as likely, half of these compare-and-sets."""
        process = self.free.pop(self.random.randrange(len(self.free)))
        f = self.random.choice(("read", "read", "write", "cas"))
        value: Any = None if f == "read" else self._value()
        if f == "cas":
            value = [self.held, value]
        call = Operation(-1, -1, process, "invoke", f, [self.key, value])
        self.waiting.append(call)
        return call

    def act(self) -> None:
        """Let one call take effect."""
        call = self.waiting.pop(self.random.randrange(len(self.waiting)))
        value, kind = call.value[1], "ok"
        if call.f == "read":
            value = self.held
        elif call.f == "write":
            self.held = value
        elif self.held == value[0]:
            self.held = value[1]
        else:
            kind = "fail"
        if kind == "ok" and call.f != "read" and self.random.random() < self.unknown:
            kind = "info"
        self.acted.append(Operation(-1, -1, call.process, kind, call.f, [self.key, value]))

    def answer(self) -> Operation:
        """The completion of one call that took effect."""
        done = self.acted.pop(self.random.randrange(len(self.acted)))
        process = int(done.process)
        self.free.append(process + PROCESSES if done.type == "info" else process)
        return done


def made(keys: int, value_range: int | None, unknown: float) -> History:
    """A whole history, key after key."""
    records: list[Operation] = []
    for key in range(keys):
        register, left = Register(key, Random(key), value_range, unknown), OPERATIONS_PER_KEY
        while left or register.waiting or register.acted:
            chance = register.random.random()
            if left and register.free and chance < 0.4:
                records.append(register.invoke())
                left -= 1
            elif register.waiting and chance < 0.7:
                register.act()
            elif register.acted:
                records.append(register.answer())
    numbered = [
        Operation(n, n * 1000, op.process, op.type, op.f, op.value) for n, op in enumerate(records)
    ]
    return History(numbered, Header(model="cas-register", independent=True))


def main() -> None:
    """Judge each kind of history once and print the times."""
    keys = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    seconds: dict[str, float] = {}
    for name, value_range in (("unique", None), ("range_5", 5)):
        for unknown in (0.0, 0.02):
            history = made(keys, value_range, unknown)
            begun = time.process_time()
            verdict = Linearizable({}).check(Record(history=history), Budget.start(600))
            case = f"{name}{'_infos' if unknown else ''}"
            seconds[case] = round(time.process_time() - begun, 3)
            print(f"{case}: {verdict.valid}, {len(history)} records, {seconds[case]} s", flush=True)
    print(json.dumps({"operations": keys * OPERATIONS_PER_KEY, "checker_s": seconds}))


if __name__ == "__main__":
    main()
