"""What an anomaly or a consistency model means: the shape in which packages of checkers tell it.

The command line shows explanations and knows nothing of checkers, so they come by the plug-in
table, like checkers themselves: a module's ``EXPLANATIONS`` maps a name to a factory that takes
no argument and returns an :class:`Explanation`. Every example is a record that a named checker
judges as it says, which ``polygraph check --self-test`` and a test try.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Checker, Valid, Verdict


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a notion comes from. ``where`` is a section or chapter, empty for the whole work."""

    authors: str
    year: int
    title: str
    where: str = ""

    def __str__(self) -> str:
        """``Authors, "Title" (1999), chapter 3``."""
        return f'{self.authors}, "{self.title}" ({self.year})' + (self.where and f", {self.where}")


@dataclass(frozen=True, kw_only=True)
class Example:
    """A small record with the verdict that ``checker`` (with ``options``) must give on it.

    ``checker`` is the name under which ``factory`` is found. ``drawing`` shows the record as
    text, ``legend`` says how to read that; ``record`` makes it and may write files (logs) into
    the folder that it is given. ``expects`` are the types of anomalies told, all of them.
    ``is_history`` is false where it needs more than a history.
    """

    checker: str
    factory: Callable[[Mapping[str, Any]], Checker]
    drawing: str
    legend: str
    record: Callable[[Path], Record]
    expects: tuple[str, ...] = ()
    valid: Valid = False
    options: Mapping[str, Any] = field(default_factory=dict)
    is_history: bool = True

    def judged(self, factory: Callable[[Mapping[str, Any]], Checker] | None = None) -> Verdict:
        """What the checker says of it (or ``factory``, where that is found under its name)."""
        with tempfile.TemporaryDirectory() as folder:
            record = self.record(Path(folder))
            return (factory or self.factory)(self.options).check(record, Budget.start(60.0))


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One entry of the catalogue.

    ``text`` is plain words; ``models`` are facts about a model by heading (what it forbids, what
    it is weaker than); ``rules_out`` are the weakest models that an anomaly rules out, and
    ``also_rules_out`` the stronger ones; ``names`` are all names of the entry, the first its own.
    """

    kind: Literal["anomaly", "model"]
    names: tuple[str, ...]
    text: str
    examples: tuple[Example, ...] = ()
    rules_out: tuple[str, ...] = ()
    also_rules_out: tuple[str, ...] = ()
    facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()

    @property
    def name(self) -> str:
        """The entry's own name."""
        return self.names[0]
