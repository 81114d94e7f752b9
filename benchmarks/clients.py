"""What operations cost through the clients of several systems: throughput, and CPU of this process.

``python benchmarks/clients.py [--operations N] [--rounds N] [--system NAME]`` starts one server of
each system on loopback, one after the other, and does writes, reads and transactions (a read of one
list and an append to another) by one client in a row, then by eight clients at once. Beside the SQL
systems the plain driver does the same read and write in a loop of its own. The last line is JSON:
by system and operation ``cpu_us`` (of this process, the least of all rounds: others on the machine
only add), ``a_second`` by one client and by eight (the most), and ``cpu_to_etcd``. Servers share
the machine, so the rates are a lower bound.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.etcd_client import ADDRESS, one_etcd, opened
from systems.etcd.client import EtcdClient
from tests.systems.mariadb.real_server import RealServer as MariadbServer
from tests.systems.postgresql.real_server import RealServer as PostgresqlServer
from tests.systems.redis.server import serving

CLIENTS = 8
Figures = dict[str, dict[str, float]]
Done = Callable[[Any, int], Awaitable[Any]]


async def _write(client: Any, number: int) -> None:
    await client.write(f"k{number % 64}", number)


async def _read(client: Any, number: int) -> None:
    await client.read(f"k{number % 64}")


async def _transaction(client: Any, number: int) -> None:
    transaction = await client.begin()
    await transaction.get(f"list{number % 64}")
    append = getattr(transaction, "append", None)
    if append is not None:
        await append(f"l{number}", number)
    else:
        await transaction.put(f"l{number}", [number])
    await transaction.commit()


OPERATIONS: dict[str, Done] = {"write": _write, "read": _read, "transaction": _transaction}


async def measured(clients: list[Any], operations: int) -> Figures:
    """Each kind of operation, by the first client alone and by all at once."""
    figures: Figures = {}
    for name, do in OPERATIONS.items():
        wall_s, cpu_s = await _timed(do, clients[:1], operations, 0)
        all_s, _ = await _timed(do, clients, operations // len(clients), operations)
        done = operations // len(clients) * len(clients)
        figures[name] = {
            "cpu_us": cpu_s / operations * 1e6,
            "a_second": operations / wall_s,
            f"a_second_by_{CLIENTS}": done / all_s,
        }
    return figures


async def _timed(do: Done, clients: list[Any], each: int, first: int) -> tuple[float, float]:
    """Seconds of wall and of CPU in which every client does it so often, on keys of its own."""

    async def several(client: Any, start: int) -> None:
        for number in range(start, start + each):
            await do(client, number)

    await do(clients[0], first)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    starts = range(first + 1, first + 1 + each * len(clients), each)
    await asyncio.gather(*map(several, clients, starts))
    return time.perf_counter() - wall_s, time.process_time() - cpu_s


def _etcd(operations: int) -> Figures:
    async def work() -> Figures:
        await (await opened()).close()
        clients = [EtcdClient(5.0) for _ in range(CLIENTS)]
        for client in clients:
            await client.open(ADDRESS)
        found = await measured(clients, operations)
        for client in clients:
            await client.close()
        return found

    with one_etcd():
        return asyncio.run(work())


def _postgresql(operations: int) -> Figures:
    import psycopg

    # Read committed: above it the eight would refuse one another.
    with PostgresqlServer() as server:

        async def work(*clients: Any) -> Figures:
            return await measured(list(clients), operations)

        found: Figures = server.do(work, clients=CLIENTS, isolation="read-committed")
        plain: Any = psycopg.connect(
            host="127.0.0.1", port=server.port, user="postgres", autocommit=True
        )
        with closing(plain):
            return found | _plain(plain.execute, operations)


def _mariadb(operations: int) -> Figures:
    import pymysql

    from systems.mariadb.server import DATABASE, ROOT

    with MariadbServer() as server:

        async def work(*clients: Any) -> Figures:
            return await measured(list(clients), operations)

        found: Figures = server.do(work, clients=CLIENTS, isolation="read-committed")
        plain = pymysql.connect(
            host="127.0.0.1", port=server.port, user=ROOT, database=DATABASE, autocommit=True
        )
        with closing(plain), plain.cursor() as cursor:

            def execute(sql: str, values: tuple[Any, ...]) -> None:
                cursor.execute(sql, values)
                cursor.fetchall()

            return found | _plain(execute, operations)


def _plain(execute: Callable[[str, tuple[Any, ...]], Any], operations: int) -> Figures:
    """The driver by itself: an update of one row, and a read of it."""
    figures: Figures = {}
    statements = {
        "plain driver, write": "UPDATE kv SET v = '1' WHERE k = %s",
        "plain driver, read": "SELECT v FROM kv WHERE k = %s",
    }
    for name, sql in statements.items():
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        for number in range(operations):
            execute(sql, (f'"k{number % 64}"',))
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
        figures[name] = {"cpu_us": cpu_s / operations * 1e6, "a_second": operations / wall_s}
    return figures


def _redis(operations: int) -> Figures:
    from harness.contract.client import Target
    from systems.redis.asks import Manner
    from systems.redis.client import RedisClient
    from systems.redis.places import Places

    async def work(address: str) -> Figures:
        clients = [RedisClient(5.0, Places(), Manner()) for _ in range(CLIENTS)]
        for client in clients:
            await client.open(Target(address))
        found = await measured(clients, operations)
        for client in clients:
            await client.close()
        return found

    with _folder() as folder, serving(folder / "redis") as server:
        return asyncio.run(work("{}:{}".format(*server.address)))


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


SYSTEMS = {"etcd": _etcd, "postgresql": _postgresql, "mariadb": _mariadb, "redis": _redis}


def best(rounds: list[Figures]) -> Figures:
    """Of each figure the best of all rounds: the least CPU, the most a second."""
    found: Figures = {}
    for name, first in rounds[0].items():
        choose = {key: min if key == "cpu_us" else max for key in first}
        found[name] = {
            key: round(how(each[name][key] for each in rounds), 1) for key, how in choose.items()
        }
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--system", action="append", choices=SYSTEMS, default=None)
    given = parser.parse_args()
    kept: dict[str, list[Figures]] = {name: [] for name in given.system or SYSTEMS}
    for _ in range(given.rounds):
        for name in kept:
            kept[name].append(SYSTEMS[name](given.operations))
    figures = {name: best(rounds) for name, rounds in kept.items()}
    for of_system in figures.values():
        for name, figure in of_system.items():
            like = figures.get("etcd", {}).get(name)
            if like is not None:
                figure["cpu_to_etcd"] = round(figure["cpu_us"] / like["cpu_us"], 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
