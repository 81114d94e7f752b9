"""Fuzzes every reader of histories: whatever the bytes, a history or a clear refusal comes out.

Inputs are made from small seeds of every format (and from pieces of recorded histories, if
``--histories`` names a folder of them) by flipping, cutting, doubling and splicing bytes and by
putting in words that formats care about. Each is read with the format told by content, and one
in four also with a format that was chosen for it. Anything but a ``History`` or a
``HistoryError`` that names what was expected is a crash, and so is an input that takes longer
than ``--slowest`` seconds. With ``--judge`` the checkers of single objects are asked about every
history that was read.

    python -m benchmarks.fuzz_parsers --inputs 1000000 --workers 2

Prints JSON on its last line. Any input can be had again from its number: ``--only N``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import resource
import struct
import sys
import time
import traceback
from pathlib import Path
from random import Random
from typing import Any, Final

from harness.errors import HistoryError
from harness.history.formats.known import READERS
from harness.history.reader import read_bytes
from harness.verdict.record import Record
from harness.verdict.verdict import Budget

JSON_LINE: Final = '{"index":0,"time":1,"process":0,"type":"invoke","f":"add","value":1}\n'
SEEDS: Final = (
    '{"polygraph":1,"initial":{"0":1},"independent":true,"claims":["serializable"]}\n'
    '{"index":0,"time":1,"process":0,"type":"invoke","f":"read","value":[1,null]}\n'
    '{"index":1,"time":2,"process":0,"type":"ok","f":"read","value":[1,[2,3]],"node":"n1"}\n',
    JSON_LINE + JSON_LINE.replace("invoke", "ok").replace('"index":0', '"index":1'),
    '[{"index":0,"process":0,"type":"invoke","f":"txn","value":[["append",1,2],["r",3,null]]},\n'
    '{"index":1,"process":0,"type":"ok","f":"txn","value":[["append",1,2],["r",3,[1.5e3]]]}]',
    '{:index 0, :time 5, :process 0, :type :invoke, :f :cas, :value [1 2], :error [:x "y"]}\n'
    "{:index 1, :time 6, :process 0, :type :info, :f :cas, :value #{1 2}, :m {:a \\a 2/3 4N}}\n",
    "[#jepsen.history.Op{:process :nemesis, :type :info, :f :start, :value nil}\n"
    ' #_ignored {:process 1, :type :invoke, :f :read, :value "a\\u00e9\\n"} ; comment\n]',
    ';; polygraph {"polygraph": 1, "model": "bank"}\n{:type :invoke, :f :read}\n'
    '{:type :ok, :f :read, :value {0 10, 1 #inst "2020"}}\n',
    '{:process 0, :type :invoke, :f :append, :key "0", :value "x 0 0 y"}\n'
    '{:process 0, :type :ok, :f :append, :key "0", :value "x 0 0 y"}\n',
    "INFO  jepsen.util - 0\t:invoke\t:write\t4\nINFO  jepsen.util - 0\t:info\t:write\t:timed-out\n",
    '0\t:invoke\t:txn\t[[:w 1 2]]\n:nemesis\t:info\t:kill\tnil\t"n1"\n'
    "0   :ok   :txn   [[:w 1 2]]\n",
    "w(1,1,0,0)\nr(1,0,1,1)\nw(2,3,1,-1)\nr(2,3,0,0)\n",
    "w 0 1\nr 1 0\n-----\nr 0 1\n=====\nw 1 1\n---\n",
    "3\n0 1 A 1 12\n1 2 R 1 1 12\n1 2 R 2 0\n",
    '{"params":{"id":0},"info":"","start":"","end":"","data":[[{"events":[{"Write":{"variable":1,'
    '"version":2}},{"Read":{"variable":2,"version":null}}],"committed":true}],[]]}\n',
    '[[{"events":[["w",1,2],["r",1,0]],"committed":false}]]\n',
    '{"action":"dump","proc":0,"data":3}\n'
    '{"action":"call","proc":0,"data":{"Op":2,"Arg1":3,"Arg2":4}}\n'
    '{"action":"return","proc":0,"data":{"Ok":true,"Exists":false,"Value":0,"Unknown":false}}\n',
    '{"action":"call","proc":0,"time":"x","data":{"type":"invoke","value":[{"type":"append","m":'
    '{"key":"1","value":5}}]}}\n{"action":"return","proc":0,"data":{"Result":{"type":"ok","value":'
    '[{"type":"append","m":{"key":"1","value":5}}]}}}\n',
    '{"ClientId":1,"Input":{"Type":"txn","Txn":{"Conditions":[{"Key":"k","ExpectedRevision":0}],'
    '"OperationsOnSuccess":[{"Type":"put-operation","Put":{"Key":"k","Value":{"Value":"1"}}}],'
    '"OperationsOnFailure":null}},"Call":1,"Output":{"Txn":{"Failure":false,"Results":[{}]},'
    '"Revision":2},"Return":9}\n{"ClientId":2,"Input":{"Type":"range","Range":{"Start":"k"}},'
    '"Call":2,"Output":{"Range":{"KVs":[{"Key":"k","Value":{"Value":"1"},"ModRevision":2}]}},'
    '"Return":8}\n',
)
BINARY: Final = (
    struct.pack("<6Q", 1, 1, 1, 1, 2, 0)
    + struct.pack("<4Q", 0, 0, 1, 1)
    + struct.pack("<QBQQBBQQBB", 2, 1, 1, 2, 1, 0, 1, 2, 1, 1),
    b"S" + struct.pack(">Q", 5) + b"W" + struct.pack(">3Q", 2, 1, 2)
    + b"R" + struct.pack(">4Q", 0xBEBEEBEE, 0xBEBEEBEE, 3, 0) + b"C" + struct.pack(">Q", 5),
)  # fmt: skip
WORDS: Final = (
    *b'{ } [ ] ( ) #{ #_ #inst ; , : " ^ nil null true NaN 1e999 -1 -0 01 2/0 1N 1.5M'.split(),
    *rb"##Inf \ \u0000 \ud800 :invoke :ok :fail :info invoke info process value index type".split(),
    *b"txn append 9223372036854775808 w( r( --- === polygraph".split(),
    *b"18446744073709551615 ,-1) Op Value Key call return events committed A R".split(),
    *(b"\t", b"\n", b"\r\n", "\ufeff".encode(), "\u2028".encode(), "\U0001f600".encode()),
)


class Inputs:
    """Input number ``n``, always the same for the same seed."""

    def __init__(self, seed: int, seeds: list[bytes]) -> None:
        self._seed, self._seeds = seed, seeds

    def __getitem__(self, number: int) -> tuple[bytes, str | None]:
        random = Random(self._seed << 40 | number)
        data = bytearray(random.choice(self._seeds))
        for _ in range(random.choice((1, 1, 2, 3, 6))):
            data = self._changed(data, random)
        if random.random() < 0.02:
            data = bytearray(gzip.compress(bytes(data), 1))
            data = self._changed(data, random) if random.random() < 0.5 else data
        forced = random.choice(list(READERS)) if random.random() < 0.25 else None
        return bytes(data), forced

    def _changed(self, data: bytearray, random: Random) -> bytearray:
        at = random.randrange(len(data) + 1)
        to = min(len(data), at + random.choice((1, 2, 5, 20, 80)))
        how = random.randrange(7)
        if how == 0:
            data[at:to] = bytes(random.randrange(256) for _ in range(to - at))
        elif how == 1:
            del data[at:to]
        elif how == 2:
            data[at:at] = data[at:to] * random.choice((1, 2, 30))
        elif how == 3:
            data[at:at] = random.choice(WORDS)
        elif how == 4:
            other = random.choice(self._seeds)
            cut = random.randrange(len(other))
            data[at:to] = other[cut : cut + 60]
        elif how == 5 and at < len(data):
            data[at] ^= 1 << random.randrange(8)
        else:
            data[at:to] = random.choice(WORDS)
        return data


def seeds_of(folder: Path | None) -> list[bytes]:
    """The built-in seeds, and the beginnings of recorded histories."""
    found = [*(seed.encode() for seed in SEEDS), *BINARY]
    for path in sorted(folder.rglob("*.*")) if folder is not None else []:
        if path.suffix in (".edn", ".json", ".log", ".txt") and path.stat().st_size > 100:
            found.append(path.read_bytes()[:600])
    return found


def trouble_of(data: bytes, format: str | None, checkers: list[Any]) -> tuple[str, int]:
    """What went wrong with one input (empty if nothing did), and how many records were read."""
    try:
        history = read_bytes(data, "fuzz", format)
    except HistoryError as error:
        return ("" if str(error).startswith("fuzz") else f"does not name the file: {error}"), 0
    except Exception:
        return traceback.format_exc(), 0
    try:
        for checker in checkers:
            checker.check(Record(history=history), Budget.start(60))
    except Exception:
        return f"judging: {traceback.format_exc()}", len(history)
    return "", len(history)


def judges() -> list[Any]:
    """Every checker of single objects."""
    from harness.plugins import Registry

    registry = Registry()
    wanted = (
        *("bank", "set", "set-full", "counter", "queue", "total-queue", "unique-ids", "comments"),
        *("insert-order", "session-monotonic", "log", "watch", "lock", "unhandled-exceptions"),
    )
    return [registry.get("checkers", name)({}) for name in wanted]


def fuzz(options: argparse.Namespace, first: int) -> dict[str, Any]:
    """Every ``workers``-th input from ``first`` on."""
    inputs = Inputs(options.seed, seeds_of(options.histories))
    checkers = judges() if options.judge else []
    found: dict[str, Any] = {"inputs": 0, "read": 0, "records": 0, "crashes": [], "slowest_s": 0.0}
    for number in range(first, options.inputs, options.workers):
        data, format = inputs[number]
        began = time.perf_counter()
        trouble, records = trouble_of(data, format, checkers)
        taken = time.perf_counter() - began
        found["inputs"] += 1
        found["read"] += records > 0
        found["records"] += records
        found["slowest_s"] = max(found["slowest_s"], taken)
        if taken > options.slowest:
            trouble = trouble or f"took {taken:.1f} s"
        if trouble:
            found["crashes"].append({"input": number, "trouble": trouble})
            if len(found["crashes"]) >= 20:
                break
    return found


def main(argv: list[str]) -> int:
    """Run the fuzzer; exit code 1 if anything crashed."""
    parser = argparse.ArgumentParser(description="Fuzz the readers of histories.")
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--slowest", type=float, default=5.0)
    parser.add_argument("--histories", type=Path)
    parser.add_argument("--judge", action="store_true")
    parser.add_argument("--only", type=int)
    options = parser.parse_args(argv)
    if options.only is not None:
        data, format = Inputs(options.seed, seeds_of(options.histories))[options.only]
        print(repr(data), format)
        print(trouble_of(data, format, judges() if options.judge else [])[0] or "fine")
        return 0
    began = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(options.workers) as pool:
        parts = pool.starmap(fuzz, [(options, first) for first in range(options.workers)])
    crashes = [crash for part in parts for crash in part["crashes"]]
    for crash in crashes[:5]:
        print(f"input {crash['input']}: {crash['trouble']}", file=sys.stderr)
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    totals = {key: sum(part[key] for part in parts) for key in ("inputs", "read", "records")}
    print(
        json.dumps(
            {
                **totals,
                "seed": options.seed,
                "crashes": len(crashes),
                "slowest_s": round(max(part["slowest_s"] for part in parts), 3),
                "seconds": round(time.perf_counter() - began, 1),
                "peak_mb_of_a_worker": round(children / 1024),
            }
        )
    )
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
