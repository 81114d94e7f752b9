"""Dgraph: Zeros and Alphas, installed, started, found ready and spoken to over HTTP.

An *Alpha* serves clients and holds data; some of them (``--replicas``) are a group, and each
predicate is a *tablet* that one group serves. *Zeros* give out timestamps, decide which
transactions commit, and move tablets. A Zero stands beside every Alpha, as in Jepsen's test, or
three have nodes of their own (``--zeros apart``), so that their network can be cut from each
other's and not from the Alphas'.

Which release it is must be said where the program does not (:mod:`systems.dgraph.release`).
Operations are given 60 s: one whose commit waits for a Zero that was cut off is decided late, and a
client that gave up before would hide how (the Zero of 1.0.10 proposes again after 4, 12, 28 and 60
s).

How keys and values lie there: :mod:`systems.dgraph.records`. What errors mean:
:mod:`systems.dgraph.errors`. What members say of themselves: :mod:`systems.dgraph.members`, and in
their logs: :mod:`systems.dgraph.log`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from random import Random
from typing import Any, ClassVar, Final

from harness.contract.action import Outcome
from harness.contract.client import Predicates, SystemClient, Transactions
from harness.contract.node import Cluster, Daemon, Node, Port
from harness.contract.option import Option
from harness.contract.system import FAITHFUL, Role, Stage
from harness.errors import NeedsError, UsageError
from systems.dgraph import admin, flags, install, members
from systems.dgraph.client import ABILITIES
from systems.dgraph.dialect import Dialect
from systems.dgraph.forming import form
from systems.dgraph.log import EXPECTED_LINES, LOG_PATTERNS, MILESTONES
from systems.dgraph.options import APART, OPTIONS, UID
from systems.dgraph.places import ALPHA, PORTS, ZERO
from systems.dgraph.records import Layout, Uids
from systems.dgraph.release import NEWEST, Release, release_of
from systems.dgraph.speaker import DgraphSpeaker
from systems.dgraph.theirs import clear, versions

_ADOPTION_TIMEOUT_S: Final = 10.0
_STATE_TIMEOUT_S: Final = 1.0
_STOP_TIMEOUT_S: Final = 30.0
_LEAST_FAULT_S: Final = 6.0
"""An election of Zeros (3 s of silence) and what Alphas need to hear of it."""
_ZEROS_APART: Final = 3


class Dgraph:
    """Zeros and Alphas.

    Also ``OfRoles``, ``Forms``, ``Stops``, ``Primaries``, ``Ports``, ``LogPatterns``,
    ``Milestones``, ``Admin``, ``Adopts``, ``FaultDurations``, ``ClockPath``.
    """

    name = "dgraph"
    options: tuple[Option, ...] = OPTIONS
    defaults: ClassVar[Mapping[str, Any]] = {"op_timeout": 60.0, "recovery_timeout": 120.0}

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options: dict[str, Any] = {
            option.name: option.value(option.default)
            if options.get(option.name) is None
            else options[option.name]
            for option in self.options
        }
        given = self._options["release"]
        self._release: Release | None = release_of(given) if given else None
        self._prefix = ""
        self._is_theirs = False
        self._moves = 0

    # -- what it is --------------------------------------------------------------------------------

    def abilities(self) -> Sequence[type]:
        """Registers, transactions, predicates, sets, counters and ids."""
        return ABILITIES

    def claims(self) -> Mapping[type, Sequence[str]]:
        """Snapshot isolation and linearizable reads, as Dgraph's pages promise."""
        interactive = (Transactions, Predicates)
        return {
            each: ("strong-snapshot-isolation",) if each in interactive else ("linearizable",)
            for each in ABILITIES
        }

    def versions(self) -> Mapping[str, str]:
        """As the user says, else as the program here does."""
        said = self._release or install.said_here(self._options["binary"])
        return {"dgraph": str(said) if said else "what the nodes have"}

    def speaker(self) -> DgraphSpeaker:
        """An honest Alpha, for the conformance kit."""
        return DgraphSpeaker(posts_text=self._known_release.posts_text)

    def ports(self) -> Sequence[Port]:
        """Of an Alpha and of a Zero."""
        return PORTS

    def roles(self, nodes: Sequence[str]) -> Sequence[Role]:
        """A Zero and an Alpha on each node; apart, Zeros on the first three."""
        zeros = alphas = tuple(nodes)
        if self._options["zeros"] == APART:
            if len(nodes) <= _ZEROS_APART:
                raise UsageError(
                    f"{len(nodes)} nodes leave none for an Alpha beside {_ZEROS_APART} Zeros on"
                    " nodes of their own",
                    f"--nodes {2 * _ZEROS_APART} or more, or --zeros together",
                )
            zeros, alphas = zeros[:_ZEROS_APART], alphas[_ZEROS_APART:]
        return [
            Role(name=ZERO, nodes=zeros, serves_clients=False),
            Role(name=ALPHA, nodes=alphas, after=[ZERO]),
        ]

    # -- its life ----------------------------------------------------------------------------------

    def install(self, node: Node, role: str) -> None:
        """Prove that the program runs on ``node``, and find out which release it is."""
        said = install.said_on(node, self._options["binary"])
        if self._release is None and said is None:
            raise NeedsError(
                f"{node.name}: this build of Dgraph does not say its version",
                f"--release {NEWEST}, or whatever it is: flags and requests depend on it",
            )
        self._release = self._release or said

    def start(self, stage: Stage, node: Node, role: str) -> Sequence[Daemon]:
        """Start the Zero or the Alpha of ``node``, with the data that it has."""
        zeros = members.nodes_of(stage, ZERO)
        of = flags.of_zero if role == ZERO else flags.of_alpha
        argv = of(self._known_release, node, zeros, self._options)
        node.run(["mkdir", "-p", f"{node.data_dir}/{role}"])
        env = {"GOMEMLIMIT": self._options["go_memory_limit"]}
        program = install.program_on(node, self._options["binary"])
        cwd = f"{node.data_dir}/{role}"
        return [node.start([program, *argv], name=role, cwd=cwd, env=env)]

    def form(self, stage: Stage, timeout_s: float) -> None:
        """Make the schema, and spread the tablets over the groups."""
        form(stage, self._layout, self._options["replicas"], timeout_s)

    def ready(self, stage: Stage, timeout_s: float) -> None:
        """Return once all Zeros know each other and every Alpha has a write committed."""
        members.wait_until_ready(stage, self._layout, timeout_s, knows_zeros=not self._is_theirs)

    def stop(self, stage: Stage, node: Node, role: str) -> None:
        """SIGTERM: it closes its store and ends."""
        stage.terminate(node.name, _STOP_TIMEOUT_S, role)

    def stop_statuses(self, role: str) -> Sequence[int]:
        """Politely, with 0; an Alpha of 1.x may end by the signal."""
        return (0, -15)

    # -- clients -----------------------------------------------------------------------------------

    def client(self, op_timeout_s: float) -> SystemClient:
        """A client with all abilities, not yet open."""
        from systems.dgraph.client import DgraphClient

        return DgraphClient(op_timeout_s, self._layout)

    @property
    def _known_release(self) -> Release:
        return self._release or NEWEST

    @cached_property
    def _uids(self) -> Uids | None:
        return Uids() if self._options["lookup"] == UID else None

    @property
    def _layout(self) -> Layout:
        return Layout(
            dialect=Dialect(self._known_release.posts_text),
            stripes=self._options["stripes"],
            stored_as=self._options["stored_as"],
            prefix=self._prefix,
            uids=self._uids,
        )

    # -- where it runs already ---------------------------------------------------------------------

    def adopt(self, cluster: Cluster, namespace: str) -> Mapping[str, str]:
        """Keep all keys under a prefix; the versions of the Alphas there."""
        self._prefix, self._is_theirs = namespace, True
        found = versions(cluster, self._known_release, _ADOPTION_TIMEOUT_S)
        if self._release is None and (said := install.number_in(found)) is not None:
            self._release = said
        return {"dgraph": found}

    def clear(self, cluster: Cluster, namespace: str) -> None:
        """Delete every record whose key begins so. Its predicates stay in the schema."""
        clear(cluster, replace(self._layout, prefix=namespace, uids=None), _ADOPTION_TIMEOUT_S)

    # -- what it says of itself --------------------------------------------------------------------

    def primaries(self, stage: Stage, role: str) -> Sequence[str]:
        """The node whose Zero leads, or whose Alphas lead their groups."""
        return members.leaders(stage, role, _STATE_TIMEOUT_S)

    def admin_actions(self) -> Sequence[str]:
        """``move-tablet`` and ``fix-alpha``."""
        return admin.ACTIONS

    def administer(self, stage: Stage, node: Node, action: str, timeout_s: float) -> Outcome:
        """One move of a tablet to the group of ``node``, or its Alpha started again."""
        if action == admin.FIX_ALPHA:
            return admin.fix_alpha(stage, node)
        self._moves += 1
        return admin.move_tablet(stage, node, self._layout, Random(self._moves), timeout_s)

    def log_patterns(self) -> Mapping[str, Sequence[str]]:
        """Panics, fatal lines and data races."""
        return LOG_PATTERNS

    def expected_lines(self) -> Mapping[str, Sequence[str]]:
        """One that comes back before its sockets are free again ends by itself."""
        return EXPECTED_LINES

    def milestones(self) -> Mapping[str, Sequence[str]]:
        """Changes of leaders, snapshots, moves of tablets, leases of timestamps."""
        return MILESTONES

    def clock_path(self) -> str:
        """Go reads the time through the vDSO and waits by the monotonic clock alone."""
        return FAITHFUL

    def least_duration_s(self, fault: str) -> float:
        """Until Zeros or Alphas have elected another leader and have heard of it."""
        return _LEAST_FAULT_S


SYSTEMS = {"dgraph": Dgraph}
