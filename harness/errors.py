"""Every error that Polygraph raises on purpose, and the exit code that each one ends in.

    PolygraphError
    ├── UsageError            4   the request cannot be understood or is impossible
    │   └── HistoryError      4   a file that is not a readable history (names line and column)
    ├── SetupError            3   the cluster or the system could not be brought up
    │   ├── NeedsError        3   this machine lacks something; says what would change that
    │   ├── NotReady          3   the system did not get ready in the time it was given
    │   └── NodeError         3   one node failed; names it
    ├── HealError             3   a fault could not be undone; says what is left and how to end it
    └── StoreError            3   the store cannot be written (disk full, no permission);
                                  cannot_write says what would help, by the number of the error

What a *client operation* became is not told by these: see :mod:`harness.contract.client`, whose
``Failed`` and ``Indeterminate`` become ``fail`` and ``info`` in the history.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Mapping, Sequence
from typing import Final

from harness.wording import shown

EXIT_VALID = 0
EXIT_INVALID = 1
EXIT_UNKNOWN = 2
EXIT_INFRASTRUCTURE = 3
EXIT_USAGE = 4
EXIT_INTERRUPTED = 130


class PolygraphError(Exception):
    """Something went wrong in a way that has one clear message.

    ``message`` says what happened and where; ``hint`` says what to try next.
    """

    exit_code = EXIT_INFRASTRUCTURE

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message}\n  try: {hint}")
        self.message = message
        self.hint = hint


class UsageError(PolygraphError):
    """The command, option, scenario or plug-in name is wrong or impossible in combination."""

    exit_code = EXIT_USAGE


class HistoryError(UsageError):
    """A file is not a history that can be judged; the message names line, column or operation."""


class SetupError(PolygraphError):
    """The cluster or system under test did not come up; nothing is judged."""


class NeedsError(SetupError):
    """The machine lacks a permission, program or kernel feature; ``hint`` says how to get it."""


class NotReady(SetupError):
    """The system under test did not get ready in time, or its nodes do not agree.

    After the faults are healed this, and nothing else, is held against the system.
    """


class NodeError(SetupError):
    """One node failed to do what it was told; the message starts with its name."""


class HealError(PolygraphError):
    """A fault is still in force; the message says which, the hint how to end it by hand."""


class StoreError(PolygraphError):
    """The run folder cannot be written."""


_ELSEWHERE: Final = "--store DIR (or -o where there is one) for another place"
_ADVICE: Final[Mapping[int, str]] = {
    errno.ENOSPC: f"free some space, or {_ELSEWHERE}",
    errno.EDQUOT: f"your quota is used up: remove what is not needed, or {_ELSEWHERE}",
    errno.EFBIG: "the file is larger than it may be here (ulimit -f, or the file system)",
    errno.EACCES: f"as a user who may write there, or {_ELSEWHERE}",
    errno.EPERM: f"as a user who may write there, or {_ELSEWHERE}",
    errno.EROFS: f"what is mounted there is read only: {_ELSEWHERE}",
    errno.ENAMETOOLONG: "a shorter name",
    errno.ENOTDIR: f"something on the way there is a file, no folder: {_ELSEWHERE}",
    errno.EEXIST: f"a file of that name is in the way: {_ELSEWHERE}",
    errno.EISDIR: "it is a folder; give the name of a file",
    errno.ENOENT: "a folder on the way there is missing; make it",
    errno.ELOOP: "a link on the way there leads nowhere, or is not to be followed; remove it",
    errno.EMFILE: "too many files are open: ulimit -n with a larger number",
    errno.ENFILE: "this machine has too many files open: end something",
    errno.EIO: "the disk, or what is mounted there, does not work: see dmesg",
    errno.ETXTBSY: "somebody runs it just now: end that first",
}
"""What to try, by the number of the error; no advice fits another."""


def advice_for(error: OSError) -> str | None:
    """What to try where the machine refused to write; ``None`` where nothing is known to help."""
    return _ADVICE.get(error.errno or 0)


def cannot_write(what: str, error: OSError, beside: str = "") -> StoreError:
    """``what`` ("cannot write PATH") with the machine's reason, and the advice that fits it.

    ``beside`` says what else there is to know.
    """
    hint = "; ".join(filter(None, (advice_for(error), beside)))
    return StoreError(f"{what}: {error.strerror or error}", hint or None)


def unknown_name(what: str, name: str, names: Sequence[str], errors: Sequence[str] = ()) -> str:
    """A sentence that says that ``name`` is not known, with the nearest names."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    guess = f"; did you mean {' or '.join(near)}?" if near else ""
    known = f" (known: {', '.join(names)})" if names else ""
    broken = f"; not loaded: {'; '.join(errors)}" if errors else ""
    return f"there is no {what} called {shown(name)}{guess}{known}{broken}"
