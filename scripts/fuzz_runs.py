#!/usr/bin/env python3
"""Fuzzes run folders: whatever stands in one, every verb ends in time, plainly, and harms nothing.

    python scripts/fuzz_runs.py --minutes 30 --seed 1 --workers 2
    python scripts/fuzz_runs.py --runs DIR --seed 1 --only 4711

Files of real runs (etcd: register, bank, list-append; made first where ``--runs`` names no runs)
are changed: bytes, JSON, lines and TOML, cut, swapped, taken from other runs, replaced by links
and pipes. Each folder goes through ``check`` and some of ``report``, ``export``, ``serve``,
``heal`` and ``down``, each in a process of its own with 10 seconds and a bound of memory; a real
server is asked now and then. A failure is an unexpected error, a signal, a time-out, text that
drives the terminal, anything outside the folder that was read, written or run, or a verdict
turned round by what is only derived. Any case can be had again from its number: ``--only N``
with the same runs.

Prints counts for each verb, and the failures by kind. Exit codes: 0 none, 1 some.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.judge.judge import judge_run
from scripts.mutations import Case, change
from tests.hostile import verbs
from tests.hostile.real_run import write_run
from tests.hostile.run_folders import SECRET, Attack, Hostile, lay
from tests.hostile.verbs import LIMIT_S, Ending, command, serving

POLYGRAPH = str(Path(sys.executable).with_name("polygraph"))
WORKLOADS = ("register", "bank", "list-append")
REAL_SERVER_SHARE = 0.004
PLOTS_SHARE = 0.05
SHOWN = 3
"""Cases of one kind of failure that are named."""


@dataclass
class Tally:
    """What came of the cases: endings by verb, and the numbers of failed cases by what failed."""

    cases: int = 0
    endings: Counter[tuple[str, int]] = field(default_factory=Counter)
    slowest_s: dict[str, float] = field(default_factory=dict)
    failures: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    told: dict[int, str] = field(default_factory=dict)

    def take(self, number: int, how: str, endings: Sequence[Ending], faults: list[str]) -> None:
        """Count one case."""
        self.cases += 1
        for ending in endings:
            verb = ending.verb.split()[0]
            self.endings[verb, ending.code] += 1
            self.slowest_s[verb] = max(self.slowest_s.get(verb, 0.0), ending.seconds)
        for fault in faults:
            kind = _kind(fault)
            if len(self.failures[kind]) < SHOWN:
                self.told[number] = f"{how}\n        {fault[:600]}"
            self.failures[kind].append(number)

    def add(self, other: Tally) -> None:
        """Take in what another process counted."""
        self.cases += other.cases
        self.endings.update(other.endings)
        for verb, seconds in other.slowest_s.items():
            self.slowest_s[verb] = max(self.slowest_s.get(verb, 0.0), seconds)
        for kind, numbers in other.failures.items():
            self.failures[kind] += numbers
        self.told |= other.told

    def lines(self, again: str) -> Iterator[str]:
        """The summary for people."""
        yield f"{self.cases} cases"
        for verb in sorted({verb for verb, _ in self.endings}):
            codes = {code: n for (each, code), n in sorted(self.endings.items()) if each == verb}
            ended = ", ".join(f"{count} ended with {code}" for code, count in codes.items())
            yield f"  {verb:<8} {ended}; the slowest took {self.slowest_s[verb]:.1f} s"
        for kind, numbers in sorted(self.failures.items(), key=lambda item: -len(item[1])):
            yield f"FAILED {len(numbers)} times: {kind}"
            for number in numbers[:SHOWN]:
                yield f"    {again} --only {number}   # {self.told.get(number, '')}"


def _kind(fault: str) -> str:
    """What is wrong, without what differs from case to case."""
    text = fault.partition(": ")[2]
    text = re.sub(r"/[^\s:'\"]*", "PATH", text)
    return re.sub(r"\d+", "N", text)[:160]


def runs_in(folder: Path) -> list[Path]:
    """The folders of runs below ``folder``, in order."""
    return sorted(path.parent.resolve() for path in folder.rglob("scenario.toml"))


def make_runs(folder: Path) -> None:
    """Short runs of a real etcd, and two made without a cluster."""
    for workload in WORKLOADS:
        argv = ["test", "etcd", "--workload", workload, "--nemesis", "partition", "--seed", "7"]
        argv += ["--time-limit", "3", "--nemesis-interval", "1", "--rate", "60", "--nodes", "3"]
        done = subprocess.run(
            [POLYGRAPH, *argv, "--store", str(folder / "store")], stdin=subprocess.DEVNULL
        )
        if done.returncode > 2:
            raise SystemExit(f"no run of {workload} could be made: exit code {done.returncode}")
    write_run(folder / "store" / "made" / "register" / "valid")
    write_run(folder / "store" / "made" / "register" / "invalid", stale=True)


@dataclass(frozen=True)
class Fuzzer:
    """Case ``n`` of these runs, always the same for the same seed."""

    seed: int
    runs: Sequence[Path]
    verdicts: Sequence[object]
    root: Path

    def case(self, number: int) -> tuple[str, list[Ending], list[str]]:
        """What was done to the folder, how the verbs ended, and what was wrong with that."""
        stream = random.Random(f"{self.seed}:{number}")
        at = stream.randrange(len(self.runs))
        run, verdict = self.runs[at], self.verdicts[at]
        done: list[str] = []
        derived = False

        def attack(hostile: Hostile) -> None:
            nonlocal derived
            case = Case(hostile, stream, self.runs)
            for _ in range(stream.choice((1, 1, 1, 2, 3))):
                with contextlib.suppress(OSError):  # what it would change went with an earlier one
                    done.append(change(case))
            derived = case.is_derived and isinstance(verdict, bool)

        hostile = lay(Attack(f"case {number}", attack), self.root, valid=verdict is True, of=run)
        hostile.attack = Attack(hostile.name, attack, derived=derived)
        try:
            endings = [verb(hostile) for verb in self._verbs(stream)]
            how = f"{run.parent.name}/{run.name}: {'; '.join(done)}"
            return how, endings, verbs.faults_of(hostile, endings)
        finally:
            hostile.end()

    def _verbs(self, stream: random.Random) -> list[Callable[[Hostile], Ending]]:
        """``check``, and some of the others in any order."""
        others: list[Callable[[Hostile], Ending]] = [
            lambda hostile: command(
                "report", str(hostile.run), plots=stream.random() < PLOTS_SHARE
            ),
            lambda hostile: command(
                "export", "-f", stream.choice(("edn", "json", "jsonl")), str(hostile.run)
            ),
            lambda hostile: serving(hostile.store, hostile.run),
            lambda hostile: command("heal", "--store", str(hostile.store)),
            lambda hostile: command("down", "--store", str(hostile.store), str(hostile.run)),
            lambda hostile: command("check", "-v", "-c", "serializable", str(hostile.run)),
            lambda hostile: command("check", "--self-test", str(hostile.run)),
        ]
        chosen = stream.sample(others, 3)
        if stream.random() < REAL_SERVER_SHARE:
            chosen.append(real_server)
        chosen.insert(stream.randrange(2), lambda hostile: command("check", str(hostile.run)))
        return chosen


def real_server(hostile: Hostile) -> Ending:
    """A server of its own over the store: every page answers in time, and it ends when told."""
    began = time.monotonic()
    argv = [POLYGRAPH, "serve", "--port", "0", "--store", str(hostile.store)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        assert server.stdout is not None
        said = server.stdout.readline()
        found = re.search(rb"http://[^/\s]+/", said)
        out = said
        name = quote(os.fsencode(hostile.run.relative_to(hostile.store)))
        for page in ("", "runs.json", f"run/{name}/", f"live/{name}/", f"progress/{name}"):
            if found:
                out += _asked(found[0].decode() + page)
        server.send_signal(signal.SIGINT)
        try:
            rest, err = server.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            server.kill()
            rest, err = server.communicate()
            return Ending("serve, a real one", -signal.SIGKILL, out, err, LIMIT_S)
    code = 98 if b" 500 " in out or not found else 0
    return Ending("serve, a real one", code, out + rest, err, time.monotonic() - began)


def _asked(address: str) -> bytes:
    """What came of asking for ``address``; the page is not said, but for the secret."""
    try:
        with urllib.request.urlopen(address, timeout=3 * LIMIT_S) as answer:
            status, page = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, page = error.code, error.read()
    except OSError as error:
        return f"asked: 500 {error}\n".encode()
    return f"asked: {status} {SECRET if SECRET.encode() in page else ''}\n".encode()


def work(fuzzer: Fuzzer, first: int, step: int, until_s: float, results: object) -> None:
    """Every ``step``-th case from ``first`` on until the time is over; counts go to ``results``."""
    tally, number = Tally(), first
    while time.monotonic() < until_s:
        how, endings, faults = fuzzer.case(number)
        tally.take(number, how, endings, faults)
        number += step
        if tally.cases % 50 == 0:
            results.put(tally)  # type: ignore[attr-defined]
            tally = Tally()
    results.put(tally)  # type: ignore[attr-defined]


def fuzz(fuzzer: Fuzzer, minutes: float, workers: int, again: str) -> Tally:
    """Many cases, in ``workers`` processes; a line of progress each minute."""
    until_s = time.monotonic() + 60 * minutes
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    processes = [
        fork.Process(target=work, args=(fuzzer, first, workers, until_s, results))
        for first in range(workers)
    ]
    for process in processes:
        process.start()
    total, shown_s = Tally(), time.monotonic()
    while any(process.is_alive() for process in processes) or not results.empty():
        with contextlib.suppress(Empty):
            total.add(results.get(timeout=1))
        if time.monotonic() - shown_s > 60:
            shown_s = time.monotonic()
            print(f"{total.cases} cases, {len(total.failures)} kinds of failures", flush=True)
    for process in processes:
        process.join()
    return total


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=Path, help="a folder of runs, made there if it has none")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", type=int, help="this one case again, with all that was said")
    chosen = parser.parse_args()
    runs_dir = chosen.runs or Path(tempfile.mkdtemp(prefix="fuzzed-runs-"))
    if not runs_in(runs_dir):
        make_runs(runs_dir)
    runs = runs_in(runs_dir)
    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    verdicts = [judge_run(run)["valid"] for run in runs]
    fuzzer = Fuzzer(chosen.seed, runs, verdicts, root)
    print(f"{len(runs)} runs in {runs_dir}: {json.dumps(verdicts)}", flush=True)
    again = f"python scripts/fuzz_runs.py --runs {runs_dir} --seed {chosen.seed}"
    try:
        if chosen.only is not None:
            return _show(fuzzer, chosen.only)
        tally = fuzz(fuzzer, chosen.minutes, chosen.workers, again)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    for line in tally.lines(again):
        print(line)
    return 1 if tally.failures else 0


def _show(fuzzer: Fuzzer, number: int) -> int:
    how, endings, faults = fuzzer.case(number)
    print(how)
    for ending in endings:
        print(f"{ending.verb}: {ending.code} after {ending.seconds:.1f} s")
        print(ending.err.decode(errors="backslashreplace"))
    print("\n".join(faults) or "nothing is wrong")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
