"""A snapshot of one member's database, taken while it serves, as an operator does for a backup.

The gateway streams it as JSON objects, one a line, each with a piece of the file. The file is
bbolt's pages, of 512 bytes or more each, and behind them the SHA-256 of what came before, by which
it is known to be whole; that is compared here, and all is forgotten: nothing is restored.
"""

from __future__ import annotations

import hashlib
import http.client
from contextlib import closing
from typing import Final

import msgspec

from harness.contract.node import Node, split_address
from systems.etcd import gateway
from systems.etcd.members import NotAnswered, Refused

_SUM_BYTES: Final = 32
_PAGE_BYTES: Final = 512


def size_of_snapshot(node: Node, timeout_s: float) -> int:
    """Take one from the member on ``node``: its bytes without the sum. ``NotAnswered`` if torn."""
    host, port = split_address(node.reach(gateway.PORT, "client"))
    with closing(http.client.HTTPConnection(host, port, timeout=timeout_s)) as connection:
        try:
            connection.request("POST", gateway.SNAPSHOT, b"{}")
            answer = connection.getresponse()
            lines = answer.read().splitlines()
        except (OSError, http.client.HTTPException) as error:
            raise NotAnswered(str(error) or type(error).__name__) from error
    if answer.status != 200:
        raise Refused(gateway.error_message(b"".join(lines)))
    try:
        parts = [gateway.decode(line, gateway.SnapshotPart) for line in lines]
    except msgspec.MsgspecError as error:
        raise NotAnswered(f"a snapshot that is not etcd's: {error}") from error
    return checked_size(b"".join(part.result.blob for part in parts))


def checked_size(whole: bytes) -> int:
    """The bytes of the database in a snapshot; ``NotAnswered`` if the sum is not its own."""
    database, total = whole[:-_SUM_BYTES], whole[-_SUM_BYTES:]
    if not database or len(whole) % _PAGE_BYTES != _SUM_BYTES:
        raise NotAnswered(f"a snapshot of {len(whole)} bytes is not whole")
    if hashlib.sha256(database).digest() != total:
        raise NotAnswered("the snapshot's SHA-256 is not that of what it holds")
    return len(database)
