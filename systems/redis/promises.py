"""What the documentation of Redis promises of the settings in use, where users expect more.

People take a server that executes one command after the other for a linearizable store whose
answers last. Of a primary with replicas the documentation promises neither; of a single server it
depends on when its file is forced to disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from harness.contract.system import Documentation

_PAGES: Final = "https://redis.io/docs/latest/operate/oss_and_stack/management"
_SINGLE: Final = ("strict-serializable",)


def documented(options: Mapping[str, Any], replicas: int) -> Documentation | None:
    """What is promised of a primary with so many replicas; ``None`` if that is all one expects."""
    if replicas:
        return Documentation(
            not_durable="replication is asynchronous, and acknowledged writes are not guaranteed"
            " to be retained when a replica is promoted",
            source=f"{_PAGES}/sentinel/",
        )
    why = lost_on_power_failure(options)
    if why is None:
        return None
    return Documentation(models=_SINGLE, not_durable=why, source=f"{_PAGES}/persistence/")


def lost_on_power_failure(options: Mapping[str, Any]) -> str | None:
    """What a single server may lose in a disaster, as its settings are."""
    if options["appendonly"] == "no":
        return "with appendonly no, what came after the last snapshot"
    return {
        "everysec": "with appendfsync everysec, a second's worth of writes in a disaster",
        "no": "with appendfsync no, what the operating system had not written in a disaster",
    }.get(options["appendfsync"])
