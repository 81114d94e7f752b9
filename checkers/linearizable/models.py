"""The objects that a history can be linearizable as: a register, with or without compare-and-set.

Both are one thing to the searches: an operation may *see* a value (then the register must hold
it) and may *make* one (then the register holds it afterwards). A read sees, a write makes, a
compare-and-set that succeeded does both at once; one that failed did not happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

READ: Final = "read"
WRITE: Final = "write"
CAS: Final = "cas"


@dataclass(frozen=True)
class Model:
    """A named object and the operations that it has."""

    name: str
    functions: frozenset[str]


REGISTER: Final = Model("register", frozenset({READ, WRITE}))
CAS_REGISTER: Final = Model("cas-register", frozenset({READ, WRITE, CAS}))
MODELS: Final[Mapping[str, Model]] = {model.name: model for model in (REGISTER, CAS_REGISTER)}
