"""Cuts: exactly the links asked for, for datagrams and standing connections, and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

Start = Callable[..., Any]
Grudges = Mapping[str, Mapping[str, list[str]]]

pytestmark = pytest.mark.cluster
NAMES = ["n1", "n2", "n3", "n4", "n5"]
LINKS = {(a, b) for a in NAMES for b in NAMES if a != b}


def apart(one: list[str], other: list[str]) -> dict[str, list[str]]:
    """Both sides drop what comes from the other."""
    return {node: other if node in one else one for node in (*one, *other)}


def others(name: str) -> list[str]:
    """Every node but this one."""
    return [node for node in NAMES if node != name]


def ring() -> dict[str, list[str]]:
    """Each node hears its two neighbours only, so that every node sees a majority of its own."""
    grudge = {}
    for i, name in enumerate(NAMES):
        heard = {name, NAMES[(i + 1) % 5], NAMES[(i - 1) % 5]}
        grudge[name] = [node for node in NAMES if node not in heard]
    return grudge


GRUDGES: Grudges = {
    "majority and minority": apart(["n1", "n2"], ["n3", "n4", "n5"]),
    "isolate one": apart(["n3"], others("n3")),
    "one hears nobody": {"n1": others("n1")},
    "nobody hears one": {name: ["n1"] for name in others("n1")},
    "majorities ring": ring(),
    "bridge": apart(["n1", "n2"], ["n4", "n5"]),
    "one link": {"n2": ["n1"]},
    "everybody alone": {name: others(name) for name in NAMES},
}


def test_every_shape_cuts_its_links_and_no_other(start: Start) -> None:
    found = start("cuts_links", grudges=GRUDGES).result()
    for shape, grudge in GRUDGES.items():
        cut = {(source, node) for node, sources in grudge.items() for source in sources}
        assert {tuple(link) for link in found[shape]["carried"]} == LINKS - cut, shape
        assert found[shape]["dropped"] == {" ".join(link): 0 for link in cut}, shape
    assert {tuple(link) for link in found["healed"]["carried"]} == LINKS
    assert found["healed"]["dropped"] == {}


def test_a_standing_connection_is_cut_counted_and_goes_on_after_the_heal(start: Start) -> None:
    found = start("cuts_connections").result()
    assert found["before"] == "1"
    assert found["counted"]
    assert not found["arrived_while_cut"]
    assert found["links"] == 19
    assert found["after"] == "2"


def test_the_controller_reaches_nodes_that_hear_nobody(start: Start) -> None:
    found = start("reaches_controller_while_cut").result()
    assert found == {"from": "10.77.0.254", "got": "1"}
