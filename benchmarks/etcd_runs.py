"""What real etcd runs answer: the figures that the README and the closing notes state.

    python -m benchmarks.etcd_runs honest bank stale --seeds 10 --store store
    python -m benchmarks.etcd_runs clock stale --seeds 3 --provider docker

``honest``, ``bank`` and ``clock`` (``honest`` with wrong clocks beside) are one run each and must
be valid; ``stale`` is one run a seed with serializable reads under partitions and must be invalid.
With ``--provider ssh`` the hosts are sshds in namespaces of this machine (as root).

For each run: verdict, exit code, injected/bit/healed by fault, and the share of the asked rate
that was reached in healthy windows (no fault in force, and two seconds after the last heal, the
time of an election).
Prints a line a run and, last, one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.errors import PolygraphError
from harness.history.faults import recorded_faults
from harness.judge.judge import load_record
from harness.store.runs import find_run
from harness.verdict.record import Record

SETTLE_NS = 2 * 10**9
RATE = 200
FLAGS = {
    "honest": "--workload register --nemesis partition,kill,pause --nodes 5 --time-limit {limit}",
    "clock": "--workload register --nemesis partition,kill,pause,clock --nodes 5"
    " --time-limit {limit}",
    "bank": "--workload bank --nemesis partition --time-limit {limit}",
    "stale": "--workload register --serializable-reads --nemesis partition --time-limit {limit}",
}
EXPECTED = {"honest": True, "clock": True, "bank": True, "stale": False}


def healthy_windows(record: Record, end_ns: int) -> Iterator[tuple[int, int]]:
    """Spans of the main phase in which no fault was in force or had just been healed."""
    begin_ns = 0
    faults = recorded_faults(record.faults or ())
    spans = [span for fault in faults if (span := fault.proved_span_ns)]
    for start_ns, healed_ns in sorted(spans):
        if start_ns > begin_ns:
            yield begin_ns, min(start_ns, end_ns)
        begin_ns = max(begin_ns, healed_ns + SETTLE_NS)
    if begin_ns < end_ns:
        yield begin_ns, end_ns


def healthy_rate(record: Record, limit_s: float) -> float:
    """Client invocations a second over all healthy windows of the main phase."""
    windows = list(healthy_windows(record, int(limit_s * 1e9)))
    length_s = sum(end - begin for begin, end in windows) / 1e9
    invoked = sum(
        any(begin <= operation.time < end for begin, end in windows)
        for operation in record.history
        if operation.is_client and operation.type == "invoke"
    )
    return invoked / length_s if length_s else 0.0


@contextlib.contextmanager
def provider_flags(provider: str) -> Iterator[list[str]]:
    """The flags that choose ``provider``; for ssh also hosts, while the context lasts."""
    flags = ["--provider", provider]
    if provider != "ssh":
        yield flags
        return
    from tests.harness.cluster.ssh.lab import standing

    names = tuple(f"n{number}" for number in range(1, 6))
    with tempfile.TemporaryDirectory() as folder, standing(Path(folder), names) as options:
        for name, value in options.items():
            flags += [f"--{name.replace('_', '-')}", value]
        yield flags


def one_run(
    kind: str, seed: int, limit_s: float, store: Path, flags: Sequence[str]
) -> dict[str, Any]:
    """Run ``kind`` once by the command line and read off what it came to."""
    argv = [sys.executable, "-m", "harness.cli.main", "test", "etcd", "--store", str(store)]
    argv += [*FLAGS[kind].format(limit=limit_s).split(), "--rate", str(RATE), "--seed", str(seed)]
    argv += flags
    begun, begun_wall_s = time.monotonic(), time.time()
    done = subprocess.run(argv, capture_output=True, text=True)
    try:
        run_dir = find_run(store, "latest")
        is_new = (run_dir / "scenario.toml").stat().st_mtime >= begun_wall_s
    except PolygraphError:
        is_new = False
    if not is_new:
        raise SystemExit(f"no run was made (exit {done.returncode}): {done.stderr[-2000:]}")
    verdict = json.loads((run_dir / "verdict.json").read_text())
    rate = healthy_rate(load_record(run_dir), limit_s)
    return {
        "kind": kind,
        "seed": seed,
        "exit": done.returncode,
        "valid": verdict["valid"],
        "as_expected": verdict["valid"] is EXPECTED[kind],
        "why": verdict["why"][:200],
        "faults": verdict["faults"],
        "operations": verdict["operations"],
        "healthy_rate_share": round(rate / RATE, 3),
        "wall_s": round(time.monotonic() - begun, 1),
        "run": run_dir.name,
    }


def all_runs(
    arguments: argparse.Namespace, flags: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Every run asked for, told as it ends; results by kind."""
    results: dict[str, list[dict[str, Any]]] = {}
    for kind in arguments.kinds:
        for seed in range(1, 1 + (arguments.seeds if kind == "stale" else 1)):
            result = one_run(kind, seed, arguments.time_limit, arguments.store, flags)
            results.setdefault(kind, []).append(result)
            print(json.dumps(result), flush=True)
    return results


def main(argv: Sequence[str] | None = None) -> int:
    """Make the runs; exit code 1 if fewer than nine in ten of a kind were as expected."""
    parser = argparse.ArgumentParser(description="Real etcd runs and what they answer.")
    parser.add_argument("kinds", nargs="+", choices=sorted(FLAGS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--provider", default="local")
    parser.add_argument("--store", type=Path, default=Path("store"))
    arguments = parser.parse_args(argv)
    with provider_flags(arguments.provider) as flags:
        results = all_runs(arguments, flags)
    shares = {
        kind: sum(result["as_expected"] for result in runs) / len(runs)
        for kind, runs in results.items()
    }
    print(json.dumps({"as_expected": shares, "runs": results}))
    return 0 if all(share >= 0.9 for share in shares.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
