#!/usr/bin/env python3
"""Short runs of every workload under every fault, and a table of their verdicts.

    python scripts/many_runs.py --count 200 --seconds 15 --parallel 2
    python scripts/many_runs.py --count 10 --stop 30 --workloads register --faults none,kill

A system that keeps its promises must never be accused: every verdict that is not valid is a
question to Polygraph, not to etcd. Workloads and faults take turns, each run with a seed of its
own; with ``--stop S`` everything of a run (front, run process, nodes) is stopped by SIGSTOP for S
seconds in its middle, as a machine that stands still. The table says how often each verdict came,
and of what is not valid why, by run. Exit codes: 0 no run was invalid, 1 one was.

Faults last 3 s here: etcd before 3.5.5 panics where a client gives a read-only transaction up
(etcd-io/etcd#14110), which a pause longer than the clients' patience does find now and then.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

WORKLOADS = (
    *("register", "set", "counter", "queue", "log", "lock", "unique-ids", "watch", "bank"),
    *("list-append", "rw-register", "predicates", "write-skew", "g2", "long-fork", "causal"),
    *("causal-reverse", "monotonic", "sequential", "comments", "insert-order", "torn"),
)
FAULTS = ("partition", "kill", "pause", "clock")
NO_FAULT = "none"
POLYGRAPH = str(Path(sys.executable).with_name("polygraph"))
SLACK_S = 300.0
"""A run that takes so much longer than its operations hangs, and is ended."""


@dataclass(frozen=True)
class Run:
    """One run: what to run, and what came of it."""

    number: int
    workload: str
    fault: str
    seed: int


@dataclass(frozen=True)
class End:
    """How one run ended, in words that fit on a line."""

    run: Run
    verdict: str
    why: str
    took_s: float
    folder: str


def main() -> None:
    """Run them all, print a line for each and the table at the end."""
    given = arguments()
    given.store.mkdir(parents=True, exist_ok=True)
    runs = list(itertools.islice(planned(given), given.skip, given.skip + given.count))
    ends: list[End] = []
    with ThreadPoolExecutor(given.parallel) as pool:
        for end in pool.map(lambda run: carried_out(run, given), runs):
            ends.append(end)
            run = end.run
            what = f"{run.number:4} {run.workload:15} {run.fault:10} {end.took_s:6.1f} s"
            print(f"{what}  {end.verdict:8} {end.why}  {end.folder}".rstrip(), flush=True)
    print_table(ends)
    sys.exit(any(end.verdict == "invalid" for end in ends))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--system", default="etcd")
    parser.add_argument("--count", type=int, default=22)
    parser.add_argument("--skip", type=int, default=0, help="begin with the run of this number")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--provider", default="local")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--faults", default=",".join(FAULTS), help=f"{NO_FAULT}: a run without")
    parser.add_argument("--fault-seconds", type=float, default=3.0)
    parser.add_argument("--stop", type=float, default=0.0, help="seconds to stop each run for")
    parser.add_argument("--store", type=Path, default=Path("store-many"))
    parser.add_argument("more", nargs="*", help="further flags of polygraph test, after --")
    return parser.parse_args()


def planned(given: argparse.Namespace) -> Iterator[Run]:
    """Workloads in turn; the faults shift by one each time round, so that all pairs come."""
    workloads, faults = given.workloads.split(","), given.faults.split(",")
    for number in itertools.count():
        turn, at = divmod(number, len(workloads))
        fault = faults[(turn + at) % len(faults)]
        yield Run(number, workloads[at], fault, given.seed * 100_000 + number)


def carried_out(run: Run, given: argparse.Namespace) -> End:
    """One run to its end, in a store of its own."""
    store = given.store / f"{run.number:04}"
    argv = [POLYGRAPH, "test", given.system, "--workload", run.workload]
    argv += ["--time-limit", f"{given.seconds:g}", "--nodes", str(given.nodes)]
    argv += ["--provider", given.provider, "--seed", str(run.seed), "--store", str(store)]
    if run.fault != NO_FAULT:
        argv += ["--nemesis", run.fault]
        argv += ["--nemesis-duration", f"{given.fault_seconds:g}"]
    argv += given.more
    began = time.monotonic()
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        if given.stop:
            stop_in_the_middle(process, store, given)
        said, _ = process.communicate(timeout=given.seconds + given.stop + SLACK_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        said, _ = process.communicate()
        return End(run, "hung", "", time.monotonic() - began, str(store))
    verdict, why = judged(store, process.returncode, said)
    return End(run, verdict, why, time.monotonic() - began, str(store) if why else "")


def judged(store: Path, code: int, said: str) -> tuple[str, str]:
    """The verdict, and why it is no other."""
    found = sorted(store.glob("*/*/verdict.json")) + sorted(store.glob("*/*/*/verdict.json"))
    found = [path for path in found if not path.parent.is_symlink()]
    if not found:
        return f"exit {code}", " ".join(said.split())[-300:]
    verdict = json.loads(found[0].read_text("utf-8"))
    name = {True: "valid", False: "invalid"}.get(verdict["valid"], "unknown")
    if code not in (0, 1, 2):
        name = f"exit {code}"
    return name, "" if name == "valid" else " ".join(str(verdict.get("why")).split())[:300]


def stop_in_the_middle(
    process: subprocess.Popen[str], store: Path, given: argparse.Namespace
) -> None:
    """Wait until operations are under way, stop all of the run, and let it go on."""
    deadline = time.monotonic() + SLACK_S
    while process.poll() is None and not list(store.glob("**/history.jsonl")):
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)
    time.sleep(given.seconds / 2)
    stopped = signal_tree(process.pid, signal.SIGSTOP)
    time.sleep(given.stop)
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def signal_tree(root: int, number: int) -> list[int]:
    """Signal ``root`` and all below it until no new process appears; those that were reached."""
    reached: dict[int, None] = {}
    while new := [pid for pid in (root, *below(root)) if pid not in reached]:
        for pid in new:
            reached[pid] = None
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    return list(reached)


def below(root: int) -> list[int]:
    """Every descendant of ``root``, by the parents that ``/proc`` names."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(name))
    found, waiting = [], [root]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            found.append(child)
            waiting.append(child)
    return found


def print_table(ends: list[End]) -> None:
    """Verdicts by fault, and in all."""
    verdicts = sorted({end.verdict for end in ends}, key=lambda each: (each != "valid", each))
    faults = list(dict.fromkeys(end.run.fault for end in ends))
    print("\n" + " " * 12 + "".join(f"{verdict:>10}" for verdict in verdicts))
    for fault in [*faults, "all"]:
        mine = Counter(end.verdict for end in ends if fault in (end.run.fault, "all"))
        print(f"{fault:12}" + "".join(f"{mine[verdict]:>10}" for verdict in verdicts))


if __name__ == "__main__":
    main()
