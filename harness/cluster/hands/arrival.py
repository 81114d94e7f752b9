"""The first thing executed on a host: unpacks the rest, finds or starts the keeper, relays to it.

Its source comes over standard input of a bare ``python3 -c`` and is executed as ``__main__``.
Next come settings, one line of JSON: ``base`` (where runs keep their folders; empty for the
usual place), ``name`` (of the node's folder), ``run`` (whose it is, written there when it is made;
a folder of another's is refused), ``files`` (name to text, the package ``hands``),
``boot_id`` (of the boot that the controller knows, or ``""``) and ``must_exist`` (make nothing).
The answer is one line of JSON with one key: ``met`` (the folder; relaying from now on),
``refused``, ``rebooted`` or ``nothing``.

The keeper lives in a session of its own and outlives the connection; a second arrival meets the
same one. The folder is under ``/var/tmp``, which by custom is a real disk: an fsync there is one.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import stat
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, NoReturn

_LEAST_PYTHON = (3, 7)
_START = "import sys; sys.path.insert(0, sys.argv[1]); from hands import keeper; keeper.main()"


class Refused(Exception):
    """This host cannot be used; says why."""


def arrive(stdin: BinaryIO) -> None:
    """Meet the keeper, as the settings say, and relay until either side ends."""
    settings = json.loads(stdin.readline())
    try:
        root, connection = _meet(settings)
    except Refused as refusal:
        _say({"refused": str(refusal)})
    except OSError as error:
        _say({"refused": f"{error.strerror}: {error.filename}" if error.filename else str(error)})
    else:
        if connection is not None:
            _say({"met": root})
            _relay(connection)


def _meet(settings: dict[str, Any]) -> tuple[str, socket.socket | None]:
    if sys.version_info[:2] < _LEAST_PYTHON:
        raise Refused(f"its python3 is {sys.version.split()[0]}, 3.7 or later is needed")
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot_id = file.read().strip()
    if settings["boot_id"] not in ("", boot_id):
        _say({"rebooted": boot_id})
        return "", None
    base = settings["base"] or f"/var/tmp/polygraph-{os.geteuid()}"
    root = os.path.join(base, settings["name"])
    if settings["must_exist"] and not os.path.isdir(root):
        _say({"nothing": True})
        return "", None
    _make_base(base)
    is_new = not os.path.isdir(root)
    _refuse_anothers(root, settings["run"])
    try:
        _unpack(root, settings["files"])
        if is_new:
            _write(os.path.join(root, "run"), settings["run"])
        return root, _connect(root) or _start_keeper(root)
    except BaseException:
        if is_new:
            shutil.rmtree(root, ignore_errors=True)
        raise


def _make_base(base: str) -> None:
    """The folder of this user's runs: private, though ``/var/tmp`` is anybody's."""
    os.makedirs(base, mode=0o700, exist_ok=True)
    found = os.lstat(base)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise Refused(f"{base} is not a folder that only this user can write")


def _refuse_anothers(root: str, run: str) -> None:
    """A folder of this name must be a plain one of ours; one that says whose it is, of this run."""
    try:
        found = os.lstat(root)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise Refused(f"{root} is not a folder of this user's")
    try:
        with open(os.path.join(root, "run"), encoding="utf-8", errors="replace") as file:
            said = file.read()
    except FileNotFoundError:
        return  # made by an earlier version, or by one that was killed at that very moment
    if said != run:
        raise Refused(f"{root} is of the run {said}")


def _write(path: str, text: str) -> None:
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)


def _unpack(root: str, files: dict[str, str]) -> None:
    for folder in ("data", "logs", "keeper/hands"):
        os.makedirs(os.path.join(root, folder), mode=0o700, exist_ok=True)
    for name, text in files.items():
        _write(os.path.join(root, "keeper", "hands", name), text)


def _connect(root: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(os.path.join(root, "keeper.socket"))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def _start_keeper(root: str) -> socket.socket:
    """Start it and wait until it listens, or has left that to one that was there before it."""
    readable, writable = os.pipe()
    interpreter = [sys.executable, "-I", "-S", "-c"]
    with open(os.path.join(root, "keeper.log"), "ab") as log:
        subprocess.Popen(
            [*interpreter, _START, os.path.join(root, "keeper"), root, str(writable)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=root,
            pass_fds=[writable],
            start_new_session=True,
        )
    os.close(writable)
    os.read(readable, 1)
    os.close(readable)
    connection = _connect(root)
    if connection is None:
        with open(os.path.join(root, "keeper.log"), encoding="utf-8", errors="replace") as log:
            raise Refused(f"its keeper does not start: {log.read()[-500:].strip()}")
    return connection


def _say(body: dict[str, Any]) -> None:
    os.write(1, json.dumps(body).encode() + b"\n")


def _relay(connection: socket.socket) -> NoReturn:
    """Bytes both ways, until one side ends."""
    ends = {0: connection.fileno(), connection.fileno(): 1}
    poll = select.poll()
    for source in ends:
        poll.register(source, select.POLLIN)
    while True:
        for source, _ in poll.poll():
            data = os.read(source, 65536)
            if not data:
                os._exit(0)
            while data:
                data = data[os.write(ends[source], data) :]


if __name__ == "__main__":
    arrive(sys.stdin.buffer)
