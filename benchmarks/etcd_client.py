"""What one request of etcd's client costs: latency and CPU time of this process.

``python benchmarks/etcd_client.py [--requests N]`` starts one etcd on a loopback address, does
reads, writes and compare-and-sets one after another, and prints JSON on its last line:
``{"read": {"cpu_us": n, "p50_ms": n, "p99_ms": n}, ...}``. The server shares the machine, so the
latencies are an upper bound; the CPU time is the client's alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.contract.client import Failed, Indeterminate
from systems.etcd.client import EtcdClient
from systems.etcd.install import find_binary

ADDRESS = "127.77.77.77"
START_S = 30.0


@contextlib.contextmanager
def one_etcd() -> Iterator[None]:
    """One member that runs while the context is open."""
    urls = f"http://{ADDRESS}"
    with tempfile.TemporaryDirectory() as folder:
        argv = [find_binary(), f"--data-dir={folder}/data", "--log-level=error"]
        argv += [f"--{kind}-client-urls={urls}:2379" for kind in ("listen", "advertise")]
        argv += [f"--{kind}-peer-urls={urls}:2380" for kind in ("listen", "initial-advertise")]
        argv.append(f"--initial-cluster=default={urls}:2380")
        process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.kill()
            process.wait()


async def opened() -> EtcdClient:
    """A client, once the member serves."""
    deadline = time.monotonic() + START_S
    while True:
        client = EtcdClient(5.0)
        await client.open(ADDRESS)
        try:
            await client.write("k", 1)
        except (Failed, Indeterminate):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return client


async def cost(do: Callable[[], Awaitable[Any]], requests: int) -> dict[str, float]:
    """Latency and CPU time of ``do``, done ``requests`` times in a row."""
    latencies_s = []
    cpu_s = time.process_time()
    for _ in range(requests):
        began = time.perf_counter()
        await do()
        latencies_s.append(time.perf_counter() - began)
    cpu_s = time.process_time() - cpu_s
    latencies_s.sort()
    return {
        "cpu_us": round(cpu_s / requests * 1e6, 1),
        "p50_ms": round(latencies_s[requests // 2] * 1e3, 3),
        "p99_ms": round(latencies_s[requests * 99 // 100] * 1e3, 3),
    }


async def measure(requests: int) -> dict[str, dict[str, float]]:
    """The cost of each kind of request."""
    client = await opened()
    figures = {
        "read": await cost(lambda: client.read("k"), requests),
        "write": await cost(lambda: client.write("k", 1), requests),
        "compare_and_set": await cost(lambda: client.compare_and_set("k", 1, 1), requests),
    }
    await client.close()
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    requests = parser.parse_args().requests
    with one_etcd():
        print(json.dumps(asyncio.run(measure(requests))))


if __name__ == "__main__":
    main()
