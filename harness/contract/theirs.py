"""What a cluster of somebody else's may be able to do beside (:class:`.node.RunsAlready`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable


@runtime_checkable
class MayHaveLogs(Protocol):
    """What runs already, whose logs may be read (``LogsElsewhere``)."""

    def has_logs(self) -> bool:
        """Whether any log is read, once the nodes are adopted."""
        ...


@runtime_checkable
class TellsTrouble(Protocol):
    """A cluster that by itself keeps in force what a fault did, and may fail at that."""

    def on_trouble(self, tell: Callable[[str, str], None]) -> None:
        """From now on call ``tell(node, what)`` for each such failure, from any thread."""
        ...
