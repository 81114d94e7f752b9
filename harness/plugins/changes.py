"""The contract's version, and what a plug-in of an earlier version must know.

A plug-in may say what it was written for, ``POLYGRAPH_CONTRACT = 3``. The version rises when a
plug-in that was right before must change, or leans on a redirection of :mod:`.old_names`; what
changed then stands here, and nowhere else.

Redirected are names that plug-ins could reasonably use: the contract, what checkers see and say,
our own workloads' and checkers' modules (to build upon them), and what systems share. Everything
else under ``harness`` is internal: it moves without a word.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final

VERSION: Final = 3
"""The contract that :mod:`harness.contract` is."""

CHANGES: Final[Mapping[int, str]] = {
    2: "modules moved: what a plug-in sees is in harness.contract (harness.client is"
    " harness.contract.client), what a checker sees and says in harness.verdict, and our checkers,"
    " nemeses and systems lie in folders by kind (checkers.bank is checkers.objects.bank);"
    " the interfaces are as they were",
    3: "`await client.begin(read_only=False)` in place of `client.transaction()`, of Transactions"
    " and Predicates; a client's `open` is given a harness.contract.client.Target, which is the"
    " address as text and knows more; a system declares `ports()` (contract.system.Ports) in"
    " place of `client_ports` and `advertises_peer_address`, and asks `node.listen(port)` and"
    ' `node.reach(port, "client" or "peer")` in place of `peer_address`, `listen_address` and'
    " `peer_listen_address`; SystemOption is called Option (the old name works on)"
    " and has kinds for times, sizes, lists and choices, and secrets;"
    " a system may have several roles: start(node, cluster) is start(stage, node), or"
    " start(stage, node, role) of a system with roles(nodes); ready, primaries and final_states get"
    " the stage instead of the cluster, which is stage.cluster; stop is asked only of a system that"
    " has stop_statuses too, as stop(stage, node); stage.daemons is read, and stage.start starts"
    " again; log patterns are named once, by kind: crash_patterns() is {'crash': [...]} in"
    " log_patterns(), expected_exits() is expected_lines() (the old ones work on); beside faults"
    " there are actions (harness.contract.action), and milestones (harness.contract.milestones)",
}
"""A version to what it changed."""

MOVED: Final[Mapping[str, str]] = {
    "harness.client": "harness.contract.client",
    "harness.system": "harness.contract.system",
    "harness.fault": "harness.contract.fault",
    "harness.workload": "harness.contract.workload",
    "harness.cluster.node": "harness.contract.node",
    "harness.history.verdict": "harness.verdict.verdict",
    "harness.history.record": "harness.verdict.record",
    "harness.history.explanation": "harness.verdict.explanation",
    "harness.history.faults_in_force": "harness.verdict.faults_in_force",
    "harness.history.log_times": "harness.verdict.log_times",
    "harness.history.consistency": "harness.verdict.consistency",
    "harness.run.ledger": "harness.history.ledger",
    "harness.conformance.http_wire": "systems.drivers.http_wire",
    "harness.conformance.speaker": "harness.contract.speaker",
    "harness.run.blocking": "harness.contract.blocking",
    "checkers.bank": "checkers.objects.bank",
    "checkers.bank_proofs": "checkers.objects.bank_proofs",
    "checkers.counter": "checkers.objects.counter",
    "checkers.sets": "checkers.objects.sets",
    "checkers.set_full": "checkers.objects.set_full",
    "checkers.queue": "checkers.objects.queue",
    "checkers.total_queue": "checkers.objects.total_queue",
    "checkers.lock": "checkers.objects.lock",
    "checkers.watch": "checkers.objects.watch",
    "checkers.unique_ids": "checkers.objects.unique_ids",
    "checkers.insert_order": "checkers.objects.insert_order",
    "checkers.comments": "checkers.objects.comments",
    "checkers.session_monotonic": "checkers.objects.session_monotonic",
    "checkers.causal": "checkers.isolation.causal",
    "checkers.causal_reverse": "checkers.isolation.causal_reverse",
    "checkers.g2": "checkers.isolation.g2",
    "checkers.long_fork": "checkers.isolation.long_fork",
    "checkers.monotonic": "checkers.isolation.monotonic",
    "checkers.predicates": "checkers.isolation.predicates.checker",
    "checkers.sequential": "checkers.isolation.sequential",
    "checkers.torn": "checkers.isolation.torn",
    "checkers.write_skew": "checkers.isolation.write_skew",
    "checkers.crash": "checkers.run.crash",
    "checkers.logs": "checkers.run.logs",
    "checkers.no_recovery": "checkers.run.no_recovery",
    "checkers.stats": "checkers.run.stats",
    "checkers.unhandled_exceptions": "checkers.run.unhandled_exceptions",
    "checkers.agreement": "checkers.run.agreement",
    "checkers.telling": "checkers.proof.findings",
    "checkers.faults_active": "checkers.proof.faults_active",
    "checkers.claim": "checkers.proof.claim",
    "checkers.promises": "checkers.proof.promises",
    "checkers.shapes": "checkers.proof.shapes",
    "checkers.independence": "checkers.proof.independence",
    "checkers.calls": "harness.history.calls",
    "checkers.elle.models": "checkers.proof.models",
    "checkers.linearizable.models": "checkers.linearizable.register_models",
    "nemeses.partition": "nemeses.network.partition",
    "nemeses.shapes": "nemeses.network.shapes",
    "nemeses.kill": "nemeses.process.kill",
    "nemeses.pause": "nemeses.process.pause",
    "nemeses.reported_time": "nemeses.clock.reported_time",
    "systems.etcd_client": "systems.etcd.client",
    "systems.etcd_gateway": "systems.etcd.gateway",
    "systems.etcd_log": "systems.etcd.log",
    "systems.etcd_members": "systems.etcd.members",
    "systems.etcd_objects": "systems.etcd.objects",
    "systems.etcd_transaction": "systems.etcd.transaction",
    "systems.etcd_watches": "systems.etcd.watches",
    "systems.etcd_binary": "systems.etcd.install",
    "systems.http_connection": "systems.drivers.http",
    "workloads.answers": "workloads.kit",
}
"""Modules of version 1 to where they are; nothing else has these names now."""

REUSED: Final[Mapping[str, str]] = {
    "checkers.proof": "checkers.proof.prose",
    "nemeses.clock": "nemeses.clock.skew",
}
"""Modules of version 1 whose names belong to a folder now, which holds what they were."""

PACKAGES: Final = ("harness", "workloads", "nemeses", "checkers", "systems")
"""The packages that are ours."""


def since(version: int) -> str:
    """What changed after ``version``, a clause for each version."""
    later = range(version + 1, VERSION + 1)
    return "; ".join(f"version {number}: {CHANGES[number]}" for number in later)


def advice_on(name: str) -> str:
    """What to try where a plug-in imports ``name`` in vain, which is no module of ours any more."""
    known = {**MOVED, **REUSED}
    if name in known.values():  # it is there, and lacks something
        return f"docs/plugins.md says what is where; {since(1)}"
    near = difflib.get_close_matches(name, [*known, *known.values()], n=1, cutoff=0.8)
    if near:
        return f"{known.get(near[0], near[0])}, if that is what it was; {since(1)}"
    return f"what is in harness.contract and harness.verdict (docs/plugins.md); {since(1)}"
