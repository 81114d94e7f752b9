"""A local cluster in both modes: what nodes see, what runs on them, and what is left of it."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.namespaces import cluster as local
from harness.cluster.namespaces.cluster import CLUSTER_STEPS, LocalCluster
from harness.cluster.namespaces.steps import NODE_STEPS
from harness.errors import SetupError

Start = Callable[..., Any]

pytestmark = pytest.mark.cluster
NOTHING = {"processes": 0, "links": [], "data": []}


def test_five_nodes_come_up_joined_and_go_down_without_a_trace(start: Start) -> None:
    found = start("comes_up_and_goes_down").result()
    assert found["links"] == 20
    assert found["during"]["processes"] == 5
    assert found["during"]["links"] == ["switch", *(f"switch{i}" for i in range(1, 6))]
    assert found["after"] == NOTHING


def test_a_cluster_comes_up_again_whole(start: Start) -> None:
    found = start("comes_up_again").result()
    assert found["links"] == [["n1", "n2"], ["n2", "n1"]]
    assert found["nodes"] == 2
    assert "n9" in found["stranger"]
    assert found["after"] == NOTHING


def test_no_program_is_needed_on_the_path(start: Start) -> None:
    found = start("comes_up_and_goes_down", env={"PATH": ""}).result()
    assert found["links"] == 20
    assert found["after"] == NOTHING


def test_nodes_are_apart_from_each_other_and_from_the_run(start: Start) -> None:
    found = start("shows_what_nodes_see").result()
    n1, n2, run = (found[who].get("namespaces", found[who]) for who in ("n1", "n2", "run"))
    for kind in ("net", "mnt", "uts", "ipc", "pid"):
        assert len({n1[kind], n2[kind], run[kind]}) == 3, kind
    assert n1["user"] == run["user"]
    assert found["n1"]["host"] == "n1"
    assert found["n2"]["host"] == "n2"
    assert found["n1"]["parent"] == 1
    assert found["n1"]["links"] == ["eth0", "lo"]
    assert found["n1"]["cwd"] == found["data_dir"]
    assert "eth0" not in found["n1"]["ipv6"]
    assert found["n1"]["tmpdir"] == "/tmp"
    assert found["tmp"] == ["True", "False"]
    assert not found["tmp_outside"]
    assert found["brought"] == "brought"


def test_the_hosts_file_names_every_node(start: Start) -> None:
    found = start("shows_what_nodes_see").result()
    assert found["n1"]["addresses"] == found["n2"]["addresses"]
    assert found["n1"]["addresses"] == {
        "n1": "10.77.0.1",
        "n2": "10.77.0.2",
        "n5": "10.77.0.5",
        "controller": "10.77.0.254",
    }


def test_commands_give_their_output_and_exit_code_or_a_clear_error(start: Start) -> None:
    found = start("runs_commands").result()
    assert (found["code"], found["stdout"], found["stderr"]) == (5, 300_000, "y")
    assert found["bad"].startswith("n1: ")
    assert "ended with 5: y" in found["bad"]
    assert found["missing"] == "n1: No such file or directory: /no/such/program"
    assert "did not end in 0.3 s and was killed" in found["late"]
    assert found["left"] == 1


def test_a_daemon_is_paused_resumed_and_killed_with_its_group(start: Start) -> None:
    found = start("runs_daemons").result()
    assert found["spoke"]
    assert found["group"] == 2
    assert found["alive"]
    assert found["stopped"]
    assert found["stopped_is"] == ["T", True, None]
    assert found["resumed"]
    assert found["status"] == -9
    assert found["group_gone"]
    assert found["killed_is"] == ["gone", False, -9]
    assert found["exit"] == 4
    assert found["log"] == ["", "again", "child given", "parent given"]


def test_only_a_full_match_of_identity_is_signalled(start: Start) -> None:
    found = start("spares_strangers").result()
    assert found["alive"] == {"start_ticks": True, "boot_id": True, "pid_namespace": True}
    assert found["killed"] == -9


def test_orphans_of_nodes_and_of_the_run_are_reaped(start: Start) -> None:
    assert start("reaps_orphans").result()["reaped"]


def test_files_go_to_a_node_and_come_back(start: Start) -> None:
    found = start("moves_files").result()
    assert found["equal"]
    assert found["mode"] == "0o100750"
    assert not found["outside"]
    assert found["missing"] == "n1: No such file or directory: /no/such/file"


def test_a_program_in_the_temporary_folder_can_be_run_on_a_node(start: Start) -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        program = folder / "inner" / "program"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\necho found\n")
        program.chmod(0o755)
        link = folder / "link"
        link.symlink_to(program)
        for path in (program, link):
            found = start("executes_from_temporary_folder", program=str(path)).result()
            assert found["said"] == "found\n"
    finally:
        shutil.rmtree(folder)


def test_data_is_kept_when_asked(start: Start) -> None:
    assert start("keeps_data").result() == ["nodes/n1/data/row"]


@pytest.mark.parametrize("step", [*CLUSTER_STEPS, *NODE_STEPS])
def test_a_step_that_fails_ends_in_one_message_with_nothing_left(start: Start, step: str) -> None:
    found = start("fails_at", step=step).result()
    assert found["error"] == "SetupError"
    assert f"{step}: failed on request" in found["message"]
    assert found["left"] == NOTHING


def test_a_missing_pyroute2_is_said_with_what_installs_it(start: Start) -> None:
    found = start("lacks_pyroute2").result()
    assert found["error"] == "NeedsError"
    assert 'pip install "polygraph-db[local]"' in found["message"]
    assert found["left"] == NOTHING


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["n1", "n2", "n1"], "given twice: n1"),
        (["n1", "../n2"], "cannot be host names: '../n2'"),
        (["controller"], "cannot be host names: 'controller'"),
        ([], "1 to 200 nodes, not 0"),
    ],
)
def test_impossible_names_are_refused(start: Start, names: list[str], why: str) -> None:
    found = start("is_given_names", names=names).result()
    assert found["error"] == "SetupError"
    assert why in found["message"]


def test_outside_of_a_run_there_is_no_cluster(tmp_path: Path) -> None:
    assert "POLYGRAPH_CONTROL_FD" not in os.environ
    with pytest.raises(SetupError, match="only in a run process"):
        LocalCluster(tmp_path, ["n1"], "userns")


def test_it_goes_down_while_it_is_still_coming_up(tmp_path: Path) -> None:
    """A run that is stopped in its set-up: ``up`` goes on in its thread."""
    mine, _others = socket.socketpair()
    with mine, _others, pytest.MonkeyPatch.context() as patched:
        patched.setattr(local, "control_channel", lambda: mine)
        patched.setattr(local, "wait_for_end", lambda link: True)
        cluster = LocalCluster(tmp_path, ["n1", "n2"], "root")
        links: dict[str, Any] = cluster._links
        told: list[str] = []

        class Link:
            def __init__(self, name: str) -> None:
                self.name = name

            def tell_to_exit_once_up(self) -> None:
                told.append(self.name)
                links.setdefault("n2", Link("n2"))

            def close(self) -> None:
                told.append(f"{self.name} closed")

        links["n1"] = Link("n1")
        cluster.down()
    assert told == ["n1", "n1 closed"]
