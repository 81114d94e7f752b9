"""The options that every run has, whatever it is a run of: flags of ``test`` and ``soak``.

:class:`harness.store.scenario.Scenario` has a field for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from harness.option import Duration, Option

MOST_NODES_ADVICE: Final = "--nodes 5; hosts by name come by --nodes-file FILE, with --provider ssh"

RUN_OPTIONS: Final[Mapping[str, tuple[Option, ...]]] = {
    "What is tested": (
        Option(name="system", help="the system under test"),
        Option(
            name="workload",
            default="register",
            help="what the clients do, and what it is judged by",
        ),
        Option(
            name="consistency_models",
            many=True,
            help="judge against these models, with commas, in place of the system's own claim",
        ),
        Option(
            name="claims",
            default="assumed",
            choices=("assumed", "documented"),
            help="judge against what users take for granted, or what the vendor documents",
        ),
    ),
    "Load": (
        Option(
            name="client",
            help="a program that is the client, in any language, in place of the system's own",
        ),
        Option(
            name="concurrency",
            default="4n",
            help="clients: a number, or a multiple of the nodes like 3n",
        ),
        Option(
            name="rate",
            default=200.0,
            kind=float,
            above=0,
            help="operations a second over all clients",
        ),
        Option(
            name="time_limit",
            default=60.0,
            kind=Duration,
            above=0,
            help="how long there are operations",
        ),
        Option(
            name="op_timeout",
            default=5.0,
            kind=Duration,
            above=0,
            help="when an operation without answer is given up (info)",
        ),
    ),
    "Faults": (
        Option(
            name="nemesis",
            many=True,
            help="faults and actions, by name and with commas; all: whatever the system survives;"
            " random: some of that, by the seed; all,-kill: without that one",
        ),
        Option(
            name="nemesis_after",
            many=True,
            help="FAULT=MILESTONE+TIME: each time so long after it, as kill=leader-change+50ms",
        ),
        Option(
            name="intensity",
            choices=("gentle", "default", "brutal"),
            help="how hard faults come, where interval, duration and targets do not say it",
        ),
        Option(
            name="schedule",
            kind=Path,
            help="a file that says which of them begins when, as each run's schedule.jsonl",
        ),
        Option(
            name="nemesis_interval",
            default=10.0,
            kind=Duration,
            above=0,
            help="from the beginning of a fault to the next",
        ),
        Option(
            name="nemesis_duration",
            kind=Duration,
            above=0,
            help="how long a fault lasts (default: half the interval)",
        ),
        Option(
            name="recovery_timeout",
            default=60.0,
            kind=Duration,
            least=0,
            help="what the healed cluster has to get ready",
        ),
    ),
    "Cluster": (
        Option(
            name="nodes",
            default=5,
            kind=int,
            above=0,
            help="how many nodes",
            advice=MOST_NODES_ADVICE,
        ),
        Option(name="provider", default="local", help="how nodes come to exist"),
        Option(
            name="leave_db_running",
            default=False,
            kind=bool,
            help="keep the cluster; see polygraph down",
        ),
    ),
    "The run": (
        Option(
            name="fail_fast",
            default=False,
            kind=bool,
            help="begin nothing more once an anomaly is seen; judge as ever",
        ),
        Option(
            name="budget", default=300.0, kind=Duration, above=0, help="what each checker may take"
        ),
        Option(
            name="journal",
            default="buffered",
            choices=("buffered", "sync"),
            help="sync: one write for each record of the history",
        ),
        Option(
            name="traces",
            default=False,
            kind=bool,
            help="collect the spans that the system sends; see polygraph trace",
        ),
        Option(
            name="seed",
            kind=int,
            help="fixes the fault schedule and every generator's random stream"
            " (default: drawn, and told)",
        ),
        Option(
            name="secrets",
            many=True,
            help="secrets that the run needs, by name; a run notes which it was given",
        ),
        Option(
            name="plugin",
            kind=Path,
            many=True,
            help="a Python file with further systems, workloads, nemeses or checkers",
        ),
    ),
}
"""By what they are about, in the order of the help."""


def default(name: str) -> Any:
    """What the option is where nobody says it."""
    return _BY_NAME[name].default


_BY_NAME: Final = {option.name: option for options in RUN_OPTIONS.values() for option in options}
