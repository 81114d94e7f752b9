"""The toy ``shelf``: a system of two roles, real processes on real nodes, as a plug-in.

Three *controllers* (n1 to n3) keep what is committed, and the one that was told to lead decides;
four *workers* (from the second node on) serve clients, so that n2 and n3 hold both roles. Workers
start after controllers, and end if none answers; the first controller is told to lead once, by
``form``. It has three ports: workers' for clients, controllers' for workers, and one on which
controllers greet each other.

What the daemons do is in ``shelf_server.py``, what clients do in ``shelf_driver.py``. Whoever adds
to it (a fault's subject, an action, a milestone) adds a request to the server, or a method here.
"""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness.contract.action import Outcome
from harness.contract.blocking import BlockingClient
from harness.contract.client import Registers, Target, Transactions
from harness.contract.node import Daemon, Node, Port, split_address
from harness.contract.option import Option
from harness.contract.system import Role, Stage
from harness.errors import NodeError, NotReady, UsageError

from . import shelf_driver

CONTROLLER, WORKER = "controller", "worker"
CONTROLLERS = 3
SERVE, CONTROL, GREET = 7100, 7101, 7102
STOP_S = 10.0
_ANSWER_S = 2.0
_POLL_S = 0.05
_SERVER = Path(__file__).with_name("shelf_server.py")


