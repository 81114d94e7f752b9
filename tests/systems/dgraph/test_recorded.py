"""The client against conversations that were recorded from real Alphas.

A recording (``tests/data/dgraph``) holds what the client sent and what a real server answered,
request by request, and what came of each operation. Played back, the client must send the very same
and come to the same. Timestamps and uids in later requests come out of earlier answers, so nothing
is hard-wired.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.contract.client import Failed, Indeterminate
from systems.dgraph import Dgraph
from systems.drivers.http import Answer, HttpConnection

FOLDER = Path(__file__).parents[2] / "data" / "dgraph"
RELEASES = sorted(path.stem for path in FOLDER.glob("*.jsonl"))


async def two_puts_and_a_scan(client: Any) -> Any:
    """Two accounts that are made together."""
    writer = await client.begin()
    await writer.get_many(["account-0", "account-1"])
    await writer.put("account-0", 10)
    await writer.put("account-1", 20)
    await writer.commit()
    reader = await client.begin(read_only=True)
    return dict(await reader.scan("account-"))


async def conflict(client: Any) -> None:
    """Two that change one account, at once."""
    first, second = await client.begin(), await client.begin()
    await first.get("account-0")
    await second.get("account-0")
    await first.put("account-0", 1)
    await second.put("account-0", 2)
    await first.commit()
    await second.commit()


async def delete(client: Any) -> Any:
    """One account less."""
    writer = await client.begin()
    await writer.delete("account-1")
    await writer.commit()
    reader = await client.begin()
    return [await reader.get("account-1"), dict(await reader.scan("account-"))]


async def abort(client: Any) -> Any:
    """An account that is never committed."""
    writer = await client.begin()
    await writer.put("account-7", 1)
    await writer.abort()
    return await (await client.begin()).get("account-7")


OPERATIONS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "read absent": lambda client: client.read(1),
    "write": lambda client: client.write(1, 5),
    "read": lambda client: client.read(1),
    "cas that holds": lambda client: client.compare_and_set(1, 5, 6),
    "cas that does not": lambda client: client.compare_and_set(1, 5, 7),
    "add to set": lambda client: client.add_to_set("s", 3),
    "read set": lambda client: client.read_set("s"),
    "counter": lambda client: client.add_to_counter("c", 2),
    "read counter": lambda client: client.read_counter("c"),
    "two puts and a scan": two_puts_and_a_scan,
    "conflict": conflict,
    "delete": delete,
    "abort": abort,
    "id": lambda client: client.generate_id(),
}


def rows_of(release: str) -> list[dict[str, Any]]:
    """The recording of one release."""
    return [json.loads(line) for line in (FOLDER / f"{release}.jsonl").read_text().splitlines()]


class Played:
    """A connection on which the recorded answers come."""

    closed = True

    def __init__(self, rows: Iterator[dict[str, Any]]) -> None:
        self.rows = rows

    async def exchange(self, path: str, body: bytes, headers: object = ()) -> Answer:
        row = next(self.rows)
        assert (path, body.decode()) == (row["path"], row["body"])
        return Answer(row["status"], row["answer"].encode())

    def close(self) -> None:
        """Nothing."""


@pytest.mark.parametrize("release", RELEASES)
def test_the_client_asks_and_understands_what_a_real_one_answered(
    release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(release)
    first = next(at for at, row in enumerate(rows) if "mark" in row)
    played = iter(rows[first:])

    async def connect(host: str, port: int) -> Played:
        return Played(played)

    async def run() -> int:
        client: Any = Dgraph({"release": release}).client(10.0)
        await client.open("127.0.0.1:8080")
        done = 0
        for row in played:
            if "mark" not in row:
                break
            try:
                result = await OPERATIONS[row["mark"]](client)
            except (Failed, Indeterminate) as error:
                result = [type(error).__name__, error.error]
            assert json.loads(json.dumps(result)) == next(played)["result"], row["mark"]
            done += 1
        return done

    monkeypatch.setattr(HttpConnection, "connect", connect)
    assert asyncio.run(run()) == len(OPERATIONS)


def test_there_is_a_recording_of_a_real_server() -> None:
    assert "25.4.0" in RELEASES
