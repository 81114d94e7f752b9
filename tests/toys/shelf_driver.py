"""The driver of the toy ``shelf``: it blocks, as most do, and reconnects after ``Failed``."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from harness.contract.client import Failed, Indeterminate, Target
from harness.contract.node import split_address


class Driver:
    """Registers and transactions through one worker. Nothing is sent twice."""

    def __init__(self, op_timeout_s: float) -> None:
        self._timeout_s = op_timeout_s * 0.8
        self._target: Target | None = None
        self._link: socket.socket | None = None
        self._lines: Any = None

    def open(self, target: Target) -> None:
        self._target = target

    def close(self) -> None:
        link, self._link, self._lines = self._link, None, None
        if link is not None:
            link.close()

    def interrupt(self) -> None:
        """Make the call that is under way return."""
        if self._link is not None:
            self._link.shutdown(socket.SHUT_RDWR)

    def read(self, key: Any) -> Any:
        return self.begin(read_only=True).get(key)

    def write(self, key: Any, value: Any) -> None:
        transaction = self.begin()
        transaction.put(key, value)
        transaction.commit()

    def compare_and_set(self, key: Any, old: Any, new: Any) -> bool:
        return self.commit({_name(key): old}, {_name(key): new})

    def begin(self, read_only: bool = False) -> Transaction:
        return Transaction(self)

    def commit(self, reads: Mapping[str, Any], writes: Mapping[str, Any]) -> bool:
        """Whether all is written: only if what was read is still so."""
        message = {"do": "commit", "reads": list(reads.items()), "writes": writes}
        return bool(self.ask(message, Indeterminate if writes else Failed)["committed"])

    def ask(self, message: Mapping[str, Any], doubt: type[Exception]) -> Any:
        """One request, once; ``doubt`` is raised where it may have been obeyed."""
        if self._link is None:
            self._connect()
        assert self._link is not None
        try:
            self._lines.write(json.dumps(message).encode() + b"\n")
            self._lines.flush()
            said = self._lines.readline()
            answer = json.loads(said) if said.endswith(b"\n") else {"lost": "closed"}
        except (OSError, ValueError) as error:
            self.close()
            raise doubt(["sent", str(error) or type(error).__name__]) from error
        if "refused" in answer:
            raise Failed(["answer", answer["refused"]])
        if "lost" in answer:
            self.close()
            raise doubt(["answer", answer["lost"]])
        return answer

    def _connect(self) -> None:
        if self._target is None:
            raise Failed(["connect", "not open"])
        try:
            self._link = socket.create_connection(split_address(self._target), self._timeout_s)
        except OSError as error:
            raise Failed(["connect", str(error) or type(error).__name__]) from error
        self._lines = self._link.makefile("rwb")


class Transaction:
    """Reads at once, writes at the end; refused there if another has written what it read."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._reads: dict[str, Any] = {}
        self._writes: dict[str, Any] = {}

    def get(self, key: Any) -> Any:
        name = _name(key)
        if name in self._writes:
            return self._writes[name]
        if name not in self._reads:
            message = {"do": "read", "key": name}
            self._reads[name] = self._driver.ask(message, Failed)["value"]
        return self._reads[name]

    def get_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        return {key: self.get(key) for key in keys}

    def put(self, key: Any, value: Any) -> None:
        self._writes[_name(key)] = value

    def commit(self) -> None:
        if not self._driver.commit(self._reads, self._writes):
            raise Failed(["commit", "another has written what was read"])

    def abort(self) -> None: ...


def _name(key: Any) -> str:
    return json.dumps(key)
