"""The kit passes an honest client and catches each planted lie of a dishonest one.

The protocol is a toy: a line of JSON is a request, a line of JSON the answer. Every bad client is
the good one with a single fault that a real driver has had.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from harness.conformance import kit
from harness.conformance.kit import Case, Nonconformance, cases
from harness.contract.client import Failed, Indeterminate
from harness.contract.speaker import Kind, Misanswer


class LineSpeaker:
    """The toy protocol, with a greeting and a handshake if the client likes."""

    def __init__(self, greeting: bytes = b'"welcome"\n') -> None:
        self.greeting = greeting

    requests = {"read": 1, "write": 1, "compare_and_set": 1}  # noqa: RUF012
    misanswers = {  # noqa: RUF012
        "busy": Misanswer(answer=b'{"error": "busy"}\n', definite=True),
        "an error": Misanswer(answer=b'{"error": "disk"}\n'),
    }

    def take(self, received: bytes) -> tuple[bytes, bytes] | None:
        line, end, rest = received.partition(b"\n")
        return (line, rest) if end else None

    def kind(self, request: bytes) -> Kind:
        f = json.loads(request)["f"]
        return {"hello": Kind.HANDSHAKE, "read": Kind.HARMLESS}.get(f, Kind.EFFECTIVE)

    def answer(self, request: bytes, value: Any) -> bytes:
        return json.dumps({"value": value}).encode() + b"\n"


class GoodClient:
    """Does everything right, in the simplest way."""

    own_share = 0.5
    greeted = True

    def __init__(self, op_timeout_s: float) -> None:
        self.timeout_s = op_timeout_s * self.own_share
        self.address = ""
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self, address: str) -> None:
        self.address = address
        await self.connect()

    async def close(self) -> None:
        if self.streams is not None:
            self.streams[1].transport.abort()
            self.streams = None

    async def connect(self) -> None:
        host, _, port = self.address.partition(":")
        try:
            self.streams = await asyncio.open_connection(host, int(port))
            if self.greeted:
                await self.line()
                await self.exchange({"f": "hello"})
        except (OSError, ValueError) as error:
            raise Failed(str(error)) from error

    async def read(self, key: Any) -> Any:
        return (await self.ask({"f": "read", "key": key}, Failed))["value"]

    async def write(self, key: Any, value: Any) -> None:
        await self.ask({"f": "write", "key": key, "value": value}, Indeterminate)

    async def compare_and_set(self, key: Any, old: Any, new: Any) -> bool:
        await self.ask({"f": "cas", "key": key, "value": [old, new]}, Indeterminate)
        return True

    async def ask(self, request: Any, in_doubt: type[Failed | Indeterminate]) -> Any:
        if self.streams is None or self.streams[0].at_eof():
            await self.close()
            await self.connect()
        try:
            async with asyncio.timeout(self.timeout_s):
                answer = await self.exchange(request)
        except (TimeoutError, OSError, ValueError) as error:
            await self.close()
            raise in_doubt(repr(error)) from error
        if "error" in answer:
            raise (Failed if answer["error"] == "busy" else in_doubt)(answer["error"])
        return answer

    async def exchange(self, request: Any) -> Any:
        assert self.streams is not None
        self.streams[1].write(json.dumps(request).encode() + b"\n")
        return json.loads(await self.line())

    async def line(self) -> bytes:
        assert self.streams is not None
        line = await self.streams[0].readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError("no whole line")
        return line


class RepeatsAfterReset(GoodClient):
    """Connects anew and sends the request once more, as most drivers do unless told not to."""

    async def exchange(self, request: Any) -> Any:
        try:
            return await super().exchange(request)
        except ConnectionResetError:
            if request["f"] == "hello":
                raise
            await self.close()
            await self.connect()
            return await super().exchange(request)


class RepeatsOnUsedConnection(GoodClient):
    """Repeats only if the connection had served a request before, as aiohttp does."""

    used = False

    async def ask(self, request: Any, in_doubt: type[Failed | Indeterminate]) -> Any:
        used, self.used = self.used, True
        if not used:
            return await super().ask(request, in_doubt)
        try:
            return await self.exchange(request)
        except OSError:
            await self.close()
            return await super().ask(request, in_doubt)


class KeepsConnectionAfterTimeout(GoodClient):
    """Says rightly that the read failed, and leaves its answer to the next operation."""

    own_share = 0.1  # long before the dispatcher's, also on a busy machine

    async def ask(self, request: Any, in_doubt: type[Failed | Indeterminate]) -> Any:
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self.exchange(request)
        except TimeoutError as error:
            raise in_doubt("timed out") from error


class CloseKeepsConnection(GoodClient):
    """Gives its connection back to a pool in ``close``, with an answer on its way."""

    own_share = 5.0  # leaves the time-out to the dispatcher
    pool: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []  # noqa: RUF012

    async def connect(self) -> None:
        if self.pool:
            self.streams = self.pool.pop()
        else:
            await super().connect()

    async def close(self) -> None:
        if self.streams is not None:
            self.pool.append(self.streams)
            self.streams = None


class SaysFailOnTimeout(GoodClient):
    """Takes a time-out for proof that nothing happened."""

    own_share = 0.1

    async def ask(self, request: Any, in_doubt: type[Failed | Indeterminate]) -> Any:
        try:
            return await super().ask(request, in_doubt)
        except Indeterminate as error:
            raise Failed(error.error) from error


class SaysFailWhenHungUp(SaysFailOnTimeout):
    """Takes the end of the connection for proof that nothing happened; knows no handshake."""

    greeted = False


class TakesSilenceForSuccess(GoodClient):
    """Takes the end of the answer for its success, as a reader of partial lines does."""

    async def exchange(self, request: Any) -> Any:
        try:
            return await super().exchange(request)
        except (OSError, ValueError):
            return {"value": 0}


class DoubtsRefusals(GoodClient):
    """Cannot tell a refused connection from a lost one."""

    async def connect(self) -> None:
        try:
            await super().connect()
        except Failed as error:
            raise Indeterminate(error.error) from error


class RepeatsInTheBackground(GoodClient):
    """Reports the doubt at once, and sends the request again when nobody looks."""

    async def ask(self, request: Any, in_doubt: type[Failed | Indeterminate]) -> Any:
        try:
            return await super().ask(request, in_doubt)
        except Indeterminate:
            again = GoodClient(5.0)
            await again.open(self.address)
            assert again.streams is not None
            again.streams[1].write(json.dumps(request).encode() + b"\n")
            again.streams[1].close()
            raise


class SendsNothing(GoodClient):
    """Succeeds without asking anybody."""

    async def write(self, key: Any, value: Any) -> None:
        return None


class BelievesEveryError(GoodClient):
    """Takes every error that the server sends for a refusal."""

    async def ask(self, request: Any, in_doubt: type[Failed | Indeterminate]) -> Any:
        try:
            return await super().ask(request, in_doubt)
        except Indeterminate as error:
            raise (Failed if error.error == "disk" else Indeterminate)(error.error) from error


def every_case(client: Callable[[float], Any]) -> dict[str, Case]:
    greeted = getattr(client, "greeted", True)
    speaker = LineSpeaker() if greeted else LineSpeaker(greeting=b"")
    found = cases(client=client, speaker=speaker, wait_s=30.0 if client is GoodClient else 0.5)
    return {str(case): case for case in found}


@pytest.fixture(autouse=True)
def _empty_pool() -> None:
    CloseKeepsConnection.pool.clear()


@pytest.mark.parametrize("case", every_case(GoodClient).values(), ids=str)
def test_an_honest_client_passes(case: Case) -> None:
    case.run()


def test_every_case_has_a_name_of_its_own() -> None:
    assert len(every_case(GoodClient)) == len(cases(client=GoodClient, speaker=LineSpeaker()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("client", "case", "what"),
    [
        (
            RepeatsAfterReset,
            "write: server reads and closes, a fresh connection",
            "2 requests were sent where 1 belong",
        ),
        (
            RepeatsAfterReset,
            "read: server answers half and closes, a used connection",
            "2 requests were sent where 1 belong",
        ),
        (
            RepeatsOnUsedConnection,
            "compare_and_set: server reads and resets, a used connection",
            "2 requests were sent where 1 belong",
        ),
        (
            RepeatsInTheBackground,
            "write: server reads and closes, a fresh connection",
            "requests were sent where",
        ),
        (
            KeepsConnectionAfterTimeout,
            "read: server answers late, a fresh connection",
            "the next operation gave 202, which is not its answer",
        ),
        (
            KeepsConnectionAfterTimeout,
            "read: server stalls, a used connection",
            "the connection was not closed after the time-out",
        ),
        (
            CloseKeepsConnection,
            "read: server answers late, a fresh connection",
            "the connection was not closed after the time-out",
        ),
        (
            CloseKeepsConnection,
            "write: server answers honestly, a fresh connection",
            "close() left 1 connections open",
        ),
        (
            SaysFailOnTimeout,
            "write: server stalls, a fresh connection",
            "it became fail ('TimeoutError()') where only info is right",
        ),
        (
            SaysFailWhenHungUp,
            "compare_and_set: server closes before reading, a fresh connection",
            "where only info is right: the server received effective",
        ),
        (
            TakesSilenceForSuccess,
            "write: server answers half and closes, a fresh connection",
            "it became ok (null) where only info is right",
        ),
        (
            TakesSilenceForSuccess,
            "read: server answers garbage, a fresh connection",
            "it became ok (0) where only fail or info is right",
        ),
        (
            DoubtsRefusals,
            "write: server refuses, a fresh connection",
            "where only fail is right: the server received nothing",
        ),
        (
            SendsNothing,
            "write: server stalls, a fresh connection",
            "only 0 requests came, and the operation gave ok null",
        ),
        (
            SendsNothing,
            "write: server answers honestly, a fresh connection",
            "0 requests were sent where the speaker says 1",
        ),
        (
            BelievesEveryError,
            "write: server answers an error, a fresh connection",
            "it became fail ('disk') where only info is right",
        ),
    ],
)
@pytest.mark.filterwarnings(  # some of them leave connections open: that is the fault
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_planted_fault_is_caught(
    client: Any, case: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the client's own time-out does shows only where it comes before the dispatcher's.
    monkeypatch.setattr(kit, "_HASTY_S", (5.0, 20.0))
    with pytest.raises(Nonconformance) as caught:
        every_case(client)[case].run()
    assert str(caught.value).startswith(case)
    assert what in str(caught.value)


def test_a_client_that_sends_more_than_the_speaker_says_is_caught() -> None:
    class Declared(LineSpeaker):
        requests = {"read": 2, "write": 1, "compare_and_set": 1}  # noqa: RUF012

    found = cases(client=GoodClient, speaker=Declared())
    [case] = [c for c in found if str(c).startswith("read, ") and "honestly, a fresh" in str(c)]
    with pytest.raises(Nonconformance, match="1 requests were sent where the speaker says 2"):
        case.run()


@pytest.mark.parametrize("requests", [{"read": 1}, {"read": 1, "write": 1, "cas": 1}, {}])
def test_operations_that_the_speaker_leaves_out_or_misnames_are_not_passed_over(
    requests: dict[str, int],
) -> None:
    speaker = LineSpeaker()
    speaker.requests = requests
    with pytest.raises(ValueError, match="compare_and_set"):
        cases(client=GoodClient, speaker=speaker)
