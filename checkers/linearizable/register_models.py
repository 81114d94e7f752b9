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
    """A named object and the operations that it has.

    Reads and compare-and-sets are answers that could have been wrong; without one nothing was
    tested, namely ``lacking``.
    """

    name: str
    functions: frozenset[str]
    lacking: str = "no read was answered with a value"
    least: int = 1


REGISTER: Final = Model("register", frozenset({READ, WRITE}))
CAS_REGISTER: Final = Model(
    "cas-register", frozenset({READ, WRITE, CAS}), "no read and no compare-and-set was answered"
)
MODELS: Final[Mapping[str, Model]] = {model.name: model for model in (REGISTER, CAS_REGISTER)}
