"""What a disk refuses or does late, as faults ask for it.

A rule is JSON: ``calls`` it is about (of :data:`CALLS`), and one of ``read_only``, ``full`` (what
takes a page that was never written fails), ``error`` (the share of calls that fail with EIO) and
``delay_s``. Several hold beside each other, each under a key; what of two is worse counts.
"""

from __future__ import annotations

import errno
import random

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

READ, WRITE, SYNC, CHANGE = "read", "write", "sync", "change"
CALLS = (READ, WRITE, SYNC, CHANGE)
"""``change`` is what changes names, sizes and attributes."""


class Rules:
    """The rules in force and what they did: ``met`` counts calls of others than us, by key."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._rules: dict[str, Mapping[str, Any]] = {}
        self.met: dict[str, int] = {}

    def set(self, rules: Mapping[str, Mapping[str, Any]]) -> None:
        """These, instead of all earlier ones; counts of what stays go on."""
        self._rules = dict(rules)
        self.met = {key: self.met.get(key, 0) for key in rules}

    @property
    def is_full(self) -> bool:
        """Whether nothing more fits."""
        return any(rule.get("full") for rule in self._rules.values())

    def ask(self, call: str, *, is_ours: bool, takes_room: bool) -> float:
        """By how many seconds the call is answered late; ``OSError`` where it fails."""
        delay_s, failed = 0.0, 0
        for key, rule in self._rules.items():
            if call not in rule["calls"]:
                continue
            number = self._error(rule, takes_room=takes_room)
            if number or rule.get("delay_s"):
                self.met[key] += not is_ours
            failed = failed or number
            delay_s = max(delay_s, float(rule.get("delay_s", 0.0)))
        if failed:
            raise OSError(failed, "as a fault asks for it")
        return delay_s

    def _error(self, rule: Mapping[str, Any], *, takes_room: bool) -> int:
        if rule.get("read_only"):
            return errno.EROFS
        if rule.get("full") and takes_room:
            return errno.ENOSPC
        if self._random.random() < rule.get("error", 0.0):
            return errno.EIO
        return 0
