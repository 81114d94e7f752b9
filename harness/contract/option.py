"""An option: a flag, a scenario key and its help, declared once by what it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SystemOption:
    """A command-line flag that a system adds, e.g. ``--serializable-reads``.

    ``name`` is the scenario key (``serializable_reads``); ``kind`` is ``bool``, ``str``, ``int``,
    ``float`` or ``Path`` (made absolute).
    """

    name: str
    kind: type
    default: Any
    help: str
