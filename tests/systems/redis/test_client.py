"""What becomes of an operation of Redis' client, by what a server says."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import termios
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from harness.contract.client import Failed, Indeterminate, Target
from systems.drivers.resp import Refusal
from systems.redis.asks import ANY, Manner
from systems.redis.client import RedisClient
from systems.redis.errors import OPEN, REFUSED, is_definite
from systems.redis.places import Places

Work = Callable[[RedisClient], Awaitable[Any]]


class Said:
    """A server that says ``answers`` on each connection, one for each piece that it is sent."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = answers
        self.heard: list[bytes] = []
        self._listening: socket.socket | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._listener.getsockname())
        threading.Thread(target=self._accept, daemon=True).start()

    def answer_to(self, piece: bytes, number: int) -> bytes:
        return self.answers[number]

    def tell(self, news: bytes) -> None:
        """Say something unasked to whoever listens, and return once it has arrived there."""
        assert self._listening is not None
        self._listening.sendall(news)
        unread = bytearray(4)
        while fcntl.ioctl(self._listening, termios.TIOCOUTQ, unread) or any(unread):
            pass  # acknowledged by the other end's kernel

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer:
            for number in range(len(self.answers)):
                if not (piece := peer.recv(65536)):
                    return
                self.heard.append(piece)
                if b"SUBSCRIBE" in piece:
                    self._listening = peer.dup()
                    peer.sendall(self.answer_to(piece, number))
                    return
                peer.sendall(self.answer_to(piece, number))
            peer.recv(1)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def told(
    work: Work,
    *answers: bytes,
    manner: Manner | None = None,
    named: Sequence[bytes] | None = None,
) -> Any:
    """What ``work`` gives with a server that answers so, or what it raised.

    ``named`` is what a Sentinel says, where there is one.
    """
    server, sentinel = Said(*answers), Said(*(named or ()))
    places = Places({"n1": sentinel.address}, {"n1": server.address}, {"10.0.0.1:6379": "n1"})

    async def opened() -> Any:
        client = RedisClient(2.0, Places() if named is None else places, manner or Manner())
        await client.open(Target(server.address, node="n1"))
        try:
            return await work(client)
        except Failed as error:
            return "fail", error.error, error.session_ended
        except Indeterminate as error:
            return "info", error.error
        finally:
            await client.close()

    try:
        return asyncio.run(opened())
    finally:
        server.close()
        sentinel.close()


async def write(client: RedisClient) -> Any:
    await client.write("k", 1)
    return "done"


async def read(client: RedisClient) -> Any:
    return await client.read("k")


WAITS = Manner(wait=1, wait_timeout_s=0.5)


@pytest.mark.parametrize(
    ("waited", "error"),
    [
        (b":1\r\n", None),
        (b":2\r\n", None),
        (b":0\r\n", ["wait", "0 of 1 replicas"]),
        (
            b"-UNBLOCKED force unblock\r\n",
            ["wait", "'UNBLOCKED force unblock' of 1 replicas"],
        ),
    ],
)
def test_a_write_that_too_few_replicas_have_is_in_doubt(waited: bytes, error: Any) -> None:
    found = told(write, b"+OK\r\n" + waited, manner=WAITS)
    assert found == ("done" if error is None else ("info", error))


def test_a_write_that_was_refused_has_failed_whatever_wait_says() -> None:
    found = told(write, b"-NOREPLICAS Not enough good replicas to write.\r\n:0\r\n", manner=WAITS)
    assert found[0] == "fail"
    assert found[2] is False


def test_a_replica_is_left_and_asked_no_more() -> None:
    found = told(write, b"-READONLY You can't write against a read only replica.\r\n")
    assert found[0] == "fail"
    assert found[2] is True


def test_loading_keeps_the_connection_and_is_no_loss() -> None:
    async def twice(client: RedisClient) -> Any:
        with pytest.raises(Failed) as caught:
            await client.write("k", 1)
        await client.write("k", 1)
        return caught.value.session_ended

    assert told(twice, b"-LOADING Redis is loading the dataset in memory\r\n", b"+OK\r\n") is False


