"""What a docker engine holds, other tests apart: before and after a run it must be the same."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cluster.docker.engine import RUN_LABEL

COMPOSE_LABEL = "com.docker.compose.project"
OWN = f"polygraph-test-{os.getpid()}"
"""Begins names that no other run of these tests, which may share the engine, takes or removes."""


def own_subnets() -> list[str]:
    """Four subnets (the first three numbers) that another run of these tests hardly takes too."""
    number = os.getpid() % 1024
    return [f"10.{224 + number // 64}.{number % 64 * 4 + i}" for i in range(4)]


def holdings(client: Any, folder: Path) -> dict[str, list[str]]:
    """Names of containers, volumes and networks, but those of runs outside of ``folder``.

    What carries no label at all counts: a leak would carry none.
    """
    found: dict[str, Sequence[Mapping[str, Any]]] = {
        "containers": client.containers(all=True),
        "volumes": client.volumes()["Volumes"] or [],
        "networks": client.networks(),
    }
    return {
        kind: sorted(
            str(each.get("Id") or each["Name"]) for each in of if not is_anothers(each, folder)
        )
        for kind, of in found.items()
    }


def is_anothers(thing: Mapping[str, Any], folder: Path) -> bool:
    """Whether its labels say that somebody else made it."""
    labels = thing.get("Labels") or {}
    run = labels.get(RUN_LABEL)
    return COMPOSE_LABEL in labels or (run is not None and not run.startswith(str(folder)))
