"""The files of a folder that somebody else may have made: read as data, and nothing is followed.

Run folders are passed around, so what stands in one may be anything: a link to another user's
secret, a FIFO that holds whoever opens it for ever, a device without an end, a gigabyte where a
line is expected. :class:`Folder` opens what is inside step by step with directory descriptors,
passes no link, takes plain files alone and reads no more than it was told. Every refusal is an
``OSError``, so whoever copes with a file that cannot be read copes with these.

The folder itself is what the user named, and may be reached by links.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

MOST_JSON_BYTES: Final = 16 << 20
"""Of a file that becomes Python objects: as such it may take twenty times the room."""
MOST_FILES: Final = 100_000
"""Files and folders that are looked at in one folder, all below it included."""
MOST_DEEP: Final = 32
"""How far down folders in folders are looked into."""
_PIECE: Final = 1 << 20
_LOOK: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS: Final = (
    (stat.S_ISLNK, "a link, which is not followed"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotPlain(OSError):
    """What has the name is a link, a folder, a pipe or a device, or lies behind a link."""


class TooLarge(OSError):
    """The file is larger than what is read of such a file."""


@dataclass(frozen=True)
class Folder:
    """What is inside ``path``. Names are relative to it, ``/`` between their parts.

    Cheap to make; nothing is held open between two calls, and any of them may be made from any
    thread. All raise ``OSError``: ``FileNotFoundError`` where there is nothing of that name,
    :class:`NotPlain` where it is no plain file (or no plain folder is on the way to it).
    ``under`` is a way inside that no link may be on either (:meth:`below`).
    """

    path: Path
    under: str = ""

    def below(self, name: str | PurePosixPath) -> Folder:
        """The folder of that name inside. Unlike the path of it, it never leads out by a link."""
        return Folder(self.path, "/".join([*self._under, *_parts(name)]))

    @property
    def _under(self) -> list[str]:
        return _parts(self.under) if self.under else []

    def open(self, name: str | PurePosixPath) -> BinaryIO:
        """A plain file, to read. Never waits: a pipe is refused before anybody writes to it."""
        *way, last = _parts(name)
        with self._folder(way) as inside:
            return os.fdopen(_open_plain(last, inside, str(name)), "rb")

    def read(self, name: str | PurePosixPath, most_bytes: int) -> bytes:
        """A plain file whole; :class:`TooLarge` if it has more than ``most_bytes``."""
        # Piece by piece: whoever asks for as much as there may be is given the room for it at once.
        data = bytearray()
        with self.open(name) as file:
            while piece := file.read(min(_PIECE, most_bytes + 1 - len(data))):
                data += piece
        if len(data) > most_bytes:
            raise TooLarge(errno.EFBIG, f"is larger than {most_bytes} bytes", str(name))
        return bytes(data)

    def json(self, name: str | PurePosixPath, most_bytes: int = MOST_JSON_BYTES) -> Any:
        """What a plain file of JSON says. ``ValueError`` says why it is none that can be read."""
        return parsed_json(self.read(name, most_bytes))

    def has(self, name: str | PurePosixPath) -> bool:
        """Whether there is a plain file of that name, which is not opened."""
        try:
            return stat.S_ISREG(self.stat(name).st_mode)
        except OSError:
            return False

    def stat(self, name: str | PurePosixPath) -> os.stat_result:
        """Size, times and owner of a plain file, which is not opened."""
        *way, last = _parts(name)
        with self._folder(way) as inside:
            found = os.stat(last, dir_fd=inside, follow_symlinks=False)
        _refuse_odd(found, str(name))
        return found

    def folders(self, most: int = MOST_FILES) -> list[str]:
        """The names of the folders directly inside, in order; links to some are none."""
        with self._folder([]) as inside, os.scandir(inside) as entries:
            found = [
                entry.name for entry in islice(entries, most) if entry.is_dir(follow_symlinks=False)
            ]
        return sorted(found)

    def changed_s(self) -> float:
        """When something was last put into the folder or taken out of it."""
        with self._folder([]) as inside:
            return os.fstat(inside).st_mtime

    def files(
        self,
        under: str = "",
        most: int = MOST_FILES,
        enters: Callable[[str], bool] = lambda _: True,
    ) -> Iterator[str]:
        """The names of the plain files below ``under``, in order; of nothing, if it is not there.

        What else is there (links, pipes, folders of others) is passed over. ``most`` bounds what
        is looked at, and ``enters`` says by its name whether a folder is looked into.
        """
        look = _Look(most, enters)
        try:
            with self._folder(_parts(under) if under else []) as inside:
                yield from look.below(inside, under, MOST_DEEP)
        except OSError:
            return

    def odd_ones(self, under: str = "", most: int = MOST_FILES) -> Iterator[str]:
        """The names of what :meth:`files` passes over: links, pipes, sockets and devices."""
        look = _Look(most, lambda _: True, wants_odd=True)
        try:
            with self._folder(_parts(under) if under else []) as inside:
                yield from look.below(inside, under, MOST_DEEP)
        except NotPlain:
            yield under
        except OSError:
            return

    def write(self, name: str | PurePosixPath, data: bytes, *, mode: int = 0o666) -> None:
        """Write a file so that a reader sees the old one or the whole new one, never a part.

        Folders on the way are made; a link on the way is refused, one of that name replaced.
        ``mode`` is what it may be before the umask.
        """
        *way, last = _parts(name)
        with self._folder(way, make=True) as inside:
            temporary = f".{last}.{secrets.token_hex(4)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with os.fdopen(os.open(temporary, flags, mode, dir_fd=inside), "wb") as out:
                    out.write(data)
                os.replace(temporary, last, src_dir_fd=inside, dst_dir_fd=inside)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=inside)
                raise

    @contextlib.contextmanager
    def _folder(self, way: list[str], *, make: bool = False) -> Iterator[int]:
        """A descriptor of the folder inside that the parts of ``way`` lead to."""
        number = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for step in [*self._under, *way]:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(step, dir_fd=number)
                following = _open_folder(step, number, "/".join(way))
                os.close(number)
                number = following
            yield number
        finally:
            os.close(number)


def parsed_json(data: bytes | str) -> Any:
    """``data`` as JSON; ``ValueError`` also where it is nested or long beyond what Python reads."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def parsed_toml(data: bytes | str) -> dict[str, Any]:
    """``data`` as TOML; ``ValueError`` also where it is nested or long beyond what can be used."""
    import tomllib

    try:
        table = tomllib.loads(data if isinstance(data, str) else data.decode("utf-8"))
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    waiting: list[Any] = [table]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict | list):
            waiting.extend(part.values() if isinstance(part, dict) else part)
        elif isinstance(part, int) and not -(2**63) <= part < 2**63:
            raise ValueError("has a whole number of more than 64 bits")
    return table


