"""Who stands beside one life of a container, and that the life was over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.cluster.docker.attached.lives import time_ns
from harness.cluster.docker.link import SidecarLink
from harness.errors import SetupError


@dataclass(frozen=True)
class Seat:
    """A side-car beside one life of a container, of which the engine told ``details``."""

    sidecar: str
    link: SidecarLink
    details: dict[str, Any]

    @property
    def began_ns(self) -> int:
        """When that life began, by the engine's clock."""
        return time_ns(self.details["State"]["StartedAt"])


class Over(SetupError):
    """The life of a container that was looked at is over."""
