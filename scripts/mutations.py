"""What the fuzzer of run folders does to the files of a run: one change, drawn from a stream."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import zstandard

from tests.hostile import on_files, run_folders
from tests.hostile.on_contents import ODD, TOML
from tests.hostile.run_folders import Hostile

MOST_BYTES = 64 << 20
"""Files that an earlier change made larger are left as they are."""
DERIVED = re.compile(
    r"(verdict\.json|report\.html|run\.log|cluster\.json|history\.npz|plots/.*|"
    r"evidence/(progress|end|provider)\.json|evidence/.*\.(jsonl|log)|nodes/[^/]*/data.*)$"
)
"""Files that the verdict is not made from: whatever is done to them, it is the same or unknown."""
WORDS: Sequence[bytes] = (
    *b'{ } [ ] " : , \\ null true false NaN Infinity -1 0 1e999 1e-400 \\ud800 \\u0000'.split(),
    *(b"\0", b"\n", b"\r\n", b"\t", b"\xff", b"\xef\xbb\xbf", b"\x1b]0;x\x07", b"9" * 30),
    *(b"9" * 5000, b"[" * 2000, b'{"a":' * 2000, b"../../", b"/dev/zero", b"<script>"),
    *(b'"type":"ok"', b'"type":"info"', b'"process":"nemesis"', b'"value":[]', b"0x" + b"f" * 5000),
)
ODD_VALUES: Sequence[Any] = (
    *ODD.values(), 2**63, -(2**63), 1e308, float("inf"), float("nan"), "\ud800", "\x1b[2J",
    "x" * 9999, [[]], {"": None}, ["append", 1, 2], [["append", 1, 2], ["r", 1, [2]]], "nemesis",
    "invoke",
)  # fmt: skip
UNPACK_MOST = 64 << 20
Change = Callable[["Case"], str]


class Case:
    """One hostile folder in the making: ``touched`` are the files that were changed."""

    def __init__(self, hostile: Hostile, stream: random.Random, others: Sequence[Path]) -> None:
        self.hostile, self.stream, self.others = hostile, stream, others
        self.touched: list[str] = []

    def a_file(self) -> Path:
        """A file of the run; those that are judged come more often."""
        found = sorted(run_folders.plain_files(self.hostile.run))
        every = [path for path in found if path.stat().st_size <= MOST_BYTES]
        judged = [path for path in every if not DERIVED.search(str(path))]
        return self.stream.choice(judged if judged and self.stream.random() < 0.6 else every)

    def touch(self, path: Path) -> str:
        """Note that ``path`` is changed; its name in the run."""
        name = str(path.relative_to(self.hostile.run))
        self.touched.append(name)
        return name

    @property
    def is_derived(self) -> bool:
        """Whether nothing was touched that the verdict is made from."""
        return all(DERIVED.match(name) for name in self.touched)


def change(case: Case) -> str:
    """Do one thing to the folder, and say what."""
    kinds = (_bytes, _bytes, _json, _json, _json, _lines, _toml, _cut, _swapped, _other_run, _odd)
    return case.stream.choice(kinds)(case)


def unpacked(path: Path) -> bytes:
    """What a file holds, without its compression."""
    data = path.read_bytes()
    try:
        if path.suffix == ".zst":
            return zstandard.ZstdDecompressor().stream_reader(data).read(UNPACK_MOST)
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (zstandard.ZstdError, OSError, EOFError):
        return data


def write(path: Path, data: bytes) -> None:
    """Write a file, compressed as its name says."""
    if path.suffix == ".zst":
        data = zstandard.compress(data)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def _bytes(case: Case) -> str:
    """Flip, cut out, double or put in, in the file as it stands or in what it holds."""
    path, stream = case.a_file(), case.stream
    is_raw = stream.random() < 0.3
    data = bytearray(path.read_bytes() if is_raw else unpacked(path))
    for _ in range(stream.choice((1, 1, 2, 5, 20))):
        at = stream.randrange(len(data) + 1)
        to = min(len(data), at + stream.choice((1, 2, 8, 64, 1000)))
        kind = stream.randrange(5)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << stream.randrange(8)
        elif kind == 1:
            del data[at:to]
        elif kind == 2:
            data[at:at] = data[at:to]
        elif kind == 3:
            data[at:at] = stream.choice(WORDS)
        else:
            data[at:to] = bytes(to - at)
    path.write_bytes(bytes(data)) if is_raw else write(path, bytes(data))
    return f"bytes of {case.touch(path)}"


def _cut(case: Case) -> str:
    path = case.a_file()
    data = path.read_bytes()
    path.write_bytes(data[: case.stream.randrange(len(data) + 1)])
    return f"cut {case.touch(path)}"


def _swapped(case: Case) -> str:
    """One file of the run in the place of another."""
    here, there = case.a_file(), case.a_file()
    there.write_bytes(here.read_bytes())
    return f"{case.touch(there)} is {here.name}"


def _other_run(case: Case) -> str:
    """The file of that name of another run."""
    path = case.a_file()
    name = path.relative_to(case.hostile.run)
    other = case.stream.choice(case.others) / name
    if other.is_file():
        path.write_bytes(other.read_bytes())
    else:
        path.unlink()
    return f"{case.touch(path)} of another run"


def _odd(case: Case) -> str:
    """A link, a pipe, a folder in the place of a file or a folder."""
    stream = case.stream
    path = case.a_file()
    if stream.random() < 0.25 and path.parent != case.hostile.run:
        path = path.parent
    kinds = {**on_files.KINDS, **(on_files.FOLDERS_ONLY if path.is_dir() else on_files.FILES_ONLY)}
    kinds.pop("device")
    kind = stream.choice(sorted(kinds))
    name = case.touch(path)
    run_folders.remove(path)
    kinds[kind](case.hostile, path, name)
    return f"{kind} for {name}"


def _json(case: Case) -> str:
    """Another value somewhere in a file of JSON, or in one line of a file of lines."""
    path, stream = case.a_file(), case.stream
    lines = unpacked(path).split(b"\n")
    is_lines = path.suffix not in (".json",)
    at = stream.randrange(len(lines)) if is_lines else 0
    try:
        found = json.loads(lines[at] if is_lines else b"\n".join(lines))
    except (ValueError, RecursionError):
        return _bytes(case)
    told = json.dumps(_other(found, stream)).encode()
    if is_lines:
        lines[at] = told
        write(path, b"\n".join(lines))
    else:
        write(path, told)
    return f"JSON of {case.touch(path)}, line {at + 1}"


def _other(value: Any, stream: random.Random) -> Any:
    """``value`` with something in it replaced, left out or nested."""
    if isinstance(value, dict) and value and stream.random() < 0.85:
        key = stream.choice(sorted(value))
        kind = stream.random()
        if kind < 0.1:
            return {name: each for name, each in value.items() if name != key}
        if kind < 0.15:
            return {**value, stream.choice(("type", "extra", "polygraph", "", "a" * 999)): 1}
        return {**value, key: _other(value[key], stream)}
    if isinstance(value, list) and value and stream.random() < 0.8:
        at = stream.randrange(len(value))
        if stream.random() < 0.2:
            return value[:at] + value[at + 1 :]
        return [*value[:at], _other(value[at], stream), *value[at + 1 :]]
    if isinstance(value, int) and stream.random() < 0.4:
        return value + stream.choice((-1, 1, 1000, -(10**6), 2**40))
    return stream.choice(ODD_VALUES)


def _lines(case: Case) -> str:
    """Lines left out, doubled, moved, or taken from elsewhere in the file."""
    path, stream = case.a_file(), case.stream
    lines = unpacked(path).split(b"\n")
    for _ in range(stream.choice((1, 1, 3, 10))):
        at, to = stream.randrange(len(lines)), stream.randrange(len(lines))
        kind = stream.randrange(4)
        if kind == 0 and len(lines) > 1:
            del lines[at]
        elif kind == 1:
            lines.insert(to, lines[at])
        elif kind == 2:
            lines[at], lines[to] = lines[to], lines[at]
        else:
            lines = lines[:at] + lines[min(at, to) :]
    write(path, b"\n".join(lines))
    return f"lines of {case.touch(path)}"


def _toml(case: Case) -> str:
    """Another value for a key of the scenario, or a key that it does not have."""
    path, stream = case.hostile.run / "scenario.toml", case.stream
    if not path.is_file() or path.is_symlink():
        return _bytes(case)
    lines = path.read_text("utf-8", errors="replace").splitlines() or [""]
    at = stream.randrange(len(lines))
    key = lines[at].partition(" = ")[0] if stream.random() < 0.8 else "directory"
    values = (
        *TOML.values(),
        "0x" + "f" * 5000,
        '"\\u001b[2J"',
        "[" * 3000,
        "1e400",
        '"a"\n"b" = 1',
    )
    lines[at] = f"{key} = {stream.choice(values)}"
    path.write_text("\n".join(lines) + "\n")
    return f"TOML of {case.touch(path)}, key {key}"
