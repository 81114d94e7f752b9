"""scripts/engine.sh: one engine for all who want one at once, stopped by whoever ends last."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.root

SCRIPT = Path(__file__).parents[1] / "scripts" / "engine.sh"
WAIT_S = 60.0
DOCKER = """#!/bin/sh
[ "$1" = compose ] || [ -e {folder}/up ]
"""
DOCKERD = """#!/bin/sh
trap 'rm -f {folder}/up; exit' TERM
echo started >>{folder}/starts
touch {folder}/up
for _ in $(seq 2400); do sleep 0.05; done
"""


def until(holds: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


class Engine:
    """A machine on which ``docker`` and ``dockerd`` are ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in (("docker", DOCKER), ("dockerd", DOCKERD)):
            (folder / name).write_text(text.format(folder=folder))
            (folder / name).chmod(0o755)

    def use(self, name: str, code: int = 0) -> subprocess.Popen[bytes]:
        """Somebody who uses an engine until ``let_go``; returns once the command runs."""
        script = f"touch {name}.in; while ! [ -e {name}.go ]; do sleep 0.02; done; exit {code}"
        env = {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        env["POLYGRAPH_ENGINE_STATE"] = str(self.folder / "state")
        argv = [str(SCRIPT), "sh", "-c", script]
        process = subprocess.Popen(argv, cwd=self.folder, env=env, stdout=subprocess.DEVNULL)
        until(lambda: (self.folder / f"{name}.in").exists() or process.poll() is not None)
        return process

    def let_go(self, name: str) -> None:
        (self.folder / f"{name}.go").touch()

    @property
    def is_up(self) -> bool:
        return (self.folder / "up").exists()

    def starts(self) -> int:
        return len((self.folder / "starts").read_text().splitlines())


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A machine without an engine."""
    return Engine(tmp_path)


def test_an_engine_lives_for_as_long_as_its_command_whose_code_comes_back(engine: Engine) -> None:
    one = engine.use("one", code=7)
    assert engine.is_up
    engine.let_go("one")
    assert one.wait(WAIT_S) == 7
    until(lambda: not engine.is_up)


def test_who_started_the_engine_does_not_take_it_from_who_still_uses_it(engine: Engine) -> None:
    first, second = engine.use("first"), engine.use("second")
    engine.let_go("first")
    assert first.wait(WAIT_S) == 0
    assert engine.is_up, "the second has lost its engine in the middle"
    engine.let_go("second")
    assert second.wait(WAIT_S) == 0
    assert not engine.is_up
    assert engine.starts() == 1


def test_an_engine_that_was_there_stays(engine: Engine) -> None:
    (engine.folder / "up").touch()
    one = engine.use("one")
    engine.let_go("one")
    assert one.wait(WAIT_S) == 0
    assert engine.is_up
    assert not (engine.folder / "starts").exists()
