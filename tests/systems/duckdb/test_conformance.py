"""DuckDB's errors against the scripted server; the client itself is SQLite's, and tried there."""

from __future__ import annotations

import asyncio

import pytest

from harness.conformance.kit import Case, cases
from systems.duckdb import Duckdb

pytestmark = pytest.mark.slow

TRIED = ("transaction", "append", "compare_and_set", "generate_id", "acquire")
"""Those operations that DuckDB does otherwise, or that its errors matter most for."""


def tried() -> list[Case]:
    found = cases(client=Duckdb({}).client, speaker=Duckdb({}).speaker())
    return [case for case in found if case.trial.name in TRIED]


@pytest.mark.parametrize("case", tried(), ids=str)
def test_the_client_survives_a_hostile_server(case: Case) -> None:
    case.run(asyncio.new_event_loop)
