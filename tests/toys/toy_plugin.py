"""A plug-in for the tests of the command line: toys of every kind, some of them broken."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from harness.contract.client import Registers
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.verdict.record import Record
from harness.verdict.verdict import Anomaly, Budget, Valid, Verdict


class Says:
    """A checker that has made up its mind."""

    reads = frozenset({"history"})

    def __init__(self, name: str, valid: Valid) -> None:
        self.name, self.valid = name, valid

    def __call__(self, options: Mapping[str, Any]) -> Says:
        self.options = options
        return self

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The made-up verdict, with the options in its statistics."""
        why = "" if self.valid is True else "it was told to say so"
        anomalies = {"toy": [Anomaly(message=why)]} if self.valid is False else {}
        header = record.header
        stats = {
            "options": dict(self.options),
            "initial": header.initial,
            "independent": header.independent,
            "budget": budget.seconds,
            "records": len(record.history),
        }
        return Verdict(valid=self.valid, why=why, anomalies=anomalies, stats=stats)


class Waits(Says):
    """A checker that says on standard error that it has begun, and never ends."""

    def check(self, record: Record, budget: Budget) -> Verdict:
        """Wait until interrupted."""
        print("begun", file=sys.stderr, flush=True)
        threading.Event().wait()
        return super().check(record, budget)


class Crashes(Says):
    """A checker that raises while it judges."""

    def check(self, record: Record, budget: Budget) -> Verdict:
        """Raise."""
        raise ZeroDivisionError("the toy checker divides by zero")


def broken(options: Mapping[str, Any]) -> Says:
    """A factory that raises."""
    raise ZeroDivisionError("the toy factory divides by zero")


class ToySystem:
    """A system with two options of its own, and no cluster behind it."""

    name = "toy"
    options = (
        SystemOption(name="stale_reads", kind=bool, default=False, help="read old values"),
        SystemOption(name="shards", kind=int, default=3, help="how many shards"),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.given = options

    def abilities(self) -> Sequence[type]:
        """None at all."""
        return ()


class ToyWorkload:
    """A workload that needs registers."""

    name = "toy-work"
    needs = (Registers,)
    options = (SystemOption(name="keys", kind=int, default=1, help="how many keys"),)

    def __init__(self, options: WorkloadOptions) -> None:
        self.given = options


CHECKERS = {
    "fine": Says("fine", True),
    "wrong": Says("wrong", False),
    "doubtful": Says("doubtful", "unknown"),
    "waits": Waits("waits", True),
    "crashes": Crashes("crashes", True),
    "broken": broken,
}
SYSTEMS = {"toy": ToySystem}
WORKLOADS = {"toy-work": ToyWorkload}
