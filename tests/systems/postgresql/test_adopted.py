"""A PostgreSQL that runs already: the run's tables are its own, and gone at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.systems.postgresql.real_server import RealServer

pytestmark = pytest.mark.database

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("dialect", ["postgresql", "yugabytedb", "cockroachdb"])
def test_a_run_leaves_nothing_and_touches_nothing_else(tmp_path: Path, dialect: str) -> None:
    """The dialects of others are PostgreSQL's but for their errors, so their words can be tried."""
    with RealServer() as server:
        server.ask("INSERT INTO kv VALUES ('\"account-0\"', '7')")
        before = server.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "harness.cli.main", "test", "postgresql", "--yes"),
                *("--endpoint", str(server.address), "--workload", "bank", "--time-limit", "3"),
                *("--user", "postgres", "--dialect", dialect, "--store", tmp_path),
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert server.ask("SELECT v FROM kv") == [("7",)]
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        assert sorted(server.ask(tables)) == sorted(before)
