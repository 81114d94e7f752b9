"""The client of Nun-db against the scripted server."""

from __future__ import annotations

from typing import Any

import pytest

from harness.conformance.kit import Case, cases
from systems.nundb import NunDb

pytestmark = pytest.mark.slow

SYSTEM = NunDb({})
SPEAKER: Any = SYSTEM.speaker()


@pytest.mark.parametrize("case", cases(client=SYSTEM.client, speaker=SPEAKER), ids=str)
def test_the_client_survives_a_hostile_server(case: Case) -> None:
    case.run()
