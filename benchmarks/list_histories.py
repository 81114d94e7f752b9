"""Seeded list-append histories as JSON lines, for benchmarks: valid ones, and with flaws planted.

Twenty processes, ten active keys, 32 appends a key, one to four micro-operations a transaction,
each executed at its completion on one copy of the data: strict serializable by construction.
``infos`` and ``fails`` are shares of transactions that end so (an info took effect or not, by
chance). ``g_single`` plants one read skew. ``stale`` ends the history with a read of a state
that is that many transactions old, which with realtime order makes one component of about so
many; in its midst stand one pair each of a write skew, of circular reads and of a read skew.

    python benchmarks/list_histories.py FILE --transactions 100000 --seed 7
"""

from __future__ import annotations

import argparse
import heapq
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TextIO

PROCESSES = 20
ACTIVE_KEYS = 10
APPENDS_A_KEY = 32
STEP_NS = 1_000


@dataclass(kw_only=True)
class Plan:
    """What to write."""

    transactions: int
    seed: int = 7
    infos: float = 0.0
    fails: float = 0.0
    g_single: bool = False
    stale: int = 0


@dataclass
class Store:
    """Lists by key as the text of their elements; ``given`` counts the values handed out."""

    lists: list[str] = field(default_factory=lambda: [""] * ACTIVE_KEYS)
    given: list[int] = field(default_factory=lambda: [0] * ACTIVE_KEYS)
    active: list[int] = field(default_factory=lambda: list(range(ACTIVE_KEYS)))

    def new_value(self, slot: int) -> tuple[int, int]:
        """Key and value of the next append to the active key ``slot``."""
        key = self.active[slot]
        if self.given[key] == APPENDS_A_KEY:
            key = self.active[slot] = self.add_key()
        self.given[key] += 1
        return key, self.given[key]

    def add_key(self) -> int:
        """A fresh key."""
        self.lists.append("")
        self.given.append(0)
        return len(self.lists) - 1

    def append(self, key: int, value: int) -> None:
        """Append to the list itself."""
        self.lists[key] += f",{value}" if self.lists[key] else str(value)


class Writer:
    """Writes records in order, with index and time."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.index = 0

    def record(self, process: int, kind: str, value: str) -> None:
        """One line; ``value`` is JSON."""
        self.out.write(
            f'{{"index":{self.index},"time":{self.index * STEP_NS},"process":{process},'
            f'"type":"{kind}","f":"txn","value":[{value}]}}\n'
        )
        self.index += 1

    def whole(self, processes: list[int], asked: list[str], answers: list[str]) -> None:
        """Transactions that all overlap one another."""
        for process, value in zip(processes, asked, strict=True):
            self.record(process, "invoke", value)
        for process, value in zip(processes, answers, strict=True):
            self.record(process, "ok", value)


def write_history(path: Path, plan: Plan) -> None:
    """Write the history of ``plan``; the same plan gives the same bytes."""
    with path.open("w") as out:
        _History(plan, Writer(out)).write()


class _History:
    def __init__(self, plan: Plan, writer: Writer) -> None:
        self.plan = plan
        self.writer = writer
        self.random = Random(plan.seed)
        self.store = Store()
        self.retired = PROCESSES

    def write(self) -> None:
        """All of it: ordinary transactions with the flaws in their places."""
        plan, queue = self.plan, [(self.random.random(), p, "") for p in range(PROCESSES)]
        heapq.heapify(queue)
        flaw_at = plan.transactions - plan.stale // 2 if plan.stale else plan.transactions // 2
        old = -1
        done = begun = 0
        while queue:
            when, process, asked = heapq.heappop(queue)
            if asked:
                done += 1
                process = self._complete(process, asked)
            elif begun < plan.transactions:
                begun += 1
                asked = self._asked()
                self.writer.record(process, "invoke", asked)
                heapq.heappush(queue, (when + self.random.expovariate(1.0), process, asked))
                continue
            else:
                continue
            heapq.heappush(queue, (when + 0.1 * self.random.random(), process, ""))
            if done == flaw_at and (plan.g_single or plan.stale):
                self._read_skew()
            if plan.stale and done == plan.transactions - plan.stale:
                old = self._write_once()
            if plan.stale and done == flaw_at:
                self._write_skew()
                self._circular_reads()
        if old >= 0:
            self.writer.whole([self._process()], [f'["r",{old},null]'], [f'["r",{old},[]]'])

    def _asked(self) -> str:
        draw, micro = self.random.random, []
        for _ in range(1 + int(4 * draw())):
            slot = int(ACTIVE_KEYS * draw())
            if draw() < 0.5:
                key, value = self.store.new_value(slot)
                micro.append(f'["append",{key},{value}]')
            else:
                micro.append(f'["r",{self.store.active[slot]},null]')
        return ",".join(micro)

    def _complete(self, process: int, asked: str) -> int:
        """Execute and answer; gives the process that goes on."""
        fate = self.random.random()
        if fate < self.plan.fails:
            self.writer.record(process, "fail", asked)
            return process
        is_info = fate < self.plan.fails + self.plan.infos
        if is_info and self.random.random() < 0.5:
            self.writer.record(process, "info", asked)
            return self._process()
        answer = self._executed(asked)
        self.writer.record(process, "info" if is_info else "ok", asked if is_info else answer)
        return self._process() if is_info else process

    def _executed(self, asked: str) -> str:
        answers = []
        for micro in asked[1:-1].split("],["):
            f, key, value = micro.split(",")
            if f == '"r"':
                answers.append(f"[{f},{key},[{self.store.lists[int(key)]}]]")
            else:
                self.store.append(int(key), int(value))
                answers.append(f"[{micro}]")
        return ",".join(answers)

    def _process(self) -> int:
        self.retired += 1
        return self.retired - 1

    def _write_once(self) -> int:
        key = self.store.add_key()
        write = f'["append",{key},1]'
        self.writer.whole([self._process()], [write], [write])
        return key

    def _two_keys(self) -> tuple[int, int]:
        return self.store.add_key(), self.store.add_key()

    def _read_skew(self) -> None:
        x, y = self._two_keys()
        both = f'["append",{x},1],["append",{y},1]'
        asked = [both, f'["r",{x},null],["r",{y},null]']
        answers = [both, f'["r",{x},[]],["r",{y},[1]]']
        self.writer.whole([self._process(), self._process()], asked, answers)

    def _write_skew(self) -> None:
        x, y = self._two_keys()
        asked = [f'["r",{x},null],["append",{y},1]', f'["r",{y},null],["append",{x},1]']
        answers = [micro.replace("null", "[]") for micro in asked]
        self.writer.whole([self._process(), self._process()], asked, answers)

    def _circular_reads(self) -> None:
        x, y = self._two_keys()
        asked = [f'["append",{x},1],["r",{y},null]', f'["append",{y},1],["r",{x},null]']
        answers = [micro.replace("null", "[1]") for micro in asked]
        self.writer.whole([self._process(), self._process()], asked, answers)


def main() -> None:
    """Write one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--transactions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--infos", type=float, default=0.0)
    parser.add_argument("--fails", type=float, default=0.0)
    parser.add_argument("--g-single", action="store_true")
    parser.add_argument("--stale", type=int, default=0)
    given = vars(parser.parse_args())
    write_history(given.pop("file"), Plan(**given))


if __name__ == "__main__":
    main()
