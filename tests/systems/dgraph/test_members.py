"""What Zeros are asked, and what is made of their answers; flags by release; refusals."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.contract.node import Completed
from harness.errors import NeedsError, UsageError
from systems.dgraph import Dgraph, admin, flags, members
from systems.dgraph.errors import OPEN_COMMIT, REFUSED_COMMIT, is_refused
from systems.dgraph.release import Release, release_of

STATE = {
    "counter": "40",
    "groups": {
        "1": {
            "members": {"1": {"addr": "10.0.0.1:7080", "leader": True}},
            "tablets": {"0-polygraph_key_0": {}, "0-dgraph.type": {}},
        },
        "2": {
            "members": {"2": {"addr": "10.0.0.2:7080", "leader": True}},
            "tablets": {"0-polygraph_key_1": {}},
        },
    },
    "zeros": {
        "1": {"addr": "10.0.0.1:5080"},
        "2": {"addr": "10.0.0.2:5080", "leader": True},
    },
}


class StubNode:
    """A node of one address, whose dgraph says what it is told to."""

    def __init__(self, number: int, said: bytes = b"Dgraph version   : v25.4.0\n") -> None:
        self.name, self.host, self.said = f"n{number}", f"10.0.0.{number}", said
        self.data_dir = f"/data/n{number}"
        self.shift = 0

    def reach(self, port: int, whom: str) -> str:
        return f"{self.host}:{port}"

    def listen(self, port: int) -> str:
        return f"{self.host}:{port + self.shift}"

    def bring(self, path: Path) -> str:
        return f"/brought/{path.name}"

    def run(self, argv: list[str], **_: Any) -> Completed:
        self.asked = argv
        return Completed(exit_code=0, stdout=self.said, stderr=b"")


NODES = [StubNode(1), StubNode(2)]


def stage(system: Any = None) -> Any:
    """Two nodes with a Zero and an Alpha each."""
    names = [node.name for node in NODES]
    return SimpleNamespace(
        cluster=SimpleNamespace(nodes=NODES, node=lambda name: NODES[int(name[1:]) - 1]),
        role=lambda name: SimpleNamespace(nodes=names),
        roles_on=lambda name: ["zero", "alpha"],
    )


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What ``/state`` of each node gives, and what moves were asked for."""
    told: dict[str, Any] = {"n1": members.NotAnswered("timed out"), "n2": STATE, "moves": []}

    def state_of(node: Any, timeout_s: float) -> Any:
        if isinstance(told[node.name], Exception):
            raise told[node.name]
        return told[node.name]

    def ask(node: Any, port: int, path: str, *_: Any) -> tuple[int, str]:
        told["moves"].append((node.name, port, path))
        answer: tuple[int, str] = told.get("answer", (200, "Predicate: [x] moved"))
        return answer

    monkeypatch.setattr(members, "state_of", state_of)
    monkeypatch.setattr(admin, "ask", ask)
    return told


def test_a_zero_that_does_not_answer_is_no_answer(answers: dict[str, Any]) -> None:
    assert members.leaders(stage(), "zero", 1.0) == ["n2"]
    assert members.leaders(stage(), "alpha", 1.0) == ["n1", "n2"]
    answers["n2"] = members.NotAnswered("timed out")
    assert members.leaders(stage(), "zero", 1.0) == []


def test_of_two_views_the_one_that_knows_a_leader_counts(answers: dict[str, Any]) -> None:
    answers["n1"] = {"counter": "99", "groups": {}, "zeros": {"1": {"addr": "10.0.0.1:5080"}}}
    assert members.leaders(stage(), "zero", 1.0) == ["n2"]


def test_a_move_goes_to_the_leader_and_to_the_group_of_the_node(answers: dict[str, Any]) -> None:
    done = Dgraph({}).administer(stage(), NODES[0], "move-tablet", 1.0)  # type: ignore[arg-type]
    assert done.is_done
    assert answers["moves"] == [("n2", 6080, "/moveTablet?tablet=polygraph_key_1&group=1")]


def test_a_refused_move_is_an_answer(answers: dict[str, Any]) -> None:
    answers["answer"] = (500, "Server is not leader of this group")
    done = Dgraph({}).administer(stage(), NODES[0], "move-tablet", 1.0)  # type: ignore[arg-type]
    assert not done.is_done
    assert "not leader" in done.what


def test_only_the_two_certain_texts_are_refusals() -> None:
    assert all(is_refused(f"rpc error: code = Aborted desc = {text}.") for text in REFUSED_COMMIT)
    assert not any(is_refused(text) for text in OPEN_COMMIT)
    assert not is_refused("Aborting proposal")


@pytest.mark.parametrize(
    ("said", "zero", "alpha"),
    [
        ("1.0.10", {"--idx=2", "--telemetry=false"}, {"--lru_mb=1024", "--zero=10.0.0.2:5080"}),
        ("1.1.1", {"--idx=2"}, {"--whitelist=0.0.0.0:255.255.255.255"}),
        (
            "v25.4.0",
            {"--raft=idx=2", "--security=whitelist=0.0.0.0/0", "--peer=10.0.0.1:5080"},
            {"--zero=10.0.0.1:5080,10.0.0.2:5080", "--security=whitelist=0.0.0.0/0"},
        ),
    ],
)
def test_flags_are_those_of_the_release(said: str, zero: set[str], alpha: set[str]) -> None:
    options = {"replicas": 3, "rebalance_interval": "10h"}
    nodes: Any = NODES
    release = release_of(said)
    assert zero <= set(flags.of_zero(release, nodes[1], nodes, options))
    assert alpha <= set(flags.of_alpha(release, nodes[1], nodes, options))
    assert ("--lru_mb=1024" in flags.of_alpha(release, nodes[1], nodes, options)) == (
        release < Release(20, 11)
    )


def test_without_a_binary_it_is_the_one_of_the_image_and_says_its_release() -> None:
    node, system = StubNode(1), Dgraph({})
    system.install(node, "zero")  # type: ignore[arg-type]
    assert node.asked == ["dgraph", "version"]
    assert "--security=whitelist=0.0.0.0/0" in flags.of_zero(
        release_of("25.4.0"),
        node,  # type: ignore[arg-type]
        [node],  # type: ignore[list-item]
        {"replicas": 1, "rebalance_interval": "1h"},
    )


def test_a_build_that_does_not_say_its_release_needs_to_be_told() -> None:
    node = StubNode(1, b"Dgraph version   : dev\n")
    with pytest.raises(NeedsError, match="does not say its version"):
        Dgraph({}).install(node, "zero")  # type: ignore[arg-type]
    Dgraph({"release": "1.1.1"}).install(node, "zero")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no release"):
        Dgraph({"release": "newest"})


def test_nodes_that_share_an_address_are_refused() -> None:
    node = StubNode(1)
    node.shift = 1000
    with pytest.raises(NeedsError, match="one by one"):
        Dgraph({}).install(node, "zero")  # type: ignore[arg-type]


def test_zeros_apart_are_the_first_three() -> None:
    names = [f"n{number}" for number in range(1, 10)]
    roles = {role.name: list(role.nodes) for role in Dgraph({"zeros": "apart"}).roles(names)}
    assert roles == {"zero": names[:3], "alpha": names[3:]}
    with pytest.raises(UsageError, match="leave none"):
        Dgraph({"zeros": "apart"}).roles(names[:3])
