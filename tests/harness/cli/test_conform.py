"""``polygraph conform``: what was tried, what the client did wrong in words, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import run

TOYS = Path(__file__).parents[2] / "toys"
LINE = ["conform", "--plugin", str(TOYS / "line_service.py")]
MEMORY = ["conform", "--plugin", str(TOYS / "memory_system.py"), "--server", "scripted"]


@pytest.mark.slow
def test_a_client_that_is_right_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*LINE, "--server", "scripted", "--only", "write"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "the client of line"
    assert said[-1].split() == ["write", "23", "cases,", "right"]


@pytest.mark.slow
def test_what_a_client_did_wrong_is_told_in_words_and_as_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = [*LINE, "--misbehave", "--server", "scripted", "--only", "write"]
    assert run(wrong) == 1
    said = capsys.readouterr().out
    assert "write: server reads and closes, a fresh connection\n    2 requests were sent" in said
    assert run([*wrong, "--json"]) == 1
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["valid"] is False
    assert found["rows"][0]["wrong"] == len(found["wrong"]) > 0


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["conform"], "which system's client?"),
        (MEMORY, "brings no speaker of its protocol"),
        ([*LINE, "--only", "wrote"], "no operation 'wrote' is tried"),
        (["conform", "nobody"], "nobody"),
    ],
)
def test_what_cannot_be_tried_is_usage(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(argv) == 4
    assert said in capsys.readouterr().err


@pytest.mark.cluster
def test_a_real_server_is_started_and_its_client_tried_through_a_proxy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    real = [*LINE, "--server", "real", "--only", "add_to_counter,transaction", "--json"]
    assert run(real) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["operation"] for row in found["rows"]] == ["transaction", "add_to_counter"]
    assert all(row["cases"] > 10 and not row["untried"] for row in found["rows"])
    assert found["provider"].startswith("local:")
    assert run([*real, "--misbehave"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert "it happened 2 times: the client sent it again" in str(found["wrong"])


ENDS = """
from tests.toys.memory_system import MemorySystem

class Ends(MemorySystem):
    name = "ends"

    def start(self, stage, node):
        return [node.start(["false"], name="database")]

    def ready(self, stage, timeout_s):
        __import__("time").sleep(timeout_s)

SYSTEMS = {"ends": Ends}
"""


@pytest.mark.cluster
def test_a_server_that_ends_at_its_start_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plug_in = tmp_path / "ends.py"
    plug_in.write_text(ENDS)
    assert run(["conform", "--plugin", str(plug_in), "--server", "real"]) == 3
    assert "database ended" in capsys.readouterr().err


@pytest.mark.cluster
def test_a_system_of_roles_gets_the_nodes_that_it_needs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shelf = ["conform", "--plugin", str(TOYS / "shelf.py"), "--only", "write", "--json"]
    assert run(shelf) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["operation"], row["wrong"], row["untried"]) == ("write", 0, 0)
