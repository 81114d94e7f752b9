"""Slow and lossy links of a local cluster: rules in each node's kernel, and one process beside.

What the rules hand over is held, dropped or changed by a process of its own
(:mod:`harness.cluster.hands.shaper`), so that neither the clients' loop nor the interpreter's lock
has a part in it. It is started when a link is first shaped, and ends with the run process, however
that ends; the kernel then lets everything pass.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.cluster.hands import shaper
from harness.cluster.hands.queueing import Queue, Rules, open_netfilter
from harness.contract.node import Link, LinkShape
from harness.errors import NodeError

_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from hands import shaper; shaper.main()"
_NOBODY = "192.0.2.1"
"""An address of documentation, which no packet comes from."""

Within = Callable[[str, Callable[[], Any]], Any]
"""Calls something inside the network namespace of that node."""


class Shaping:
    """The links into each node of ``addresses``. Safe from any thread."""

    def __init__(self, addresses: Mapping[str, str], within: Within, seed: int) -> None:
        self._addresses = dict(addresses)
        self._names = {address: name for name, address in addresses.items()}
        self._within = within
        self._seed = seed
        self._lock = threading.Lock()
        self._rules: dict[str, Rules] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def shape(self, shapes: Mapping[Link, LinkShape]) -> None:
        """Shape these links and no others. ``NodeError`` where a kernel has no queues."""
        with self._lock:
            if self._process is None and not shapes:
                return
            try:
                self._start()
                told = [self._into(name, shapes) for name in self._addresses]
                self._tell(told)
                for name, of_node in zip(self._addresses, told, strict=True):
                    self._rules[name].queue(sorted(of_node))
            except OSError as error:
                raise NodeError(f"the links cannot be shaped: {error.strerror or error}") from error

    def shaped(self) -> dict[Link, dict[str, int]]:
        """Per shaped link what was done, and how many of it were the database's (``packets``)."""
        with self._lock:
            if self._process is None:
                return {}
            found = {}
            for name, counts in zip(self._addresses, self._tell(None), strict=True):
                packets = self._rules[name].counted()
                for source, counted in counts.items():
                    link = (self._names[source], name)
                    found[link] = {**counted, "packets": packets.get(source, 0)}
            return found

    def close(self) -> None:
        """Let everything pass. Safe twice."""
        with self._lock:
            if self._process is not None:
                assert self._process.stdin is not None
                assert self._process.stdout is not None
                self._process.stdin.close()
                self._process.wait()
                self._process.stdout.close()
                self._process = None
            for rules in self._rules.values():
                rules.close()
            self._rules.clear()

    def _into(self, node: str, shapes: Mapping[Link, LinkShape]) -> dict[str, LinkShape]:
        return {
            self._addresses[source]: dict(shape)
            for (source, destination), shape in shapes.items()
            if destination == node and shape
        }

    def _start(self) -> None:
        if self._process is not None:
            return
        made = []
        try:
            for name in self._addresses:
                self._rules[name] = self._within(name, Rules)
                made += [self._within(name, open_netfilter), self._within(name, shaper.open_raw)]
            fds = [each.fileno() for each in made]
            folder = str(Path(shaper.__file__).parents[1])
            argv = [sys.executable, "-I", "-S", "-c", _BOOT, folder, str(self._seed)]
            self._process = subprocess.Popen(
                [*argv, *map(str, fds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=fds,
            )
            self._answer()
        finally:
            for each in made:
                each.close()

    def _tell(self, told: Any) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._answer())

    def _answer(self) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise NodeError("the process that shapes links has ended: the kernel has no queues")
        return line


def refusal_of_queues() -> str | None:
    """Why the kernel hands over no packets in the calling process's network namespace."""
    try:
        rules = Rules()
        try:
            rules.queue([_NOBODY])
            Queue().close()
            rules.queue([])
        finally:
            rules.close()
    except OSError as error:
        return (
            f"the kernel has no netfilter queues here ({error.strerror or error}): it needs "
            "CONFIG_NETFILTER_NETLINK_QUEUE, CONFIG_NETFILTER_XT_TARGET_NFQUEUE and "
            "CONFIG_NFT_COMPAT, or their modules"
        )
    return None
