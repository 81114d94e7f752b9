"""The client of MariaDB, and so of every database that speaks its protocol, before the kit.

The cases of one operation run beside each other, since most of them wait for a time-out.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.conformance.kit import Case, Nonconformance, cases
from systems.mariadb import Mariadb

pytestmark = pytest.mark.slow

SYSTEM = Mariadb({})
OPERATIONS = list(SYSTEM.speaker().requests)


def wrong(case: Case) -> str:
    try:
        case.run()
    except Nonconformance as error:
        return str(error)
    return ""


def of(operation: str) -> Iterator[Case]:
    every = cases(client=SYSTEM.client, speaker=SYSTEM.speaker())
    return (case for case in every if case.trial.name == operation)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_client_survives_a_hostile_server(operation: str) -> None:
    tried = list(of(operation))
    assert len(tried) >= 30
    with ThreadPoolExecutor(max_workers=16) as pool:
        assert [each for each in pool.map(wrong, tried) if each] == []
