"""A container that is started again: what could not be put in force there again is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.cluster.docker.attached.cluster import AttachedCluster
from harness.cluster.docker.attached.members import Member
from harness.cluster.docker.attached.seat import Over
from harness.contract.theirs import TellsTrouble
from harness.errors import NodeError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, []),
        (Over("it ended while it was looked at"), []),
        (NodeError("no space left for a side-car"), ["no space left for a side-car"]),
        (KeyError("State"), ["KeyError"]),
    ],
)
def test_what_goes_wrong_with_a_new_life_is_told_unless_that_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception | None, told: list[str]
) -> None:
    members = {"n1": Member(name="shop-db-1", service="db")}
    system: Any = object()
    cluster = AttachedCluster(tmp_path, system, members, project="shop", image="image")
    assert isinstance(cluster, TellsTrouble)
    heard: list[tuple[str, str]] = []
    cluster.on_trouble(lambda node, what: heard.append((node, what)))

    def renew(name: str) -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(cluster, "_renew", renew)
    cluster._started("n1")
    assert [node for node, _ in heard] == ["n1"] * len(told)
    assert all(
        why in what and "shop-db-1" in what for why, (_, what) in zip(told, heard, strict=True)
    )
    heard.clear()
    cluster._is_ending = True
    cluster._started("n1")
    assert heard == []
