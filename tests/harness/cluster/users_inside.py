"""A run process of one provider's: daemons of another user, and three ports, on real nodes.

``users_inside.py RUN_DIR OPTIONS``; what was seen goes to ``result.json`` in the run folder.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from harness.cluster import providers
from harness.cluster.provider import PROVIDER_VARIABLE, Request
from harness.contract.node import UNPRIVILEGED
from harness.errors import PolygraphError
from tests.places import NODES
from tests.toys.three_ports import BOTH, CLIENT, PEER, ThreePorts, ask, call

SHIFT_NS = 3_600 * 10**9
PATIENCE_S = 60.0
CALL_S = 1.0


def until(holds: Callable[[], Any]) -> Any:
    """What ``holds`` gave once that was something; ``None`` if the time was over before."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if found := holds():
                return found
        except (OSError, ValueError, PolygraphError):
            pass
        time.sleep(0.02)
    return None


def is_another(node: Any, daemon: Any) -> dict[str, Any]:
    """Who the daemon is, and a command beside it; where nobody can become somebody."""
    told = until(lambda: ask(node, CLIENT))
    script = "id -u; id -g; touch mine-too; pwd; echo $HOME"
    user = node.run(["sh", "-c", script], user=UNPRIVILEGED)
    try:
        node.start(["true"], name="nobody", user="no-such-user")
        refused = ""
    except PolygraphError as error:
        refused = error.message
    again = node.run(["id", "-u"]).stdout.decode().split()
    return {
        "told": told,
        "command": user.stdout.decode().split(),
        "refused": refused,
        "without": again,
        "daemon": daemon.identity.pid > 0,
        "data": node.data_dir,
    }


def signals_reach_all(node: Any, daemon: Any) -> dict[str, Any]:
    """Stop and continue: both of its processes, though one is in a session of its own."""
    found = {"members": until(lambda: len(daemon.processes()) >= 2 and len(daemon.processes()))}
    daemon.signal(signal.SIGSTOP)
    found["stopped"] = until(lambda: daemon.state() == "T")
    found["all"] = until(lambda: set(daemon.processes().values()) == {"T"})
    daemon.signal(signal.SIGCONT)
    found["goes on"] = bool(until(lambda: ask(node, CLIENT)))
    return found


def clock_is_set(node: Any) -> dict[str, Any]:
    """Ahead by an hour in every process, and back."""
    node.set_clock({"shift_ns": SHIFT_NS}, "process")
    ahead_ns = ask(node, CLIENT)["time_ns"] - time.time_ns()
    state = node.read_clock()
    node.heal_clock()
    healed = node.read_clock()
    true_ns = ask(node, CLIENT)["time_ns"] - time.time_ns()
    return {
        "ahead_s": round(ahead_ns / 1e9 / 60) * 60,
        "all_changed": state["changed"] == state["processes"] >= 2,
        "healed": healed["pristine"] == healed["processes"],
        "true_s": round(true_ns / 1e9 / 60) * 60,
    }


def clock_is_there_at_the_start(system: Any, cluster: Any, node: Any) -> list[Any]:
    """Killed, and started again while its clock is set; then ended politely."""
    node.set_clock({"shift_ns": SHIFT_NS}, "process")
    [daemon] = system.start(node, cluster)
    told = until(lambda: ask(node, CLIENT))
    node.heal_clock()
    daemon.signal(signal.SIGTERM)
    status = daemon.wait(PATIENCE_S)
    daemon.signal(signal.SIGKILL)
    gone = until(lambda: not daemon.processes())
    return [round((told["time_ns"] - time.time_ns()) / 6e10), told["starts"], status, bool(gone)]


def ports_lead_there(cluster: Any) -> dict[str, Any]:
    """Each port for whom it is; over a cut link neither port for peers, for clients both."""
    first, second = cluster.nodes[:2]

    from_peer = partial(call, second, first, timeout_s=CALL_S)
    clients = {str(port): bool(until(partial(ask, first, port))) for port in (CLIENT, BOTH)}
    peers = {str(port): bool(until(partial(from_peer, port))) for port in (PEER, BOTH)}
    cluster.cut({first.name: frozenset({second.name})})
    cut = {str(port): bool(from_peer(port)) for port in (PEER, BOTH)}
    still = bool(ask(first, BOTH))
    cluster.heal_cuts()
    healed = {str(port): bool(until(partial(from_peer, port))) for port in (PEER, BOTH)}
    return {"clients": clients, "peers": peers, "cut": cut, "still": still, "healed": healed}


def measure(cluster: Any, system: Any) -> dict[str, Any]:
    cluster.up()
    node = cluster.nodes[0]
    daemons = {each.name: system.start(each, cluster)[0] for each in cluster.nodes[:2]}
    daemon = daemons[node.name]
    result = {"is": is_another(node, daemon), "ports": ports_lead_there(cluster)}
    result |= {"signals": signals_reach_all(node, daemon), "clock": clock_is_set(node)}
    daemon.signal(signal.SIGKILL)
    result["killed"] = [daemon.wait(PATIENCE_S), bool(until(lambda: not daemon.processes()))]
    result["restarted"] = clock_is_there_at_the_start(system, cluster, node)
    return result


def main() -> None:
    run_dir, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    system: Any = ThreePorts()
    name = os.environ[PROVIDER_VARIABLE]
    request = Request(provider=name, nodes=NODES[:2], system=system, options=options)
    cluster: Any = providers.of(name).cluster(request, run_dir)
    try:
        result = measure(cluster, system)
    finally:
        cluster.down()
    (run_dir / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
