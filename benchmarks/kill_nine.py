"""``kill -9`` at random moments of a real run: nothing is left behind, and the history reads.

    python benchmarks/kill_nine.py --rounds 100 --seed 1

Each round starts ``polygraph test etcd`` with partition, kill and pause, ends the front, the
run process, both, or the reaper after a random time, and then demands that

- no process that names the round's folder is left (every process of a run does), mounts, links
  and firewall tables are as before, and with ``--alone``, on a machine where nobody else makes
  namespaces meanwhile, so are all namespaces;
- ``polygraph check RUN`` reads what there is and exits 0, 1 or 2 (a run folder that does not
  exist yet is fine: the front died before it made one).

Prints a line a round and, last, JSON with the count of rounds, of failures and how long the
slowest disappearance took.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NAMESPACES = ("net", "mnt", "pid", "uts", "ipc", "user")
VICTIMS = ("front", "run", "both", "reaper")
GONE_LIMIT_S = 10.0


@dataclass(frozen=True)
class Machine:
    """What a run may not change: everything that could be left behind, by kind."""

    namespaces: frozenset[str]
    mounts: frozenset[str]
    links: frozenset[str]
    tables: str

    @classmethod
    def now(cls) -> Machine:
        """The machine as it is."""
        return cls(
            namespaces=frozenset(_namespaces()),
            mounts=frozenset(Path("/proc/self/mountinfo").read_text().splitlines()),
            links=frozenset(os.listdir("/sys/class/net")),
            tables=_firewall_tables(),
        )

    def left_since(self, before: Machine, *, alone: bool) -> list[str]:
        """What is here now and was not before."""
        found = []
        for kind in ("namespaces", "mounts", "links") if alone else ("mounts", "links"):
            here, there = getattr(self, kind), getattr(before, kind)
            if here - there:
                found.append(f"{kind}: {sorted(here - there)[:3]}")
        if self.tables != before.tables:
            found.append("firewall tables changed")
        return found


def _namespaces() -> Iterator[str]:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            for kind in NAMESPACES:
                try:
                    yield os.readlink(f"/proc/{entry}/ns/{kind}")
                except OSError:
                    continue


def _firewall_tables() -> str:
    try:
        from pyroute2.nftables.main import NFTables

        with NFTables() as nft:
            return "\n".join(
                sorted(str(table.get_attr("NFTA_TABLE_NAME")) for table in nft.get_tables())
            )
    except Exception as error:
        return f"unreadable: {type(error).__name__}"


def descendants(pid: int) -> list[int]:
    """``pid``'s children, and theirs, as the kernel tells them."""
    found, queue = [], [pid]
    while queue:
        parent = queue.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                queue += (children := [int(word) for word in task.read_text().split()])
            except OSError:
                continue
            found += children
    return found


def command_line(pid: int) -> list[str]:
    """The words that ``pid`` was started with."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def victims(front: int, kind: str) -> list[int]:
    """The processes to kill for ``kind``; the front where the others do not exist yet."""
    family = descendants(front)
    run = [pid for pid in family if "harness.run" in command_line(pid)]
    parents = {
        int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) for pid in run
    }
    chosen = {"front": [front], "run": run[:1], "both": [front, *run[:1]]}
    return chosen.get(kind, sorted(parents & set(family))) or [front]


def holders(folder: Path) -> list[str]:
    """The processes, alive, whose command line names ``folder``."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    named = [pid for pid in pids if any(str(folder) in word for word in command_line(pid))]
    return [f"{pid} {command_line(pid)[:3]}" for pid in named if _alive(pid)]


def one_round(
    store: Path, rng: random.Random, number: int, *, alone: bool
) -> tuple[bool, float, str]:
    """Whether the round was clean, how long the family took to go, and what happened."""
    before = Machine.now()
    argv = [sys.executable, "-m", "harness.cli.main", "test", "etcd", "--store", str(store)]
    argv += ["--nemesis", "partition,kill,pause", "--nemesis-interval", "1", "--time-limit", "30"]
    argv += ["--seed", str(number)]
    front = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    delay_s, kind = rng.uniform(0.05, 12.0), rng.choice(VICTIMS)
    time.sleep(delay_s)
    if front.poll() is not None:
        runs = list(store.glob("etcd/register/*/verdict.json"))
        why = runs[0].read_text()[:300] if runs else "no verdict"
        return False, 0.0, f"over after {delay_s:.2f} s already: {front.returncode} {why}"
    family = [front.pid, *descendants(front.pid)]
    for pid in victims(front.pid, kind):
        os.kill(pid, signal.SIGKILL)
    gone_s = _wait_until_gone(front, family)
    left = Machine.now().left_since(before, alone=alone)
    problems = [*holders(store), *left, *_check(store)]
    if gone_s >= GONE_LIMIT_S:
        problems.append(f"still there after {GONE_LIMIT_S} s: {[p for p in family if _alive(p)]}")
    what = f"killed {kind} after {delay_s:.2f} s, gone in {gone_s:.2f} s"
    return not problems, gone_s, "; ".join([what, *problems])


def _wait_until_gone(front: subprocess.Popen[bytes], family: list[int]) -> float:
    """Seconds until no process of the family but the front lives (the front may still report)."""
    begun = time.monotonic()
    while time.monotonic() - begun < GONE_LIMIT_S:
        front.poll()
        if not any(_alive(pid) for pid in family if pid != front.pid):
            break
        time.sleep(0.01)
    gone_s = time.monotonic() - begun
    try:
        front.wait(GONE_LIMIT_S)
    except subprocess.TimeoutExpired:
        front.kill()
        front.wait()
        return GONE_LIMIT_S
    return gone_s


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _check(store: Path) -> list[str]:
    """Judge the newest run of ``store`` by the command; what is wrong with the answer."""
    runs = sorted(store.glob("etcd/register/*"), key=lambda path: path.stat().st_mtime)
    runs = [run for run in runs if (run / "scenario.toml").exists()]
    if not runs:
        return []
    argv = [sys.executable, "-m", "harness.cli.main", "check", str(runs[-1])]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    lines = [line for line in done.stdout.splitlines() if "\t" in line]
    if done.returncode not in (0, 1, 2) or len(lines) != 1:
        return [f"check said {done.returncode}: {done.stdout[-200:]} {done.stderr[-300:]}"]
    return [f"check said invalid: {runs[-1]}"] if done.returncode == 1 else []


def main() -> int:
    """Run the rounds; exit code 1 if any was not clean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--alone", action="store_true")
    arguments = parser.parse_args()
    rng, slowest_s, failures = random.Random(arguments.seed), 0.0, 0
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory(prefix="kill-nine-") as folder:
            clean, gone_s, words = one_round(Path(folder), rng, number, alone=arguments.alone)
        slowest_s, failures = max(slowest_s, gone_s), failures + (not clean)
        print(f"{number:3} {'ok ' if clean else 'BAD'} {words}", flush=True)
    summary = {"rounds": arguments.rounds, "failures": failures, "slowest_gone_s": slowest_s}
    print(json.dumps(summary))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
