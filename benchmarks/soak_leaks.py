"""Does a soak leave anything behind, run after run?

    python benchmarks/soak_leaks.py --runs 20 --parallel 2 --time-limit 10

Runs a real soak of etcd in this process's loop and measures after each run whose end leaves no
other run under way: open files, threads and memory of the loop's process, and the mounts and
links of the machine. JSON on the last line, with the figures after run 3 and after the last.
(Namespaces are held by processes: that no process of the soak is left is looked at, at the end.)
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.soak.book import Book, Entry, Settings
from harness.soak.loop import Loop
from harness.soak.summary import summarize


def figures() -> dict[str, int]:
    """What this process and machine hold now."""
    status = Path("/proc/self/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return {
        "open_files": len(os.listdir("/proc/self/fd")),
        "threads": int(fields["Threads"]),
        "rss_kb": int(fields["VmRSS"].split()[0]),
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "links": len(os.listdir("/sys/class/net")),
    }


def settings(arguments: argparse.Namespace) -> Settings:
    """A soak of etcd as asked."""
    return Settings(
        scenario={"system": "etcd", "time_limit": arguments.time_limit},
        seed=arguments.seed,
        runs=arguments.runs,
        duration_s=None,
        until_failure=False,
        parallel=arguments.parallel,
        confidence=0.95,
        at_most=0.05,
        hard_limit_s=300.0,
        start_wall_ns=time.time_ns(),
    )


def main() -> int:
    """Run the soak; exit code 1 if open files, threads, mounts or links grew, or memory by 5 %."""
    parser = argparse.ArgumentParser(description="What a soak leaves behind.")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--time-limit", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    samples: list[dict[str, int]] = []
    with tempfile.TemporaryDirectory(prefix="soak-leaks-") as folder:
        book = Book.create(Path(folder) / "soak", settings(arguments))

        def tell(entry: Entry) -> None:
            if entry.event == "ended":
                samples.append({"under_way": len(book.open_runs()), **figures()})
                print(json.dumps({"run": entry.number, "outcome": entry.outcome, **samples[-1]}))

        command = [sys.executable, "-m", "harness.cli.soak_run"]
        Loop(book, Path(folder) / "store", command, tell).run()
        book.close()
        left = subprocess.run(["pgrep", "-f", folder], capture_output=True, text=True).stdout
        own = {str(os.getpid())}
        processes = [pid for pid in left.split() if pid not in own]
        summary = summarize(book.settings, book.entries, interrupted=False)
    early, late = samples[min(2, len(samples) - 1)], samples[-1]
    per_run = early["open_files"] - early["under_way"], late["open_files"] - late["under_way"]
    same = per_run[0] == per_run[1] and all(
        early[name] == late[name] for name in ("threads", "mounts", "links")
    )
    grown = late["rss_kb"] / early["rss_kb"]
    print(
        json.dumps(
            {
                "counts": summary["counts"],
                "after_run_3": early,
                "after_last": late,
                "memory_ratio": round(grown, 4),
                "processes_left": processes,
                "same": same,
            }
        )
    )
    return 0 if same and grown <= 1.05 and not processes else 1


if __name__ == "__main__":
    sys.exit(main())
