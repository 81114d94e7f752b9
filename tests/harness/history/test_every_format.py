"""The same history says the same in every format, through every reader, and so does its export.

``POLYGRAPH_FORMAT_HISTORIES`` random histories (see ``shapes.py``) are written as EDN lines, EDN in
a vector and in tagged records, JSON lines, a JSON array, compressed, and as a folder of Jepsen's;
read by the ordinary readers and by the compiled ones, with numba and without; and what was read is
exported and read again. Each time the values must be as many, and the same ones equal, as in the
history itself, and the verdict the same, unless the format refuses.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cli.model_names import checker_for
from harness.errors import HistoryError, UsageError
from harness.history import reader
from harness.history.columns import columns
from harness.history.compiled import fast_scan
from harness.history.formats import edn
from harness.history.formats.known import FORMATS, export
from harness.history.history import History
from harness.history.operation import Operation
from harness.history.reader import read_history
from harness.history.values import Tagged, exact, is_rich
from harness.judge.judge import judge_history
from harness.plugins import Registry
from tests.harness.history.shapes import history as random_history

HISTORIES = int(os.environ.get("POLYGRAPH_FORMAT_HISTORIES", "66"))
FIRST = int(os.environ.get("POLYGRAPH_FORMAT_FIRST", "0"))
REGISTRY = Registry(())


def pattern(history: History) -> list[Any]:
    """Which values are the same, by the places of their first sights; and all that is no value."""
    view = columns(history)
    seen: dict[str, int] = {}

    def number(item: Any) -> int:
        return seen.setdefault(exact(item), len(seen))

    micro = view.micro
    found: list[Any] = []
    for at, operation in enumerate(history):
        key = int(view.key[at])
        where = (operation.process, operation.type, operation.f, int(view.pair[at]))
        named = number(view.keys[key]) if key >= 0 else None
        found.append((where, named, number(view.value_at(at))))
    for row in range(len(micro.txn)):
        low, high = int(micro.list_start[row]), int(micro.list_end[row])
        listed = [number(view.values[item]) for item in micro.elements[max(low, 0) : max(high, 0)]]
        name, at = micro.f_names[micro.f[row]], int(micro.key[row])
        key = micro.keys[at] if at >= 0 else None
        found.append((int(micro.txn[row]), name, number(key), listed))
    return found


def verdict(model: str, history: History) -> Any:
    """The answer with its anomalies, or why it was refused."""
    try:
        checker = checker_for(model, history, REGISTRY)
        found = judge_history(history, [checker], {}, REGISTRY)
    except UsageError as error:
        return str(error)
    anomalies = found["checkers"][checker]["anomaly_types"]
    return found["valid"], anomalies


def text_of(history: History, format: str) -> bytes:
    """``history`` in ``format``; nothing where JSON for others cannot say it."""
    out = io.BytesIO()
    try:
        export(history, out, format)
    except HistoryError:
        if format != "json" or not any(is_rich(operation.value) for operation in history):
            raise
        return b""
    assert format != "json" or not any(map(needs_edn, history))
    return out.getvalue()


def needs_edn(operation: Operation) -> bool:
    """Whether a keyword or the like is among the values."""
    return Tagged in set(kinds_in(operation.value))


def kinds_in(item: Any) -> Iterator[type]:
    yield type(item)
    parts = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    for part in parts:
        yield from kinds_in(part)


def spellings(history: History, folder: Path) -> Iterator[Path]:
    """Files that say ``history``."""
    lines = text_of(history, "edn")
    header, _, body = lines.partition(b"\n")
    texts = {
        "lines.edn": lines,
        "vector.edn": header + b"\n[" + body + b"]",
        "tagged.edn": header + b"\n" + body.replace(b"{:index", b"#jepsen.history.Op{:index"),
        "lines.edn.gz": gzip.compress(lines),
        "lines.jsonl": text_of(history, "jsonl"),
        "lines.jsonl.gz": gzip.compress(text_of(history, "jsonl")),
        "jepsens/history.edn": lines,
    }
    array = text_of(history, "json")
    if array:
        texts["array.json"] = array
    (folder / "jepsens").mkdir(exist_ok=True)
    for name, text in texts.items():
        path = folder / name
        path.write_bytes(text)
        yield path.parent if name.startswith("jepsens") else path


@pytest.fixture(params=["ordinary", "compiled", "without-numba"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which readers are used; small files take the ordinary ones by themselves."""
    if request.param == "ordinary":
        return "ordinary"
    monkeypatch.setattr(reader, "SMALLEST_SCANNED", 1)
    monkeypatch.setattr(edn, "QUICK_BYTES", 1)
    monkeypatch.setattr(fast_scan, "THREADS", 1)
    if request.param == "without-numba":
        found = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name == "numba" else found(name)
        )
    return str(request.param)


@pytest.mark.slow
def test_a_history_says_the_same_in_every_format(how: str, tmp_path: Path) -> None:
    answers: Counter[Any] = Counter()
    for seed in range(FIRST, FIRST + HISTORIES):
        model, history = random_history(seed)
        expected, said = pattern(history), verdict(model, history)
        answers[said[0] if isinstance(said, tuple) else "refused"] += 1
        for path in spellings(history, tmp_path):
            found = read_history(path)
            told = (seed, model, path.name)
            assert pattern(found) == expected, told
            assert verdict(model, found) == said, told
            if path.name not in ("lines.edn", "lines.jsonl"):
                continue
            for format in FORMATS:
                text = text_of(found, format)
                if not text:
                    continue
                (tmp_path / f"again.{format}").write_bytes(text)
                again = read_history(tmp_path / f"again.{format}")
                assert pattern(again) == expected, (*told, format)
                assert verdict(model, again) == said, (*told, format)
    print(how, HISTORIES, dict(answers))
