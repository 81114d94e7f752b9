"""A new hand is one function in one file and one line of the table: all three carry it."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.docker.link import _START
from harness.cluster.hands import inside
from harness.cluster.hands.daemons import Daemons
from harness.cluster.hands.inside import Inside
from harness.cluster.namespaces.agent import Agent
from tests.harness.cluster.hands.test_keeper import Meet, base, meet

__all__ = ["base", "meet"]

FOLDER = Path(inside.__file__).parent
HAND = """
from .inside import Part

class Words(Part):
    last = None

def say(inside, request):
    words = inside.part(Words)
    before, words.last = words.last, request["word"]
    return {"before": before}
"""


@pytest.fixture
def files() -> Mapping[str, str]:
    """The package ``hands`` with the new one, as it is sent to hosts and side-cars."""
    found = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.py")}
    begin = "HANDS: Mapping[str, str] = {\n"
    assert begin in found["inside.py"]
    table = found["inside.py"].replace(begin, f'{begin}    "say": "words.say",\n')
    return {**found, "words.py": HAND, "inside.py": table}


def test_a_keeper_carries_it(meet: Meet, files: Mapping[str, str]) -> None:
    meeting = meet(files=files)
    assert meeting.ask("a", "say", word="one") == {"id": "a", "before": None}
    assert meeting.ask("b", "say", word="two") == {"id": "b", "before": "one"}


def test_a_side_car_carries_it(files: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "hands").mkdir()
    for name, text in files.items():
        (tmp_path / "hands" / name).write_text(text, "utf-8")
    asked = [{"id": number, "op": "say", "word": "same"} for number in range(2)]
    answers = []
    argv = [sys.executable, "-I", "-S", "-c", _START, str(tmp_path), str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for request in asked:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline()))
        process.stdin.close()
    assert answers == [{"id": 0, "before": None}, {"id": 1, "before": "same"}]


def test_an_agent_carries_it(monkeypatch: pytest.MonkeyPatch) -> None:
    words = types.ModuleType("harness.cluster.hands.words")
    words.__package__ = inside.__package__
    exec(HAND, words.__dict__)
    monkeypatch.setitem(sys.modules, words.__name__, words)
    monkeypatch.setitem(vars(inside)["HANDS"], "say", "words.say")
    told: list[dict[str, Any]] = []
    nothing: Any = None
    node: Any = object.__new__(Agent)
    node._tell = lambda body, **how: told.append(body)
    node._inside = Inside(Daemons(), clock=nothing, watch=nothing)
    for number in range(2):
        node._obey({"id": number, "op": "say", "word": "same"}, [])
    assert told == [{"id": 0, "before": None}, {"id": 1, "before": "same"}]
