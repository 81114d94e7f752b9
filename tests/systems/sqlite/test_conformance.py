"""The client of SQLite (and so of every library behind such a server) against the scripted one."""

from __future__ import annotations

import asyncio

import pytest

from harness.conformance.kit import Case, cases
from systems.sqlite import Sqlite

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "case", cases(client=Sqlite({}).client, speaker=Sqlite({}).speaker()), ids=str
)
def test_the_client_survives_a_hostile_server(case: Case) -> None:
    case.run(asyncio.new_event_loop)
