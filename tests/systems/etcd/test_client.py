"""etcd's client and transactions against scripted answers, beyond the conformance kit."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from harness.conformance.server import Act, ScriptedServer, Then
from harness.contract.client import Failed, Indeterminate
from harness.contract.speaker import Kind
from systems.drivers.http_wire import answer, path_and_body, take_request
from systems.etcd.client import EtcdClient

HEADER = {"revision": "7"}


def coded(value: Any) -> str:
    return b64encode(json.dumps(value).encode()).decode()


def pair(key: Any, value: Any, mod_revision: int = 5) -> dict[str, str]:
    return {"key": coded(key), "value": coded(value), "mod_revision": str(mod_revision)}


def says(message: Any, status: int = 200) -> Act:
    return Act(raw=answer(status, json.dumps(message).encode()))


class Transcript:
    """Cuts HTTP requests apart and keeps what they said."""

    greeting = b""
    requests: dict[str, int] = {}  # noqa: RUF012
    misanswers: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def take(self, received: bytes) -> tuple[bytes, bytes] | None:
        return take_request(received)

    def kind(self, request: bytes) -> Kind:
        path, body = path_and_body(request)
        self.heard.append((path, json.loads(body)))
        return Kind.HARMLESS

    def answer(self, request: bytes, value: Any) -> bytes:
        return answer(200, json.dumps(value).encode())


def told(
    script: Sequence[Act],
    work: Callable[[EtcdClient], Awaitable[Any]],
    *,
    serializable_reads: bool = False,
) -> tuple[Any, list[tuple[str, Any]]]:
    """What ``work`` gave against ``script``, and the requests that the server heard."""
    transcript = Transcript()
    with ScriptedServer(transcript, script) as server:

        async def opened() -> Any:
            client = EtcdClient(10.0, serializable_reads=serializable_reads)
            await client.open(server.address)
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(opened()), transcript.heard


def test_a_compare_that_did_not_hold_is_an_answer_without_succeeded() -> None:
    gave, _ = told([says({"header": HEADER})], lambda c: c.compare_and_set("k", 1, 2))
    assert gave is False


def test_an_absent_old_value_is_compared_by_version() -> None:
    script = [says({"header": HEADER, "succeeded": True})]
    gave, [(path, request)] = told(script, lambda c: c.compare_and_set("k", None, 2))
    assert gave is True
    assert path == "/v3/kv/txn"
    [compare] = request["compare"]
    assert (compare["target"], compare["version"]) == ("VERSION", "0")


@pytest.mark.parametrize("serializable", [False, True])
def test_a_read_says_which_kind_it_is(serializable: bool) -> None:
    script = [says({"header": HEADER, "kvs": [pair("k", 3)]})]
    gave, [(path, request)] = told(script, lambda c: c.read("k"), serializable_reads=serializable)
    assert gave == 3
    assert path == "/v3/kv/range"
    assert request["serializable"] is serializable


@pytest.mark.parametrize(
    "kvs",
    [
        [pair("other", 3)],
        [pair("k", 3), pair("k", 4)],
        [{"key": coded("k"), "value": b64encode(b"\xff").decode()}],
    ],
)
def test_a_read_that_is_answered_with_something_else_fails(kvs: list[Any]) -> None:
    with pytest.raises(Failed):
        told([says({"header": HEADER, "kvs": kvs})], lambda c: c.read("k"))


def test_null_is_refused_before_anything_is_sent() -> None:
    async def work(client: EtcdClient) -> None:
        with pytest.raises(Failed, match="null"):
            await client.write("k", None)
        with pytest.raises(Failed, match="null"):
            await client.compare_and_set("k", 1, None)

    _, heard = told([], work)
    assert heard == []


def test_a_client_that_is_not_open_sends_nothing() -> None:
    async def work(client: EtcdClient) -> None:
        await client.close()
        await client.close()
        with pytest.raises(Failed, match="not open"):
            await client.write("k", 1)

    _, heard = told([], work)
    assert heard == []


@pytest.mark.parametrize("address", ["", ":2379"])
def test_an_address_that_is_none_fails(address: str) -> None:
    with pytest.raises(Failed, match="not an address"):
        asyncio.run(EtcdClient(1.0).open(address))


def test_closing_during_a_write_ends_it_in_doubt() -> None:
    transcript = Transcript()
    with ScriptedServer(transcript, [Act(then=Then.STALL)]) as server:

        async def work() -> None:
            client = EtcdClient(60.0)
            await client.open(server.address)
            write = asyncio.create_task(client.write("k", 1))
            assert await asyncio.to_thread(server.wait_until_acted, 1)
            await client.close()
            with pytest.raises(Indeterminate):
                await write
            assert await asyncio.to_thread(server.wait_until_all_closed) == 0

        asyncio.run(work())
    assert len(transcript.heard) == 1


def test_a_refused_connection_says_so_without_the_address() -> None:
    async def work(client: EtcdClient) -> None:
        await client.read("k")

    with ScriptedServer(Transcript(), refuse=True) as server:
        client = EtcdClient(10.0)
        asyncio.run(client.open(server.address))
        with pytest.raises(Failed) as caught:
            asyncio.run(work(client))
    assert caught.value.error == ["connect", "Connection refused"]


def test_requests_of_one_client_share_a_connection() -> None:
    ok = says({"header": HEADER})
    transcript = Transcript()
    with ScriptedServer(transcript, [ok, ok, ok]) as server:

        async def work() -> None:
            client = EtcdClient(10.0)
            await client.open(server.address)
            for _ in range(3):
                await client.write("k", 1)
            await client.close()

        asyncio.run(work())
        assert len({id(received.line) for received in server.received}) == 1


def ranges(*found: list[Any]) -> dict[str, Any]:
    """The answer to a transaction of reads, one list of pairs each."""
    parts = [{"response_range": {"kvs": kvs}} for kvs in found]
    return {"header": HEADER, "succeeded": True, "responses": parts}


def test_a_transaction_reads_at_one_revision_and_compares_what_it_read() -> None:
    async def work(client: EtcdClient) -> Any:
        transaction = await client.begin()
        first = await transaction.get_many(["a", "b"])
        second = await transaction.get("c")
        await transaction.put("a", 10)
        await transaction.commit()
        return [dict(first), second]

    script = [
        says(ranges([pair("a", 1, 3)], [])),
        says(ranges([pair("c", 2, 6)])),
        says({"header": {"revision": "9"}, "succeeded": True}),
    ]
    gave, [(_, first), (_, second), (_, commit)] = told(script, work)
    assert gave == [{"a": 1, "b": None}, 2]
    assert [part["request_range"].get("revision") for part in first["success"]] == [None, None]
    assert [part["request_range"].get("revision") for part in second["success"]] == ["7"]
    seen = {compare["key"]: compare["mod_revision"] for compare in commit["compare"]}
    assert seen == {coded("a"): "3", coded("b"): "0", coded("c"): "6"}
    assert commit["success"] == [{"request_put": {"key": coded("a"), "value": coded(10)}}]
    assert commit["failure"] == []


def test_a_read_only_transaction_sends_nothing_to_commit() -> None:
    async def work(client: EtcdClient) -> Any:
        transaction = await client.begin()
        await transaction.get("a")
        await transaction.get("a")
        await transaction.commit()

    _, heard = told([says(ranges([]))], work)
    assert len(heard) == 1


def test_a_finished_transaction_can_do_nothing_more() -> None:
    async def work(client: EtcdClient) -> None:
        transaction = await client.begin()
        await transaction.put("a", 1)
        await transaction.abort()
        for call in (transaction.commit, lambda: transaction.get("a")):
            with pytest.raises(Failed, match="finished"):
                await call()
        with pytest.raises(Failed, match="finished"):
            await transaction.put("a", 1)

    _, heard = told([], work)
    assert heard == []


def test_a_transaction_whose_read_failed_cannot_commit() -> None:
    async def work(client: EtcdClient) -> None:
        transaction = await client.begin()
        await transaction.put("b", 1)
        with pytest.raises(Failed, match="no leader"):
            await transaction.get("a")
        with pytest.raises(Failed, match="finished"):
            await transaction.commit()

    script = [says({"error": "etcdserver: no leader", "code": 14}, 503)]
    _, heard = told(script, work)
    assert len(heard) == 1


async def _many_of_two(client: EtcdClient) -> Any:
    return await (await client.begin()).get_many(["a", "b"])


def test_a_transaction_answered_for_too_few_reads_fails() -> None:
    with pytest.raises(Failed, match="1 answers to 2 reads"):
        told([says(ranges([]))], _many_of_two)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("etcdserver: too many requests", Failed),
        ("etcdserver: request is too large", Failed),
        ("etcdserver: mvcc: database space exceeded", Indeterminate),
        ("etcdserver: request timed out, possibly due to previous leader failure", Indeterminate),
        ("etcdserver: leader changed", Indeterminate),
        ("etcdserver: too many requests, or so", Indeterminate),
    ],
)
def test_only_errors_raised_before_proposing_prove_that_a_write_did_not_happen(
    message: str, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        told([says({"error": message, "code": 14}, 503)], lambda c: c.write("k", 1))
    assert message in str(caught.value)
