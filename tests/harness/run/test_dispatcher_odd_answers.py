"""Whatever a client answers or raises, the run goes on and the history says what it was."""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.generator import Liftable, clients, function, invoke, limit, repeat
from harness.generator.transform import GeneratorError
from harness.history.journal import Journal
from harness.history.operation import Header, Operation
from harness.history.reader import read_history
from tests.harness.run.dispatching import Bench, Client, Invoke, succeed

PATIENCE_S = 60.0


class Unprintable:
    """Cannot be told in words."""

    def __repr__(self) -> str:
        raise OSError("no words")


class Incomparable(str):
    """Cannot be compared."""

    def __ne__(self, other: object) -> bool:
        raise OSError("no comparison")

    def __eq__(self, other: object) -> bool:
        raise OSError("no comparison")

    __hash__ = str.__hash__


@dataclass
class Inside:
    """Something that JSON takes, with something in it that may be odd."""

    part: Any


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def recorded(path: Path, do: Invoke, gen: Liftable, **others: Any) -> list[Operation]:
    """The history that a real journal has after ``gen`` was carried out by ``do``."""

    async def main() -> None:
        with Journal(path / "history.jsonl", Header()) as journal:
            bench = Bench(do, journal=journal, **others)
            async with asyncio.timeout(PATIENCE_S):
                await bench.dispatcher.run(gen)
                await bench.dispatcher.close()

    asyncio.run(main())
    return list(read_history(path / "history.jsonl").operations)


def thrice() -> Liftable:
    return limit(3, clients(repeat(invoke("w", 1))))


def answering(**parts: Any) -> Invoke:
    async def answer(client: Any, operation: Operation) -> Operation:
        return msgspec.structs.replace(operation, **{"type": "ok", **parts})

    return answer


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (answering(value=nested(100_000)), "RecursionError"),
        (answering(value=Unprintable()), "TypeError"),
        (answering(process=Unprintable()), "Unprintable that cannot be printed"),
        (answering(f=Incomparable("w")), "no comparison"),
        (answering(value=math.nan), "not finite"),
        (answering(value=[1, {"a": [math.inf]}]), "not finite"),
        (answering(value=(None, {"a": -math.inf})), "not finite"),
        (answering(value=Inside(math.nan)), "not finite"),
        (answering(value=["\ud800", math.nan]), "not finite"),
        (answering(type="fail", error=["rounded", math.nan]), "not finite"),
        (answering(extra={"more": math.inf}), "not finite"),
    ],
)
def test_an_answer_that_cannot_be_recorded_is_info(
    tmp_path: Path, answer: Invoke, told: str
) -> None:
    records = recorded(tmp_path, answer, thrice())
    assert [o.type for o in records].count("invoke") == 3
    completions = [o for o in records if o.type != "invoke"]
    assert [(o.type, o.value) for o in completions] == [("info", 1)] * 3
    assert all(told in o.error for o in completions)


def test_an_unprintable_answer_is_info(tmp_path: Path) -> None:
    async def answer(client: Any, operation: Operation) -> Any:
        return Unprintable()

    records = recorded(tmp_path, answer, thrice())
    told = {o.error for o in records if o.type == "info"}
    words = "Unprintable that cannot be printed (OSError)"
    assert told == {f"the client answered {words}, not an Operation"}


def test_an_exception_without_words_is_info(tmp_path: Path) -> None:
    class Wordless(Exception):
        def __str__(self) -> str:
            raise OSError("no words")

    async def fail(client: Any, operation: Operation) -> Operation:
        raise Wordless

    records = recorded(tmp_path, fail, thrice())
    assert sum("Wordless" in o.error for o in records if o.type == "info") == 3


def test_a_client_that_spoils_the_invocation_itself_is_info(tmp_path: Path) -> None:
    async def spoil(client: Any, operation: Operation) -> Operation:
        operation.value.append(object())
        return msgspec.structs.replace(operation, type="ok")

    gen = limit(2, clients(function(lambda context: invoke("w", [1]))))
    records = recorded(tmp_path, spoil, gen)
    completions = [o for o in records if o.type != "invoke"]
    assert [(o.type, o.value) for o in completions] == [("info", None)] * 2


def test_finite_numbers_and_nil_are_recorded_as_they_are(tmp_path: Path) -> None:
    value = [None, 1.5, {"a": [None, 0.1], "null": "NaN"}, ["\ud800"]]
    records = recorded(tmp_path, answering(value=value), limit(1, clients(invoke("w", 1))))
    assert [(o.type, o.value) for o in records] == [("invoke", 1), ("ok", value)]


@pytest.mark.parametrize("value", [math.nan, [1, math.inf], nested(100_000), object()])
def test_an_invocation_that_cannot_be_recorded_is_the_generators_error(
    tmp_path: Path, value: Any
) -> None:
    gen = [invoke("w", 1), clients(invoke("odd", value))]
    with pytest.raises(GeneratorError, match="gave an operation that cannot be recorded"):
        recorded(tmp_path, succeed, gen)
    records = read_history(tmp_path / "history.jsonl").operations
    assert [(o.type, o.f) for o in records] == [("invoke", "w"), ("ok", "w")]


def raising(error: BaseException) -> Invoke:
    async def fail(client: Any, operation: Operation) -> Operation:
        raise error

    return fail


NOT_EXCEPTIONS = [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("bare")]


@pytest.mark.parametrize("error", NOT_EXCEPTIONS, ids=repr)
def test_what_is_no_exception_is_info_and_does_not_end_the_run(
    tmp_path: Path, error: BaseException
) -> None:
    records = recorded(tmp_path, raising(error), thrice())
    completions = [o for o in records if o.type != "invoke"]
    assert [o.type for o in completions] == ["info"] * 3
    assert all(type(error).__name__ in o.error for o in completions)


@pytest.mark.parametrize("error", NOT_EXCEPTIONS, ids=repr)
def test_a_client_may_raise_it_when_it_is_opened_and_closed(
    tmp_path: Path, error: BaseException
) -> None:
    class Odd(Client):
        async def open(self, address: str) -> None:
            raise error

        async def close(self) -> None:
            raise error

    records = recorded(tmp_path, succeed, thrice(), client=Odd)
    assert [o.type for o in records if o.type != "invoke"] == ["info"] * 3


def test_a_client_that_keeps_a_cancellation_to_itself_has_let_go(tmp_path: Path) -> None:
    async def keep(client: Any, operation: Operation) -> Operation:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return msgspec.structs.replace(operation, type="ok")

    async def main() -> int:
        bench = Bench(keep, op_timeout_s=0.02)
        async with asyncio.timeout(PATIENCE_S):
            records = await bench.run(limit(4, clients(repeat(invoke("w")))))
        assert [o.type for o in records if o.type != "invoke"] == ["info"] * 4
        return bench.dispatcher.stuck_clients

    assert asyncio.run(main()) == 0


def test_clients_that_hang_are_counted() -> None:
    async def main() -> None:
        release = asyncio.Event()

        class Stubborn(Client):
            async def close(self) -> None:
                await release.wait()

        async def lose(client: Any, operation: Operation) -> Operation:
            raise OSError

        bench = Bench(lose, client=Stubborn, concurrency=2)
        assert bench.dispatcher.stuck_clients == 0
        await bench.dispatcher.run(limit(3, clients(repeat(invoke("w")))))
        assert bench.dispatcher.stuck_clients == 3
        assert bench.dispatcher.stuck is None
        release.set()
        await bench.dispatcher.close()
        assert bench.dispatcher.stuck_clients == 0

    asyncio.run(main())
