"""How long the answers take that should come at once: help, completion, a check of a small file.

    python benchmarks/start_up.py [ROUNDS]

Each is a process of its own, as a user starts it, after one round that is not counted (compiled
modules, the disk's cache). Told are the least and the median of wall time, and the median of
processor time, which other work on the machine stretches less. To reach: help and completion
0.3 s, a check of a small file 0.5 s.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROUNDS = 7
PROGRAM = [sys.executable, "-m", "harness.cli.main"]
BANK = """\
{"index": 0, "time": 1, "process": 0, "type": "invoke", "f": "read", "value": null}
{"index": 1, "time": 2, "process": 0, "type": "ok", "f": "read", "value": {"0": 10, "1": 10}}
"""
REGISTER = """\
{"index": 0, "time": 1, "process": 0, "type": "invoke", "f": "write", "value": 1}
{"index": 1, "time": 2, "process": 0, "type": "ok", "f": "write", "value": 1}
{"index": 2, "time": 3, "process": 1, "type": "invoke", "f": "read", "value": null}
{"index": 3, "time": 4, "process": 1, "type": "ok", "f": "read", "value": 1}
"""
APPEND = """\
{"index": 0, "time": 1, "process": 0, "type": "invoke", "f": "txn", "value": [["append", 0, 1]]}
{"index": 1, "time": 2, "process": 0, "type": "ok", "f": "txn", "value": [["append", 0, 1]]}
{"index": 2, "time": 3, "process": 1, "type": "invoke", "f": "txn", "value": [["r", 0, null]]}
{"index": 3, "time": 4, "process": 1, "type": "ok", "f": "txn", "value": [["r", 0, [1]]]}
"""


def main() -> None:
    """Measure each command and tell."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("bank", BANK), ("register", REGISTER), ("append", APPEND)):
            (Path(folder) / f"{name}.jsonl").write_text(text)
        completes = {"COMP_WORDS": "polygraph test etcd --workload ", "_POLYGRAPH_COMPLETE": "bash"}
        tell("--help", ["--help"], {}, folder, rounds)
        tell("test etcd --help", ["test", "etcd", "--help"], {}, folder, rounds)
        tell("completion", [], completes, folder, rounds)
        tell("check -m bank", ["check", "-m", "bank", "bank.jsonl"], {}, folder, rounds)
        tell("check -m register", ["check", "-m", "register", "register.jsonl"], {}, folder, rounds)
        tell(
            "check -m list-append",
            ["check", "-m", "list-append", "append.jsonl"],
            {},
            folder,
            rounds,
        )


def tell(
    name: str, argv: Sequence[str], twins: Mapping[str, str], folder: str, rounds: int
) -> None:
    """A line with what ``polygraph ARGV`` takes, in its own process."""
    measured = [once([*PROGRAM, *argv], twins, folder) for _ in range(rounds + 1)][1:]
    wall = [each[0] for each in measured]
    cpu_s = statistics.median(each[1] for each in measured)
    print(
        f"{name:<22} {min(wall):.2f} s at least, {statistics.median(wall):.2f} s median;"
        f" {cpu_s:.2f} s CPU"
    )


def once(argv: Sequence[str], twins: Mapping[str, str], folder: str) -> tuple[float, float]:
    """(wall, processor) seconds of one process; it must end well."""
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, **twins}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(argv, env=environment, cwd=folder, check=True, **quiet)
    wall_s = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
