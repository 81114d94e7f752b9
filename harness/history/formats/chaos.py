"""Calls and returns as TiPocket and PingCAP's chaos record them, in JSON lines.

A line is ``{"action": "call"|"return", "proc": N, "data": …}``, in TiPocket with a ``time``; the
lines stand in the order in which things happened, under one lock. ``dump`` notes the initial state,
``invoke`` and ``recover`` what the nemesis did. What ``data`` says is each test's own matter:

=================  ==========================  ===========================================
test               known by                    becomes
=================  ==========================  ===========================================
register           ``Op`` (a truth value)      reads and writes; model ``register``, 0 at first
cas_register       ``Op``, ``Arg1``, ``Arg2``  reads, writes, cas; ``cas-register``, nil at first
bank               ``Op``, ``From``, ``To``    reads, transfers; ``bank``
raw key-value      ``Op``, ``Key``, ``Val``    reads, writes of each key; ``register``
list-append,       ``value`` of micro-         transactions; ``list-append`` or
rw-register        operations                  ``rw-register``
=================  ==========================  ===========================================

An answer that is ``Unknown`` makes an ``info``; anything else (long fork, tpcc, vbank, multi-bank)
is refused by what it says.

Sources: pingcap/chaos, pkg/history/history.go, pkg/model/register.go, pkg/model/cas_register.go,
db/tidb/bank.go; pingcap/tipocket, pkg/history/history.go, pkg/elle/core/history.go,
testcase/list-append/client.go, testcase/rw-register/client.go,
testcase/rawkv-linearizability/rawkv_linearizability.go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Final

from msgspec import structs

from harness.errors import HistoryError
from harness.history.formats.lines import end_notices, lines_of_bytes
from harness.history.formats.losses import Losses
from harness.history.history import History
from harness.history.intakes import Place
from harness.history.operation import FAIL, INFO, INVOKE, NEMESIS, OK, Header, Operation
from harness.history.rules import MOST_PROCESSES, check_rules, describe
from harness.wording import shown

NAME: Final = "chaos"
FIRST: Final = re.compile(
    rb'\s*\{\s*"(?:action"\s*:\s*"(?:call|return|dump|invoke|recover)"|proc"\s*:[^{}]*"action"\s*:)'
)
_ACTIONS: Final = ("call", "return", "dump", "invoke", "recover")
_EXPECTED: Final = 'expected {"action": …, "proc": …, "data": …}'
_MICRO: Final = {"append": "append", "read": "r", "write": "w"}

Outcome = tuple[str, Any]
"""The type of a completion, and its value."""


class _Odd(ValueError):
    """Data that the test in hand cannot have recorded."""


@dataclass(frozen=True)
class _Test:
    """How one test's data is read: ``asked`` gives f and value of a request, ``answered`` the
    outcome by request and response, ``initial`` the state by what was dumped.
    """

    model: str
    asked: Callable[[Mapping[str, Any]], tuple[str, Any]]
    answered: Callable[[Mapping[str, Any], Mapping[str, Any]], Outcome]
    initial: Callable[[Any], Any]
    independent: bool = False


@dataclass
class _Reading:
    """What was read so far."""

    name: str
    test: _Test | None = None
    state: Any = None
    operations: list[Operation] = field(default_factory=list)
    requests: dict[int, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)

    def take(self, found: Mapping[str, Any]) -> None:
        """One line; ``_Odd`` says what is wrong with it."""
        action, process, data = found["action"], found["proc"], found.get("data")
        if action == "dump":
            self.state = data if self.state is None else self.state
        elif action in ("invoke", "recover"):
            told = data.get("Name") if isinstance(data, Mapping) else data
            f = told if isinstance(told, str) and told else "nemesis"
            self._add(NEMESIS, INFO, f, action)
        elif not 0 <= process <= MOST_PROCESSES:
            raise _Odd(f"expected a proc from 0 on, found {process}")
        elif not isinstance(data, Mapping):
            raise _Odd(f"expected an object as data, found {shown(data)}")
        elif action == "call":
            self.test = self.test or _test_of(data)
            f, value = self.test.asked(data)
            self.requests[process] = f, data
            self._add(process, INVOKE, f, value)
        elif process not in self.requests or self.test is None:
            raise _Odd(f"proc {process} returns, and nothing was called")
        else:
            f, request = self.requests.pop(process)
            kind, value = self.test.answered(request, data)
            self._add(process, kind, f, value)

    def _add(self, process: int | str, kind: str, f: str, value: Any) -> None:
        at = len(self.operations)
        self.operations.append(Operation(at, at, process, kind, f, value))


def read(data: bytes, name: str) -> History:
    """The history of ``data``; ``HistoryError`` names the line."""
    reading = _Reading(name)
    for place, found in _lines(data, name):
        try:
            reading.take(found)
        except _Odd as error:
            raise HistoryError(f"{name}: {place}: {error}") from None
    test = reading.test
    if test is None:
        return History(reading.operations, Header(), end_notices(data, name))
    check_rules(reading.operations, name)
    try:
        initial = test.initial(reading.state)
    except _Odd as error:
        raise HistoryError(f"{name}: {error}") from None
    model = test.model
    if model == "list-append":
        model = _model_of_transactions(reading.operations)
    header = Header(model=model, initial=initial, independent=test.independent)
    return History(reading.operations, header, end_notices(data, name))


def write(history: History, out: BinaryIO, losses: Losses) -> None:
    """Write the registers of ``history``; what ``losses`` may not drop is refused by name."""
    header = history.header
    if header.model not in ("register", "cas-register") or header.independent:
        raise HistoryError(f"{NAME} can say one register or cas-register alone")
    losses.of_order(replace(history, header=structs.replace(header, initial=None)), NAME)
    is_cas = header.model == "cas-register"
    _write_line(out, "dump", 0, _told(header.initial, header.initial, is_cas=is_cas))
    pairs = history.pairs
    for at, operation in enumerate(history.operations):
        last = history.operations[pairs[at]] if pairs[at] >= 0 else operation
        last = operation if operation.type != INVOKE else last
        if not operation.is_client:
            losses.lose(NAME, "what no client did", describe(operation))
        elif last.type == FAIL:
            if operation.type == FAIL:
                what = "a failure, but of a cas whose condition is known not to have held"
                losses.lose(NAME, what, describe(operation))
        elif operation.type == INVOKE:
            _write_line(out, "call", operation.process, _request(operation, is_cas=is_cas))
        else:
            _write_line(out, "return", operation.process, _response(operation, is_cas=is_cas))


def _write_line(out: BinaryIO, action: str, process: int | str, data: Any) -> None:
    line = {"action": action, "proc": process, "data": data}
    out.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def _request(operation: Operation, *, is_cas: bool) -> dict[str, Any]:
    f, value = operation.f, operation.value
    names = ("read", "write", "cas") if is_cas else ("read", "write")
    is_pair = isinstance(value, list | tuple) and len(value) == 2
    if f not in names or (f == "cas" and not is_pair):
        raise HistoryError(f"{NAME} can say {', '.join(names)} alone: {describe(operation)}")
    if not is_cas:
        return {"Op": f == "write", "Value": _told(value, operation, is_cas=False, f=f)}
    first, then = value if f == "cas" else (value, 0)
    return {
        "Op": names.index(f),
        "Arg1": _told(first, operation, is_cas=True, f=f),
        "Arg2": _told(then, operation, is_cas=True),
    }


def _response(operation: Operation, *, is_cas: bool) -> dict[str, Any]:
    is_read = operation.f == "read" and operation.type == OK
    value = operation.value if is_read else 0
    unknown = operation.type == INFO
    if not is_cas:
        return {"Unknown": unknown, "Value": _told(value, operation, is_cas=False)}
    return {
        "Ok": operation.type == OK,
        "Exists": is_read and value is not None,
        "Value": 0 if value is None else _told(value, operation, is_cas=True),
        "Unknown": unknown,
    }


def _told(value: Any, where: Any, *, is_cas: bool, f: str = "") -> int:
    """A value as the tests note it: a number, in a cas register -1 where there is none."""
    if f == "read":
        return 0
    if value is None and is_cas:
        return -1
    if type(value) is not int or (is_cas and value == -1):
        told = describe(where) if isinstance(where, Operation) else "the initial state"
        raise HistoryError(f"{NAME} cannot say {shown(value)} of {told}: expected a number")
    return value


def _lines(data: bytes, name: str) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    for number, line in lines_of_bytes(data):
        if not line.strip():
            continue
        place = Place(number, 1)
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise HistoryError(f"{name}: {place}: {_EXPECTED}: {error}") from None
        is_one = isinstance(found, dict) and found.get("action") in _ACTIONS
        if not is_one or type(found.get("proc")) is not int:
            raise HistoryError(f"{name}: {place}: {_EXPECTED}, found {shown(line[:60])}")
        yield place, found


def _test_of(request: Mapping[str, Any]) -> _Test:
    """The test that records such requests."""
    fields = set(request)
    for known, test in _TESTS:
        if known <= fields:
            if test is _REGISTER and type(request["Op"]) is not bool:
                continue
            return test
    told = ", ".join(sorted(map(str, fields))[:8]) or "nothing"
    raise _Odd(
        f"a request of {told} is of no test that is known: expected one of register, cas_register,"
        " bank, raw key-value, list-append or rw-register"
    )


def _number(found: Mapping[str, Any], key: str) -> int:
    item = found.get(key, 0)
    if type(item) is not int:
        raise _Odd(f"expected a number as {key}, found {shown(item)}")
    return item


def _op(request: Mapping[str, Any], names: tuple[str, ...]) -> str:
    found = request.get("Op")
    if type(found) not in (bool, int):
        raise _Odd(f"expected a number as Op, found {shown(found)}")
    number = int(found or 0)
    if not 0 <= number < len(names):
        raise _Odd(f"expected an Op below {len(names)}, found {number}")
    return names[number]


def _register_asked(request: Mapping[str, Any]) -> tuple[str, Any]:
    f = _op(request, ("read", "write"))
    return f, _number(request, "Value") if f == "write" else None


def _register_answered(request: Mapping[str, Any], response: Mapping[str, Any]) -> Outcome:
    f, asked = _register_asked(request)
    if response.get("Unknown"):
        return INFO, asked
    return OK, asked if f == "write" else _number(response, "Value")


def _cas_asked(request: Mapping[str, Any]) -> tuple[str, Any]:
    f = _op(request, ("read", "write", "cas"))
    first = _absent(_number(request, "Arg1"))
    if f == "cas":
        return f, [first, _absent(_number(request, "Arg2"))]
    return f, first if f == "write" else None


def _cas_answered(request: Mapping[str, Any], response: Mapping[str, Any]) -> Outcome:
    f, asked = _cas_asked(request)
    if response.get("Unknown"):
        return INFO, asked
    if f == "read":
        return OK, _absent(_number(response, "Value")) if response.get("Exists") else None
    if f == "cas" and not response.get("Ok"):
        return FAIL, asked
    return OK, asked


def _absent(value: int) -> int | None:
    """-1 is a register that is not there."""
    return None if value == -1 else value


def _bank_asked(request: Mapping[str, Any]) -> tuple[str, Any]:
    if _op(request, ("read", "transfer")) == "read":
        return "read", None
    names = (("from", "From"), ("to", "To"), ("amount", "Amount"))
    return "transfer", {name: _number(request, key) for name, key in names}


def _bank_answered(request: Mapping[str, Any], response: Mapping[str, Any]) -> Outcome:
    f, asked = _bank_asked(request)
    if response.get("Unknown"):
        return INFO, asked
    if f == "transfer":
        return OK if response.get("Ok") else FAIL, asked
    return OK, _balances(response.get("Balances"))


def _balances(found: Any) -> dict[str, int]:
    if not isinstance(found, list) or not all(type(item) is int for item in found):
        raise _Odd(f"expected Balances, found {shown(found)}")
    return {str(account): balance for account, balance in enumerate(found)}


def _kv_asked(request: Mapping[str, Any]) -> tuple[str, Any]:
    f = _op(request, ("read", "write", "write"))
    is_deletion = request.get("Op") == 2
    value = None if f == "read" or is_deletion else _number(request, "Val")
    return f, [_number(request, "Key"), value]


def _kv_answered(request: Mapping[str, Any], response: Mapping[str, Any]) -> Outcome:
    f, asked = _kv_asked(request)
    if response.get("Unknown"):
        return INFO, asked
    if f == "read":  # 0 is the hash of nothing
        return OK, [asked[0], _number(response, "Val") or None]
    return OK, asked


def _transaction_asked(request: Mapping[str, Any]) -> tuple[str, Any]:
    return "txn", [
        part if part[0] != "r" else [*part[:2], None] for part in _micros(request.get("value"))
    ]


def _transaction_answered(request: Mapping[str, Any], response: Mapping[str, Any]) -> Outcome:
    found = response.get("Result", response.get("result", response))
    kind = found.get("type") if isinstance(found, Mapping) else None
    if kind not in ("ok", "fail", "info", "unknown"):
        raise _Odd(f"expected a Result of a type, found {shown(kind)}")
    if kind != OK:
        return FAIL if kind == FAIL else INFO, _transaction_asked(request)[1]
    return OK, _micros(found.get("value"))


def _micros(found: Any) -> list[Any]:
    """Micro-operations, whose names and fields are the test's."""
    if not isinstance(found, list) or not found:
        raise _Odd(f"expected a list of micro-operations, found {shown(found)}")
    parts = []
    for each in found:
        inner = each.get("m") if isinstance(each, Mapping) else None
        if not isinstance(inner, Mapping) or each.get("type") not in _MICRO or "key" not in inner:
            raise _Odd(f"expected a read, a write or an append of a key, found {shown(each)}")
        value = inner.get("value")
        is_list = isinstance(value, list) and all(type(item) is int for item in value)
        if not (value is None or type(value) is int or is_list):
            raise _Odd(f"expected a number or a list of numbers, found {shown(value)}")
        parts.append([_MICRO[each["type"]], inner["key"], value])
    return parts


