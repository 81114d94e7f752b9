"""Operations of Porcupine as etcd's robustness tests keep them: ``client-N/operations.json``.

A line is ``{"ClientId", "Input", "Call", "Output", "Return"}``: what a client asked of etcd, when
it called and when it was answered, in nanoseconds since one moment for all clients. A report is a
folder ``client-1``, ``client-2`` …; one file alone is one client's, so what others wrote is not in
it, and it is read alone only where it shows calls of several clients under way at once, or where
``-f`` says so.

What becomes of them: etcd's keys are registers, and linearizability is of each key alone. So a get
is a ``read``, a put or a deletion a ``write`` (of nil), and a put on the condition that a key was
last written at a revision is a ``cas`` from the value that was written then; the model is
``cas-register`` with independent keys. An operation that ended in an error is ``info``, since its
request may still arrive. That a condition did not hold says nothing about values, and neither does
a compaction; such are left out and counted. **Refused** is what registers cannot do: several keys
at once, leases (which delete keys), other conditions, old revisions. A long value is known by its
hash. Revisions themselves are not judged, nor is ``watch.json``.

Sources: etcd-io/etcd, tests/robustness/report/client.go (files), tests/robustness/model/types.go
and model/deterministic.go (requests and answers; older ones have ``Key`` and ``Value`` in the
operation itself), tests/robustness/model/history.go (what is noted of failures).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from harness.errors import HistoryError
from harness.history.formats.lines import end_notices, lines_of_bytes
from harness.history.history import History
from harness.history.intakes import Place
from harness.history.operation import INVOKE, OK, Header, Operation
from harness.history.rules import MOST, MOST_PROCESSES, check_rules
from harness.wording import shown

NAME: Final = "etcd-operations"
MODEL: Final = "cas-register"
FILE: Final = "operations.json"
FIRST: Final = re.compile(rb'\s*\{\s*"ClientId"\s*:')
_TIMES: Final = ("ClientId", "Call", "Return")
_GET: Final = ("range", "range-operation", "get")
_WITHOUT_EFFECT: Final = ("defragment", "compact", "leaseGrant", "leaseRevoke")
"""On values, as long as no key is put with a lease, which is refused."""
_NOT_ASKED: Final = object()
_EXPECTED: Final = "an operation of etcd's robustness tests"
FOLDER_HINT: Final = (
    f"the folder that holds client-1, client-2 and so on, or -f {NAME} to judge this client alone"
)


@dataclass(frozen=True, kw_only=True)
class _Call:
    """One operation with its times; ``returned`` is ``None`` where nobody knows."""

    place: str
    client: int
    called: int
    returned: int | None
    request: Mapping[str, Any]
    answer: Mapping[str, Any]


@dataclass
class _Mapped:
    """What the calls become; ``values`` are what was written to a key at a revision."""

    values: dict[tuple[str, int], Any]
    left_out: Counter[str] = field(default_factory=Counter)

    def of(self, call: _Call) -> tuple[str, str, Any, Any] | None:
        """The f, the key, what was asked and what was answered; ``None`` says nothing."""
        kind = call.request.get("Type")
        if kind in _WITHOUT_EFFECT:
            self.left_out[str(kind)] += 1
            return None
        if kind == "range":
            asked = _part(call.request, "Range", call)
            if asked.get("Revision"):
                raise _refused(call, "reads an old revision")
            found = call.answer.get("Range")
            return self._read(call, asked, found)
        if kind == "txn":
            return self._transaction(call)
        raise _refused(call, f"is a {kind}" if isinstance(kind, str) else "has no Type")

    def _read(
        self, call: _Call, asked: Mapping[str, Any], found: Any
    ) -> tuple[str, str, Any, Any] | None:
        key = _key(asked, call)
        if asked.get("End") or asked.get("WithPrefix"):
            raise _refused(call, "reads a range of keys at once")
        is_told = call.returned is not None
        return "read", key, None, _value_read(found, key, call) if is_told else None

    def _transaction(self, call: _Call) -> tuple[str, str, Any, Any] | None:
        asked = _part(call.request, "Txn", call)
        conditions = asked.get("Conditions") or []
        then = _list(asked, "OperationsOnSuccess", call)
        otherwise = _list(asked, "OperationsOnFailure", call)
        if not isinstance(conditions, list):
            raise _refused(call, "has another condition than a key's revision")
        if not conditions:
            answers = _answers(call)
            return self._single(call, then, answers, _NOT_ASKED)
        if len(conditions) != 1 or not isinstance(conditions[0], Mapping):
            raise _refused(call, "has several conditions")
        condition = conditions[0]
        if condition.get("ExpectedVersion"):
            raise _refused(call, "has a condition on a version")
        return self._conditional(call, condition, then, otherwise)

    def _conditional(
        self, call: _Call, condition: Mapping[str, Any], then: list[Any], otherwise: list[Any]
    ) -> tuple[str, str, Any, Any] | None:
        failed = call.returned is not None and _part(call.answer, "Txn", call).get("Failure")
        if failed and not otherwise:
            self.left_out["condition that did not hold"] += 1
            return None
        if failed:
            return self._single(call, otherwise, _answers(call), _NOT_ASKED)
        if call.returned is None and any(_kind(each) not in _GET for each in otherwise):
            raise _refused(call, "writes whether its condition holds or not")
        key, revision = condition.get("Key"), condition.get("ExpectedRevision", 0)
        if not isinstance(key, str) or type(revision) is not int:
            raise _refused(call, "has another condition than a key's revision")
        if revision and (key, revision) not in self.values:
            raise _refused(call, f"expects revision {revision} of {shown(key)}, which nobody saw")
        before = self.values[key, revision] if revision else None
        return self._single(call, then, _answers(call), (key, before))

    def _single(
        self, call: _Call, operations: list[Any], answers: list[Any], condition: Any
    ) -> tuple[str, str, Any, Any] | None:
        if not operations:
            self.left_out["transaction without operations"] += 1
            return None
        if len(operations) != 1:
            raise _refused(call, "does several things at once")
        operation = operations[0]
        kind = _kind(operation)
        if kind in _GET:
            if condition is not _NOT_ASKED and call.returned is None:
                self.left_out["read without an answer"] += 1
                return None
            return self._read(call, _options(operation, "Range"), answers[0] if answers else None)
        if kind not in ("put-operation", "put", "delete-operation", "delete"):
            raise _refused(call, f"has an operation {shown(kind)}")
        options = _options(operation, "Put" if "put" in kind else "Delete")
        if options.get("LeaseID"):
            raise _refused(call, "puts a key that a lease may delete")
        key = _key(options, call)
        value = _value(options.get("Value"), call) if "put" in kind else None
        if condition is _NOT_ASKED:
            return "write", key, value, value
        if condition[0] != key:
            raise _refused(call, "has a condition on another key than it writes")
        change = [condition[1], value]
        return "cas", key, change, change


def read(data: bytes, name: str) -> History:
    """The history of one file, whoever's it is; ``HistoryError`` names the line."""
    return read_files({name: data}, name)


