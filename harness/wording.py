"""How values and exceptions stand in messages to people: never as Python would print them."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any, Final

MOST: Final = 120


def shown(value: Any) -> str:
    """A value in a message: text in quotation marks, what JSON knows as JSON, else its type.

    Bytes are text, as those are that servers send.
    """
    if isinstance(value, bytes):
        value = _text(value)
    if isinstance(value, str):
        return cut(f"'{_visible(value)}'")
    try:
        return cut(_visible(json.dumps(value, ensure_ascii=False, default=_text)))
    except (TypeError, ValueError, RecursionError):
        kind, name = type(value).__name__, getattr(value, "__name__", None)
        a_kind = f"an {kind}" if kind[0].lower() in "aeiou" else f"a {kind}"
        return f"{a_kind} called {name}" if name else a_kind


def _text(value: Any) -> str:
    """Bytes as text; ``TypeError`` for anything else."""
    if not isinstance(value, bytes):
        raise TypeError(value)
    return value.decode("utf-8", "replace")


def named(error: BaseException) -> str:
    """An exception in a message: its type and what it says."""
    kind = type(error).__name__
    try:
        said = str(error)
    except Exception:  # somebody else's exception, which cannot even be printed
        said = ""
    return f"{kind}: {said}" if said else kind


def placed(error: BaseException) -> str:
    """An exception with its type and where it was raised: the file and line of whose defect it is.

    The innermost place outside of the standard library's and Polygraph's own machinery, which a
    plug-in passes through on its way; else the innermost of all.
    """
    import traceback

    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({error.filename}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return named(error)
    foreign = [frame for frame in frames if not is_machinery(frame.filename)]
    place = (foreign or frames)[-1]
    return f"{named(error)} ({place.filename}:{place.lineno}, in {place.name})"


_OURS: Final = os.path.dirname(__file__) + os.sep


@cache
def _standard() -> str:
    import sysconfig

    return sysconfig.get_path("stdlib")


def is_machinery(filename: str) -> bool:
    """Whether a file is the standard library's or Polygraph's own, which others pass through."""
    if filename.startswith((_OURS, "<")):
        return True
    return filename.startswith(_standard()) and "site-packages" not in filename


def cut(text: str, most: int = MOST) -> str:
    """``text``, or as much of it as fits, with a sign that more was there."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def reason(error: OSError) -> str:
    """Why a file could not be had, as people say it: ``no such file``."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return error.strerror or str(error)
