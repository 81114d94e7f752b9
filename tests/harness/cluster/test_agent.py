"""The agent of a node: no end of what it started is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.cluster import agent
from harness.cluster.agent import Agent


class Tracing:
    """A tracer that meets the end of process 77 at its first look."""

    is_set = True

    def __init__(self) -> None:
        self.ends = [(77, 3 << 8)]

    def pump(self) -> list[tuple[int, int]]:
        ends, self.ends = self.ends, []
        return ends

    def before_start(self, pid: int) -> None:
        pass


def test_the_end_of_a_program_that_was_still_waited_for_to_begin_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[dict[str, Any]] = []

    def start_process(argv: list[str], *, meanwhile: Callable[[], None], **how: Any) -> int:
        meanwhile()
        return 77

    monkeypatch.setattr(agent, "start_process", start_process)
    monkeypatch.setattr(agent.kernel, "start_ticks", lambda pid: 5)
    node: Any = object.__new__(Agent)
    tracing = Tracing()
    node._tracing = lambda: tracing
    node._tell = lambda body, **how: told.append(body)
    node._hidden, node._children, node._early, node._pid_namespace = None, set(), {}, 1
    node._start({"id": 1, "argv": ["true"], "env": {}, "cwd": "/"}, [1, 2])
    assert [body.get("pid") for body in told] == [77, None]
    assert told[1] == {"exited": 77, "status": 3}
    assert node._children == set()
