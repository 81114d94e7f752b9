"""Clients in any language: what their lines become, and that none outlives its operation."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from harness.conformance.through_proxy import Bench as ProxyBench
from harness.contract import command
from harness.contract.client import (
    ABILITIES,
    AppendingTransaction,
    Failed,
    Indeterminate,
    Registers,
    Target,
    Transactions,
)
from harness.contract.command import (
    CALLS,
    IN_TRANSACTION,
    CommandClient,
    _popen,
    abilities_of,
)
from harness.errors import UsageError
from harness.generator import invoke
from harness.history.operation import Operation
from harness.plugins import Registry
from harness.run.preparation import prepare
from harness.run.scenario import resolve
from tests.harness.run.dispatching import Bench
from tests.toys.line_service import LineServer

DOCS = Path(__file__).parents[3] / "docs"

PROGRAM = """
import json, os, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    said = {"id": asked["id"], "type": "ok"}
    key = asked.get("key")
    if asked["call"] == "abilities":
        said["value"] = ["Registers", "Transactions", "Watches"]
    elif asked["call"] == "open":
        opened = asked
    elif asked["call"] == "begin":
        said["appends"] = asked["read_only"]
    elif asked["call"] == "watch":
        said["value"] = [9, [[7, "x"]]]
    elif key == "fail":
        said.update(type="fail", error=["no"], session_ended=False)
    elif key == "info":
        said.update(type="info", error="who knows")
    elif key == "strange":
        said["type"] = "perhaps"
    elif key == "late":
        said["id"] -= 1
    elif key == "end":
        sys.exit(print("what a pity", file=sys.stderr))
    elif key == "words":
        print("so much to say " * 20000, file=sys.stderr)
    elif key == "hang":
        print(os.getpid(), file=open(os.environ["PID_FILE"], "w"), flush=True)
        time.sleep(1000)
    elif key == "told":
        said.update(served="n2", timestamps={"commit": 7}, value=asked["trace"])
    else:
        said["value"] = [asked, opened]
    print("no answer" if key == "text" else json.dumps(said), flush=True)
