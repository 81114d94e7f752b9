"""A matrix: the cells of a soak, one for each choice of systems, workloads, faults and options.

``--matrix workload=bank,register nemesis=kill,kill+pause``, or in a scenario's file a table
``[matrix]`` of lists. Every choice of one value for each key is a cell with a name, in the order of
the keys, the last one changing fastest. :func:`chosen` takes those that an expression names, as
pytest's ``-k`` does: words in the cell's name, ``and``, ``or``, ``not`` and parentheses.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.wording import shown

MOST_CELLS = 1000
_WORD = re.compile(r"\(|\)|[^\s()]+")


class Cell(msgspec.Struct, frozen=True):
    """One choice: how it is called, and the flat table of its runs without the seed."""

    name: str
    scenario: dict[str, Any]


Axes = Mapping[str, Sequence[Any]]


def axes_of(words: Sequence[str]) -> dict[str, list[str]]:
    """``workload=a,b`` as a key with its values; a ``+`` in a value is a comma of its own."""
    axes: dict[str, list[str]] = {}
    for word in " ".join(words).split():
        key, sign, values = word.partition("=")
        key = key.strip("-").replace("-", "_")
        if not sign or not key:
            raise UsageError(
                f"--matrix: {shown(word)} is not KEY=VALUE,VALUE", "workload=bank,register"
            )
        if key in axes:
            raise UsageError(f"--matrix: {key} is there twice")
        axes[key] = [value.replace("+", ",") for value in values.split(",")]
    return axes


def axes_in(table: Any, place: str) -> dict[str, list[Any]]:
    """The table ``[matrix]`` of a scenario's file."""
    if not isinstance(table, Mapping):
        raise UsageError(f"{place}: [matrix] is a table of lists")
    for key, values in table.items():
        if not isinstance(values, list) or not values:
            raise UsageError(f"{place}: [matrix] {key} is not a list of values")
    return {str(key): list(values) for key, values in table.items()}


def product(axes: Axes) -> list[tuple[str, dict[str, Any]]]:
    """Every choice with its name."""
    choices = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    if len(choices) > MOST_CELLS:
        raise UsageError(f"the matrix has {len(choices)} cells; at most {MOST_CELLS} are possible")
    return [(" ".join(f"{key}={_word(of)}" for key, of in one.items()), one) for one in choices]


def chosen(expression: str) -> Callable[[str], bool]:
    """Whether a name is meant by ``expression``; ``UsageError`` where that says nothing."""
    words = _WORD.findall(expression)
    taken = iter([*words, ""])
    parser = _Parser(taken, expression)
    means = parser.either()
    if parser.word or not words:
        raise parser.refused()
    return lambda name: means(name.lower())


def _word(value: Any) -> str:
    parts = value if isinstance(value, list) else str(value).split(",")
    return "+".join(str(part) for part in parts)


class _Parser:
    """Reads an expression from left to right: either is of both, both of nots, not of words."""

    def __init__(self, words: Iterator[str], whole: str) -> None:
        self._words, self._whole = words, whole
        self.word = next(words)

    def either(self) -> Callable[[str], bool]:
        """One ``or`` another."""
        means = self._both()
        while self.word.lower() == "or":
            self._next()
            means = _or(means, self._both())
        return means

    def refused(self) -> UsageError:
        """It says nothing."""
        return UsageError(f"-k: {shown(self._whole)} is no expression", "-k 'bank and not kill'")

    def _both(self) -> Callable[[str], bool]:
        means = self._one()
        while self.word.lower() == "and":
            self._next()
            means = _and(means, self._one())
        return means

    def _one(self) -> Callable[[str], bool]:
        word = self._next()
        if word.lower() == "not":
            return _not(self._one())
        if word == "(":
            means = self.either()
            if self._next() != ")":
                raise self.refused()
            return means
        if word in ("", ")") or word.lower() in ("and", "or"):
            raise self.refused()
        return lambda name: word.lower() in name

    def _next(self) -> str:
        word, self.word = self.word, next(self._words, "")
        return word


def _or(one: Callable[[str], bool], other: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda name: one(name) or other(name)


def _and(one: Callable[[str], bool], other: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda name: one(name) and other(name)


def _not(one: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda name: not one(name)
