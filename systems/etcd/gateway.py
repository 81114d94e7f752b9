"""etcd's v3 JSON gateway: how requests and answers are written, and what its errors mean.

The gateway is HTTP with JSON in front of etcd's own gRPC service, on the client port: keys and
values are base64, 64-bit numbers are strings, and **fields that are zero or false are left
out**. So a compare that did not hold is an answer *without* ``succeeded``, and nothing but the
header tells it from an empty object; every answer here must therefore carry a header with a
revision, or it is not taken for an answer at all.

The error table. An error that etcd sends in answer to a write may stand for a write that
happens all the same, later. It is taken for *certainly did not happen* only where etcd's source
raises it before the proposal is handed to Raft and nowhere else (read in 3.4.23, 3.5.1, 3.6):

==================================================  =======  ====================================
message                                             becomes  why
==================================================  =======  ====================================
too many requests, request is too large             fail     checked before ``Propose``
key is not provided, too many operations in txn     fail     the request is checked on receipt
request, duplicate key given in txn request
mvcc: database space exceeded                       info     the applier stores the write and
                                                             *then* reports it
request timed out (three kinds), no leader, leader  info     raised while or after proposing
changed, server stopped, context deadline exceeded
all else, also what we have never seen              info     nobody can know
==================================================  =======  ====================================

Cost: a few microseconds a message (msgspec).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from harness.contract.client import Failed
from harness.wording import shown

PORT: Final = 2379
RANGE: Final = "/v3/kv/range"
PUT: Final = "/v3/kv/put"
TXN: Final = "/v3/kv/txn"
DELETE: Final = "/v3/kv/deleterange"
STATUS: Final = "/v3/maintenance/status"
COMPACT: Final = "/v3/kv/compaction"
DEFRAGMENT: Final = "/v3/maintenance/defragment"
MOVE_LEADER: Final = "/v3/maintenance/transfer-leadership"
MEMBER_LIST: Final = "/v3/cluster/member/list"
MEMBER_ADD: Final = "/v3/cluster/member/add"
MEMBER_REMOVE: Final = "/v3/cluster/member/remove"
MEMBER_PROMOTE: Final = "/v3/cluster/member/promote"
SNAPSHOT: Final = "/v3/maintenance/snapshot"
WATCH: Final = "/v3/watch"

REFUSED_BEFORE_PROPOSING: Final = frozenset(
    {
        "etcdserver: too many requests",
        "etcdserver: request is too large",
        "etcdserver: key is not provided",
        "etcdserver: too many operations in txn request",
        "etcdserver: duplicate key given in txn request",
    }
)


class Header(msgspec.Struct, frozen=True):
    """The head of every answer. ``revision`` is the store's when the answer was made."""

    revision: int
    cluster_id: int = 0
    member_id: int = 0
    raft_term: int = 0


class KeyValue(msgspec.Struct, frozen=True):
    """One key as stored. ``mod_revision`` is the revision of its last change."""

    key: bytes
    value: bytes = b""
    mod_revision: int = 0


class RangeAnswer(msgspec.Struct, frozen=True):
    """What a range request gave; ``kvs`` is empty if the key is absent."""

    header: Header
    kvs: list[KeyValue] = []


class PutAnswer(msgspec.Struct, frozen=True):
    """That a put was committed."""

    header: Header


class InnerRange(msgspec.Struct, frozen=True):
    """A range answer inside a transaction's answer (its header may be bare)."""

    kvs: list[KeyValue] = []


class TxnPart(msgspec.Struct, frozen=True):
    """What one request inside a transaction gave."""

    response_range: InnerRange | None = None


class TxnAnswer(msgspec.Struct, frozen=True):
    """What a transaction gave; ``succeeded`` tells whether all its compares held."""

    header: Header
    succeeded: bool = False
    responses: list[TxnPart] = []


class Event(msgspec.Struct, frozen=True):
    """One change that a watch shows; a put, unless ``type`` says otherwise."""

    kv: KeyValue
    type: str = "PUT"


class WatchPart(msgspec.Struct, frozen=True):
    """A part of a watch's answer: that it was created or cancelled, or changes."""

    header: Header
    created: bool = False
    canceled: bool = False
    cancel_reason: str = ""
    compact_revision: int = 0
    events: list[Event] = []


class WatchAnswer(msgspec.Struct, frozen=True):
    """One line of a watch's answer."""

    result: WatchPart


class Status(msgspec.Struct, frozen=True):
    """A member's own view. ``leader`` is 0 if it knows of none."""

    header: Header
    version: str = ""
    leader: int = 0
    raftTerm: int = 0
    raftAppliedIndex: int = 0


class Done(msgspec.Struct, frozen=True):
    """An answer that says no more than that it was done."""


class Member(
    msgspec.Struct, frozen=True, rename={"peer_urls": "peerURLs", "is_learner": "isLearner"}
):
    """One member. It has no name before it was started once."""

    ID: str
    name: str = ""
    peer_urls: tuple[str, ...] = ()
    is_learner: bool = False


class Members(msgspec.Struct, frozen=True):
    """Who is one, as the member that answers knows it."""

    members: tuple[Member, ...]


class SnapshotPiece(msgspec.Struct, frozen=True):
    """Some bytes of a snapshot."""

    blob: bytes = b""


