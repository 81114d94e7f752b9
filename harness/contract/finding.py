"""What was found of a machine: one thing looked at, and what would change the answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``would_change`` says what would make it work; empty where it does."""

    name: str
    ok: bool
    detail: str
    would_change: str = ""

    def __str__(self) -> str:
        line = f"{'yes' if self.ok else 'no ':3} {self.name}: {self.detail}"
        return f"{line}\n      to change that: {self.would_change}" if self.would_change else line
