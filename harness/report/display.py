"""Foreign text made safe to look at: nothing unseen, nothing endless, nothing that reorders.

Values, errors and log lines come from a database under attack, so they may hold terminal escape
sequences, right-to-left overrides or a megabyte of one letter. Escaping for HTML is the
template's work; here every unseen character becomes a visible sign and long text is cut with a
note of how much there was. Linear in the length that is kept.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from harness.history.values import is_rich, told
from harness.wording import shown as in_words

VALUE_LIMIT = 400
"""Characters of one value in a table or tooltip."""

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_CONTROL_PICTURES = 0x2400
_DELETE = 0x7F


def _sign(match: re.Match[str]) -> str:
    """The visible sign of one unseen character: a control picture, else its code point."""
    code = ord(match.group())
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    if code == _DELETE:
        return "\u2421"
    return f"\u27e6U+{code:04X}\u27e7"


def visible(text: str, limit: int = VALUE_LIMIT) -> str:
    """``text`` with unseen characters shown as signs, cut visibly after ``limit`` characters."""
    whole = len(text)
    shown = _UNSEEN.sub(_sign, text[:limit])
    return shown if whole <= limit else f"{shown} … (cut, {whole:,} characters in all)"


def as_text(value: Any) -> str:
    """A value as one line of JSON, with EDN where JSON has no word; text is bare, ``None`` nil."""
    if value is None:
        return "nil"
    if isinstance(value, str):
        return str(value)
    try:
        if is_rich(value):
            return told(value)
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, UnicodeEncodeError, RecursionError):
        return in_words(value)


def shown(value: Any, limit: int = VALUE_LIMIT) -> str:
    """:func:`as_text` made :func:`visible`."""
    return visible(as_text(value), limit)


def seconds(time_ns: float | None) -> str:
    """A moment of the run as ``12.345 s``; an em dash where there is none."""
    return "—" if time_ns is None else f"{time_ns / 1e9:.3f} s"


def place(position: float) -> str:
    """A moment of a history without times: the record, counted from 0."""
    return f"record {int(position)}"


def duration(time_ns: float) -> str:
    """A length of time in the unit that reads best: µs, ms, s or minutes."""
    if time_ns < 1e6:
        return f"{time_ns / 1e3:.0f} µs"
    if time_ns < 1e9:
        return f"{time_ns / 1e6:.1f} ms"
    if time_ns < 120e9:
        return f"{time_ns / 1e9:.1f} s"
    return f"{time_ns / 60e9:.1f} min"
