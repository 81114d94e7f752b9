"""The client of Dgraph against the scripted server, in both dialects."""

from __future__ import annotations

from typing import Any

import pytest

from harness.conformance.kit import Case, cases
from systems.dgraph import Dgraph

pytestmark = pytest.mark.slow


def of(release: str) -> list[Case]:
    system = Dgraph({"release": release})
    speaker: Any = system.speaker()
    return list(cases(client=system.client, speaker=speaker))


@pytest.mark.parametrize("case", of("25.4.0"), ids=str)
def test_the_client_survives_a_hostile_server(case: Case) -> None:
    case.run()


@pytest.mark.parametrize(
    "case", [case for case in of("1.0.10") if case.trial.name == "transaction"], ids=str
)
def test_so_does_the_one_of_the_first_releases(case: Case) -> None:
    case.run()
