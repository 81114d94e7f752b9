"""The operation: one line of a history.

An operation is *invoked* and later completes as ``ok`` (it happened), ``fail`` (it certainly
did not) or ``info`` (nobody can know). Keys and meaning equal Jepsen's operation map, so a
line of ours reads naturally beside its EDN twin (design, section 5).
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

Type = Literal["invoke", "ok", "fail", "info"]
INVOKE: Final = "invoke"
OK: Final = "ok"
FAIL: Final = "fail"
INFO: Final = "info"
TYPES: Final = (INVOKE, OK, FAIL, INFO)  # position = code in ``Columns.type``
NEMESIS: Final = "nemesis"

MICRO_OPERATIONS: Final = frozenset(
    ("append", "r", "w", "read", "write", "insert", "delete", "rp", "send", "poll")
)
"""First items of the micro-operations that a transaction's value is a list of."""

Process = int | str
"""A client process is an integer from 0; the nemesis is ``"nemesis"``."""


class Operation(
    msgspec.Struct, frozen=True, omit_defaults=True, gc=False, forbid_unknown_fields=True
):
    """One record of a history.

    ``index`` counts records from 0 and ``time`` is nanoseconds of the controller's monotonic
    clock since the start of the run; both are -1 until the journal gives them. ``value`` is
    JSON. ``served`` is who answered and ``timestamps`` the system's own times of the operation, as
    the client was told them. ``extra`` keeps keys that other tools wrote and we do not know; in a
    file they stand in the same object as the others (so the plain decoder refuses unknown keys,
    and the reader then sorts them in).
    """

    index: int
    time: int
    process: Process
    type: str
    f: str
    value: Any
    error: Any = None
    node: str | None = None
    trace: str | None = None
    wall_time_ns: int | None = None
    served: str | None = None
    timestamps: dict[str, int | str] | None = None
    extra: dict[str, Any] | None = None

    @property
    def is_client(self) -> bool:
        """Whether a client (not the nemesis) did this."""
        return isinstance(self.process, int) and self.process >= 0


class Header(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The optional first line of a history: what the checkers must know beside operations.

    ``initial`` is the state that ``Workload.setup`` proved; ``independent`` says that values
    travel as ``[key, value]``; ``claims`` are the consistency models promised by the system.
    ``not_durable`` says why acknowledged writes may be lost, where an option that the user set
    disclaims durability (``"synchronous_commit=off"``); none where nothing may be lost.
    """

    polygraph: int = msgspec.field(default=1)
    run: str | None = None
    seed: int | None = None
    start_wall_ns: int | None = None
    system: str | None = None
    workload: str | None = None
    model: str | None = None
    initial: Any = None
    claims: list[str] = msgspec.field(default_factory=list)
    independent: bool = False
    not_durable: str | None = None
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    extra: dict[str, Any] | None = None


def is_transaction(value: Any) -> bool:
    """Whether ``value`` is a non-empty list of micro-operations such as ``["append", key, 1]``."""
    if not isinstance(value, list | tuple) or not value:
        return False
    for part in value:
        if not isinstance(part, list | tuple) or not part:
            return False
        if not isinstance(part[0], str) or part[0] not in MICRO_OPERATIONS:
            return False
    return True