"""


@pytest.fixture
def argv(tmp_path: Path) -> list[str]:
    (tmp_path / "client.py").write_text(PROGRAM)
    return [sys.executable, str(tmp_path / "client.py")]


def with_client(argv: list[str], work: Callable[[Any], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        client = CommandClient(argv, 5.0, tuple(ABILITIES.values()))
        try:
            await client.open(Target("here:1", node="n1", addresses={80: "here:2"}))
            return await work(client)
        finally:
            await client.close()
            await client.close()

    return asyncio.run(main())


def test_a_call_is_a_line_and_its_answer_a_line(argv: list[str]) -> None:
    async def work(client: Any) -> Any:
        await client.write("words", 1)  # what it says on standard error stops nobody
        return await client.compare_and_set(3, 1, {"a": 2})

    asked, opened = with_client(argv, work)
    assert asked == {"id": 2, "call": "compare_and_set", "key": 3, "old": 1, "new": {"a": 2}}
    del opened["id"], opened["call"]
    here = {"address": "here:1", "node": "n1", "addresses": {"80": "here:2"}, "op_timeout_s": 5.0}
    assert opened == here


def test_a_transaction_appends_if_the_program_says_so(argv: list[str]) -> None:
    async def work(client: Any) -> Any:
        assert not isinstance(await client.begin(), AppendingTransaction)
        transaction = await client.begin(read_only=True)
        assert isinstance(transaction, AppendingTransaction)
        found = await transaction.get_many(["a", "b"])
        await transaction.append("a", 1)
        await transaction.commit()
        assert await client.watch("k", 0) == (9, [(7, "x")])
        return {key: value[0]["key"] for key, value in found.items()}

    assert with_client(argv, work) == {"a": "a", "b": "b"}


@pytest.mark.parametrize(
    ("key", "kind", "error"),
    [
        ("fail", Failed, ["no"]),
        ("info", Indeterminate, "who knows"),
        ("strange", Indeterminate, "not ok, fail or info"),
        ("late", Indeterminate, "no answer to call 1"),
        ("text", Indeterminate, "no answer"),
        ("end", Indeterminate, "what a pity"),
    ],
)
def test_what_is_no_success_is_told_apart(
    argv: list[str], key: str, kind: type[Failed], error: Any
) -> None:
    async def work(client: Any) -> Any:
        with pytest.raises(kind) as caught:
            await client.write(key, 1)
        if key in ("late", "text", "end"):  # nothing that it says now is believed
            with pytest.raises(Indeterminate, match="was ended"):
                await client.read(1)
        return caught.value

    raised = with_client(argv, work)
    assert raised.error == error or error in str(raised.error)
    assert key != "fail" or raised.session_ended is False


def test_a_time_out_kills_the_program_and_what_is_told_is_recorded(
    argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid_file = tmp_path / "pid"
    monkeypatch.setenv("PID_FILE", str(pid_file))

    async def main() -> list[Operation]:
        bench = Bench(
            lambda client, operation: _read(client, operation, pid_file, bench),
            concurrency=1,
            client=lambda: CommandClient(argv, 5.0, (Registers,)),
            run="a-run",
        )
        return await bench.run([invoke("r", key) for key in ("told", "hang", "after")])

    records = asyncio.run(main())
    assert [record.type for record in records] == ["invoke", "ok", "invoke", "info", "invoke", "ok"]
    assert (records[1].served, records[1].timestamps) == ("n2", {"commit": 7})
    assert records[1].value.endswith("0" * 16)
    assert records[4].process == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


async def _read(client: Any, operation: Operation, pid_file: Path, bench: Bench) -> Operation:
    call = asyncio.ensure_future(client.read(operation.value))
    if operation.value == "hang":
        await asyncio.to_thread(_wait_for_line, pid_file)
        bench.journal.let_pass(60.0)
    return Operation(-1, -1, operation.process, "ok", operation.f, await call)


def test_a_program_that_nobody_waits_for_any_more_is_ended(
    argv: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    may_begin = threading.Event()

    def popen(words: list[str]) -> subprocess.Popen[bytes]:
        may_begin.wait(60)
        begun.append(_popen(words))
        return begun[-1]

    monkeypatch.setattr(command, "_popen", popen)

    async def main() -> None:
        client = CommandClient(argv, 5.0, (Registers,))
        opening = asyncio.ensure_future(client.open(Target("here:1")))
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        may_begin.set()
        while not begun or begun[0].returncode is None:  # noqa: ASYNC110 - ends by a callback
            await asyncio.sleep(0.01)

    asyncio.run(main())
    assert begun[0].returncode == -9


def _wait_for_line(file: Path) -> None:
    while not (file.exists() and file.read_text().endswith("\n")):
        time.sleep(0.01)


def test_a_program_says_its_abilities_and_replaces_the_systems_client(argv: list[str]) -> None:
    command = " ".join(argv)
    words, abilities = abilities_of(command)
    assert words == argv
    assert [ability.__name__ for ability in abilities] == ["Registers", "Transactions", "Watches"]
    registry = Registry()
    scenario = resolve({"system": "etcd", "client": command, "workload": "bank"}, registry)
    assert scenario.flat()["client"] == command
    system = prepare(scenario, registry).system
    assert isinstance(system.client(1.0), CommandClient)
    assert isinstance(system.client(1.0), Transactions)
    queue = resolve({"system": "etcd", "client": command, "workload": "queue"}, registry)
    with pytest.raises(UsageError, match="needs Queues"):
        prepare(queue, registry)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "names no program"),
        ("/nowhere/client", "cannot be started: no such file"),
        ("echo hello", "does not say what it can do: it answered"),
        ("'", "No closing quotation"),
    ],
)
def test_a_command_that_is_no_client_is_refused(command: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        abilities_of(command)


def test_the_page_tells_every_call() -> None:
    page = (DOCS / "client-protocol.md").read_text("utf-8")
    rows = re.findall(r"^\| .*? \|$", page, re.MULTILINE)
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    told = {cell[1].strip("`"): cell[2] for cell in cells if len(cell) == 4}
    told |= {cell[0].strip("`"): cell[1] for cell in cells if len(cell) == 3}
    calls = {"begin": ("read_only",), **IN_TRANSACTION}
    for of_ability in CALLS.values():
        calls |= of_ability
    for name, arguments in calls.items():
        assert re.findall(r"`(\w+)`", told[name]) == list(arguments)


def _made(name: str, folder: Path) -> list[str]:
    source = DOCS / "clients" / name
    if name.endswith(".go"):
        subprocess.run(["go", "build", "-o", folder / "client", source], check=True)
        return [str(folder / "client")]
    return [str(source)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "client.sh",
        pytest.param("client.js", marks=pytest.mark.node),
        pytest.param("client.go", marks=pytest.mark.go),
    ],
)
def test_the_examples_are_right_whatever_the_server_does(name: str, tmp_path: Path) -> None:
    argv = _made(name, tmp_path)
    _, abilities = abilities_of(" ".join(argv))

    async def main() -> list[Any]:
        with LineServer() as server:
            bench = ProxyBench(
                lambda timeout_s: CommandClient(argv, timeout_s, abilities),
                Target(server.address),
                abilities=abilities,
            )
            return await bench.run(("write",))

    found = asyncio.run(main())
    assert len(found) > 10
    assert [str(each) for each in found if each.wrong or each.why_not] == []