def _parts(name: str | PurePosixPath) -> list[str]:
    parts = list(PurePosixPath(name).parts)
    if not parts or PurePosixPath(name).is_absolute() or ".." in parts or "\0" in str(name):
        raise NotPlain(errno.EINVAL, "leads out of the folder", str(name))
    return parts


def _open_plain(name: str, inside: int, shown: str) -> int:
    # Looked at before it is opened: to open a device may already do something.
    _refuse_odd(os.stat(name, dir_fd=inside, follow_symlinks=False), shown)
    number = os.open(name, _LOOK | os.O_NONBLOCK, dir_fd=inside)
    try:
        _refuse_odd(os.fstat(number), shown)
        os.set_blocking(number, True)
    except BaseException:
        os.close(number)
        raise
    return number


def _open_folder(name: str, inside: int, shown: str) -> int:
    try:
        return os.open(name, _LOOK | os.O_DIRECTORY, dir_fd=inside)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        found = os.stat(name, dir_fd=inside, follow_symlinks=False)
        why = "lies behind a link, which is not followed" if stat.S_ISLNK(found.st_mode) else None
        raise NotPlain(error.errno, why or "lies in what is no folder", shown) from None


def _refuse_odd(found: os.stat_result, shown: str) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    kind = next((words for fits, words in _KINDS if fits(found.st_mode)), "no plain file")
    raise NotPlain(errno.EINVAL, f"is {kind}", shown)


class _Look:
    """One look at all that lies below a folder; ``left`` is what may still be looked at."""

    def __init__(
        self, left: int, enters: Callable[[str], bool], *, wants_odd: bool = False
    ) -> None:
        self.left = left
        self.enters = enters
        self.wants_odd = wants_odd

    def below(self, inside: int, under: str, deep: int) -> Iterator[str]:
        with os.scandir(inside) as entries:
            found = sorted(islice(entries, self.left), key=lambda entry: entry.name)
        self.left -= len(found)
        for entry in found:
            name = f"{under}/{entry.name}" if under else entry.name
            try:
                if entry.is_file(follow_symlinks=False):
                    if not self.wants_odd:
                        yield name
                elif deep > 0 and entry.is_dir(follow_symlinks=False) and self.enters(name):
                    number = _open_folder(entry.name, inside, name)
                    try:
                        yield from self.below(number, name, deep - 1)
                    finally:
                        os.close(number)
                elif self.wants_odd and not entry.is_dir(follow_symlinks=False):
                    yield name
            except OSError:  # it went meanwhile, or is not ours to read
                continue
