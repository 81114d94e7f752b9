"""The client of Redis against the scripted server."""

from __future__ import annotations

import pytest

from harness.conformance.kit import Case, cases
from systems.redis import Redis

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "case", cases(client=Redis({}).client, speaker=Redis({}).speaker()), ids=str
)
def test_the_client_survives_a_hostile_server(case: Case) -> None:
    case.run()
