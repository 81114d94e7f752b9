"""One file to or from a host, on a channel of its own so that commands need not wait for it.

Executed like :mod:`harness.cluster.hands.arrival`. Settings, one line of JSON: ``path``, and
either ``get`` (from which byte on) or ``put`` (how many bytes follow) with ``mode``; or ``hash``.
The answer is one line of JSON with ``size`` (bytes that follow, or were written), ``sha256`` or
``error``. A file is put in place whole: a half-written program is never executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

_CHUNK_BYTES = 1 << 18


def transfer(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Do what the settings say."""
    settings = json.loads(stdin.readline())
    try:
        if "put" in settings:
            _say(stdout, {"size": _put(settings, stdin)})
        elif "get" in settings:
            _get(settings, stdout)
        else:
            _say(stdout, {"sha256": _hash(settings["path"])})
    except OSError as error:
        _say(stdout, {"error": f"{error.strerror}: {settings['path']}"})
    stdout.flush()


def _put(settings: dict[str, Any], stdin: BinaryIO) -> int:
    left = settings["put"]
    new = settings["path"] + ".new"
    with open(new, "wb") as file:
        while left:
            data = stdin.read(min(left, _CHUNK_BYTES))
            if not data:
                os.unlink(new)
                raise OSError(5, "the connection ended in the middle")
            file.write(data)
            left -= len(data)
        os.fchmod(file.fileno(), settings["mode"])
    os.replace(new, settings["path"])
    return int(settings["put"])


def _get(settings: dict[str, Any], stdout: BinaryIO) -> None:
    with open(settings["path"], "rb") as file:
        size = max(0, os.fstat(file.fileno()).st_size - settings["get"])
        file.seek(settings["get"])
        _say(stdout, {"size": size})
        while size:
            data = file.read(min(size, _CHUNK_BYTES))
            # Cut off meanwhile: what was promised is sent, so that the reader does not hang.
            data = data or bytes(min(size, _CHUNK_BYTES))
            stdout.write(data)
            size -= len(data)


def _hash(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        shutil.copyfileobj(file, _Sink(digest), _CHUNK_BYTES)
    return digest.hexdigest()


class _Sink:
    def __init__(self, digest: Any) -> None:
        self.write = digest.update


def _say(stdout: BinaryIO, body: dict[str, Any]) -> None:
    stdout.write(json.dumps(body).encode() + b"\n")


if __name__ == "__main__":
    transfer(sys.stdin.buffer, sys.stdout.buffer)
