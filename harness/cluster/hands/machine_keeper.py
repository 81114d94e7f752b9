"""The keeper's end of :mod:`machine_service`: starts it when it is first needed, and asks it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys

from .inside import Part
from .refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from hands import machine_service; machine_service.main()"
)
_TIMEOUT_S = 10.0


class Machine(Part):
    """The real clock of the node's machine, and the process that sets it once one was needed."""

    _service: MachineService | None = None

    def clock(self, request: dict[str, Any]) -> dict[str, Any]:
        """Set, heal, read or try it, as the hand ``clock`` is asked to."""
        if self._service is None:
            self._service = MachineService(request["controller_boot_id"])
        do = "read" if request["do"] == "try" else request["do"]
        told = self._service.ask(do=do, program=request.get("program"))
        return {"why": None} if request["do"] == "try" else {"clock": told}

    def end(self) -> None:
        """Set it right."""
        if self._service is not None:
            self._service.end()
            self._service = None


class MachineService:
    """Sets this machine's clock by a process that may. ``Refused`` if there can be none."""

    def __init__(self, controller_boot_id: str) -> None:
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        argv = [*sudo, sys.executable, "-I", "-S", "-c", _START, package, controller_boot_id]
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe)
        except OSError as error:
            raise Refused(f"{argv[0]}: {error.strerror}") from error
        self._answer()

    def ask(self, **request: Any) -> dict[str, Any]:
        """The state of the clock after ``do``."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise Refused(f"what sets the machine's clock has ended: {error.strerror}") from error
        return self._answer()

    def end(self) -> None:
        """Have the clock set right; returns once it is."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.read()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _TIMEOUT_S)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            said = self._process.stderr.read() if ready else b"no answer"
            raise Refused(said.decode(errors="replace").strip()[-300:] or "it ended")
        answer: dict[str, Any] = json.loads(line)
        if "refused" in answer:
            raise Refused(answer["refused"])
        clock: dict[str, Any] = answer["clock"]
        return clock
