"""How values and exceptions stand in messages to people: never as Python would print them."""

from __future__ import annotations

import json
from typing import Any, Final

MOST: Final = 120


def shown(value: Any) -> str:
    """A value in a message: text in quotation marks, what JSON knows as JSON, else its type."""
    if isinstance(value, str):
        return cut(f"'{_visible(value)}'")
    try:
        return cut(_visible(json.dumps(value, ensure_ascii=False)))
    except (TypeError, ValueError):
        name = getattr(value, "__name__", None)
        return f"a {type(value).__name__} called {name}" if name else f"a {type(value).__name__}"


def named(error: BaseException) -> str:
    """An exception in a message: its type and what it says."""
    kind = type(error).__name__
    try:
        said = str(error)
    except Exception:  # somebody else's exception, which cannot even be printed
        said = ""
    return f"{kind}: {said}" if said else kind


def cut(text: str, most: int = MOST) -> str:
    """``text``, or as much of it as fits, with a sign that more was there."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
