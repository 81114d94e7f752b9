"""Models, initial states and flags of ``polygraph check``, and several files at once."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness.cli.kept_proofs import folders
from harness.cli.model_names import KNOWN, checker_for, initial_state, refuse_unknown
from harness.cli.side_by_side import Begun, Outcome, judge_all
from harness.errors import UsageError
from harness.history.history import History
from harness.history.operation import Operation
from harness.plugins import Registry

pytestmark = pytest.mark.slow


Fixture = Any

ELLE_CLI = [
    *("rw-register", "list-append", "bank", "counter", "set", "set-full", "long-fork"),
    *("cas-register", "mutex", "comments", "sequential"),
]


def reads(value: Any) -> History:
    return History([Operation(0, 0, 0, "ok", "read", value)])


def test_every_model_of_elle_cli_is_judged_or_refused_by_its_name() -> None:
    registry = Registry()
    assert set(ELLE_CLI) <= set(KNOWN)
    for model in ELLE_CLI:
        try:
            refuse_unknown(model, registry)
        except UsageError as error:
            assert f"the model {model!r}" in str(error)  # noqa: PT017
            assert "not built into this version" in str(error)  # noqa: PT017


def test_a_model_that_is_not_built_is_never_guessed(polygraph: Fixture, history: str) -> None:
    done = polygraph("check", "-m", "append-only-list", history)
    assert (done.returncode, done.stdout) == (4, "")
    assert "there is no checker called 'append-only-list'" in done.stderr


class Built:
    """A registry with chosen checkers."""

    def __init__(self, *names: str) -> None:
        self._names = list(names)

    def names(self, kind: str) -> list[str]:
        return self._names

    def get(self, kind: str, name: str) -> Any:
        raise UsageError(f"there is no checker called {name!r}")


@pytest.mark.parametrize(
    ("built", "value", "expected"),
    [
        (("insert-order", "sequential"), [1, ["b", None]], "insert-order"),
        (("insert-order", "sequential"), [1, 5], "sequential"),
        (("insert-order", "session-monotonic"), 5, "session-monotonic"),
        (("insert-order",), 5, "insert-order"),
    ],
)
def test_sequential_is_told_by_what_is_read(built: Any, value: Any, expected: str) -> None:
    registry: Any = Built(*built)
    assert checker_for("sequential", reads(value), registry) == expected


def test_a_synonym_serves_only_where_nothing_has_that_name() -> None:
    registry: Any = Built("kv", "queue")
    assert checker_for("unordered-queue", reads(1), registry) == "queue"
    registry = Built("queue", "unordered-queue")
    assert checker_for("unordered-queue", reads(1), registry) == "unordered-queue"
    with pytest.raises(UsageError, match=r"the model 'wr' .* is not built"):
        checker_for("wr", reads(1), registry)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("5", 5),
        ('{"x": 1}', {"x": 1}),
        ("x=0,y=0", {"x": 0, "y": 0}),
        ("x=0, y=zero", {"x": 0, "y": "zero"}),
    ],
)
def test_an_initial_state_is_json_or_registers(text: str, state: Any) -> None:
    assert initial_state(text, json.loads) == state


@pytest.mark.parametrize("text", ["zero", "x=0,y", "=3"])
def test_another_initial_state_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="neither JSON nor NAME=VALUE"):
        initial_state(text, json.loads)


def test_flags_of_elle_cli_reach_the_checker(
    polygraph: Fixture, history: str, toys: Fixture
) -> None:
    flags = ["-g", "3", "-s", "1000", "--max-transfer", "9", "-a", "G0,G1a", "-a", "G1b"]
    flags += ["-c", "PL-3", "-c", "sequential,PL-1"]
    done = polygraph("check", *toys, "-m", "fine", "--json", *flags, history)
    assert json.loads(done.stdout)["checkers"]["fine"]["stats"]["options"] == {
        "group_size": 3,
        "cycle_search_timeout": 1000.0,
        "max_transfer": 9,
        "anomalies": ["G0", "G1a", "G1b"],
        "claims": ["serializable", "sequential", "read-uncommitted"],
    }


def test_lines_come_in_the_order_of_the_files(
    polygraph: Fixture, history: str, toys: Fixture, tmp_path: Path
) -> None:
    text = (tmp_path / history).read_text()
    files = [f"{number}.jsonl" for number in range(12)]
    for number, name in enumerate(files):
        (tmp_path / name).write_text(text if number % 5 else "torn\n")
    done = polygraph("check", *toys, "-m", "wrong", *files)
    assert done.returncode == 1
    wanted = [f"{name}\tfalse" for number, name in enumerate(files) if number % 5]
    assert done.stdout.splitlines() == wanted
    assert done.stderr.count("expected a history") == 3


def test_a_worker_that_dies_takes_only_its_file_along() -> None:
    def judge(name: str, begun: Begun) -> Outcome:
        if name == "bad":
            os.kill(os.getpid(), signal.SIGKILL)
        return Outcome(0, {"name": name}, "")

    names = ["a", "bad", "b", "bad", "c"]
    found = dict(judge_all(names, judge, workers=2))
    assert {names[n]: outcome.code for n, outcome in found.items()} == {
        "a": 0,
        "b": 0,
        "c": 0,
        "bad": 2,
    }
    assert found[1].verdict is not None
    assert found[1].verdict["valid"] == "unknown"
    assert "ended by signal 9" in found[1].verdict["why"]


def test_two_files_of_one_name_have_folders_of_their_own(tmp_path: Path) -> None:
    found = folders(["a/x.edn", "b/x.edn", "-", "a/x.edn"], tmp_path)
    assert {name: folder.name for name, folder in found.items()} == {
        "a/x.edn": "x.edn",
        "b/x.edn": "x.edn-2",
        "-": "stdin",
    }


@pytest.mark.slow
def test_an_invalid_history_gets_a_page_with_pictures(polygraph: Fixture, tmp_path: Path) -> None:
    lines = [
        "0\t:invoke\t:add\t1",
        "0\t:ok\t:add\t1",
        "0\t:invoke\t:read\tnil",
        "0\t:ok\t:read\t[]",
    ]
    (tmp_path / "history.txt").write_text("\n".join(lines) + "\n")
    done = polygraph("check", "-m", "set", "-d", "out", "history.txt")
    assert (done.returncode, done.stdout) == (1, "history.txt\tfalse\n")
    folder = tmp_path / "out/history.txt"
    assert "T1 < T2" in (folder / "lost.txt").read_text()
    assert "<svg" in (folder / "report.html").read_text()


def test_a_folder_of_jepsens_store_is_judged(polygraph: Fixture, tmp_path: Path) -> None:
    folder = tmp_path / "store/set/20200101"
    folder.mkdir(parents=True)
    (folder / "history.edn").write_text(
        "{:process 0, :type :invoke, :f :add, :value 1}\n"
        "{:process 0, :type :ok, :f :add, :value 1}\n"
        "{:process 0, :type :invoke, :f :read}\n{:process 0, :type :ok, :f :read, :value #{1}}\n"
    )
    done = polygraph("check", "-m", "set", "store/set/20200101")
    assert (done.returncode, done.stdout) == (0, "store/set/20200101\ttrue\n")
