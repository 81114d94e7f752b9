"""Puts entries of the catalogue together: examples by notation, and which models are ruled out.

What an anomaly rules out is never written down here: it follows from the lattice
(:mod:`checkers.proof.models`) where the name is one of the lattice's, and else from the verdict of
the checker on the entry's first example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any, Final, Protocol

from checkers.explained import notation
from checkers.explained.sources import sources
from checkers.isolation.list_append.checker import ListAppend
from checkers.isolation.rw_register.checker import RwRegister
from checkers.linearizable import Linearizable
from checkers.proof.models import boundary, impossible
from harness.verdict.explanation import Example, Explanation
from harness.verdict.record import Record
from harness.verdict.verdict import Checker

Catalogue = dict[str, Callable[[], Explanation]]

_LANES: Final = (
    "One line a process, time from left to right; [ is sent, ] answered, ! failed, ? never known."
)
LISTS: Final = f"{_LANES} ax1 appends 1 to list x, rx12 reads it as 1, 2, rx as empty."
REGISTERS: Final = f"{_LANES} wx1 writes 1 to register x, rx1 reads 1 there, rx_ nothing."
ONE_REGISTER: Final = f"{_LANES} w1 writes 1, r1 reads 1, c1>2 replaces 1 by 2."
SCRIPT: Final = (
    "One line an operation, in the order of time: the process, what it asks, and after = the"
    " answer; ! failed, ? never known. A + line is only sent, a - line its answer."
)


class Named(Protocol):
    """A checker's class: it has the name under which it is found."""

    name: str

    def __call__(self, options: Mapping[str, Any]) -> Checker:
        """The checker with its options."""
        ...


def lists(drawing: str, *expects: str, models: str = "", **options: Any) -> Example:
    """Transactions over lists, judged by ``list-append`` against ``models`` (with commas).

    Without ``models``: against the weakest that the first anomaly rules out.
    """
    asked = _asked(models, expects) | options
    return _lanes(drawing, notation.lists, LISTS, ListAppend, expects, asked)


def elle_registers(drawing: str, *expects: str, models: str = "", **options: Any) -> Example:
    """Transactions over registers, judged by ``rw-register``."""
    asked = _asked(models, expects) | options
    return _lanes(drawing, notation.registers, REGISTERS, RwRegister, expects, asked)


def registers(checker: Named, drawing: str, *expects: str, **options: Any) -> Example:
    """Transactions over registers, judged by another checker."""
    return _lanes(drawing, notation.registers, REGISTERS, checker, expects, options)


def register(drawing: str, *expects: str) -> Example:
    """Operations on one register, judged by ``linearizable``."""
    return _lanes(drawing, notation.register, ONE_REGISTER, Linearizable, expects, {})


def script(
    checker: Named,
    text: str,
    *expects: str,
    header: Mapping[str, Any] | None = None,
    **options: Any,
) -> Example:
    """A script, judged by ``checker``; ``header`` holds fields of the history's header."""
    told = dedent(text).strip()
    return Example(
        checker=checker.name,
        factory=checker,
        drawing=told,
        legend=SCRIPT + (f" Header: {dict(header)}." if header else ""),
        record=lambda folder: Record(history=notation.scripted(told, **(header or {}))),
        expects=expects,
        options=options,
    )


def run(
    checker: Named,
    text: str,
    record: Callable[[Path], Record],
    *expects: str,
    **options: Any,
) -> Example:
    """A record that holds more than a history; ``text`` tells it in words."""
    return Example(
        checker=checker.name,
        factory=checker,
        drawing=dedent(text).strip(),
        legend="",
        record=record,
        expects=expects,
        options=options,
        is_history=False,
    )


def _asked(models: str, expects: tuple[str, ...]) -> dict[str, Any]:
    claims = tuple(models.split(",")) if models else boundary(expects[:1])[0][:1]
    return {"claims": claims}


def _lanes(
    drawing: str,
    words: notation.Words,
    legend: str,
    checker: Named,
    expects: tuple[str, ...],
    options: Mapping[str, Any],
) -> Example:
    told = dedent(drawing).strip("\n")
    return Example(
        checker=checker.name,
        factory=checker,
        drawing=told,
        legend=legend,
        record=lambda folder: Record(history=notation.lanes(told, words)),
        expects=expects,
        options=options,
    )


def anomaly(
    name: str, text: str, *examples: Example, papers: str, other: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], Callable[[], Explanation]]:
    """An entry for the catalogue; ``papers`` are names of sources, with commas."""
    names = (name, *other)
    return names, partial(_anomaly, names, " ".join(text.split()), examples, papers)


def _anomaly(
    names: tuple[str, ...], text: str, examples: tuple[Example, ...], papers: str
) -> Explanation:
    weakest, stronger = ruled_out(names[0], examples)
    return Explanation(
        kind="anomaly",
        names=names,
        text=text,
        examples=examples,
        rules_out=weakest,
        also_rules_out=stronger,
        sources=sources(*(paper.strip() for paper in papers.split(","))),
    )


def ruled_out(name: str, examples: tuple[Example, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The weakest models that an anomaly rules out, and the stronger ones."""
    if impossible([name]) or not examples:
        return boundary([name])
    verdict = examples[0].judged()
    return verdict.not_, verdict.also_not


def table(*entries: tuple[tuple[str, ...], Callable[[], Explanation]]) -> Catalogue:
    """Entries by each of their names."""
    return {name: factory for names, factory in entries for name in names}
