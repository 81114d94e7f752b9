"""One file to or from a host, on a channel of its own so that commands need not wait for it.

Executed like :mod:`harness.cluster.hands.arrival`. Settings, one line of JSON: ``path``, and
either ``get`` (from which byte on; -1 is its end) or ``put`` (how many bytes follow) with ``mode``;
or ``hash``. With ``get`` may come ``inode``: another file by then, or a shorter one, is read from
its beginning. Or ``argv``, a short command, whose output is got. The answer is one line of JSON
with ``size`` (bytes that follow, or were written), beside a file that is got ``start`` and
``inode``, or ``sha256`` or ``error``. A file is put in place whole: a half-written program is never
executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

_CHUNK_BYTES = 1 << 18
_LIMIT_S = 20.0
_MOST_SAID = 500


def transfer(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Do what the settings say."""
    settings = json.loads(stdin.readline())
    try:
        if "put" in settings:
            _say(stdout, {"size": _put(settings, stdin)})
        elif "argv" in settings:
            _output(settings["argv"], stdout)
        elif "get" in settings:
            _get(settings, stdout)
        else:
            _say(stdout, {"sha256": _hash(settings["path"])})
    except subprocess.TimeoutExpired:
        _say(stdout, {"error": f"{settings['argv'][0]} has not ended after {_LIMIT_S:g} s"})
    except OSError as error:
        what = settings["path"] if "path" in settings else settings["argv"][0]
        _say(stdout, {"error": f"{error.strerror}: {what}"})
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
        found, start = os.fstat(file.fileno()), settings["get"]
        if start < 0:
            start = found.st_size
        elif found.st_ino != settings.get("inode", found.st_ino) or (
            "inode" in settings and found.st_size < start
        ):
            start = 0
        size = max(0, found.st_size - start)
        file.seek(start)
        _say(stdout, {"size": size, "start": start, "inode": found.st_ino})
        while size:
            data = file.read(min(size, _CHUNK_BYTES))
            # Cut off meanwhile: what was promised is sent, so that the reader does not hang.
            data = data or bytes(min(size, _CHUNK_BYTES))
            stdout.write(data)
            size -= len(data)


def _output(argv: list[str], stdout: BinaryIO) -> None:
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_LIMIT_S,
    )
    if done.returncode != 0:
        why = done.stderr.decode(errors="replace").strip()[:_MOST_SAID]
        _say(stdout, {"error": f"{argv[0]} ended with {done.returncode}: {why}"})
        return
    _say(stdout, {"size": len(done.stdout)})
    stdout.write(done.stdout)


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
