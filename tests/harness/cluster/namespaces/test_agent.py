"""The agent of a node: no end of what it started is lost."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cluster.hands import execution, family
from harness.cluster.hands.inside import Inside
from harness.cluster.hands.processes import Processes
from harness.cluster.namespaces.agent import Agent


class Tracing:
    """A tracer that meets the end of process 77 at its first look."""

    is_set = True

    def __init__(self) -> None:
        self.ends = [(77, 3 << 8)]

    def now(self) -> Tracing:
        return self

    def pump(self) -> list[tuple[int, int]]:
        ends, self.ends = self.ends, []
        return ends

    def before_start(self, pid: int) -> None:
        pass


def test_the_end_of_a_program_that_was_still_waited_for_to_begin_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[dict[str, Any]] = []

    tracing: Any = Tracing()

    def execute(
        argv: list[str],
        *,
        before_exec: Callable[[int], None],
        meanwhile: Callable[[], None],
        **how: Any,
    ) -> int:
        before_exec(77)
        meanwhile()
        return 77

    monkeypatch.setattr(execution, "execute", execute)
    monkeypatch.setattr(family, "start_ticks", lambda pid: 5 if tracing.ends else 0)
    node: Any = object.__new__(Agent)
    node._tell = lambda body, **how: told.append(body | how)
    node._processes = Processes(tracing)
    node._inside = Inside(node._processes.daemons, clock=tracing.now, watch=tracing.now)
    node._hidden = SimpleNamespace(show=lambda paths: None)
    node._obey(
        {"id": 1, "op": "start", "argv": ["true"], "env": {}, "cwd": "/", "show": []}, [1, 2]
    )
    node._reap()
    assert told[0]["start_ticks"] == 5
    # The kernel takes no number of a process that is gone: it is named by its inner one alone.
    assert told[0]["pid"] == 0
    assert told[1] == {"exited": 77, "status": 3}
    assert node._processes._children == set()