class Shelf:
    """Two roles; also ``OfRoles``, ``Forms``, ``Stops``, ``Primaries``, ``Ports``.

    And ``Admin`` (a checkpoint, which only the controller that leads makes) and ``Milestones``.
    """

    name = "shelf"
    options: tuple[Option, ...] = ()

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options_given = options

    def abilities(self) -> Sequence[type]:
        return (Registers, Transactions)

    def claims(self) -> Sequence[str]:
        return ("strict-serializable",)

    def versions(self) -> Mapping[str, str]:
        return {"shelf": "1"}

    def ports(self) -> Sequence[Port]:
        return (
            Port(SERVE, clients=True),
            Port(CONTROL, clients=True, peers=True),
            Port(GREET, peers=True),
        )

    # -- roles and their daemons ---------------------------------------------------------------

    def roles(self, nodes: Sequence[str]) -> Sequence[Role]:
        if len(nodes) < CONTROLLERS:
            raise UsageError(f"shelf has {CONTROLLERS} controllers", f"--nodes {CONTROLLERS}")
        return [
            Role(name=WORKER, nodes=nodes[1:], after=[CONTROLLER]),
            Role(name=CONTROLLER, nodes=nodes[:CONTROLLERS], serves_clients=False),
        ]

    def install(self, node: Node, role: str) -> None:
        node.run(["python3", "-S", "-c", "import socket"])

    def start(self, stage: Stage, node: Node, role: str) -> Sequence[Daemon]:
        controllers = [stage.cluster.node(name) for name in stage.role(CONTROLLER).nodes]
        if role == WORKER and not all(stage.daemons_of(n.name, CONTROLLER) for n in controllers):
            raise NodeError(f"{node.name}: a worker was started before the controllers")
        config = {
            "role": role,
            "node": node.name,
            "data": node.data_dir,
            "listen": node.listen(CONTROL if role == CONTROLLER else SERVE),
            "controllers": [n.reach(CONTROL, "peer") for n in controllers],
        }
        if role == CONTROLLER:
            config["greet"] = node.listen(GREET)
            config["peers"] = [n.reach(GREET, "peer") for n in controllers if n is not node]
        text = _SERVER.read_text("utf-8")
        return [node.start(["python3", "-S", "-c", text, json.dumps(config)], name=role)]

    def form(self, stage: Stage, timeout_s: float) -> None:
        first = stage.role(CONTROLLER).nodes[0]
        deadline = time.monotonic() + timeout_s
        until(deadline, lambda: self._silent(stage))
        for name in stage.role(CONTROLLER).nodes:
            self._ask(stage, name, {"do": "form", "lead": first})

    def ready(self, stage: Stage, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        until(deadline, lambda: self._unready(stage))

    def stop(self, stage: Stage, node: Node, role: str) -> None:
        stage.terminate(node.name, STOP_S, role)

    def stop_statuses(self, role: str) -> Sequence[int]:
        by_signal = -signal.SIGTERM  # also of a controller that has only begun to start
        return (0, by_signal) if role == CONTROLLER else (by_signal,)

    def primaries(self, stage: Stage, role: str) -> Sequence[str]:
        if role == WORKER:
            return []
        found = on_all(stage.role(CONTROLLER).nodes, lambda name: self._status(stage, name))
        return [name for name, said in found.items() if said.get("leads")]

    # -- what it can be asked for, and what it says it went through -------------------------------

    def admin_actions(self) -> Sequence[str]:
        return ("checkpoint",)

    def administer(self, stage: Stage, node: Node, action: str, timeout_s: float) -> Outcome:
        if node.name not in stage.role(CONTROLLER).nodes:
            return Outcome(is_done=False, what=f"{node.name} is no controller")
        said = self._ask(stage, node.name, {"do": action})
        if "refused" in said:
            return Outcome(is_done=False, what=f"{node.name}: {said['refused']}")
        return Outcome(is_done=True, what=f"{node.name}: {action}", figures=said)

    def milestones(self) -> Mapping[str, Sequence[str]]:
        return {
            "checkpoint": (r"^checkpoint: (?P<keys>\d+) keys$",),
            "up": (r"^up: (?P<role>\w+)",),
        }

    # -- clients -------------------------------------------------------------------------------

    def client(self, op_timeout_s: float) -> BlockingClient:
        return BlockingClient(shelf_driver.Driver(op_timeout_s))

    def log_patterns(self) -> Mapping[str, Sequence[str]]:
        return {"traceback": (r"^Traceback \(most recent call last\)",)}

    def expected_lines(self) -> Mapping[str, Sequence[str]]:
        return {}

    # -- what the daemons say of themselves ----------------------------------------------------

    def _silent(self, stage: Stage) -> str:
        found = on_all(stage.role(CONTROLLER).nodes, lambda name: self._status(stage, name))
        return "; ".join(f"{name}: {said['why']}" for name, said in found.items() if "why" in said)

    def _unready(self, stage: Stage) -> str:
        if silent := self._silent(stage):
            return silent
        for name in stage.role(CONTROLLER).nodes:
            if (formed := self._status(stage, name).get("formed")) != 1:
                raise RuntimeError(f"{name} was formed {formed} times")
        trouble = on_all(stage.role(WORKER).nodes, lambda name: self._serves(stage, name))
        return "; ".join(f"{name}: {why}" for name, why in trouble.items() if why)

    def _serves(self, stage: Stage, name: str) -> str:
        driver = shelf_driver.Driver(_ANSWER_S)
        driver.open(Target(stage.cluster.node(name).reach(SERVE, "client")))
        try:
            driver.write("ready", name)
            driver.read("ready")
        except Exception as error:
            return str(error)
        finally:
            driver.close()
        return ""

    def _status(self, stage: Stage, name: str) -> dict[str, Any]:
        try:
            return self._ask(stage, name, {"do": "status"})
        except (OSError, ValueError) as error:
            return {"why": str(error) or type(error).__name__}

    def _ask(self, stage: Stage, name: str, message: Mapping[str, Any]) -> dict[str, Any]:
        address = split_address(stage.cluster.node(name).reach(CONTROL, "client"))
        with socket.create_connection(address, _ANSWER_S) as link, link.makefile("rwb") as lines:
            lines.write(json.dumps(message).encode() + b"\n")
            lines.flush()
            answer: dict[str, Any] = json.loads(lines.readline())
            return answer


def until(deadline: float, trouble: Callable[[], str]) -> None:
    """Return once there is no trouble; ``NotReady`` with it if that takes too long."""
    while why := trouble():
        if time.monotonic() > deadline:
            raise NotReady(why)
        time.sleep(_POLL_S)


def on_all(names: Sequence[str], call: Callable[[str], Any]) -> dict[str, Any]:
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(call, names), strict=True))


SYSTEMS = {"shelf": Shelf}