def read_alone(data: bytes, name: str) -> History:
    """The history of one file, refused where it may be one client's of several."""
    calls = list(_calls(data, name))
    ends = sorted((call.called, call.returned) for call in calls if call.returned is not None)
    if not any(then[0] < first[1] for first, then in pairwise(ends)):
        raise HistoryError(
            f"{name}: holds the operations of one client of etcd's robustness tests: what others"
            " wrote is not in it",
            FOLDER_HINT,
        )
    return read(data, name)


def read_files(files: Mapping[str, bytes], name: str) -> History:
    """The history of the files of all clients; ``HistoryError`` names file and line."""
    calls = [call for each, data in sorted(files.items()) for call in _calls(data, each)]
    mapped = _Mapped(_written(calls))
    rows: list[tuple[int, int, Operation]] = []
    for call in calls:
        found = mapped.of(call)
        if found is None:
            continue
        f, key, asked, answered = found
        rows.append((call.called, 0, Operation(0, 0, call.client, INVOKE, f, [key, asked])))
        if call.returned is not None:
            rows.append((call.returned, 1, Operation(0, 0, call.client, OK, f, [key, answered])))
    operations = _in_order(rows)
    check_rules(operations, name)
    notices = [note for each, data in files.items() for note in end_notices(data, each)]
    notices.append(f"{name}: values are judged as of registers; revisions are not")
    for what, count in mapped.left_out.items():
        notices.append(f"{name}: left out, for it says nothing of values: {what} ({count})")
    return History(operations, Header(model=MODEL, independent=True), tuple(notices))


def _in_order(rows: list[tuple[int, int, Operation]]) -> list[Operation]:
    """Records by time; of those at one time invocations first: they were under way at once."""
    rows.sort(key=lambda row: row[:2])
    least = min((row[0] for row in rows), default=0)
    shift = max(0, -least)
    return [
        Operation(at, time + shift, each.process, each.type, each.f, each.value)
        for at, (time, _, each) in enumerate(rows)
    ]


def _calls(data: bytes, name: str) -> Iterator[_Call]:
    for line, text in lines_of_bytes(data):
        if not text.strip():
            continue
        place = f"{name}: {Place(line, 1)}"
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise HistoryError(f"{place}: expected {_EXPECTED}: {error}") from None
        if not isinstance(found, dict):
            raise HistoryError(f"{place}: expected {_EXPECTED}, found {shown(text[:40])}")
        client, called, returned = (_time(found, key, place) for key in _TIMES)
        if not 0 <= client <= MOST_PROCESSES:
            raise HistoryError(f"{place}: expected a ClientId from 0, found {client}")
        request, answer = found.get("Input"), found.get("Output")
        if not isinstance(request, dict) or not isinstance(answer, dict) or "Type" not in request:
            raise HistoryError(
                f"{place}: expected {_EXPECTED}, found operations of another model of Porcupine's",
                'write them as {"process": 0, "type": "invoke", "f": "read", "value": null}',
            )
        yield _Call(
            place=place,
            client=client,
            called=called,
            returned=None if _is_open(answer) else returned,
            request=request,
            answer=answer,
        )