def _model_of_transactions(operations: list[Operation]) -> str:
    writes = any(part[0] == "w" for each in operations if each.f == "txn" for part in each.value)
    return "rw-register" if writes else "list-append"


def _dumped_number(state: Any) -> int:
    if state is not None and type(state) is not int:
        raise _Odd(f"expected a number as the dumped state, found {shown(state)}")
    return state or 0


def _dumped_cas(state: Any) -> int | None:
    return None if state is None else _absent(_dumped_number(state))


def _dumped_pairs(state: Any) -> None:
    if state:
        raise _Odd(
            "keys hold something at first (dump), which a register of each key cannot say: expected"
            " an empty dump"
        )


_REGISTER: Final = _Test("register", _register_asked, _register_answered, _dumped_number)
_TESTS: Final = (
    ({"Op", "Arg1", "Arg2"}, _Test("cas-register", _cas_asked, _cas_answered, _dumped_cas)),
    (
        {"Op", "From", "To", "Amount"},
        _Test(
            "bank",
            _bank_asked,
            _bank_answered,
            lambda state: None if state is None else _balances(state),
        ),
    ),
    (
        {"Op", "Key", "Val"},
        _Test("register", _kv_asked, _kv_answered, _dumped_pairs, independent=True),
    ),
    ({"Op", "Value"}, _REGISTER),
    (
        {"type", "value"},
        _Test("list-append", _transaction_asked, _transaction_answered, lambda state: None),
    ),
)
