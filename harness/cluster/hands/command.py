"""One command on a host as if it were typed there: no child of a keeper, and not ended with it.

Executed like :mod:`harness.cluster.hands.arrival`. Settings, one line of JSON: ``argv``,
``limit_s``. The answer is one line of JSON: ``exit`` (``null`` where it did not end in time; it
then goes on) with ``said`` (the end of its outputs), or ``error``. What it starts has none of our
marks in its environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

_MOST_SAID_BYTES = 2000


def execute(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Do what the settings say."""
    settings = json.loads(stdin.readline())
    try:
        answer = _run(settings["argv"], settings["limit_s"])
    except OSError as error:
        answer = {"error": f"{error.strerror}: {settings['argv'][0]}"}
    stdout.write(json.dumps(answer).encode() + b"\n")
    stdout.flush()


def _run(argv: list[str], limit_s: float) -> dict[str, Any]:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
            cwd="/",
        )
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = None
        size = os.fstat(said.fileno()).st_size
        start = max(0, size - _MOST_SAID_BYTES)
        text = os.pread(said.fileno(), _MOST_SAID_BYTES, start).decode(errors="replace")
        return {"exit": code, "said": text.strip()}


if __name__ == "__main__":
    execute(sys.stdin.buffer, sys.stdout.buffer)
