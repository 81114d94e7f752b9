"""The command lines of Zeros and Alphas, by release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.contract.node import Node, split_address
from systems.dgraph.places import ALPHA_PEER, ZERO_PEER
from systems.dgraph.release import Release


def of_zero(
    release: Release, node: Node, zeros: Sequence[Node], options: Mapping[str, Any]
) -> list[str]:
    """A Zero's: the first begins the cluster, the others join it there."""
    number = [each.name for each in zeros].index(node.name) + 1
    argv = [
        "zero",
        f"--my={_peer(node, ZERO_PEER)}",
        f"--replicas={options['replicas']}",
        f"--rebalance_interval={options['rebalance_interval']}",
        f"--wal={node.data_dir}/zero",
    ]
    if release.has_superflags:
        argv += [f"--raft=idx={number}", "--telemetry=reports=false;sentry=false"]
    else:
        argv += [f"--idx={number}", "--telemetry=false"]
    if release.zero_has_whitelist:
        argv.append("--security=whitelist=0.0.0.0/0")
    if number > 1:
        argv.append(f"--peer={_peer(zeros[0], ZERO_PEER)}")
    return argv


def of_alpha(
    release: Release, node: Node, zeros: Sequence[Node], options: Mapping[str, Any]
) -> list[str]:
    """An Alpha's. Older ones are told one Zero: their own node's, or one by turns."""
    named = [_peer(zero, ZERO_PEER) for zero in zeros]
    argv = [
        "alpha",
        f"--my={_peer(node, ALPHA_PEER)}",
        f"--postings={node.data_dir}/alpha/p",
        f"--wal={node.data_dir}/alpha/w",
    ]
    if release.has_superflags:
        return [
            *argv,
            f"--zero={','.join(named)}",
            "--security=whitelist=0.0.0.0/0",
            "--telemetry=reports=false;sentry=false",
        ]
    own = [at for at, zero in enumerate(zeros) if zero.name == node.name]
    digits = int("".join(filter(str.isdigit, node.name)) or 0)
    argv.append(f"--zero={named[own[0] if own else digits % len(named)]}")
    if release.wants_lru_mb:
        argv.append("--lru_mb=1024")
    if release >= Release(1, 1):
        argv.append("--whitelist=0.0.0.0:255.255.255.255")
    return argv


def _peer(node: Node, port: int) -> str:
    host, number = split_address(node.reach(port, "peer"))
    return f"{host}:{number}"