def test_no_key_of_the_table_is_in_both_halves_and_an_unknown_error_is_open() -> None:
    assert not set(REFUSED) & set(OPEN)
    for code in REFUSED:
        assert is_definite(Refusal(f"{code} said"))
    for code in (*OPEN, "WHATEVER"):
        assert not is_definite(Refusal(f"{code} said"))
    assert is_definite(Refusal("ERR unknown command 'X', with args beginning with: "))
    assert not is_definite(Refusal("ERR user_script:1: something, script: f_0, on @user_script:1."))


NAMES = [b"*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n"]
MASTER = b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
SLAVE = b"*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.2\r\n:6379\r\n$9\r\nconnected\r\n:0\r\n"


def test_the_primary_that_sentinel_names_is_asked_once_it_says_that_it_leads() -> None:
    assert told(read, MASTER, b"$1\r\n7\r\n", named=NAMES) == 7


def test_a_server_that_sentinel_names_and_that_is_a_replica_is_not_written_to() -> None:
    found = told(write, SLAVE, b"+OK\r\n", named=NAMES)
    assert found == ("fail", ["connect", "whom Sentinel names is no primary: slave"], False)


LISTENS = Manner(subscribes=True)
SUBSCRIBED = b"*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n"
SWITCHED = b"*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$1\r\nx\r\n"


class Sentinel(Said):
    """Says who leads on one connection, and that it has changed on the one that listens."""

    def answer_to(self, piece: bytes, number: int) -> bytes:
        return SUBSCRIBED if b"SUBSCRIBE" in piece else NAMES[0]


def test_a_client_that_listens_leaves_a_primary_before_it_sends_more() -> None:
    server, sentinel = Said(MASTER, b"$1\r\n7\r\n", b"$1\r\n8\r\n"), Sentinel(b"", b"")
    places = Places({"n1": sentinel.address}, {"n1": server.address}, {"10.0.0.1:6379": "n1"})

    async def twice() -> Any:
        client = RedisClient(2.0, places, LISTENS)
        await client.open(Target(server.address, node="n1"))
        first = await client.read("k")
        await asyncio.to_thread(sentinel.tell, SWITCHED)
        try:
            return first, await client.read("k")
        except Failed as error:
            return first, error.error, error.session_ended
        finally:
            await client.close()

    try:
        found = asyncio.run(twice())
    finally:
        server.close()
        sentinel.close()
    assert found == (7, ["connect", "another leads now"], True)


def test_without_an_answer_of_sentinel_nothing_is_sent() -> None:
    found = told(write, MASTER, b"+OK\r\n", named=[b"*-1\r\n"])
    assert found == (
        "fail",
        ["connect", "no Sentinel answers: it knows of no primary: null"],
        False,
    )


def test_reads_of_any_go_to_the_own_node_and_writes_to_the_primary() -> None:
    async def both(client: RedisClient) -> Any:
        return await client.read("k")

    found = told(both, b"$1\r\n8\r\n", manner=Manner(read_from=ANY), named=NAMES)
    assert found == 8  # the server was never asked for its role


def test_a_transaction_of_which_a_watched_key_was_touched_has_failed() -> None:
    async def change(client: RedisClient) -> Any:
        transaction = await client.begin()
        await transaction.put("k", 1)
        await transaction.commit()

    answers = b"+OK\r\n" + b"+QUEUED\r\n" * 3 + b"*-1\r\n"
    found = told(change, answers)
    assert found == ("fail", ["answer", "conflict"], False)


def test_an_append_is_seen_by_its_own_transaction_before_it_commits() -> None:
    async def change(client: RedisClient) -> Any:
        transaction = await client.begin()
        await transaction.append("k", 3)
        return await transaction.get("k")

    seen = b"+OK\r\n$-1\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n"
    assert told(change, seen) == [1, 2, 3]
