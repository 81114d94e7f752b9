"""Which Dgraph it is, as its user says: what is asked of it, and how, differs between releases.

A build from source does not say its version, and an image may be called anything, so the user is
believed. ``1.0`` is 1.0.x, ``1.1`` all of 1.1 to 1.2 and 20.x, ``21`` whatever came later, which
has its flags in groups (*superflags*).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from harness.errors import UsageError
from harness.wording import shown

_NUMBER: Final = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:[-+.].*)?")


@dataclass(frozen=True, order=True)
class Release:
    """A release by its numbers."""

    major: int
    minor: int = 0
    patch: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def posts_text(self) -> bool:
        """Whether queries and mutations are texts, and timestamps parts of the path (1.0.x)."""
        return self < Release(1, 1)

    @property
    def has_superflags(self) -> bool:
        """Whether flags are in groups, as ``--raft idx=1``."""
        return self >= Release(21, 3)

    @property
    def wants_lru_mb(self) -> bool:
        """Whether an Alpha must be told how much memory it may use for its lists."""
        return self < Release(20, 11)

    @property
    def zero_has_whitelist(self) -> bool:
        """Whether a Zero refuses to be administered from other hosts, unless told otherwise."""
        return self >= Release(25, 4)


NEWEST: Final = Release(25, 4, 0)


def release_of(said: str) -> Release:
    """``25.4.0``, ``v1.0.10``, ``1.1``; ``UsageError`` for anything else."""
    found = _NUMBER.fullmatch(said.strip())
    if found is None:
        raise UsageError(f"--release {shown(said)} is no release of Dgraph", "--release 25.4.0")
    return Release(*(int(number or 0) for number in found.groups()))
