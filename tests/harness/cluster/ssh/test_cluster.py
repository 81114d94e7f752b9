"""An ssh cluster of real sshds, each on a machine made of namespaces; bad luck included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.hands.machine_clock import REFUSAL

pytestmark = [pytest.mark.cluster, pytest.mark.root]

CASES = Path(__file__).with_name("ssh_inside.py")
LINKS = [["n1", "n2"], ["n1", "n3"], ["n2", "n1"], ["n2", "n3"], ["n3", "n1"], ["n3", "n2"]]
GRUDGES = [{"n2": ["n1"]}, {"n2": ["n1", "n3"], "n1": ["n2"]}]
CARRIED = [[x for x in LINKS if x != ["n1", "n2"]], [["n1", "n3"], ["n3", "n1"], ["n2", "n3"]]]

Case = Callable[..., Any]


@pytest.fixture
def mode() -> str:
    """sshd wants to be root."""
    return "root"


@pytest.fixture
def case(start: Callable[..., Any]) -> Case:
    """Runs a case of ``ssh_inside.py``; what it found."""

    def run(name: str, **options: Any) -> Any:
        return start(name, script=CASES, **options).result()

    return run


def test_hosts_serve_as_nodes_and_are_left_as_they_were(case: Case) -> None:
    found = case("serves_as_nodes")
    assert found["said"] == ["n2", found["data_dir"]]
    assert found["data_dir"].startswith("/var/tmp/polygraph-0/run-")
    assert found["bad"] == "n2: sh -c echo no >&2; exit 5 ended with 5: no"
    assert found["late"] == "n2: sleep did not end in 0.2 s and was killed"
    assert found["alive"] == [True, "S", None]
    assert found["machine_clock"] == [f"n1: {REFUSAL}; n2: {REFUSAL}", f"n2: {REFUSAL}"]
    assert found["stopped"]
    assert found["status"] == -9
    assert found["killed"] == [False, "gone", -9]
    assert (found["equal"], found["mode"]) == (True, "750\n")
    assert found["no_folder"] == "n2: No such file or directory: /no/such/big"
    assert found["no_file"] == "n2: No such file or directory: /no/such"
    assert found["collected"] == []
    assert found["log"] == "up\nup\n"
    assert found["left"] == {}


def test_a_program_is_brought_where_the_host_has_not_the_same(case: Case) -> None:
    found = case("brings_programs")
    assert found == {"shared": True, "brought": True, "said": "ours\n", "left": {}}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"without": ["/usr/sbin/nft"]},
        {"user": "deploy", "sudo": "deploy ALL=(root) NOPASSWD: ALL\nroot ALL=(ALL) ALL\n"},
    ],
    ids=["nft", "iptables", "sudo"],
)
def test_exactly_the_links_asked_for_are_cut_and_traffic_counted(
    case: Case, options: dict[str, Any]
) -> None:
    found = case("cuts_links", grudges=GRUDGES, **options)
    assert found["refusal"] is None
    assert found["tool"] == ("iptables" if "without" in options else "nft")
    for (carried, counted, _), wanted in zip(found["grudges"], CARRIED, strict=True):
        assert sorted(carried) == sorted(wanted)
        assert counted
    assert found["healed"] == [6, {}]
    assert found["left"] == {}
    assert "without" in options or "own" in found["own"], "a rule of the host's own is gone"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"without": ["/usr/sbin/nft", "/usr/sbin/iptables"]}, "n1: there is neither nft nor"),
        ({"user": "deploy", "sudo": "deploy ALL=(root) ALL\n"}, "sudo: a password is required"),
        ({"user": "deploy", "without": ["/usr/bin/sudo"]}, "there is no sudo"),
    ],
    ids=["no program", "password", "no sudo"],
)
def test_what_cannot_cut_is_refused_with_what_would_allow_it(
    case: Case, options: dict[str, Any], said: str
) -> None:
    found = case("cuts_links", grudges=[], **options)
    assert said in found["refusal"]
    assert "to change that: install nftables there" in found["refusal"]
    assert found["left"] == {}


@pytest.mark.parametrize(
    ("what", "said", "hint"),
    [
        ("hangs at the banner", "does not greet as ssh within 10 s", "ssh -p 2222"),
        ("nobody listens", "n2: cannot connect to root@10.77.0.254:2223: Conn", "ssh -p 2223"),
        ("unknown host key", "the host key of root@10.77.0.2:22 is not known", "ssh-keyscan"),
        ("changed host key", "THE HOST KEY OF root@10.77.0.2:22 HAS CHANGED", "ssh-keygen -R"),
        ("wrong key", "n2: root@10.77.0.2:22 accepts none of the keys", "ssh-copy-id -p 22"),
        ("no python", "root@10.77.0.2:22 has no python3 that runs", "apt-get install python3"),
        ("no shell", "n2: root@10.77.0.2:22 runs no command: This account is", ""),
    ],
)
def test_bad_luck_is_one_clear_message_and_nothing_left(
    case: Case, what: str, said: str, hint: str
) -> None:
    found = case("meets_bad_luck", what=what)
    for told in (found["chosen"], found["up"]):
        assert said in told["message"]
        assert hint in told["message"]
        assert told["exit"] == 3
    assert found["left"] == {}


def test_a_program_that_ends_before_it_has_read_all_says_why(case: Case) -> None:
    found = case("ends_before_it_has_read")
    assert "n2: root@10.77.0.2:22 has no python3 that runs" in found["said"]
    assert found["left"] == {}


def test_a_connection_lost_in_the_middle_of_faults_is_made_again(case: Case) -> None:
    found = case("loses_connections")
    assert found == {
        "carried": [["n1", "n2"]],
        "state": "T",
        "healed": 2,
        "status": -9,
        "left": {},
    }


def test_a_rebooted_host_is_lost_and_said_so(case: Case) -> None:
    found = case("is_rebooted")
    assert "n2: root@10.77.0.2:22 was rebooted during the run (boot" in found["state"]
    assert found["start"] == found["state"]
    assert found["status"] is None
    assert found["lost"] == [found["state"]]
    assert found["other"] == "n1"
    assert found["left"] == {}


def test_what_a_killed_controller_left_is_healed_when_its_hosts_are_reached(case: Case) -> None:
    found = case("is_healed_later")
    assert (found["exit"], found["before"]) == (-9, ["n1", "n2"])
    assert found["open"] == ["pause", "partition"]
    [left] = found["unreachable"]
    assert "n2: cannot connect to root@10.77.0.2:22" in left
    assert found["still_open"] == 2
    assert (found["healed"], found["closed"], found["again"]) == ([], 0, [])
    assert (found["registered"], found["left"]) == (False, {})


def test_a_cluster_left_running_is_up_until_it_is_taken_down(case: Case) -> None:
    found = case("is_left_running")
    assert found == {
        "marked": True,
        "there": ["n1", "n2"],
        "up": [True, False],
        "down": [[], []],
        "left": {},
    }


def test_a_host_behind_another_is_reached_through_it(case: Case) -> None:
    found = case("jumps")
    assert found["jumps"] == 1
    assert found["said"][:2] == ["n2", "10.77.0.1"]
    assert found["left"] == {}
