"""Every provider and mode that a machine may offer, for tests that must pass in each of them.

A place that needs more than its name (hosts for ssh) gets it from ``furnish``. A test is
parametrised with ``PLACES``; markers deselect those that this machine or user does not have.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cluster.ssh.lab import standing

NODES = ("n1", "n2", "n3", "n4", "n5")


@dataclass(frozen=True)
class Place:
    """A provider by its full name.

    ``in_containers``: hosts of the ssh provider are containers, not namespaces.
    """

    provider: str
    in_containers: bool = False


PLACES = [
    pytest.param(Place("local:root"), marks=pytest.mark.root, id="local-root"),
    pytest.param(Place("local:userns"), marks=pytest.mark.userns, id="local-userns"),
    pytest.param(Place("local:plain"), id="local-plain"),
    pytest.param(Place("ssh"), marks=pytest.mark.root, id="ssh"),
    pytest.param(
        Place("ssh", in_containers=True), marks=pytest.mark.docker, id="ssh-to-containers"
    ),
    pytest.param(Place("docker"), marks=pytest.mark.docker, id="docker"),
]


@contextlib.contextmanager
def furnish(place: Place, folder: Path) -> Iterator[dict[str, Any]]:
    """What the place needs, as options of the scenario; gone again afterwards."""
    if place.provider != "ssh":
        yield {}
        return
    make = standing
    if place.in_containers:
        from tests.harness.cluster.ssh.containers import in_containers as make
    with make(folder, NODES) as options:
        yield options
