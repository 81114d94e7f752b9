"""What the systems round such a library share: everything but the library's own words.

Each node that serves has one server (:mod:`systems.drivers.embedded.server`). The file lies in the
run's folder, under one name for all nodes, so all of them must be on this machine.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from harness.contract.client import SystemClient
from harness.contract.node import Daemon, Node, Port
from harness.contract.option import Option
from harness.contract.speaker import Misanswer
from harness.contract.system import Stage
from harness.errors import NeedsError
from systems.drivers.embedded import members
from systems.drivers.embedded.client import CAN, EmbeddedClient
from systems.drivers.embedded.dialect import Dialect
from systems.drivers.embedded.speaker import EmbeddedSpeaker

SERVER: Final = Path(__file__).with_name("server.py")
_STOP_TIMEOUT_S: Final = 10.0
_LOCAL: Final = "--provider local: the database is a file of this machine"


class Embedded:
    """A system over a library: ``Ports`` and ``LogPatterns``. A subclass has the library's words.

    ``name`` is the server's word for the library too; ``broken`` are regular expressions of what
    the library says of a file or of itself that is broken, ``advice`` how to get it.
    """

    name: str
    options: ClassVar[tuple[Option, ...]] = ()
    broken: ClassVar[Sequence[str]] = ()
    advice: ClassVar[str] = _LOCAL
    misanswers: ClassVar[Mapping[str, Misanswer]] = {}
    dialect: Dialect

    def __init__(self, options: Mapping[str, Any]) -> None:
        given = {option.name: options.get(option.name) for option in self.options}
        self._options: dict[str, Any] = {
            option.name: option.default if given[option.name] is None else given[option.name]
            for option in self.options
        }

    def flags(self) -> Sequence[str]:
        """The server's flags by the options; none, unless the library has some."""
        return ()

    def is_definite(self, name: str, text: str) -> bool:
        """Whether an error says that a statement that commits itself changed nothing.

        Of no error is that known, unless the library tells.
        """
        return False

    def serving(self, stage: Stage) -> Sequence[Node]:
        """The nodes that have a server."""
        return stage.cluster.nodes

    def speaker(self) -> EmbeddedSpeaker:
        """An honest server, for the conformance kit."""
        return EmbeddedSpeaker(self.dialect, self.misanswers)

    def abilities(self) -> Sequence[type]:
        """All but watches."""
        return CAN

    def ports(self) -> Sequence[Port]:
        """The one of the server."""
        return (Port(members.PORT, clients=True),)

    def log_patterns(self) -> Mapping[str, Sequence[str]]:
        """What the library says of what is broken, and a server that broke off."""
        return {"corruption": self.broken, "panic": [r"Traceback \(most recent call last\)"]}

    def expected_lines(self) -> Mapping[str, Sequence[str]]:
        """Such lines are expected after nothing."""
        return {}

    def ready(self, stage: Stage, timeout_s: float) -> None:
        """Return once the tables are there, and every server has written and read."""
        members.wait_until_ready(stage, self.serving(stage), self.dialect, timeout_s)

    def client(self, op_timeout_s: float) -> SystemClient:
        """A client, not yet open."""
        return EmbeddedClient(op_timeout_s, self.dialect, self.is_definite)

    def prove(self, node: Node) -> None:
        """Prove that the library is there on ``node``; ``NeedsError`` if not."""
        argv = [sys.executable, "-I", node.bring(SERVER), self.name, "--tell-version"]
        done = node.run(argv, check=False)
        if done.exit_code != 0:
            said = done.stderr.decode("utf-8", "replace").strip()[-200:]
            raise NeedsError(f"{node.name}: {self.name} does not run there: {said}", self.advice)

    def launch(self, stage: Stage, node: Node) -> Sequence[Daemon]:
        """Start the server on ``node`` over the one file."""
        if not stage.cluster.provider.startswith(("local", "test")):
            raise NeedsError(f"{self.name} does not run on {stage.cluster.provider}", _LOCAL)
        folder = self.serving(stage)[0].log_dir / "data"  # under one name on every node
        folder.mkdir(exist_ok=True)
        argv = [
            *(sys.executable, "-I", node.bring(SERVER), self.name),
            *("--listen", node.listen(members.PORT), "--file", f"{folder}/held.db"),
            *self.flags(),
        ]
        return [node.start(argv, name=self.name, cwd=str(folder))]

    def end(self, stage: Stage, node: Node) -> None:
        """SIGTERM; what was not committed is rolled back by whoever opens the file next."""
        stage.terminate(node.name, _STOP_TIMEOUT_S)
