"""What each provider can do: its cluster, its nodes and the daemons on them, one line a provider.

A fault names the abilities that it ``needs`` (:class:`harness.contract.fault.HasNeeds`). Those of
a system are asked of the system; all others must stand here, so that it is known without any
machine which fault is possible where (:func:`lacking`), and tests try every such pair on real
nodes. Whether this machine can do it now is another question, asked before each set-up
(``Fault.refusal``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from harness.contract import action, operating, system
from harness.contract.node import (
    Clocks,
    ClockSettable,
    CutsClients,
    CutsPorts,
    Disk,
    Disks,
    HasProcesses,
    Partitionable,
    Shapeable,
)

_EVERY = (HasProcesses, Partitionable, Clocks, ClockSettable)
_ALWAYS: Mapping[type, str] = dict.fromkeys(_EVERY, "")
_PORTS: Mapping[type, str] = dict.fromkeys((CutsPorts, CutsClients), "")
_QUEUES: Final = "the kernel has netfilter queues"
_TOOLS: Final = "the login may use nft or iptables on every host"

_FUSE: Final = "the user may open /dev/fuse"

ABILITIES: Mapping[str, Mapping[type, str]] = {
    "local:root": {**_ALWAYS, **_PORTS, Shapeable: _QUEUES, Disks: "", Disk: _FUSE},
    "local:userns": {**_ALWAYS, **_PORTS, Shapeable: _QUEUES, Disks: "", Disk: _FUSE},
    "local:plain": {
        **_ALWAYS,
        Partitionable: "the system can tell its peers another address than it listens at",
    },
    "docker": {**_ALWAYS, **_PORTS, Shapeable: _QUEUES},
    "docker:attach": {
        HasProcesses: "a restart policy or --start-command has what was ended started again",
        Partitionable: "the containers have a network in common, and none the host's",
        Clocks: "",
        ClockSettable: "",
    },
    "ssh": {
        **_ALWAYS,
        **_PORTS,
        Partitionable: _TOOLS,
        Disks: "",
        Disk: "the login is root, and the hosts' kernels have FUSE",
    },
    "ssh:attach": {
        HasProcesses: "the login may signal them, and somebody starts again what was ended",
        Partitionable: _TOOLS,
        CutsPorts: "",
        Clocks: "the login may trace them",
        ClockSettable: "",
    },
    "none": {},
}
"""Full name of a provider to what it can do, each with what that takes beside a fit machine."""


def is_untouched(provider: str) -> bool:
    """Whether nothing at all is done to the nodes, whatever a fault or an action needs."""
    return not ABILITIES[provider]


def of_systems(needs: Iterable[type]) -> list[type]:
    """Those abilities that a system must have, not a provider."""
    modules = [module.__name__ for module in (system, action, operating)]
    return [need for need in needs if need.__module__ in modules]


def lacking(needs: Iterable[type], provider: str) -> list[type]:
    """The abilities that a provider does not have; what a system must have is not among them."""
    wanted = list(needs)
    asked_of_system = of_systems(wanted)
    return [n for n in wanted if n not in ABILITIES[provider] and n not in asked_of_system]


def conditions(needs: Iterable[type], provider: str) -> list[str]:
    """What has to hold for the abilities that a provider has under a condition only."""
    found = ABILITIES[provider]
    return [found[need] for need in needs if found.get(need)]
