"""A client in any language: a program that reads a line of JSON for each call and answers with one.

``--client 'CMD'`` replaces the clients of a system by it; a system of one's own may do so itself::

    def client(self, op_timeout_s):
        return CommandClient(["./client", "--fast"], op_timeout_s, (Registers,))

Each process of a run has a program of its own, which is ended when its operation took too long: so
no late answer ever reaches the next operation. The protocol is told in ``docs/client-protocol.md``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import IO, Any, Final

from harness.contract.client import ABILITIES, Failed, Indeterminate, Target
from harness.contract.current import tell, trace_id
from harness.errors import UsageError
from harness.wording import reason, shown

CALLS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "Registers": {
        "read": ("key",),
        "write": ("key", "value"),
        "compare_and_set": ("key", "old", "new"),
    },
    "Transactions": {},
    "Predicates": {},
    "Sets": {"add_to_set": ("name", "element"), "read_set": ("name",)},
    "Counters": {"add_to_counter": ("name", "delta"), "read_counter": ("name",)},
    "Queues": {"enqueue": ("name", "value"), "dequeue": ("name",)},
    "Logs": {"append_to_log": ("name", "value"), "poll_log": ("name", "after")},
    "Locks": {"acquire": ("name",), "release": ("name", "token")},
    "Ids": {"generate_id": ()},
    "Watches": {"write_watched": ("key", "value"), "watch": ("key", "after")},
}
"""Each ability's calls, and the names of their arguments in the lines."""
IN_TRANSACTION: Final[Mapping[str, tuple[str, ...]]] = {
    "get": ("key",),
    "put": ("key", "value"),
    "append": ("key", "element"),
    "scan": ("prefix",),
    "delete": ("key",),
    "commit": (),
    "abort": (),
}
"""The calls of the transaction that ``begin`` began."""
LONGEST_LINE: Final = 16 << 20
ASKING_S: Final = 30.0
_LAST_WORDS: Final = 400


