"""Sealing: what happens to a history when its run is over.

The plain ``history.jsonl`` is compressed (zstd where the package is there, else gzip). Every step
is atomic (a temporary file, ``fsync``, ``rename``), and the plain file goes last: whenever the
machine dies, one whole history is there. Nothing derived from it is kept beside it: whoever reads
a run would have to believe that copy (an old run's ``history.npz`` is left unread).

A run whose history is still plain was not sealed, so it did not end properly: such a history is
*partial*. It is judged all the same, and the verdict says so.

Cost: 0.3 us a record.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from harness.errors import HistoryError, cannot_write
from harness.store.untrusted import Folder

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

PLAIN: Final = "history.jsonl"
SEALED: Final = ("history.jsonl.zst", "history.jsonl.gz")
JEPSEN: Final = ("history.edn", "history.edn.gz", "history.edn.zst", "history.txt", "jepsen.log")
"""What a folder of Jepsen's own store keeps its history in, the most exact one first."""
_RUN_MARK: Final = "scenario.toml"
_CHUNK: Final = 1 << 20


def find_history(run_dir: Path) -> Path:
    """The file that holds the history of a run: :func:`history_in` it, as a path."""
    return run_dir / history_in(run_dir)


def history_in(run_dir: Path) -> str:
    """The name of the history of a run: sealed if it was sealed, else the plain one.

    A folder of Jepsen's store will do too. Raises ``HistoryError`` if there is none, and where a
    link or a pipe has its name.
    """
    folder = Folder(run_dir)
    for name in (*SEALED, PLAIN, *SEALED, *JEPSEN):  # sealed meanwhile, if not plain any more
        try:
            folder.stat(name)
        except FileNotFoundError:
            continue
        except OSError as error:
            hint = "copy the file itself into the folder, or give its own path"
            raise HistoryError(f"{run_dir / name}: {error.strerror}", hint) from error
        return name
    raise HistoryError(
        f"{run_dir}: no history in this folder",
        "give a run folder (store/SYSTEM/WORKLOAD/TIME), one of Jepsen's store, or a history file",
    )


def is_unsealed(path: Path) -> bool:
    """Whether ``path`` is the history of a run that did not come to seal it."""
    return path.name == PLAIN and (path.parent / _RUN_MARK).is_file()


def seal(run_dir: Path) -> Path:
    """Compress the history of ``run_dir`` and return the sealed file.

    Safe to repeat, also after a crash in the midst of it, and where several seal at once (a run
    whose front dies while it seals): each waits for the one before. Raises ``StoreError`` if the
    store cannot be written (the plain history is then still whole), ``HistoryError`` without a
    history.
    """
    plain = run_dir / PLAIN
    sealed = run_dir / SEALED[0 if importlib.util.find_spec("zstandard") else 1]
    with _one_at_a_time(run_dir):
        if not plain.is_file():
            return find_history(run_dir)
        try:
            with _replacing(sealed) as out:
                _compress(plain, out, sealed.suffix)
            plain.unlink()
            _sync_folder(run_dir)
        except OSError as error:
            whole = f"{plain} is whole and can be judged as it is"
            raise cannot_write(f"{sealed}: the history cannot be sealed", error, whole) from error
    return sealed


@contextlib.contextmanager
def _one_at_a_time(run_dir: Path) -> Iterator[None]:
    """Holds off whoever else seals ``run_dir``, in any thread or process, until it is let go."""
    try:
        number = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # there is nothing to seal, which is told where it is looked for
        yield
        return
    try:
        with contextlib.suppress(OSError):  # on a file system without locks, as before
            fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _compress(plain: Path, out: BinaryIO, suffix: str) -> None:
    with plain.open("rb") as source, _compressor(out, suffix) as target:
        shutil.copyfileobj(source, target, _CHUNK)


def _compressor(
    out: BinaryIO, suffix: str
) -> contextlib.AbstractContextManager[SupportsWrite[bytes]]:
    if suffix == ".gz":
        return gzip.GzipFile(PLAIN, "wb", compresslevel=6, fileobj=out, mtime=0)
    import zstandard

    return zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(out, closefd=False)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that becomes ``path`` when all of it is on disk, and nothing if that fails."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
