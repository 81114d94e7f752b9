"""Why a member died, from its log: the one line that says it, not the stack after it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import SetupError
from systems.etcd.log import last_words, tail
from systems.etcd.members import wait_until_ready

INFO = '{"level":"info","ts":"2026-01-01T00:00:00.0Z","caller":"a.go:1","msg":"became leader"}'
PANIC = (
    '{"level":"panic","ts":"2026-01-01T00:00:01.0Z","caller":"etcdserver/raft.go:433",'
    '"msg":"failed to create WAL","error":"no space left on device","stacktrace":"a\\n\\tb.go:1"}'
)
FATAL = (
    '{"level":"fatal","ts":"2026-01-01T00:00:01.0Z","caller":"backend/batch_tx.go:256",'
    '"msg":"failed to commit tx","error":"write db: no space left on device"}'
)
STACK = ["panic: failed to create WAL", "", "goroutine 1 [running]:"] + [
    f"main.f{n}()\n\t/main.go:{n}" for n in range(500)
]
RUNTIME = ["panic: runtime error: index out of range", "goroutine 7 [running]:", "main.f()"]


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        ([INFO, PANIC, *STACK], "failed to create WAL: no space left on device"),
        ([INFO, FATAL], "failed to commit tx: write db: no space left on device"),
        ([INFO, *RUNTIME], "panic: runtime error: index out of range"),
        (RUNTIME, "panic: runtime error: index out of range"),
        (['{"level":"fatal","msg":', INFO, '{"level":"fatal","msg":7}'], '{"level":"fatal"'),
        ([INFO, INFO], ""),
        ([FATAL, INFO], ""),  # of an earlier life
        ([], ""),
    ],
)
def test_the_line_with_which_a_member_died_is_told(
    tmp_path: Path, lines: list[str], cause: str
) -> None:
    log = tmp_path / "etcd.log"
    log.write_text("\n".join(lines))
    found = last_words(log)
    assert found.startswith(cause)
    assert bool(found) is bool(cause)


def test_no_log_tells_nothing(tmp_path: Path) -> None:
    assert last_words(tmp_path / "etcd.log") == ""
    assert tail(tmp_path / "etcd.log") == []


def test_a_member_that_died_is_reported_by_its_reason_first(tmp_path: Path) -> None:
    (tmp_path / "etcd.log").write_text("\n".join([INFO, PANIC, *STACK]))
    node: Any = SimpleNamespace(name="n1", reach=lambda port, whom: "127.0.0.1:1", log_dir=tmp_path)
    cluster: Any = SimpleNamespace(nodes=[node], node=lambda name: node)
    dead: Any = SimpleNamespace(alive=lambda: False)
    with pytest.raises(SetupError) as caught:
        wait_until_ready(cluster, {"n1": [dead]}, 5.0)
    first, cause, more = caught.value.message.splitlines()
    assert first == "etcd has ended:"
    assert cause == "  n1: failed to create WAL: no space left on device"
    assert "Connection refused" in more
    assert str(tmp_path / "etcd.log") in more
