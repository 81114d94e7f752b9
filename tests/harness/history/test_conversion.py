"""A history goes through every notation that can say it and comes back the same."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HistoryError
from harness.history.formats import conversion, plume
from harness.history.formats.conversion import FOLDERS, WRITTEN, converted
from harness.history.formats.losses import Losses
from harness.history.history import History
from harness.history.intakes import ORDER, SESSION_ORDER
from harness.history.operation import Header, Operation
from harness.history.reader import parse_history, read_history
from harness.judge.judge import judge_history
from harness.plugins import Registry

pytestmark = pytest.mark.slow


REGISTRY = Registry(())
UNTIMED = Header(model="rw-register", extra={ORDER: SESSION_ORDER})
OF_ORDER = ("jepsen-log", "chaos")
REGISTERS = tuple(each for each in WRITTEN if each not in ("veristrong", *OF_ORDER))


def through(history: History, format: str, folder: Path, losses: Losses | None = None) -> History:
    """``history`` written in ``format`` and read again, told by its content."""
    files = list(converted(history, format, losses or Losses()))
    if format not in FOLDERS:
        (only,) = files
        out = io.BytesIO()
        only.write(out)
        return parse_history(out.getvalue(), "file")
    folder.mkdir(parents=True)
    for each in files:
        with (folder / each.name).open("wb") as file:
            each.write(file)
    return read_history(folder)


def sessions(history: History) -> list[list[tuple[str, Any]]]:
    """What each session did, and what came of it, the sessions by their first transactions."""
    found: dict[Any, list[tuple[str, Any]]] = {}
    for operation in history:
        if operation.type != "invoke":
            found.setdefault(operation.process, []).append((operation.type, operation.value))
    return sorted(found.values(), key=repr)


def verdicts(history: History) -> list[Any]:
    return [
        judge_history(history, ["rw-register"], {"consistency_models": [model]}, REGISTRY)["valid"]
        for model in ("serializable", "snapshot-isolation", "read-committed")
    ]


def random_text(seed: int, *, initial: bool, aborted: bool) -> bytes:
    """Plume's text of transactions done one by one; in every second one some answers are wrong."""
    rng = random.Random(seed)
    held: dict[int, int] = {}
    lines = []
    for txn in range(rng.randrange(2, 9)):
        fails = aborted and rng.random() < 0.2
        session = rng.randrange(3)
        for _ in range(rng.randrange(1, 4)):
            key, value = rng.randrange(3), len(lines) + 1
            writes = fails or rng.random() < 0.5 or (not initial and key not in held)
            if writes and not fails:
                held[key] = value
            other = held.get(rng.randrange(3), 0)
            is_wrong = seed % 2 and rng.random() < 0.8 and (initial or other)
            read = other if is_wrong else held.get(key, 0)
            number = -1 if fails else txn
            lines.append(
                f"{'wr'[not writes]}({key},{value if writes else read},{session},{number})"
            )
    return ("\n".join(lines) + "\n").encode()


@pytest.mark.parametrize("first", REGISTERS)
@pytest.mark.parametrize("second", REGISTERS)
def test_there_and_back_is_the_same_history(first: str, second: str, tmp_path: Path) -> None:
    both = {first, second}
    initial, aborted = "awdit" not in both, not both & {"awdit", "cobra"}
    answers = set()
    for seed in range(12):
        text = random_text(seed, initial=initial, aborted=aborted)
        history = through(plume.read(text, "text"), first, tmp_path / f"a{seed}")
        again = through(history, second, tmp_path / f"b{seed}")
        back = through(again, first, tmp_path / f"c{seed}")
        assert sessions(back) == sessions(again) == sessions(history), (seed, text)
        assert history.header.extra == again.header.extra == {ORDER: SESSION_ORDER}
        if seed < 4:
            found = verdicts(history)
            assert verdicts(again) == verdicts(back) == found, (seed, text)
            answers.update(map(str, found))
    assert {"True", "False"} <= answers


def one(kind: str, value: Any, *, asked: Any = None, header: Header = UNTIMED) -> History:
    """A history of one transaction."""
    invoke = Operation(0, 0, 0, "invoke", "txn", asked or value)
    return History([invoke, Operation(1, 1, 0, kind, "txn", value)], header)


TIMED = Header(model="rw-register")


