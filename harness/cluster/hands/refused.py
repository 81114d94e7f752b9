"""What a hand says where it cannot do what it was asked for."""

from __future__ import annotations


class Refused(Exception):
    """This cannot be done inside this node; says why."""
