"""Small histories of every format of other tools, written by hand from their sources."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, Final

Rows = list[tuple[str, int, int]]
"""``("w", key, value)``, ``("r", key, value)``; a read of 0 found the initial state."""
Session = list[Rows]

SESSIONS: Final[list[Session]] = [
    [[("w", 1, 12), ("r", 2, 0)], [("r", 1, 12)]],
    [[("w", 2, 345), ("r", 1, 12)]],
]
INITIAL: Final = 0xBEBEEBEE


def plume(sessions: Sequence[Session]) -> bytes:
    lines, txn = [], 0
    for number, transactions in enumerate(sessions):
        for rows in transactions:
            lines += [f"{kind}({key},{value},{number},{txn})\n" for kind, key, value in rows]
            txn += 1
    return "".join(lines).encode()


def awdit(sessions: Sequence[Session]) -> bytes:
    """The same, of whom nobody read the initial state."""
    told = [
        ["".join(f"{kind} {key} {value}\n" for kind, key, value in rows) for rows in each]
        for each in sessions
    ]
    return "=====\n".join("".join(f"{each}---\n" for each in part) for part in told).encode()


def cobra(sessions: Sequence[Session], *, stamp: bytes = b"") -> dict[str, bytes]:
    files, txn = {}, 100
    for number, transactions in enumerate(sessions):
        data = b""
        for rows in transactions:
            txn += 1
            data += b"S" + struct.pack(">Q", txn) + stamp
            for kind, key, value in rows:
                identity = value or INITIAL
                source = INITIAL if not value else 7
                data += b"R" + struct.pack(">Q", source) if kind == "r" else b"W"
                data += struct.pack(">QQQ", identity, key, value)
            data += b"C" + struct.pack(">Q", txn) + stamp
        files[f"T{number}.log"] = data
    return files


def dbcop(sessions: Sequence[Session], *, happened: bool = True) -> bytes:
    data = struct.pack("<5Q", 3, len(sessions), 2, 2, 2)
    for text in (b"PostgreSQL", b"2024-10-30T09:02:41+08:00", b"2024-10-30T09:02:42+08:00"):
        data += struct.pack("<Q", len(text)) + text
    data += struct.pack("<Q", len(sessions))
    for transactions in sessions:
        data += struct.pack("<Q", len(transactions))
        for rows in transactions:
            data += struct.pack("<Q", len(rows))
            for kind, key, value in rows:
                data += struct.pack("<BQQB", kind == "w", key, value, 1)
            data += struct.pack("<B", happened)
    return data


def dbcop_json(
    sessions: Sequence[Session], *, is_short: bool = False, is_bare: bool = False
) -> bytes:
    def event(kind: str, key: int, value: int) -> Any:
        version = value or None
        if is_short:
            return [kind, key, version]
        return {"Write" if kind == "w" else "Read": {"variable": key, "version": version}}

    data = [
        [{"events": [event(*row) for row in rows], "committed": True} for rows in transactions]
        for transactions in sessions
    ]
    time = "2026-01-01T00:00:00Z"
    params = {"id": 1, "n_node": 2, "n_variable": 2, "n_transaction": 2, "n_event": 2}
    whole = {"params": params, "info": "x", "start": time, "end": time, "data": data}
    return (json.dumps(data if is_bare else whole, indent=1) + "\n").encode()


VERISTRONG: Final = (
    b"6\n0 1 A 1 12\n0 1 R 2 0\n1 2 A 1 345\n0 3 R 1 2 12 345\n1 2 R 1 2 12 345\n1 4 R 1 0\n"
)


def etcd(client: int, called: int, request: Any, answer: Any, returned: int) -> bytes:
    """One line of ``operations.json``."""
    line = {"ClientId": client, "Input": request, "Call": called, "Output": answer}
    return json.dumps({**line, "Return": returned}).encode() + b"\n"


def put(key: str, value: str, condition: int | None = None) -> Any:
    inner = {"Key": key, "Value": {"Value": value}, "LeaseID": 0}
    conditions = None if condition is None else [{"Key": key, "ExpectedRevision": condition}]
    operation = {"Type": "put-operation", "Put": inner}
    transaction = {"Conditions": conditions, "OperationsOnSuccess": [operation]}
    return {"Type": "txn", "Txn": {**transaction, "OperationsOnFailure": None}}


def get(key: str, **more: Any) -> Any:
    return {"Type": "range", "Range": {"Start": key, "End": "", "Limit": 0, "Revision": 0, **more}}


def done(revision: int, *, failed: bool = False) -> Any:
    return {"Txn": {"Failure": failed, "Results": [] if failed else [{}]}, "Revision": revision}


def got(revision: int, key: str = "", value: str = "", modified: int = 0) -> Any:
    pair = {"Key": key, "Value": {"Value": value}, "ModRevision": modified}
    return {"Range": {"KVs": [pair] if key else [], "Count": 1 if key else 0}, "Revision": revision}


ETCD: Final = (
    etcd(1, 10, put("k", "12"), done(2), 40)
    + etcd(2, 20, get("k"), got(2, "k", "12", 2), 30)
    + etcd(2, 50, put("k", "345", 2), done(3), 60)
    + etcd(1, 70, get("k"), got(3, "k", "345", 3), 80)
)


def chaos(*lines: tuple[str, int, Any]) -> bytes:
    """Lines of calls and returns."""
    return b"".join(
        json.dumps({"action": action, "proc": process, "data": data}).encode() + b"\n"
        for action, process, data in lines
    )


CHAOS: Final = chaos(
    ("call", 0, {"Op": True, "Value": 12}),
    ("return", 0, {"Unknown": False, "Value": 0}),
    ("call", 1, {"Op": False, "Value": 0}),
    ("return", 1, {"Unknown": False, "Value": 12}),
)
