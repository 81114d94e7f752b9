"""Without a speaker: a real server behind a proxy of bytes; each planted lie is found, in words."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from harness.conformance.proxy import Proxy, Spoil
from harness.conformance.real_trials import REAL_TRIALS
from harness.conformance.through_proxy import Bench, Tried
from harness.conformance.trial import TRIALS
from harness.contract.blocking import BlockingClient
from harness.contract.client import (
    Counters,
    Failed,
    Indeterminate,
    Predicates,
    Registers,
    Sets,
    Target,
    Transactions,
)
from harness.contract.node import split_address
from tests.toys.line_service import LineDriver, LineServer, RepeatingDriver

pytestmark = pytest.mark.slow

ABILITIES = (Registers, Transactions, Predicates, Sets, Counters)


def tried(driver: type[LineDriver], *only: str, wait_s: float = 5.0) -> list[Tried]:
    async def main() -> list[Tried]:
        with LineServer() as server:
            bench = Bench(
                lambda timeout_s: BlockingClient(driver(timeout_s)),
                Target(server.address),
                abilities=ABILITIES,
                wait_s=wait_s,
            )
            return await bench.run(only)

    return asyncio.run(main())


def wrongs(driver: type[LineDriver], *only: str) -> dict[str, str]:
    return {
        str(each): "; ".join(each.wrong) for each in tried(driver, *only, wait_s=1.0) if each.wrong
    }


def test_an_honest_client_is_found_right_and_every_case_is_reached() -> None:
    found = tried(LineDriver, "write", "read", "add_to_counter", "append", "scan_and_delete")
    assert len(found) > 80
    assert [(str(each), each.wrong, each.why_not) for each in found if each.wrong] == []
    assert [str(each) for each in found if each.why_not] == []
    spoilt = {each.spoil for each in found if each.trial == "write"}
    assert spoilt == {spoil.value for spoil in Spoil}


def test_a_repetition_is_found_by_its_effect() -> None:
    found = wrongs(RepeatingDriver, "add_to_counter")
    after = "server closes after the server has done it, before the answer, a used connection"
    assert (
        found[f"add_to_counter, request 1: {after}"]
        == "it happened 2 times: the client sent it again"
    )


def test_a_repetition_without_effect_is_found_in_the_bytes() -> None:
    class RepeatsAndFails(LineDriver):
        def ask(self, request: dict[str, Any], *, effective: bool = False) -> Any:
            try:
                return super().ask(request, effective=effective)
            except (Failed, Indeterminate):
                super().ask(request, effective=effective)
                raise

    found = wrongs(RepeatsAndFails, "read")
    stalled = "server closes before the request reaches the server, a used connection"
    assert found[f"read, request 1: {stalled}"] == "what had been spoilt was sent again"


def test_a_swallowed_time_out_is_found() -> None:
    class Swallows(LineDriver):
        def write(self, key: Any, value: Any) -> None:
            try:
                super().write(key, value)
            except Indeterminate:
                return

    found = wrongs(Swallows, "write")
    stalled = "server stalls, and the request never reaches the server, a used connection"
    assert found[f"write, request 1: {stalled}"] == "it became ok, and it did not happen"


def test_a_wrong_fail_is_found() -> None:
    class SaysFail(LineDriver):
        def ask(self, request: dict[str, Any], *, effective: bool = False) -> Any:
            return super().ask(request, effective=False)

    found = wrongs(SaysFail, "write")
    stalled = "server stalls after the server has done it, a used connection"
    assert "it became fail" in found[f"write, request 1: {stalled}"]
    assert "and it did happen" in found[f"write, request 1: {stalled}"]


def test_an_answer_that_reaches_the_next_operation_is_found() -> None:
    class Keeps(LineDriver):
        share = 0.1

        def close(self) -> None:
            return None

    found = wrongs(Keeps, "read")
    late = found["read, request 1: server answers after the time-out, a used connection"]
    assert "the connection was not closed after the time-out" in late
    assert "the next operation gave" in late


def test_a_client_that_goes_elsewhere_is_not_called_right() -> None:
    with LineServer() as elsewhere:

        class GoesElsewhere(LineDriver):
            def open(self, target: str) -> None:
                super().open(elsewhere.address)

        found = tried(GoesElsewhere, "write")
    assert all("does not connect to where it is told" in (each.why_not or "") for each in found)


def test_both_kits_know_the_same_operations() -> None:
    assert [(t.ability, t.name) for t in REAL_TRIALS] == [(t.ability, t.name) for t in TRIALS]


def test_the_proxy_counts_what_is_sent_between_two_answers_as_one_request() -> None:
    with LineServer() as server, Proxy(split_address(server.address)) as proxy:
        proxy.arm(Spoil.HALF_CLOSE, 1)
        with socket.create_connection(split_address(proxy.address), 60) as line:
            line.sendall(b'{"f": "hel')
            line.sendall(b'lo"}\n')
            assert line.recv(100) == b'{"value": "hello"}\n'
            line.sendall(b'{"f": "get", "key": "k"}\n')
            assert line.makefile("rb").read() == b'{"value"'
        assert proxy.wait_until_closed()
        assert proxy.requests == [b'{"f": "hello"}\n', b'{"f": "get", "key": "k"}\n']
