"""Folders of runs as a stranger could have made them, and a run of our own beside them.

Imported by the tests of ``heal``; ``store``, ``gone``, ``victim`` and ``ours`` are fixtures.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.leftovers import heal
from harness.history.faults import unhealed
from harness.history.ledger import Ledger, read_ledger
from harness.linux import identity
from harness.linux.identity import ProcessIdentity
from harness.store import registration

LIMIT_S = 8.0
"""No odd file holds anybody for longer."""


def started(**env: str) -> subprocess.Popen[bytes]:
    """A process that is there until it is killed."""
    argv = [sys.executable, "-S", "-c", "import signal; print(flush=True); signal.pause()"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, env={**os.environ, **env})
    assert process.stdout is not None
    process.stdout.readline()
    return process


def identity_of(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    """Its identity."""
    found = identity.identify(process.pid)
    assert found is not None
    return found


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the user's that has nothing to do with any run."""
    process = started()
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def gone() -> ProcessIdentity:
    """A process that has ended."""
    process = started()
    found = identity_of(process)
    process.kill()
    process.communicate()
    return found


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store."""
    return tmp_path / "store"


def folder_of(store: Path, name: str) -> Path:
    """The folder of a run, made."""
    run_dir = store / "system" / "workload" / name
    run_dir.mkdir(parents=True, exist_ok=True)
    return run_dir


def register(run_dir: Path, named: ProcessIdentity, /, **changes: Any) -> Path:
    """Write what a stranger would: every word right but who is named."""
    content = {
        "provider": "local:userns",
        "host": socket.gethostname(),
        "reaper": asdict(named),
        "front": None,
        "left_running": False,
        "facts": {},
        "run": str(run_dir),
    }
    registration.path(run_dir).write_text(json.dumps({**content, **changes}))
    return run_dir


@pytest.fixture
def ours(store: Path, gone: ProcessIdentity) -> Callable[[], bool]:
    """A run of our own that died with a fault in force; whether it is healed."""
    run_dir = register(folder_of(store, "zz-ours"), gone)
    ledger = Ledger(run_dir / "faults.jsonl", lambda: 5)
    ledger.intend("partition", ["n1"], {})
    ledger.close()
    return lambda: (
        not registration.path(run_dir).exists()
        and not unhealed(read_ledger(run_dir / "faults.jsonl"))
    )


def healed_in_time(store: Path, *more: Any) -> list[str]:
    """What heal tells, which it must within the limit: a pipe would hold it for ever."""
    told: list[list[str]] = []
    thread = threading.Thread(target=lambda: told.append(heal(store, *more)), daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    assert told, f"heal has not come back in {LIMIT_S:g} s, or raised"
    return told[0]
