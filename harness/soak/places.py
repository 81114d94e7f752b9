"""Where the runs of a soak happen, and what the loop is told when one has ended.

Here (:mod:`harness.soak.here`), each a process of its own, or on the workers of a scheduler
(:mod:`harness.soak.scheduled`). The loop alone decides which run is next and writes the book.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.soak.book import Entry

NO_WORDS = "the run's process died without a word"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What became of one run.

    ``status`` is the exit code of its process, negative for a signal; ``told`` what it left to say
    (exit, run_dir, verdict, message, reproduce), empty if it died first; ``words`` its last line;
    ``trouble`` why it was ended from outside. ``worker`` is where it was made, if not here, and
    ``lost`` are the workers that had begun it and were gone before it ended.
    """

    number: int
    status: int
    told: Mapping[str, Any]
    words: str
    seconds: float
    trouble: str = ""
    worker: str = ""
    lost: Sequence[str] = field(default_factory=tuple)
    is_taken_back: bool = False


class Place(Protocol):
    """Starts runs, and tells how each has ended. Used by one thread."""

    def room(self) -> int:
        """How many runs it can have under way at once, now."""
        ...

    def start(self, begun: Entry, scenario: Mapping[str, Any]) -> None:
        """Begin a run of ``scenario`` with the seed of ``begun``."""
        ...

    def ended(self, wait_s: float) -> Sequence[Ending]:
        """The runs that ended, as soon as there is one, at the latest after ``wait_s``.

        What takes longer than its hard limit is ended, and its ending says so.
        """
        ...

    def stop(self) -> None:
        """Ask the runs under way to stop cleanly; each still has its ending."""
        ...

    def close(self) -> None:
        """End at once what is still under way. Safe twice."""
        ...


def last_words(data: bytes) -> str:
    """The last line that a run said, one of ours if there is any."""
    lines = data.decode("utf-8", "replace").strip().splitlines()
    ours = [line.removeprefix("polygraph: ") for line in lines if line.startswith("polygraph: ")]
    return next(reversed(ours or lines), NO_WORDS)
