"""How a run ended, as its folder says it: with a verdict, without one, or not yet.

The last word stands in ``evidence/end.json``: ``exit``, ``message`` and ``phase``. A run
that is over and has left none died, and ``run.log`` says where it was.
All of it is read as the data of a stranger.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from harness.errors import StoreError
from harness.store import registration
from harness.store.run_log import is_held
from harness.store.runs import read_json, write_json
from harness.store.untrusted import Folder

END: Final = "end.json"
MOST_LETTERS: Final = 1000


@dataclass(frozen=True)
class Ending:
    """``phase`` is the last one that is known of (may be empty), ``message`` its last word."""

    state: Literal["under way", "ended", "died", "not known"]
    phase: str = ""
    message: str = ""
    exit: int | None = None


def write_end(run_dir: Path, exit_code: int, message: str, phase: str) -> None:
    """Leave the last word of a run; one that cannot be written is left out."""
    told = {"exit": exit_code, "message": message, "phase": phase}
    with contextlib.suppress(StoreError):
        write_json(run_dir / "evidence" / END, told)


def is_under_way(run_dir: Path) -> bool:
    """Whether the run lives, so that its own verdict may still come."""
    return is_held(run_dir) or registration.is_under_way(run_dir)


def ending(run_dir: Path) -> Ending:
    """How the run in this folder ended, if it did."""
    evidence = run_dir / "evidence"
    told = _mapping(read_json(evidence / END))
    seen = _mapping(read_json(evidence / "progress.json"))
    phase = _words(told.get("phase") or seen.get("phase"))
    if told:
        code = told.get("exit")
        return Ending(
            "ended", phase, _words(told.get("message")), code if isinstance(code, int) else None
        )
    if is_under_way(run_dir):
        return Ending("under way", phase)
    return Ending("died" if Folder(run_dir).has("run.log") else "not known", phase)


def why_no_verdict(run_dir: Path) -> str | None:
    """One line on why the run has no verdict; ``None`` if it has one."""
    if Folder(run_dir).has("verdict.json"):
        return None
    found = ending(run_dir)
    at = f" in the phase {found.phase}" if found.phase else ""
    if found.state == "under way":
        return f"it is still under way{at}"
    if found.state == "ended":
        return f"it ended{at} without a verdict: {found.message or 'it does not say why'}"
    if found.state == "died":
        return f"it died{at} without a last word; run.log says what it did until then"
    return "nothing in its folder says how it ended; polygraph check judges what there is"


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _words(value: object) -> str:
    """Text on one line, not endless."""
    return " ".join(value.split())[:MOST_LETTERS] if isinstance(value, str) else ""