@pytest.mark.parametrize(
    ("history", "format", "what"),
    [
        (one("ok", [["w", 1, 1]], header=TIMED), "plume", "what came before what in real time"),
        (one("ok", [["w", "x", 1]]), "plume", "a key that is no number from 0 on: 'x'"),
        (one("ok", [["w", 1, "x"]]), "dbcop", "a value that is no number from 0 on: 'x'"),
        (one("ok", [["w", 1, -1]]), "dbcop-json", "a value that is no number from 0 on: -1"),
        (one("ok", [["r", 1, None]]), "awdit", "a read of the initial state: key 1"),
        (one("ok", [["r", 1, 0]]), "plume", "a read of 0 that nobody wrote: key 1"),
        (one("ok", [["r", 1, None], ["w", 1, 0]]), "dbcop", "a written 0 beside nil: key 1"),
        (one("fail", [["w", 1, 1]]), "awdit", "an aborted transaction: operation 1"),
        (one("info", [["w", 1, 1]]), "dbcop-json", "an unknown outcome"),
        (one("ok", [["w", 1, 0xBEBEEBEE]]), "cobra", "a value that is no number"),
        (
            one("ok", [["w", 1, 1]], header=Header(claims=["serializable"], extra=UNTIMED.extra)),
            "plume",
            "a claim",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_by_name_or_left_out_and_counted(
    history: History, format: str, what: str, tmp_path: Path
) -> None:
    with pytest.raises(HistoryError, match=f"{format} cannot say {what}") as refused:
        through(history, format, tmp_path / "a")
    assert "--lossy" in str(refused.value)
    losses = Losses(may_drop=True)
    if history.operations[-1].type == "ok":
        assert len(through(history, format, tmp_path / "b", losses)) >= 2
    else:
        next(converted(history, format, losses)).write(io.BytesIO())
    assert sum(losses.dropped.values()) >= 1


@pytest.mark.parametrize("format", sorted({*conversion.FILES, *FOLDERS} - {*OF_ORDER}))
def test_what_is_no_transaction_is_refused_even_where_much_may_be_left_out(
    format: str,
) -> None:
    write = Operation(0, 0, 0, "invoke", "write", 1)
    history = History([write, Operation(1, 1, 0, "ok", "write", 1)], UNTIMED)
    with pytest.raises(HistoryError, match=f"{format} can say transactions of"):
        next(converted(history, format, Losses(may_drop=True))).write(io.BytesIO())
    kind = "w" if format == "veristrong" else "append"
    with pytest.raises(HistoryError, match=f"{format} can say transactions of"):
        next(converted(one("ok", [[kind, 1, 1]]), format, Losses())).write(io.BytesIO())


def test_what_nobody_knows_is_in_if_somebody_read_it() -> None:
    def history(read: int) -> History:
        return History(
            [
                Operation(0, 0, 0, "invoke", "txn", [["w", 1, 7], ["r", 2, None]]),
                Operation(1, 1, 1, "invoke", "txn", [["r", 1, None]]),
                Operation(2, 2, 1, "ok", "txn", [["r", 1, read]]),
            ],
            UNTIMED,
        )

    for read, expected in ((7, b"r(1,7,1,0)\nw(1,7,0,1)\n"), (8, b"r(1,8,1,0)\n")):
        out = io.BytesIO()
        losses = Losses(may_drop=True)
        next(converted(history(read), "plume", losses)).write(out)
        assert out.getvalue() == expected
        assert losses.dropped == {"an unknown outcome (in if it was read, else out)": 1}


def test_names_become_numbers_that_are_the_same_where_the_names_are() -> None:
    value = [["w", "x", "a"], ["r", "y", "a"], ["r", "x", "b"], ["w", "x", "b"]]
    out = io.BytesIO()
    losses = Losses(may_drop=True)
    next(converted(one("ok", value), "plume", losses)).write(out)
    assert out.getvalue() == b"w(1,1,0,0)\nr(2,1,0,0)\nr(1,2,0,0)\nw(1,2,0,0)\n"
    assert sum(losses.dropped.values()) == 8


def test_lists_go_there_and_back(tmp_path: Path) -> None:
    text = b"3\n0 1 A 1 12\n1 2 R 1 1 12\n1 2 R 2 0\n"
    history = parse_history(text, "file")
    for format in ("edn", "json", "jsonl", "veristrong"):
        again = through(history, format, tmp_path)
        assert sessions(again) == sessions(history)
        assert again.header.model == "list-append"
    with pytest.raises(HistoryError, match="veristrong cannot say 'x' or 1: expected whole"):
        through(one("ok", [["append", "x", 1]]), "veristrong", tmp_path)


def register(model: str, *rows: tuple[int, str, str, Any], initial: Any = None) -> History:
    operations = [Operation(at, at, *row) for at, row in enumerate(rows)]
    return History(operations, Header(model=model, initial=initial))


CAS = register(
    "cas-register",
    (0, "invoke", "read", None), (1, "invoke", "write", 3), (0, "ok", "read", None),
    (1, "ok", "write", 3), (2, "invoke", "cas", [3, 4]), (3, "invoke", "write", 9),
    (2, "ok", "cas", [3, 4]), (3, "info", "write", 9), (4, "invoke", "read", None),
    (4, "ok", "read", 4), (5, "invoke", "cas", [4, 5]),
)  # fmt: skip


@pytest.mark.parametrize("format", OF_ORDER)
def test_registers_go_there_and_back(format: str, tmp_path: Path) -> None:
    again = through(CAS, format, tmp_path)
    assert list(again) == list(CAS)
    assert again.header == CAS.header
    found = [judge_history(each, ["linearizable"], {}, REGISTRY)["valid"] for each in (CAS, again)]
    assert found == [True, True]


@pytest.mark.parametrize(
    ("history", "format", "what"),
    [
        (one("ok", [["w", 1, 1]]), "jepsen-log", "a history without times"),
        (one("ok", [["w", 1, 1]]), "chaos", "one register or cas-register alone"),
        (register("register", (0, "invoke", "read", None)), "chaos", "null of the initial state"),
        (register("register", (0, "invoke", "write", "x"), initial=0), "chaos", "'x' of operation"),
        (
            register("cas-register", (0, "invoke", "write", 1), (0, "fail", "write", 1)),
            "chaos",
            "a failure",
        ),
        (register("register", (0, "invoke", "write", 1), initial=0), "jepsen-log", "a declared"),
    ],
)
def test_what_logs_of_calls_cannot_say_is_refused(
    history: History, format: str, what: str, tmp_path: Path
) -> None:
    with pytest.raises(HistoryError, match=f"{format} can(not)? say {what}"):
        through(history, format, tmp_path)
