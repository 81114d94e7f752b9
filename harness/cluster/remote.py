"""A node and its daemons, seen from where the hands inside it are asked (:mod:`.hands.inside`).

Every provider has a channel to whoever sits in its nodes; what goes over it is the same for all,
and is written here once. A provider adds how its nodes start daemons, and how their ends are told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Protocol

from harness.cluster.hands.family import WHOLE
from harness.cluster.hands.machine_clock import REFUSAL
from harness.contract.node import ClockMethod, Completed
from harness.errors import NodeError
from harness.linux.identity import ProcessIdentity

_IDENTITY = tuple(each.name for each in fields(ProcessIdentity))


def identity_in(answer: Mapping[str, Any]) -> ProcessIdentity:
    """The process that an answer names, as it is known inside the node."""
    return ProcessIdentity(**{key: answer[key] for key in _IDENTITY})


class Ask(Protocol):
    """Sends a request into the node and waits for its answer."""

    def __call__(self, op: str, **request: Any) -> Mapping[str, Any]:
        """``NodeError`` where it is refused or lost."""
        ...


class RemoteDaemon:
    """A daemon that is signalled and looked at by the hands. ``inside`` is who it is in there."""

    def __init__(
        self, name: str, identity: ProcessIdentity, ask: Ask, inside: ProcessIdentity | None = None
    ) -> None:
        self.name = name
        self._identity = identity
        self._inside = inside or identity
        self._ask = ask

    @property
    def identity(self) -> ProcessIdentity:
        """Which process it is, for good."""
        return self._identity

    def exit_status(self) -> int | None:
        """``None`` while it runs, its exit code, or minus the signal that ended it."""
        raise AssertionError("a provider's daemon knows how it ended")

    def alive(self) -> bool:
        """Whether it runs (a stopped process is alive); ``NodeError`` if nobody can tell."""
        return self.state() != "gone"

    def state(self) -> str:
        """The letter of the process, or ``"gone"``; ``NodeError`` if nobody can tell.

        ``T`` only if every thread of all that is of it is stopped.
        """
        if self.exit_status() is not None:
            return "gone"
        return str(self._ask("look", processes=[self._process()])["states"][0])

    def processes(self) -> Mapping[int, str]:
        """What runs of it, by its number within the node (``HasProcesses``)."""
        members: dict[str, str] = self._ask("family", process=self._process())["members"]
        return {int(pid): letters for pid, letters in members.items()}

    def usage(self) -> Mapping[str, int]:
        """What all that runs of it has in use (``TellsUsage``)."""
        found: dict[str, int] = self._ask("usage", process=self._process())["usage"]
        return found

    def signal(self, number: int) -> None:
        """Signal all that runs of it, or, politely, its process group alone.

        The whole identity is compared inside: who is the daemon's parent there, or sees what runs,
        knows whether the number is still its.
        """
        if self._concerns(number):
            self._ask("signal", **self._signal(number))

    def _concerns(self, number: int) -> bool:
        return number in WHOLE or self.exit_status() is None  # also what it left behind

    def _signal(self, number: int) -> dict[str, Any]:
        return {"identity": asdict(self._inside), "number": int(number)}

    def _process(self) -> list[int]:
        return [self._inside.pid, self._inside.start_ticks]


def checked(
    node: str, argv: Sequence[str], done: Completed | None, timeout_s: float, check: bool
) -> Completed:
    """What a command on a node gave; ``NodeError`` if that is nothing (it was too late and killed).

    Or, with ``check``, if its exit code is bad.
    """
    if done is None:
        raise NodeError(f"{node}: {argv[0]} did not end in {timeout_s:g} s and was killed")
    if check and done.exit_code != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()[-500:]
        raise NodeError(f"{node}: {' '.join(argv)} ended with {done.exit_code}: {said}")
    return done


class RemoteClock:
    """The clock of a node, for its class to inherit (``ClockSettable``)."""

    name: str

    def set_clock(self, program: Mapping[str, Any], method: ClockMethod) -> Mapping[str, Any]:
        """Set the clock that the node's processes read (``ClockSettable``)."""
        if method != "process":
            raise NodeError(f"{self.name}: {REFUSAL}")
        return self._clock(do="set", program=dict(program))

    def heal_clock(self) -> Mapping[str, Any]:
        """Have every process of the node read the true time again."""
        return self._clock(do="heal")

    def read_clock(self) -> Mapping[str, Any]:
        """How the node's clock is set now, and how many processes are changed."""
        return self._clock(do="read")

    def _clock(self, **request: Any) -> Mapping[str, Any]:
        told: Mapping[str, Any] = self._ask("clock", **request)["clock"]
        return told

    def _ask(self, op: str, **request: Any) -> Mapping[str, Any]:
        raise AssertionError("a provider's node has a channel")


class RemoteDisk:
    """The disk of a node, for its class to inherit (``Disk``)."""

    def start_disk(self, path: str, seed: int) -> None:
        """Have the folder ``path``, empty as yet, be a disk; ``seed`` draws which calls fail."""
        self._ask("disk", do="start", path=path, seed=seed)

    def sync_disk(self) -> None:
        """Have its disk keep all that it holds now."""
        self._ask("disk", do="sync")

    def lose_power(self) -> Mapping[str, Any]:
        """Take back all that its disk was not asked to keep."""
        return self._ask("disk", do="power-loss")

    def set_disk(self, rules: Mapping[str, Mapping[str, Any]]) -> None:
        """Have its disk refuse, or be slow, by these rules and no others."""
        self._ask("disk", do="rules", rules={key: dict(rule) for key, rule in rules.items()})

    def try_disk(self, count: int) -> Mapping[str, Any]:
        """What became of calls to it."""
        return self._ask("disk", do="trial", count=count)

    def _ask(self, op: str, **request: Any) -> Mapping[str, Any]:
        raise AssertionError("a provider's node has a channel")
