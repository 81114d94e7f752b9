"""Every error that Polygraph raises on purpose, and the exit code that each one ends in.

    PolygraphError
    ├── UsageError            4   the request cannot be understood or is impossible
    │   └── HistoryError      4   a file that is not a readable history (names line and column)
    ├── SetupError            3   the cluster or the system could not be brought up
    │   ├── NeedsError        3   this machine lacks something; says what would change that
    │   ├── NotReady          3   the system did not get ready in the time it was given
    │   └── NodeError         3   one node failed; names it
    ├── HealError             3   a fault could not be undone; says what is left and how to end it
    └── StoreError            3   the store cannot be written (disk full, no permission)

What a *client operation* became is not told by these: see :mod:`harness.client`, whose
``Failed`` and ``Indeterminate`` become ``fail`` and ``info`` in the history.
"""

from __future__ import annotations

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
