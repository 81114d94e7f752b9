"""A cluster in memory whose nodes have disks that lose what was not synced, refuse and are slow.

A disk of ``deaf`` nodes does nothing of that, and says what a kernel would then say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.contract.fault import Stage
from tests.toys.honest_cluster import HonestCluster, HonestNode, HonestSystem, started

NUMBERS = {"read_only": 30, "full": 28}


class NodeWithDisk(HonestNode):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.is_deaf = False
        self.is_unused = False
        self.losses = 0
        self.synced = 0
        self.rules: Mapping[str, Mapping[str, Any]] = {}

    def sync_disk(self) -> None:
        self.synced += 1

    def lose_power(self) -> Mapping[str, Any]:
        self.losses += 1
        lost = {"files": 1, "pages": 2, "names": 0}
        return {"lost": lost, "kept": True, "gone": not self.is_deaf}

    def set_disk(self, rules: Mapping[str, Mapping[str, Any]]) -> None:
        self.rules = dict(rules)

    def try_disk(self, count: int) -> Mapping[str, Any]:
        calls: dict[str, dict[str, Any]] = {
            call: {"errors": {}, "median_s": 0.0} for call in ("read", "write", "sync", "change")
        }
        for rule in self.rules.values() if not self.is_deaf else ():
            for call in rule["calls"]:
                calls[call]["median_s"] += rule.get("delay_s", 0.0)
                if "delay_s" not in rule:
                    share = rule.get("error", 1.0)
                    number = next((NUMBERS[word] for word in NUMBERS if rule.get(word)), 5)
                    calls[call]["errors"][str(number)] = round(share * count)
        met = 0 if self.is_unused else 3
        return {"trial": calls, "met": dict.fromkeys(self.rules, met), "calls": {"write": 9}}


class ClusterWithDisks(HonestCluster):
    def __init__(self, nodes: int) -> None:
        super().__init__(nodes)
        self.nodes = [NodeWithDisk(node.name) for node in self.nodes]
        self.has_disks = False

    def disk_refusal(self) -> str | None:
        return None

    def provide_disks(self) -> None:
        self.has_disks = True


def stage(nodes: int = 3) -> Stage:
    """A stage of that many nodes with disks on which the honest system runs."""
    system: Any = HonestSystem()
    return started(ClusterWithDisks(nodes), system)
