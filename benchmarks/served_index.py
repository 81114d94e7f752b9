"""How fast the served index answers over a large store, and what half-sent requests do to it.

    python benchmarks/served_index.py [--runs 5000]

Makes a store of that many small runs, starts ``polygraph serve`` on it and asks: ``cold_s`` is the
first answer, ``warm_s`` an unchanged index (median of ten), ``thirty_s`` thirty requests at once,
``beside_s`` an unchanged index while 400 connections have sent half a request each, and
``restart_s`` the first answer of another process, which has the rows from the user's cache. The
last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HALF_SENT = 400


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="time the served index")
    parser.add_argument("--runs", type=int, default=5000)
    runs: int = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        store, cache = Path(folder) / "store", Path(folder) / "cache"
        fill(store, runs)
        figures: dict[str, float] = {"runs": runs}
        with served(store, cache) as port:
            figures["cold_s"] = asked(port)
            figures["warm_s"] = statistics.median(asked(port) for _ in range(10))
            begin = time.perf_counter()
            with ThreadPoolExecutor(30) as pool:
                list(pool.map(asked, [port] * 30))
            figures["thirty_s"] = time.perf_counter() - begin
            with half_sent(port):
                figures["beside_s"] = asked(port)
        with served(store, cache) as port:
            figures["restart_s"] = asked(port)
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


def fill(store: Path, runs: int) -> None:
    """As many runs as a year of nights leaves: a scenario, a verdict and the facts of each."""
    for number in range(runs):
        day, second = 1 + number % 28, number // 28
        clock = f"{second // 3600:02}{second // 60 % 60:02}{second % 60:02}"
        name = f"202611{day:02}T{clock}-{number:06x}"
        run = store / f"system{number % 7}" / f"workload{number % 5}" / name
        (run / "evidence").mkdir(parents=True)
        scenario = (
            f'system = "etcd"\nworkload = "register"\nnemesis = "kill,pause"\nseed = {number}\n'
        )
        (run / "scenario.toml").write_text(scenario)
        counts = {f: {"ok": number, "fail": 1, "info": 0} for f in ("read", "write", "cas")}
        verdict = {"valid": number % 9 != 0, "why": f"stale read of key {number}"}
        (run / "verdict.json").write_text(json.dumps({**verdict, "operations": counts}))
        phases = {"set-up": [0, 10**9], "run": [10**9, 60 * 10**9]}
        (run / "evidence" / "run.json").write_text(json.dumps({"phases": phases}))


@contextlib.contextmanager
def served(store: Path, cache: Path) -> Iterator[int]:
    """``polygraph serve`` on a free port of loopback, in a process of its own."""
    argv = [sys.executable, "-P", "-m", "harness.cli.main", "serve", "--port", "0", "--store"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    process = subprocess.Popen(
        [*argv, str(store)], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield int(line.rstrip().rstrip("/").rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.wait()


def asked(port: int) -> float:
    """Seconds of one request for the index."""
    begin = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert b"runs</h2>" in answer.read()
    connection.close()
    return time.perf_counter() - begin


@contextlib.contextmanager
def half_sent(port: int) -> Iterator[None]:
    """Connections whose request never comes whole."""
    with contextlib.ExitStack() as stack:
        for _ in range(HALF_SENT):
            made = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            with contextlib.suppress(OSError):
                made.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: ")
        yield


if __name__ == "__main__":
    main()
