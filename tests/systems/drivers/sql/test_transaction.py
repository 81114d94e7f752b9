"""Sessions and transactions against a connection in memory: what is sent, and what is raised."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest

from harness.contract.client import Failed, Indeterminate, Target
from systems.drivers.sql.client import SqlClient
from systems.drivers.sql.connection import Lost, Result, SqlError, Value
from systems.drivers.sql.postgresql import POSTGRESQL
from systems.drivers.sql.tables import Tables


class Scripted:
    """Answers each statement by its first word, as it was told to; honestly if it was not."""

    def __init__(self, answers: Mapping[str, Result | Exception], heard: list[str]) -> None:
        self.answers, self.heard = answers, heard
        self.is_open = True

    @property
    def reusable(self) -> bool:
        return self.is_open

    async def execute(self, sql: str, values: Sequence[Value]) -> Result:
        word = sql.partition(" ")[0]
        self.heard.append(word)
        answer = self.answers.get(word, Result(tag=word, count=1))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def abandon(self) -> None:
        self.is_open = False

    def close(self) -> None:
        self.is_open = False


MADE: list[Scripted] = []
"""Every connection that was made, the last one last."""


def told(
    work: Callable[[SqlClient], Awaitable[Any]], **answers: Result | Exception
) -> tuple[Any, list[str]]:
    """What ``work`` gave or raised, and the first words of the statements that were sent."""
    heard: list[str] = []

    async def connect(address: str) -> Scripted:
        heard.append("connect")
        MADE.append(Scripted(answers, heard))
        return MADE[-1]

    async def done() -> Any:
        tables = Tables(POSTGRESQL)
        client = SqlClient(POSTGRESQL, connect, 5.0, tables=tables, level="serializable")
        await client.open(Target("somewhere:1"))
        try:
            return await work(client)
        except (Failed, Indeterminate) as error:
            return error

    return asyncio.run(done()), heard


async def write_two(client: SqlClient) -> None:
    transaction = await client.begin()
    await transaction.put("k", 1)
    await transaction.put("l", 2)
    await transaction.commit()


def test_a_transaction_that_does_nothing_sends_nothing() -> None:
    async def nothing(client: SqlClient) -> None:
        await (await client.begin()).commit()
        await (await client.begin()).abort()

    assert told(nothing) == (None, [])


def test_begin_is_sent_with_the_first_statement() -> None:
    assert told(write_two) == (None, ["connect", "BEGIN", "INSERT", "INSERT", "COMMIT"])


def test_an_error_before_commit_rolls_back_and_keeps_the_connection() -> None:
    gave, heard = told(write_two, INSERT=SqlError("XX000", "what is this"))
    assert isinstance(gave, Failed)
    assert gave.session_ended is False
    assert heard == ["connect", "BEGIN", "INSERT", "ROLLBACK"]


def test_a_rollback_that_fails_costs_the_connection() -> None:
    gave, _ = told(write_two, INSERT=SqlError("40001", "no"), ROLLBACK=Lost("gone"))
    assert isinstance(gave, Failed)
    assert gave.session_ended is True


def test_a_loss_before_commit_is_failed_and_ends_the_session() -> None:
    gave, heard = told(write_two, INSERT=Lost("gone"))
    assert isinstance(gave, Failed)
    assert gave.session_ended is True
    assert heard == ["connect", "BEGIN", "INSERT"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Result(tag="ROLLBACK"), Failed),
        (Result(tag="SELECT 1"), Indeterminate),
        (Result(tag=None), Indeterminate),
        (Lost("gone"), Indeterminate),
        (SqlError("40003", "who knows"), Indeterminate),
        (SqlError("57P01", "shutting down"), Indeterminate),
        (SqlError("40001", "could not serialize"), Failed),
    ],
)
def test_only_its_own_word_makes_a_commit_fail(
    answer: Result | Exception, kind: type[Exception]
) -> None:
    gave, _ = told(write_two, COMMIT=answer)
    assert type(gave) is kind


def test_a_commit_of_reads_alone_leaves_no_doubt() -> None:
    async def read(client: SqlClient) -> Any:
        transaction = await client.begin(read_only=True)
        await transaction.get("k")
        await transaction.commit()

    gave, _ = told(read, SELECT=Result(tag="SELECT 0"), COMMIT=Lost("gone"))
    assert isinstance(gave, Failed)


def test_null_cannot_be_put_and_the_transaction_is_rolled_back() -> None:
    async def put_null(client: SqlClient) -> None:
        transaction = await client.begin()
        await transaction.put("k", 1)
        await transaction.put("l", None)

    gave, heard = told(put_null)
    assert isinstance(gave, Failed)
    assert heard[-1] == "ROLLBACK"


def test_a_finished_transaction_sends_nothing_more() -> None:
    async def again(client: SqlClient) -> None:
        transaction = await client.begin()
        await transaction.put("k", 1)
        await transaction.commit()
        await transaction.put("k", 2)

    gave, heard = told(again)
    assert isinstance(gave, Failed)
    assert heard[-1] == "COMMIT"


def test_a_lost_idle_connection_is_told_before_anything_is_sent_and_made_anew_after_that() -> None:
    async def twice(client: SqlClient) -> list[Any]:
        await client.write("k", 1)
        MADE[-1].abandon()
        with pytest.raises(Failed) as failed:
            await client.write("k", 2)
        await client.write("k", 3)
        return [failed.value.session_ended]

    assert told(twice) == ([True], ["connect", "INSERT", "connect", "INSERT"])


def test_a_queue_whose_value_is_no_json_is_left_as_it_was() -> None:
    odd = Result(tag="SELECT 1", rows=[["1", "{"]])
    gave, heard = told(lambda client: client.dequeue("q"), SELECT=odd)
    assert isinstance(gave, Failed)
    assert heard == ["connect", "BEGIN", "SELECT", "ROLLBACK"]


async def write_what_was_read(client: SqlClient) -> None:
    transaction = await client.begin()
    await transaction.get_many(["k", "l"])
    await transaction.put("k", 1)
    await transaction.put("l", 2)
    await transaction.commit()


def test_what_was_read_is_updated_and_what_was_not_there_inserted() -> None:
    rows = Result(rows=[['"k"', "5"]], tag="SELECT 1")
    assert told(write_what_was_read, SELECT=rows) == (
        None,
        ["connect", "BEGIN", "SELECT", "UPDATE", "INSERT", "COMMIT"],
    )


def test_a_row_that_was_read_and_is_gone_fails_the_transaction() -> None:
    rows = Result(rows=[['"k"', "5"]], tag="SELECT 1")
    gone = Result(count=0, tag="UPDATE 0")
    raised, heard = told(write_what_was_read, SELECT=rows, UPDATE=gone)
    assert isinstance(raised, Failed)
    assert "gone" in str(raised.error)
    assert heard == ["connect", "BEGIN", "SELECT", "UPDATE", "ROLLBACK"]


def test_what_a_transaction_has_deleted_itself_it_inserts() -> None:
    async def delete_and_make(client: SqlClient) -> None:
        transaction = await client.begin()
        await transaction.get("k")
        await transaction.delete("k")
        await transaction.put("k", 1)
        await transaction.commit()

    rows = Result(rows=[['"k"', "5"]], tag="SELECT 1")
    assert told(delete_and_make, SELECT=rows)[1][2:] == ["SELECT", "DELETE", "INSERT", "COMMIT"]
