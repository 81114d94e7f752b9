"""What a thing that can be named is, in a line: for lists, completion and help."""

from __future__ import annotations

import functools
import re
import sys
from typing import Any, Final

MOST: Final = 110


def line_of(factory: Any) -> str:
    """The factory's own ``line``, else the head of its module's docstring, else of its own.

    A module of one thing begins with its name and what it is, ``Bank: transfers between …``.
    """
    while isinstance(factory, functools.partial) and not hasattr(factory, "line"):
        factory = factory.func
    said = getattr(factory, "line", None)
    if isinstance(said, str):
        return said
    module = sys.modules.get(getattr(factory, "__module__", ""))
    of_module = _sentence(getattr(module, "__doc__", None))
    if hasattr(module, "__path__"):  # a package tells what lies in it
        of_module = ""
    name, colon, rest = of_module.partition(": ")
    if colon and len(name.split()) < 5:
        return _cut(rest)
    return _cut(_sentence(getattr(factory, "__doc__", None)) or of_module)


def first_sentence(text: str) -> str:
    """The first sentence of a text, on one line, without its full stop."""
    return _cut(_sentence(text))


def _sentence(text: str | None) -> str:
    """The first paragraph of a docstring as one line, its marks of code left out."""
    first = (text or "").strip().partition("\n\n")[0]
    return re.sub(r":\w+:`([^`]*)`|``?([^`]*)``?", r"\1\2", " ".join(first.split()))


def _cut(text: str) -> str:
    """One sentence of it, without its full stop."""
    sentence = re.split(r"(?<=[.!?]) (?=[A-Z])", text, maxsplit=1)[0].removesuffix(".")
    return sentence if len(sentence) <= MOST else sentence[: MOST - 1].rsplit(" ", 1)[0] + " …"
