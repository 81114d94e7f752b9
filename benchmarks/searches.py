"""How long it takes to decide one register: the table of the project's aims, row by row.

Each row runs in a process of its own, so that its peak memory is its own: histories are made (see
``register_histories.py``), then decided from their columns; "after load" is meant so. The kernel is
compiled beforehand (the first row says how long that takes where the cache is empty). Prints a line
a row and JSON on the last line: seconds (median of three), peak MiB, and the aim.

    python benchmarks/searches.py [ROW ...]
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

from benchmarks import register_histories as made  # noqa: E402
from checkers.linearizable.judge_registers import judge_rows  # noqa: E402
from checkers.linearizable.register_columns import rows_of  # noqa: E402
from checkers.linearizable.register_models import CAS_REGISTER  # noqa: E402
from harness.history.columns import Columns  # noqa: E402
from harness.verdict.verdict import Budget  # noqa: E402


class Invalid(Exception):
    """Raised where the checker would begin to explain: it is decided."""


def decide(view: Columns) -> bool:
    """Whether the register of ``view`` is linearizable."""

    def explain(keys: Any) -> Any:
        raise Invalid

    rows = rows_of(view, CAS_REGISTER, independent=False)
    assert rows is not None
    try:
        outcome = judge_rows(rows, explain, Budget.start(600))
    except Invalid:
        return False
    assert not outcome.undecided
    return True


def mixed(operations: int, clients: int, infos: int = 0, spoil: int | None = None) -> Columns:
    """Columns of a register with few values, one read spoiled if asked for."""
    records = made.mixed(operations, clients, infos=infos)
    if spoil is not None:
        made.spoiled(records, spoil)
    return made.as_columns(records)


ROWS: dict[str, tuple[Callable[[], Columns], bool, float]] = {
    "unique 1M, 1 % infos": (lambda: made.unique(1_000_000, infos=0.01), True, 0.5),
    "unique 100k, 1 % infos": (lambda: made.unique(100_000, infos=0.01), True, 0.05),
    "unique 10k, 14 infos": (lambda: made.unique(10_000, infos=0.0028), True, 0.05),
    "cas 10k, 10 clients, invalid": (lambda: mixed(10_000, 10, 0, 77), False, 0.06),
    "cas 1k, 10 clients, 6 infos, invalid": (lambda: mixed(1_000, 10, 6, 77), False, 0.1),
    "cas 100k, 5 clients, valid": (lambda: mixed(100_000, 5), True, 0.15),
    "cas 100k, 10 clients, valid": (lambda: mixed(100_000, 10), True, 0.8),
    "cas 10k, 10 clients, 14 infos, invalid": (lambda: mixed(10_000, 10, 14, 77), False, 1.0),
    "cas 10k, 5 clients, 14 infos, invalid": (lambda: mixed(10_000, 5, 14, 77), False, 1.0),
}
"""Name to the history, whether it is linearizable, and the aim in seconds."""


def run_row(name: str) -> dict[str, Any]:
    """Decide one row in this process."""
    make, is_valid, aim_s = ROWS[name]
    view = make()
    decide(mixed(50, 3))  # loads what is compiled
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, cpu = [], []
    for _ in range(3):
        begun, begun_cpu = time.perf_counter(), time.process_time()
        assert decide(view) is is_valid
        seconds.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - begun_cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": round(sorted(seconds)[1], 4),
        "cpu_seconds": round(sorted(cpu)[1], 4),
        "aim_s": aim_s,
        "peak_mib": peak // 1024,
        "before_mib": before // 1024,
    }


def main() -> None:
    """Run the rows that are named, or all."""
    if sys.argv[1:2] == ["--row"]:
        print(json.dumps(run_row(sys.argv[2])))
        return
    results = {}
    for name in sys.argv[1:] or ROWS:
        argv = [sys.executable, __file__, "--row", name]
        done = subprocess.run(argv, env=ENVIRONMENT, check=True, capture_output=True, text=True)
        results[name] = json.loads(done.stdout.splitlines()[-1])
        print(name, results[name], flush=True)
    print(json.dumps({"load_average": os.getloadavg()[0], "rows": results}))


if __name__ == "__main__":
    main()
