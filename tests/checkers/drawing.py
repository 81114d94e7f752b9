"""Histories of one register as drawings; see :mod:`checkers.explained.notation`."""

from __future__ import annotations

from typing import Any

from checkers.explained.notation import lanes, register
from harness.history.history import History


def drawn(text: str, **header: Any) -> History:
    """The history that ``text`` draws."""
    return lanes(text, register, **header)