class SnapshotPart(msgspec.Struct, frozen=True):
    """A line of a snapshot's stream."""

    result: SnapshotPiece


class _ErrorBody(msgspec.Struct, frozen=True):
    message: str = ""
    error: str = ""
    code: int = 0


_Shape = TypeVar("_Shape")


# Made here, in one thread: msgspec learns a shape when it is first decoded, and where several
# threads do that at once the interpreter may crash (seen with 0.22.0).
_DECODERS: Final[dict[type, msgspec.json.Decoder[Any]]] = {
    shape: msgspec.json.Decoder(shape, strict=False)
    for shape in (
        PutAnswer,
        RangeAnswer,
        TxnAnswer,
        Status,
        Done,
        Members,
        SnapshotPart,
        WatchAnswer,
        _ErrorBody,
    )
}


def decode(body: bytes, shape: type[_Shape]) -> _Shape:
    """The answer in ``body``; ``msgspec.MsgspecError`` if it is not a whole answer of ``shape``."""
    answer: _Shape = _DECODERS[shape].decode(body)
    return answer


def error_message(body: bytes) -> str:
    """The server's own words in an error answer, or the beginning of whatever it sent."""
    try:
        error = decode(body, _ErrorBody)
    except msgspec.MsgspecError:
        return body[:200].decode("utf-8", "replace")
    return error.message or error.error or f"gRPC code {error.code}"


def encode(message: Any) -> bytes:
    """A request body; ``bytes`` become base64."""
    return msgspec.json.encode(message)


def stored(value: Any) -> bytes:
    """A key or value as etcd stores it: canonical JSON, so that equal scalars are equal bytes."""
    return msgspec.json.encode(value)


def loaded(value: bytes) -> Any:
    """The key or value behind :func:`stored`."""
    return msgspec.json.decode(value)


def sole(found: Sequence[KeyValue], key: bytes) -> tuple[int, Any]:
    """Revision of the last change and value of ``key`` in the answer to a read of it alone.

    ``(0, None)`` if it is absent; ``Failed`` (a read has no effect) if the answer is of
    something else, or not a value that :func:`stored` wrote.
    """
    if not found:
        return 0, None
    if len(found) != 1 or found[0].key != key:
        keys = [pair.key.decode("utf-8", "replace") for pair in found[:3]]
        raise Failed(
            ["answer", f"a read of {key.decode()} was answered with {keys}"], session_ended=False
        )
    try:
        return found[0].mod_revision, loaded(found[0].value)
    except msgspec.MsgspecError as error:
        raise Failed(
            ["answer", f"not a value of ours: {shown(found[0].value[:80])}"], session_ended=False
        ) from error


def range_of(key: bytes, *, serializable: bool = False, revision: int = 0) -> dict[str, Any]:
    """A range request for one key, at ``revision`` (0: now).

    ``serializable`` asks for the member's own, possibly old, state. It is always said in so many
    words: the default, false, is linearizable.
    """
    request: dict[str, Any] = {"key": key, "serializable": serializable}
    if revision:
        request["revision"] = str(revision)
    return request


def range_of_all(*, serializable: bool) -> dict[str, Any]:
    """A range request for every key there is (from the zero byte to the end)."""
    return {"key": b"\x00", "range_end": b"\x00", "serializable": serializable}


def range_from(
    start: bytes, end: bytes, *, serializable: bool = False, revision: int = 0
) -> dict[str, Any]:
    """A range request for all keys from ``start`` to before ``end``, at ``revision`` (0: now)."""
    return {**range_of(start, serializable=serializable, revision=revision), "range_end": end}


def delete_of(key: bytes) -> dict[str, Any]:
    """A request that removes one key."""
    return {"key": key}


def range_under(prefix: bytes, **settings: Any) -> dict[str, Any]:
    """A range request for all keys that begin with ``prefix``; ``settings`` are etcd's own."""
    end = prefix[:-1] + bytes([prefix[-1] + 1])
    return {"key": prefix, "range_end": end, "serializable": False, **settings}


def put_of(key: bytes, value: bytes) -> dict[str, Any]:
    """A put request."""
    return {"key": key, "value": value}


def value_is(key: bytes, value: bytes) -> dict[str, Any]:
    """The compare that ``key`` holds ``value``; it does not hold of an absent key."""
    return {"key": key, "target": "VALUE", "result": "EQUAL", "value": value}


def is_absent(key: bytes) -> dict[str, Any]:
    """The compare that ``key`` does not exist."""
    return {"key": key, "target": "VERSION", "result": "EQUAL", "version": "0"}


def none_changed_since(start: bytes, end: bytes, revision: int) -> dict[str, Any]:
    """The compare that no key from ``start`` to before ``end`` is newer than ``revision``.

    Keys that were removed meanwhile do not show; whoever saw them compares them one by one.
    """
    target = {"key": start, "range_end": end, "target": "MOD", "result": "LESS"}
    return {**target, "mod_revision": str(revision + 1)}


def unchanged_since(key: bytes, mod_revision: int) -> dict[str, Any]:
    """The compare that ``key`` was last changed at ``mod_revision`` (0: is absent)."""
    target = {"key": key, "target": "MOD", "result": "EQUAL"}
    return {**target, "mod_revision": str(mod_revision)}
