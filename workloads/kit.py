"""What the workloads share: options with their ranges, drawing, final reads, how operations end.

An *option* is declared once, with its default and the values that make sense, and read by
:meth:`Option.of`, which has its type. Operations that depend on chance and on what was drawn
before come from :func:`draws`: all chance is the seed's. A workload returns what it was told by
:func:`completed`. What a transaction of micro-operations is and how it is carried out is told in
:mod:`workloads.micro_operations`.

A workload writes the ability that it needs as the type of its client::

    needs = (Registers,)

    async def invoke(self, client: Registers, operation: Operation) -> Operation:

for a run refuses a system that lacks one of ``needs`` before anything is set up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from harness.contract.option import Duration, SystemOption
from harness.contract.workload import WorkloadOptions
from harness.errors import SetupError, UsageError
from harness.generator import (
    PENDING,
    Combinator,
    Context,
    Generator,
    Random,
    Step,
    each_thread,
    on_threads,
)
from harness.generator.core import Liftable
from harness.generator.leaves import fill_in, waiting
from harness.history.operation import Operation, Process
from harness.wording import shown

Value = TypeVar("Value")
State = TypeVar("State")


@dataclass(frozen=True, kw_only=True)
class Option(SystemOption, Generic[Value]):
    """An option of a workload, and which of its values make sense (all, unless it is said)."""

    def of(self, options: WorkloadOptions, workload: str) -> Value:
        """The value given, else the default; ``UsageError`` in the name of ``workload``."""
        given = options.extra.get(self.name)
        value: Any = self.default if given is None else given
        if value is not None:
            self._refuse_senseless(value, workload)
        chosen: Value = value
        return chosen

    def _refuse_senseless(self, value: Any, workload: str) -> None:
        if self.choices and value not in self.choices:
            raise UsageError(
                f"{workload}: {self.name} is {shown(value)}", f"one of {', '.join(self.choices)}"
            )
        is_low = self.least is not None and not value >= self.least  # so that nan is refused
        is_high = self.most is not None and not value <= self.most
        if is_low or is_high:
            range_ = f"at least {self.least}"
            if self.most is not None:
                range_ = f"between {self.least} and {self.most}"
            raise UsageError(f"{workload}: {self.name} must be {range_}, not {value}")


def whole(name: str, default: int, help: str, *, least: int = 1) -> Option[int]:
    """A whole number."""
    return Option(name=name, kind=int, default=default, help=help, least=least)


def whole_or_none(name: str, help: str, *, least: int = 1) -> Option[int | None]:
    """A whole number, or ``None`` where none is given."""
    return Option(name=name, kind=int, default=None, help=help, least=least)


def share(name: str, default: float, help: str) -> Option[float]:
    """A number from 0 to 1."""
    return Option(name=name, kind=float, default=default, help=help, least=0, most=1)


def seconds(name: str, default: float, help: str) -> Option[float]:
    """A length of time."""
    return Option(name=name, kind=Duration, default=default, help=help, least=0)


def word(name: str, default: str, help: str, *, one_of: Sequence[str]) -> Option[str]:
    """One of some words."""
    return Option(name=name, kind=str, default=default, help=help, choices=one_of)


def flag(name: str, default: bool, help: str) -> Option[bool]:
    """Yes or no."""
    return Option(name=name, kind=bool, default=default, help=help)


def groups_of(threads: int, workload: str, options: WorkloadOptions, said: str = "") -> int:
    """How many groups of ``threads`` there are; ``UsageError`` if one would lack some.

    ``said`` tells how many that is where the bare number would not be understood.
    """
    groups, rest = divmod(options.concurrency, threads)
    if not rest:
        return groups
    fitting = [str(threads * n) for n in (groups, groups + 1) if n]
    raise UsageError(
        f"{workload} puts {said or f'{threads} threads'} on every key: the concurrency must be a "
        f"multiple of {threads}, which {options.concurrency} is not",
        f"--concurrency {' or '.join(fitting)}",
    )


def not_new(workload: str, found: str) -> SetupError:
    """That the system is not as nobody used it yet; ``found`` says what is there."""
    return SetupError(
        f"{workload}: {found} before the first operation",
        "an empty database: what others wrote would be taken for a wrong answer",
    )


class Draw(Struct, frozen=True, gc=False):
    """What an operation may be made of: chance, and the process that will do it."""

    random: Random
    process: Process


def draws(make: Callable[[Draw, State], tuple[Operation, State]], state: State) -> Generator:
    """Endless: ``make`` gives each operation, and what it needs to know to make the next one.

    It must not change ``state``, for an operation may be discarded and drawn again.
    """
    return Drawn(make, state)


class Drawn(Combinator, frozen=True, gc=False):
    """See :func:`draws`."""

    make: Callable[[Draw, Any], tuple[Operation, Any]]
    state: Any
    stream: int = 0
    position: int = 0

    def op(self, context: Context) -> Step:
        """The next operation, if a thread is free."""
        thread = context.some_free_thread()
        if thread < 0:
            return waiting(context)
        draw = Draw(Random(self.stream, self.position), context.processes[thread])
        template, state = self.make(draw, self.state)
        operation = fill_in(template, context)
        if not isinstance(operation, Operation):
            return PENDING
        return operation, Drawn(self.make, state, self.stream, self.position + 1)

    def bound(self, stream: int) -> Generator:
        """Draws from ``stream``."""
        return replace(self, stream=stream)


def on_every_node(nodes: int, reads: Liftable) -> Generator:
    """``reads``, all of them by one client of each node."""
    return on_threads(range(nodes), each_thread(reads))


def with_last(keys: Sequence[int], last_key: int, most: int) -> list[int]:
    """``keys``, and the ``most`` used last up to ``last_key``: each once, in order."""
    return sorted({*keys, *range(max(0, last_key + 1 - most), last_key + 1)})


def key_of(operation: Operation) -> list[Any]:
    """The key of an invocation whose value is ``[key, value]`` (``ReadsKeys.keys_of``)."""
    return [operation.value[0]]


def completed(invocation: Operation, kind: str, value: Any, error: Any = None) -> Operation:
    """The completion of ``invocation``: ``ok`` or ``fail``, and what it is told with."""
    return Operation(-1, -1, invocation.process, kind, invocation.f, value, error)