def _time(found: Mapping[str, Any], key: str, place: str) -> int:
    number = found.get(key)
    if type(number) is not int or not -MOST <= number < MOST:
        raise HistoryError(f"{place}: expected {_EXPECTED} with {key}, found {shown(number)}")
    return number


def _is_open(answer: Mapping[str, Any]) -> bool:
    """Whether nobody saw an answer: the request may still arrive, or have been carried out."""
    flags = ("Error", "ClientError", "Persisted", "PartialResponse")
    return any(answer.get(flag) for flag in flags)


def _written(calls: Sequence[_Call]) -> dict[tuple[str, int], Any]:
    """What keys held that were last written at a revision, by what was written or read."""
    found: dict[tuple[str, int], Any] = {}
    for call in calls:
        transaction = call.request.get("Txn")
        if isinstance(transaction, Mapping) and call.returned is not None:
            answer = call.answer.get("Txn")
            failed = isinstance(answer, Mapping) and answer.get("Failure")
            which = "OperationsOnFailure" if failed else "OperationsOnSuccess"
            for operation in _list(transaction, which, call):
                if "put" in str(_kind(operation)):
                    options = _options(operation, "Put")
                    revision = call.answer.get("Revision")
                    found[str(options.get("Key")), revision or 0] = _value(
                        options.get("Value"), call
                    )
        answers = [call.answer.get("Range"), *_answers(call)]
        lists = [answer.get("KVs") for answer in answers if isinstance(answer, Mapping)]
        for each in (each for pairs in lists if isinstance(pairs, list) for each in pairs):
            if isinstance(each, Mapping) and type(each.get("ModRevision")) is int:
                found[str(each.get("Key")), each["ModRevision"]] = _value(each.get("Value"), call)
    return found


def _part(found: Mapping[str, Any], key: str, call: _Call) -> Mapping[str, Any]:
    part = found.get(key)
    if not isinstance(part, Mapping):
        raise HistoryError(f"{call.place}: expected {_EXPECTED} with {key}, found {shown(part)}")
    return part


def _answers(call: _Call) -> list[Any]:
    answer = call.answer.get("Txn")
    found = answer.get("Results") if isinstance(answer, Mapping) else None
    return found if isinstance(found, list) else []


def _list(asked: Mapping[str, Any], key: str, call: _Call) -> list[Any]:
    item = asked.get(key, _NOT_ASKED)
    if item is not None and not isinstance(item, list):
        raise HistoryError(f"{call.place}: expected {_EXPECTED} with a list {key}")
    return item or []


def _kind(operation: Any) -> Any:
    return operation.get("Type") if isinstance(operation, Mapping) else None


def _options(operation: Mapping[str, Any], which: str) -> Mapping[str, Any]:
    """What an operation asks for, which older tests note in the operation itself."""
    inner = operation.get(which)
    return inner if isinstance(inner, Mapping) else operation


def _key(options: Mapping[str, Any], call: _Call) -> str:
    key = options.get("Start", options.get("Key"))
    if not isinstance(key, str):
        raise HistoryError(f"{call.place}: expected {_EXPECTED} with a key, found {shown(key)}")
    return key


def _value(found: Any, call: _Call) -> Any:
    """A value, or where it is long what is kept of it: its hash, which another may have as well."""
    if not isinstance(found, Mapping):
        raise HistoryError(f"{call.place}: expected {_EXPECTED} with a Value, found {shown(found)}")
    text, digest = found.get("Value", ""), found.get("Hash", 0)
    if not isinstance(text, str) or type(digest) is not int:
        raise HistoryError(f"{call.place}: expected {_EXPECTED} with a Value, found {shown(found)}")
    return f"#{digest}" if digest else text


def _value_read(found: Any, key: str, call: _Call) -> Any:
    if not isinstance(found, Mapping):
        raise HistoryError(
            f"{call.place}: expected {_EXPECTED} with an answer, found {shown(found)}"
        )
    pairs = found.get("KVs") or []
    if not isinstance(pairs, list) or len(pairs) > 1:
        raise _refused(call, "was answered with several keys")
    if not pairs:
        return None
    if not isinstance(pairs[0], Mapping) or pairs[0].get("Key") != key:
        raise _refused(call, "was answered with another key than it asked for")
    return _value(pairs[0].get("Value"), call)


def _refused(call: _Call, why: str) -> HistoryError:
    return HistoryError(
        f"{call.place}: the operation of client {call.client} {why}, which registers cannot do, so"
        " none of the verdicts on them would be of etcd",
        "record the traffic of single puts, gets, deletions and conditions on one revision",
    )
