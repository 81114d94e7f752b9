"""The engine's logs of containers: from the run on, each line once, however often it is asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.cluster.docker.attached.logs import EngineLogs

S = 10**9


class Engine:
    """Keeps lines with their times in nanoseconds; only what begins in a whole second is asked."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []
        self.refuses = ""

    def logs(
        self, id: str, *, since: int = 0, tail: Any = "all", timestamps: bool = False
    ) -> bytes:
        if self.refuses:
            raise RuntimeError(self.refuses)
        if tail == 0:
            return b""
        assert timestamps
        told = [f"{stamp(at)} {text}\n" for at, text in self.lines if at >= since * S]
        return "".join(told).encode()


def stamp(at_ns: int) -> str:
    return f"1970-01-01T00:00:{at_ns // S:02d}.{at_ns % S:09d}Z"


def begun(engine: Engine, folder: Path, since_ns: int) -> EngineLogs:
    member = SimpleNamespace(name="shop-db-1")
    node: Any = SimpleNamespace(name="n1", member=member, id="abc", log_dir=folder)
    logs = EngineLogs()
    logs.begin(engine, [node], since_ns)
    return logs


def test_each_line_comes_once_also_where_several_have_one_time(tmp_path: Path) -> None:
    engine = Engine()
    engine.lines = [(S, "long ago"), (2 * S + 5, "just before")]
    logs = begun(engine, tmp_path, 2 * S + 6)
    said = tmp_path / "shop-db-1.log"
    assert (len(logs), said.read_text()) == (1, "")
    engine.lines += [(2 * S + 7, "one"), (2 * S + 7, "two")]
    assert (logs.fetch(), said.read_text()) == ([], "one\ntwo\n")
    engine.lines += [(2 * S + 7, "three"), (2 * S + 9, "four: 2 of it")]
    logs.fetch()
    logs.fetch()
    assert said.read_text() == "one\ntwo\nthree\nfour: 2 of it\n"


def test_a_log_that_cannot_be_read_is_told_each_time_and_is_no_log(tmp_path: Path) -> None:
    engine = Engine()
    engine.refuses = "configured logging driver does not support reading"
    logs = begun(engine, tmp_path, 0)
    assert len(logs) == 0
    assert not (tmp_path / "shop-db-1.log").exists()
    [told] = logs.fetch()
    assert told.startswith("n1: its log is not read: ")
    assert engine.refuses in told


def test_an_engine_that_goes_away_is_told_and_what_it_said_stays(tmp_path: Path) -> None:
    engine = Engine()
    logs = begun(engine, tmp_path, 0)
    engine.lines = [(S, "one")]
    logs.fetch()
    engine.refuses = "gone"
    assert "n1: its log is not here" in logs.fetch()[0]
    assert (tmp_path / "shop-db-1.log").read_text() == "one\n"
