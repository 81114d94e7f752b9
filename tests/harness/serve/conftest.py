"""A store to serve, runs to put into it, and a visitor."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from harness.serve.app import application

Make = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    path.mkdir()
    (tmp_path / "secret.txt").write_text("not yours")
    return path


@pytest.fixture
def make(store: Path) -> Make:
    def make(
        name: str,
        valid: Any = True,
        *,
        system: str = "etcd",
        nemesis: str = "kill",
        why: str = "",
    ) -> Path:
        run = store / system / "register" / name
        (run / "evidence").mkdir(parents=True)
        scenario = f'system = "etcd"\nnemesis = "{nemesis}"\nseed = 5\n'
        (run / "scenario.toml").write_text(scenario)
        if valid is not None:
            counts = {"read": {"ok": 2, "fail": 1, "info": 0}}
            verdict = {"valid": valid, "why": why, "operations": counts}
            (run / "verdict.json").write_text(json.dumps(verdict))
            (run / "report.html").write_text(f"<p>report of {name}</p>")
        return run

    return make


@pytest.fixture
def client(store: Path) -> TestClient:
    return TestClient(application(store, None), follow_redirects=False)
