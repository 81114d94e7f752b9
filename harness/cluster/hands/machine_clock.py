"""The real clock of a machine that is given up to the test: ``--clock-method machine``, ssh only.

It is refused where the machine is the controller's own, told by the boot id, which containers and
namespaces share with the machine that they are on. This module is the only place of the project
that sets a machine's clock, and the call itself is a parameter.

The true time goes on by the monotonic clock from what it was when the clock was first set: that is
what a heal sets again (a time service, which should be off meanwhile, then corrects the rest).
"""

from __future__ import annotations

import time

from . import vdso
from .refused import Refused as Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

REFUSAL = (
    "this node shares its machine with the controller, whose clock is never set "
    "(--clock-method process changes what the node's processes read)"
)
TICK_S = 0.005


def set_real_clock(wall_ns: int) -> None:
    """Set the clock of this machine, which a program that is not root may not do."""
    time.clock_settime_ns(time.CLOCK_REALTIME, wall_ns)


class MachineClock:
    """Sets a machine's clock as a program says; ``tick`` at least every ``TICK_S`` for that.

    ``controller_boot_id`` is told by the controller, ``boot_id`` read on this machine.
    """

    def __init__(
        self,
        controller_boot_id: str,
        boot_id: str,
        *,
        set_clock: Callable[[int], None] = set_real_clock,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if not boot_id or boot_id == controller_boot_id:
            raise Refused(REFUSAL)
        self._boot_id = boot_id
        self._set_clock = set_clock
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._program: Mapping[str, Any] | None = None
        self._ahead_ns = 0

    def true_ns(self) -> int:
        """The time as it would be had nobody set the clock."""
        if self._program is None:
            return self._wall_ns()
        return self._monotonic_ns() + self._ahead_ns

    def set(self, program: Mapping[str, Any]) -> dict[str, Any]:
        """Set the clock as :func:`vdso.offset_ns` has it from now on."""
        vdso.words(program)
        true_ns = self.true_ns()
        if self._program is None:
            self._ahead_ns = true_ns - self._monotonic_ns()
        self._program = {"base_ns": true_ns, **program}
        self.tick()
        return self.state()

    def tick(self) -> None:
        """Follow a drift or a strobe. Nothing where the clock is true."""
        if self._program is not None:
            true_ns = self.true_ns()
            self._set_clock(true_ns + vdso.offset_ns(self._program, true_ns))

    def heal(self) -> dict[str, Any]:
        """Set the clock to what it would be had nobody touched it. Safe twice."""
        if self._program is not None:
            self._set_clock(self.true_ns())
            self._program = None
        return self.state()

    def state(self) -> dict[str, Any]:
        """As of a node's clock, but for processes, of which none is changed."""
        true_ns = self.true_ns()
        program = self._program
        return {
            "wall_ns": true_ns,
            "boot_id": self._boot_id,
            "offset_ns": vdso.offset_ns(program, true_ns) if program else 0,
            "program": dict(program) if program else None,
            "processes": 0,
            "changed": 0,
            "pristine": 0,
            "threads": 0,
            "stop_ms": 0.0,
        }
