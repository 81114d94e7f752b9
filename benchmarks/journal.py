"""How fast the journal takes records: buffered, one write a record, and without a journal.

    python benchmarks/journal.py [RECORDS]

The last line is JSON: records a second of each way, the best of three rounds, and the ratio of
the journal to the bare loop that encodes the same records and writes them in one go, which tells
how much of a figure is the machine. ``wait_ms`` is how long records waited for their way into
the file while another process appended as fast as it could, against the 20 ms promised.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from harness.history.journal import Journal
from harness.history.operation import Header, Operation
from harness.history.reader import read_history

ROOT = Path(__file__).parents[1]
ROUNDS = 3
PARTS = {"p50": 0.5, "p99": 0.99, "max": 1.0}


def templates(count: int) -> list[Operation]:
    """Invocations and completions of a register workload on twenty processes."""
    return [
        Operation(-1, -1, number // 2 % 20, ("invoke", "ok")[number % 2], "write", [7, number])
        for number in range(count)
    ]


def journal_s(path: Path, records: list[Operation], sync: bool) -> float:
    """Seconds until every record is in the file."""
    with Journal(path, Header(system="benchmark"), sync=sync) as journal:
        start = time.perf_counter()
        for record in records:
            journal.append(record)
        journal.flush()
        return time.perf_counter() - start


def bare_s(path: Path, records: list[Operation]) -> float:
    """Seconds to encode the same records in a bare loop and write them at once."""
    encoder, buffer = msgspec.json.Encoder(), bytearray()
    with path.open("wb") as out:
        start = time.perf_counter()
        for record in records:
            encoder.encode_into(record, buffer, -1)
            buffer += b"\n"
        out.write(buffer)
        out.flush()
        return time.perf_counter() - start


def read_s(path: Path) -> float:
    """Seconds to read a history back and check its rules."""
    start = time.perf_counter()
    read_history(path)
    return time.perf_counter() - start


APPEND = """
import sys, time
from pathlib import Path
from harness.history.journal import Journal
from harness.history.operation import Header, Operation

journal = Journal(Path(sys.argv[1]), Header())
print(journal.start_ns, flush=True)
number = 0
while journal.now() < float(sys.argv[2]) * 1e9:
    number += 1
    journal.append(Operation(-1, -1, "nemesis", "info", "write", number))
journal.close()
"""


def waits_ms(path: Path, seconds: float) -> dict[str, float]:
    """How long the oldest record of each flush had waited when it was seen in the file.

    Another process appends as fast as it can; this one looks at the file each half millisecond
    and reads the same clock.
    """
    argv = [sys.executable, "-c", APPEND, str(path), str(seconds)]
    running = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    start_ns = int(running.stdout.readline())
    waited: list[float] = []
    with path.open("rb") as written:
        written.readline()
        while running.poll() is None:
            found = written.read()
            now_ns = time.monotonic_ns() - start_ns
            if found.startswith(b"{") and b"\n" in found:
                waited.append((now_ns - json.loads(found.split(b"\n", 1)[0])["time"]) / 1e6)
            time.sleep(0.0005)
    running.stdout.close()
    waited.sort()
    return {name: round(waited[int(part * (len(waited) - 1))], 1) for name, part in PARTS.items()}


def best(count: int, measure: Callable[[Path], float]) -> int:
    """Records a second, the best round."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = [measure(Path(folder) / f"{number}.jsonl") for number in range(ROUNDS)]
    return round(count / min(seconds))


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    records = templates(count)
    few = records[: count // 4]
    buffered = best(count, lambda path: journal_s(path, records, sync=False))
    sync = best(len(few), lambda path: journal_s(path, few, sync=True))
    bare = best(count, lambda path: bare_s(path, records))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        journal_s(path, records, sync=False)
        read = round(count / min(read_s(path) for _ in range(ROUNDS)))
        waits = waits_ms(Path(folder) / "waits.jsonl", 3.0)
    figures = {
        "buffered_records_per_s": buffered,
        "sync_records_per_s": sync,
        "calibration_records_per_s": bare,
        "read_records_per_s": read,
        "buffered_us": round(1e6 / buffered, 3),
        "buffered_of_calibration": round(buffered / bare, 3),
        "sync_of_calibration": round(sync / bare, 3),
        "wait_ms": waits,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
