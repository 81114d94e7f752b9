"""A checker of a third party that ends, splits, hangs or eats its process never makes a verdict."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from harness.cli.side_by_side import Begun, Outcome, judge_all
from harness.linux.stopping import Stopped

pytestmark = pytest.mark.slow


RUDE = """
import os, sys

class Rude:
    reads = frozenset({"history"})

    def __init__(self, deed):
        self.deed = deed

    def __call__(self, options):
        return self

    def check(self, record, budget):
        from harness.verdict.verdict import Verdict
        self.deed()
        return Verdict(valid=True, why="")

def twin_goes_on():
    if os.fork():
        os._exit(0)

def both_go_on():
    os.fork()

def eat():
    list(range(1 << 50))

def speak():
    print("x.jsonl\\tfalse")
    os.write(1, b"y.jsonl\\tfalse\\n")

CHECKERS = {
    "leaves": Rude(lambda: os._exit(0)),
    "exits": Rude(lambda: sys.exit(0)),
    "interrupts": Rude(lambda: (_ for _ in ()).throw(KeyboardInterrupt())),
    "twin-goes-on": Rude(twin_goes_on),
    "both-go-on": Rude(both_go_on),
    "eats": Rude(eat),
    "speaks": Rude(speak),
}
"""


@pytest.fixture
def rude(tmp_path: Path) -> tuple[str, str]:
    """The flags that load the rude checkers."""
    (tmp_path / "rude.py").write_text(RUDE, "utf-8")
    return ("--plugin", "rude.py")


@pytest.mark.parametrize("model", ["leaves", "exits", "interrupts", "twin-goes-on", "eats"])
def test_what_a_checker_does_to_its_process_makes_unknown(
    polygraph: Any, history: str, rude: tuple[str, str], model: str
) -> None:
    done = polygraph("check", *rude, "-m", model, history)
    assert (done.returncode, done.stdout) == (2, f"{history}\tunknown\n")
    assert model in done.stderr


@pytest.mark.parametrize("model", ["both-go-on", "speaks"])
def test_only_one_line_is_printed_for_a_file(
    polygraph: Any, history: str, rude: tuple[str, str], model: str
) -> None:
    done = polygraph("check", *rude, "-m", model, history)
    assert (done.returncode, done.stdout) == (0, f"{history}\ttrue\n")


def test_the_other_files_are_judged_all_the_same(
    polygraph: Any, history: str, rude: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "two.jsonl").write_bytes((tmp_path / history).read_bytes())
    done = polygraph("check", *rude, "-m", "leaves", history, "two.jsonl", "none.jsonl")
    assert done.returncode == 4
    assert done.stdout == f"{history}\tunknown\ntwo.jsonl\tunknown\n"


def test_a_plugin_that_leaves_while_it_is_loaded_ends_in_4(
    polygraph: Any, history: str, tmp_path: Path
) -> None:
    (tmp_path / "rude.py").write_text("import os\nos._exit(0)\n", "utf-8")
    done = polygraph("check", "--plugin", "rude.py", "-m", "register", history)
    assert (done.returncode, done.stdout) == (4, "")
    assert "rude.py" in done.stderr


def test_a_plugin_that_forks_while_it_is_loaded_prints_once(
    polygraph: Any, history: str, tmp_path: Path
) -> None:
    (tmp_path / "rude.py").write_text(f"import os\nos.fork()\n{RUDE}", "utf-8")
    done = polygraph("check", "--plugin", "rude.py", "-m", "speaks", history)
    assert (done.returncode, done.stdout) == (0, f"{history}\ttrue\n")


def test_standard_input_is_judged_beside_files(
    polygraph: Any, history: str, rude: tuple[str, str], tmp_path: Path
) -> None:
    text = (tmp_path / history).read_text("utf-8")
    done = polygraph("check", *rude, "-m", "both-go-on", "-", history, stdin=text)
    assert (done.returncode, done.stdout) == (0, f"-\ttrue\n{history}\ttrue\n")


def test_a_checker_that_never_ends_is_ended(tmp_path: Path) -> None:
    """Time passes only while the dawdler is at work, so that the quick ones are quick enough."""
    at_work, now_s = tmp_path / "at-work", count()

    def judge(name: str, begun: Begun) -> Outcome:
        if name == "bad":
            at_work.touch()
            begun("dawdler")
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            threading.Event().wait()
        at_work.unlink(missing_ok=True)
        begun("quick")
        return Outcome(0, {"name": name}, "")

    def clock() -> float:
        return float(next(now_s)) if at_work.exists() else 0.0

    found = dict(judge_all(["bad", "a", "b"], judge, 1, limit_s=0.2, clock=clock))
    assert {place: outcome.code for place, outcome in found.items()} == {0: 2, 1: 0, 2: 0}
    assert found[0].verdict is not None
    assert "not done after 0.2 s, with the checker dawdler" in found[0].verdict["why"]


INTERRUPTED = """
import os, signal, threading
from harness.cli.side_by_side import judge_all

os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGINT))

def judge(name, begun):
    begun("dawdler")
    threading.Event().wait()

try:
    print(list(judge_all(["a"], judge, 1, limit_s=1.0)))
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_is_not_lost_where_a_worker_is_forked() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=True, timeout=250
    )
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


def test_what_a_checker_leaves_running_is_ended() -> None:
    reader, writer = os.pipe()

    def judge(name: str, begun: Begun) -> Outcome:
        if os.fork() == 0:
            threading.Event().wait()
        os._exit(0)

    found = dict(judge_all(["a"], judge, 1))
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b""  # every process that held the other end has ended
    assert found[0].code == 2


class Dropping:
    """Interrupts this process where Python drops the exception, as in the callbacks of a fork."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_that_python_dropped_still_ends_the_judging(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(name: str, begun: Begun) -> Outcome:
        threading.Event().wait()
        raise AssertionError(name)

    dropped: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: dropped.append(told.exc_type))
    before = signal.getsignal(signal.SIGINT)
    outcomes = judge_all(["one"], never, 1)
    Dropping()
    assert dropped == [Stopped]
    with pytest.raises(KeyboardInterrupt):
        list(outcomes)
    assert signal.getsignal(signal.SIGINT) is before
