"""Who traces, and so waits for, a node's processes: its clock or a watch over its system calls.

One at a time can. Whoever starts processes here asks :meth:`Tracing.now` whether the next must be
traced from its beginning, and leaves the waiting for ended children to it.
"""

from __future__ import annotations

from .node_clock import NodeClock
from .refused import Refused
from .syscalls import SyscallWatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Tracing:
    """Of the processes that ``processes()`` lists."""

    def __init__(self, processes: Callable[[], Iterable[int]]) -> None:
        self._processes = processes
        self._clock = NodeClock(processes)
        self._watch: SyscallWatch | None = None

    def now(self) -> NodeClock | SyscallWatch:
        """Who waits for the node's processes."""
        return self._watch or self._clock

    def clock(self) -> NodeClock:
        """The clock of all processes here. It traces them while it is set."""
        if self._watch is not None:
            raise Refused("the system calls of this node are being traced")
        return self._clock

    def watch(self) -> SyscallWatch:
        """The watch over their system calls, begun by the first call."""
        if self._watch is None:
            self._watch = SyscallWatch(self._processes)
        return self._watch
