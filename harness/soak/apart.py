"""One run of a soak, below a process that may have threads and may vanish.

``python -m harness.soak.apart COMMAND...``. Ends the run's process when its own standard input
ends (a worker that is gone closes it), and hands on what asks it to stop. Its exit code is that of
the run, 128 and the signal's number for one that a signal ended. The run itself is the child of a
process without threads, so that the kernel's promise to end it with its parent holds.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Sequence
from typing import Any

from harness.linux.stopping import STOPPING
from harness.soak.here import started


def main(argv: Sequence[str]) -> int:
    """Make the run; its exit code."""
    process = started(argv, None)
    for number in STOPPING:
        signal.signal(number, _hand_on(process.pid))
    pidfd = os.pidfd_open(process.pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(sys.stdin.fileno(), select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if pidfd in ready:
            break
        if not os.read(sys.stdin.fileno(), 4096):
            process.kill()
            break
    status = process.wait()
    return status if status >= 0 else 128 - status


def _hand_on(pid: int) -> Any:
    def hand_on(number: int, frame: Any) -> None:
        os.kill(pid, number)  # it is not reaped before the loop has ended

    return hand_on


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
