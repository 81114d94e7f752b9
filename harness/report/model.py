"""What a run folder holds, read as far as it can be read.

A report is wanted most where something went wrong, so every part may be missing, torn or odd:
a killed run has no verdict, an imported history has no ledger. Whatever cannot be read becomes a
notice on the page; only a folder that does not exist is an error. The folder may be a stranger's:
plain files inside it alone are opened, no link is followed, and each is read to a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from harness.errors import PolygraphError, UsageError
from harness.history.bounds import USUAL, Bounds
from harness.history.history import History
from harness.history.ledger import LedgerEntry, entries_of
from harness.history.reader import read_history
from harness.report.bands import Band, bands_of_history, bands_of_ledger
from harness.report.display import visible
from harness.report.intervals import Calls, pair_calls
from harness.store.untrusted import Folder, parsed_json, parsed_toml
from harness.verdict.record import odd_logs

MOST_PART_BYTES: Final = 64 << 20
"""Of a verdict, a ledger or the evidence."""
MOST_SCENARIO_BYTES: Final = 1 << 20

_Part = TypeVar("_Part")


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything the page shows, as read; absent parts are empty and named in ``notices``."""

    folder: Path
    inside: Folder
    verdict: Mapping[str, Any]
    scenario: Mapping[str, Any]
    scenario_text: str
    evidence: Mapping[str, Any]
    calls: Calls
    bands: list[Band]
    has_ledger: bool
    notices: list[str] = field(default_factory=list)

    @property
    def history(self) -> History:
        """The history (an empty one where there is none)."""
        return self.calls.history

    @property
    def last_ns(self) -> int:
        """Time of the last record, 0 where the history has no times."""
        operations = self.history.operations
        return max((operations[-1].time if operations and self.calls.is_timed else 0), 0)

    @property
    def start_wall_ns(self) -> int | None:
        """Wall time of the run's start, if the header tells."""
        return self.history.header.start_wall_ns


def read_run(
    folder: Path | Folder, bounds: Bounds = USUAL, *, history: History | None = None
) -> Run:
    """Read every part of ``folder``, a history within ``bounds``, unless it is at hand already.

    Raises :class:`UsageError` only if it is not a folder.
    """
    inside = folder if isinstance(folder, Folder) else Folder(folder)
    path = inside.path / inside.under
    if not path.is_dir():
        raise UsageError(f"{path} is not a run folder", "polygraph list shows the runs there are")
    notices: list[str] = []
    history = _history(path, notices, bounds) if history is None else history
    calls = pair_calls(history)
    last_ns = max((operation.time for operation in history.operations[-1:]), default=0)
    ledger = _attempt(inside, "faults.jsonl", _read_ledger, notices)
    bands = bands_of_history(history, last_ns) if ledger is None else []
    left_out = odd_logs(inside)
    if left_out is not None:
        notices.append(left_out)
    return Run(
        folder=path,
        inside=inside,
        verdict=_attempt(inside, "verdict.json", _read_object, notices) or {},
        scenario=_attempt(inside, "scenario.toml", _read_toml, notices) or {},
        scenario_text=_attempt(inside, "scenario.toml", _read_text, []) or "",
        evidence=_attempt(inside, "evidence/run.json", _read_object, notices) or {},
        calls=calls,
        bands=bands if ledger is None else bands_of_ledger(ledger, last_ns),
        has_ledger=ledger is not None,
        notices=notices,
    )


def _history(folder: Path, notices: list[str], bounds: Bounds) -> History:
    try:
        history = read_history(folder, bounds=bounds)
    except (OSError, ValueError, EOFError, RecursionError, PolygraphError) as error:
        notices.append(f"No operations can be shown. {_said(error, folder)}")
        return History([])
    notices.extend(_said(notice, folder) for notice in history.notices)
    return history


def _said(message: object, folder: Path) -> str:
    """A message without the folder's own address, which means nothing to another reader."""
    text = message.message if isinstance(message, PolygraphError) else str(message)
    return visible(text.replace(f"{folder}/", "").replace(str(folder), "this folder"), 1000)


def _attempt(
    inside: Folder, name: str, read: Callable[[Folder, str], _Part], notices: list[str]
) -> _Part | None:
    """``read(inside, name)``, or ``None`` with a notice where it is there but unreadable."""
    try:
        return read(inside, name)
    except FileNotFoundError:
        return None
    except OSError as error:
        notices.append(f"{name.split('/')[-1]} could not be read: {error.strerror or error}")
    except (ValueError, EOFError, RecursionError, PolygraphError) as error:
        notices.append(f"{name.split('/')[-1]} could not be read: {_said(error, inside.path)}")
    return None


def _read_text(inside: Folder, name: str) -> str:
    return inside.read(name, MOST_SCENARIO_BYTES).decode("utf-8", "replace")


def _read_toml(inside: Folder, name: str) -> dict[str, Any]:
    return parsed_toml(_read_text(inside, name))


def _read_object(inside: Folder, name: str) -> dict[str, Any]:
    found = parsed_json(inside.read(name, MOST_PART_BYTES).decode("utf-8", "replace"))
    if not isinstance(found, dict):
        raise ValueError(f"a JSON object was expected, not {type(found).__name__}")
    return found


def _read_ledger(inside: Folder, name: str) -> list[LedgerEntry]:
    return entries_of(inside.read(name, MOST_PART_BYTES))
