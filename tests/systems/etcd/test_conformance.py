"""etcd's client against the scripted server."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from harness.conformance.kit import Case, LoopFactory, cases
from systems.etcd import Etcd

pytestmark = pytest.mark.slow

LOOPS = ["asyncio", "uvloop"]


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=LOOPS)
@pytest.mark.parametrize("case", cases(client=Etcd({}).client, speaker=Etcd({}).speaker()), ids=str)
def test_the_client_survives_a_hostile_server(case: Case, loop: LoopFactory) -> None:
    case.run(loop)