class CommandClient:
    """Runs ``argv`` and asks it. It has the ``abilities`` that are given, and no other."""

    def __init__(
        self, argv: Sequence[str], op_timeout_s: float, abilities: Collection[type]
    ) -> None:
        self._argv = list(argv)
        self._op_timeout_s = op_timeout_s
        self._program: _Program | None = None
        self._is_over = False
        for ability in abilities:
            for call, names in CALLS[ability.__name__].items():
                setattr(self, call, self._method(call, names))
            if ability.__name__ in ("Transactions", "Predicates"):
                self.begin = self._begin

    async def open(self, target: Target) -> None:
        """Start the program and tell it where the node is."""
        self._program = await _Program.started(self._argv)
        told: dict[str, Any] = {"address": str(target), "op_timeout_s": self._op_timeout_s}
        for name in ("node", "role"):
            if (said := getattr(target, name, None)) is not None:
                told[name] = said
        if ports := getattr(target, "addresses", None):
            told["addresses"] = {str(port): address for port, address in ports.items()}
        await self.ask("open", **told)

    async def close(self) -> None:
        """End the program. Safe twice, and while a call is under way."""
        self._is_over = True
        if self._program is not None:
            await self._program.end()

    async def ask(self, call: str, **arguments: Any) -> Any:
        """The value that the program answers to one call, or what it raises."""
        return (await self._ask(call, arguments)).get("value")

    async def _ask(self, call: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._is_over or self._program is None:
            raise Indeterminate("the client program was ended")
        trace = trace_id()
        asked = dict(arguments) if trace is None else {**arguments, "trace": trace}
        try:
            answer = await self._program.exchange(call, asked)
        except BaseException:
            self._is_over = True  # whatever it says now is no answer to what comes
            raise
        return _judged(call, answer)

    def _method(self, call: str, names: Sequence[str]) -> Callable[..., Any]:
        async def ask(*arguments: Any) -> Any:
            value = await self.ask(call, **dict(zip(names, arguments, strict=True)))
            return _as_the_ability_has_it(call, value)

        return ask

    async def _begin(self, *, read_only: bool = False) -> Any:
        answer = await self._ask("begin", {"read_only": read_only})
        return _CommandTransaction(self, answer.get("appends") is True)


class _CommandTransaction:
    """The one transaction that the program has open."""

    def __init__(self, client: CommandClient, appends: bool) -> None:
        for call, names in IN_TRANSACTION.items():
            if call != "append" or appends:
                setattr(self, call, client._method(call, names))

    async def get_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        """One ``get`` after the other, in the one view of this transaction."""
        return {key: await self.get(key) for key in keys}

    get: Callable[..., Any]


class _Program:
    """A running program with lines in and out."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        errors: _LastWords,
        transports: Sequence[asyncio.BaseTransport],
    ) -> None:
        self._process = process
        self._reader = reader
        self._errors = errors
        self._transports = transports
        self._stdin = process.stdin
        self._id = -1

    @classmethod
    async def started(cls, argv: Sequence[str]) -> _Program:
        """Start it, in a thread, for that takes milliseconds; ``Failed`` if there is none."""
        starting = asyncio.ensure_future(asyncio.to_thread(_popen, argv))
        try:
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:  # nobody waits for it any more: it ends as it begins
            starting.add_done_callback(_end_at_once)
            raise
        except OSError as error:
            raise Failed(["client", f"{argv[0]}: {error.strerror or error}"]) from error
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LONGEST_LINE)
        out, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), process.stdout
        )
        err, errors = await loop.connect_read_pipe(_LastWords, process.stderr)
        return cls(process, reader, errors, [out, err])

    async def exchange(self, call: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """One line in, one line out, of the same id; ``Indeterminate`` for anything else."""
        self._id += 1
        line = json.dumps({"id": self._id, "call": call, **arguments}).encode() + b"\n"
        assert self._stdin is not None
        try:
            await _write(self._stdin, line)
            answer = await self._reader.readline()
        except (OSError, ValueError) as error:
            raise Indeterminate(["client", str(error), self._errors.text()]) from error
        if not answer.endswith(b"\n"):
            raise Indeterminate(["client", "the program ended", self._errors.text()])
        try:
            found = json.loads(answer)
        except ValueError:
            found = None
        if not isinstance(found, dict) or found.get("id") != self._id:
            what = shown(answer[:200].decode("utf-8", "replace").strip())
            raise Indeterminate(["client", f"no answer to call {self._id}: {what}"])
        return found

    async def end(self) -> None:
        """Kill it, with whatever it started, and wait for it. Safe twice."""
        _kill(self._process)
        for transport in self._transports:
            transport.close()
        await asyncio.to_thread(self._process.wait)
        if self._stdin is not None:
            with contextlib.suppress(OSError):
                self._stdin.close()


class _LastWords(asyncio.Protocol):
    """Reads what a program says on standard error, and keeps the end of it."""

    def __init__(self) -> None:
        self._said = b""

    def data_received(self, data: bytes) -> None:
        self._said = (self._said + data)[-_LAST_WORDS:]

    def text(self) -> str:
        """What it said last."""
        return self._said.decode("utf-8", "replace").strip()


def _popen(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill it and its children, unless it was waited for: then its number may be another's."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _end_at_once(starting: asyncio.Future[subprocess.Popen[bytes]]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        _kill(starting.result())
        starting.result().wait()


async def _write(stream: IO[bytes], line: bytes) -> None:
    """Write the line; in a thread where it may not fit into a pipe at once."""
    if len(line) > 4096:  # PIPE_BUF: less is written whole, and at once while the pipe is empty
        await asyncio.to_thread(_write_all, stream, line)
    else:
        _write_all(stream, line)


def _write_all(stream: IO[bytes], line: bytes) -> None:
    stream.write(line)
    stream.flush()


def _judged(call: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer if it is ``ok``; what is told beside it is passed on in any case."""
    served, timestamps = answer.get("served"), answer.get("timestamps")
    if served is not None or timestamps is not None:
        try:
            tell(served=served, timestamps=timestamps)
        except (TypeError, AttributeError) as error:
            raise Indeterminate(["client", f"what it told beside its answer: {error}"]) from error
    kind = answer.get("type")
    if kind == "ok":
        return answer
    said = answer.get("error", f"{call}: {kind}")
    if kind == "fail":
        ended = answer.get("session_ended")
        raise Failed(said, session_ended=ended if isinstance(ended, bool) else None)
    if kind == "info":
        raise Indeterminate(said)
    raise Indeterminate(["client", f"type is {shown(kind)}, not ok, fail or info"])


def _as_the_ability_has_it(call: str, value: Any) -> Any:
    """JSON has no tuples: pairs of offsets or revisions with values."""
    if call == "poll_log":
        return [(offset, each) for offset, each in value]
    if call == "watch":
        return value[0], [(revision, each) for revision, each in value[1]]
    return value


def abilities_of(command: str) -> tuple[list[str], tuple[type, ...]]:
    """The words of a ``--client`` command, and the abilities that its program says it has.

    ``UsageError`` where it cannot be started or does not say.
    """
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--client {shown(command)}: {error}") from error
    if not argv:
        raise UsageError("--client names no program", "--client './client --option'")
    if os.sep in argv[0]:
        argv[0] = os.path.abspath(argv[0])
    question = json.dumps({"id": 0, "call": "abilities"}).encode() + b"\n"
    try:
        done = subprocess.run(argv, input=question, capture_output=True, timeout=ASKING_S)
    except OSError as error:
        raise UsageError(
            f"--client: {argv[0]} cannot be started: {reason(error)}",
            "its path, and chmod +x",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"--client: {argv[0]} did not end at the end of its input, in {ASKING_S:g} s",
            "docs/client-protocol.md",
        ) from error
    line, _, _ = done.stdout.partition(b"\n")
    with contextlib.suppress(ValueError, TypeError, KeyError):
        answer = json.loads(line)
        names = answer["value"]
        if (
            answer["id"] == 0
            and answer["type"] == "ok"
            and all(name in ABILITIES for name in names)
        ):
            return argv, tuple(ABILITIES[name] for name in names)
    said = shown(line[:200].decode("utf-8", "replace"))
    words = done.stderr.decode("utf-8", "replace").strip()[-_LAST_WORDS:]
    raise UsageError(
        f"--client: {argv[0]} does not say what it can do: it answered {said}"
        f"{f', and said: {words}' if words else ''}",
        f'{{"id": 0, "type": "ok", "value": ["Registers"]}} (known: {", ".join(ABILITIES)})',
    )
