"""A process that sets a machine's clock for the keeper, with the rights that this needs.

Started by the keeper, through sudo where the login is not root. Requests are lines of JSON
(``do``: ``set`` with ``program``, ``heal`` or ``read``), each answered by one with ``clock`` or
``refused``; meanwhile the clock follows drifts and strobes. At the end of its input (the keeper
ended, however it did) it sets the clock right and goes.
"""

from __future__ import annotations

import json
import os
import select
import sys

from . import machine_clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main() -> None:
    """``sys.argv[2]`` is the boot id of the controller's machine, which is never touched."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot_id = file.read().strip()
    try:
        clock = machine_clock.MachineClock(sys.argv[2], boot_id)
    except machine_clock.Refused as refusal:
        os.write(1, json.dumps({"refused": str(refusal)}).encode() + b"\n")
    else:
        serve(clock, 0, 1)


def serve(clock: machine_clock.MachineClock, asked: int, answers: int) -> None:
    """Obey what comes on the descriptor ``asked`` until its end, then set the clock right."""
    received = b""
    os.write(answers, json.dumps({"clock": clock.state()}).encode() + b"\n")
    try:
        while True:
            if select.select([asked], [], [], machine_clock.TICK_S)[0]:
                data = os.read(asked, 1 << 16)
                if not data:
                    return
                *lines, received = (received + data).split(b"\n")
                for line in lines:
                    answer = _obey(clock, json.loads(line))
                    os.write(answers, json.dumps(answer).encode() + b"\n")
            clock.tick()
    finally:
        clock.heal()


def _obey(clock: machine_clock.MachineClock, request: dict[str, Any]) -> dict[str, Any]:
    try:
        if request["do"] == "set":
            return {"clock": clock.set(request["program"])}
        return {"clock": clock.heal() if request["do"] == "heal" else clock.state()}
    except (OSError, ValueError) as error:
        return {"refused": f"the machine's clock is not set: {error}"}
