"""A docker cluster keeps the promises of nodes, daemons and cuts, and leaves nothing."""

from __future__ import annotations

import io
import signal
import socket
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from harness.contract.node import Partitionable, split_address
from harness.errors import NodeError
from tests.engine_holdings import OWN

pytestmark = [pytest.mark.docker, pytest.mark.cluster, pytest.mark.usefixtures("nothing_left")]

PATIENCE_S = 30.0
LISTEN = """
import socket, sys
host, port = sys.argv[1].split(":")
server = socket.create_server((host, int(port)))
while True:
    server.accept()[0].sendall(b"here")
"""


def until(true: Any) -> None:
    """Wait until ``true()`` is."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def test_commands_and_files_cross_over(make: Any, tmp_path: Path) -> None:
    cluster = make(1)
    cluster.up()
    node = cluster.node("n1")
    done = node.run(["sh", "-c", "cat; echo $HOSTNAME >&2; exit 3"], check=False)
    assert (done.exit_code, done.stdout) == (3, b"")
    assert node.run(["hostname"]).stdout == b"n1\n"
    with pytest.raises(NodeError, match="n1: false ended with 1"):
        node.run(["false"])
    with pytest.raises(NodeError, match=r"did not end in 0\.2 s"):
        node.run(["sleep", "60"], timeout_s=0.2)
    source = tmp_path / "file"
    source.write_bytes(bytes(range(256)) * 1000)
    source.chmod(0o751)
    node.upload(source, f"{node.data_dir}/copy")
    assert node.run(["stat", "-c", "%a %s", f"{node.data_dir}/copy"]).stdout == b"751 256000\n"
    node.download(f"{node.data_dir}/copy", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    with pytest.raises(NodeError, match="would not be seen"):
        node.upload(source, "/etc/passwd")


def test_a_daemon_is_killed_restarted_and_paused(make: Any, tmp_path: Path) -> None:
    cluster = make(1)
    cluster.up()
    node = cluster.node("n1")
    words = ["sh", "-c", "echo from $0 >&2; echo more >>/kept; cat /kept; sleep 1000 & wait", "me"]
    daemon = node.start(words, name="talker", env={"A": "b"})
    assert daemon.alive()
    assert daemon.exit_status() is None
    daemon.signal(signal.SIGSTOP)
    until(lambda: daemon.state() == "T")
    assert daemon.alive()
    daemon.signal(signal.SIGCONT)
    until(lambda: daemon.state() != "T")
    assert daemon.wait(0.01) is None
    daemon.signal(signal.SIGSTOP)
    daemon.signal(signal.SIGKILL)
    assert daemon.wait(PATIENCE_S) == -signal.SIGKILL
    assert not daemon.alive()
    assert daemon.state() == "gone"
    daemon.signal(signal.SIGKILL)
    again = node.start(words, name="talker", env={"A": "b"})
    assert again.identity != daemon.identity
    log = cluster.node("n1").log_dir / "talker.log"
    until(lambda: log.exists() and log.read_text() == "from me\nmore\nfrom me\nmore\nmore\n")
    # The side-car's and one child.
    until(lambda: node.run(["pgrep", "-c", "sleep"]).stdout == b"2\n")
    other = node.start(["sh", "-c", "exit 7"], name="talker")
    assert other.wait(PATIENCE_S) == 7


def test_what_cannot_be_executed_is_told_in_its_log(make: Any) -> None:
    cluster = make(1)
    cluster.up()
    node = cluster.node("n1")
    daemon = node.start(["/no/such/program"], name="nothing")
    assert daemon.wait(PATIENCE_S) == 127
    log = node.log_dir / "nothing.log"
    until(lambda: log.exists() and "/no/such/program" in log.read_text())


def test_cuts_are_exact_directed_and_counted(make: Any) -> None:
    cluster = make(3)
    cluster.up()
    assert isinstance(cluster, Partitionable)
    every = {(a, b) for a in ("n1", "n2", "n3") for b in ("n1", "n2", "n3") if a != b}
    assert cluster.reachable() == every
    cluster.cut({"n1": frozenset({"n2"}), "n3": frozenset({"n1", "n2"})})
    cut = {("n2", "n1"), ("n1", "n3"), ("n2", "n3")}
    assert cluster.reachable() == every - cut
    assert cluster.dropped() == dict.fromkeys(cut, 0)
    address = cluster.node("n3").reach(9999, "peer").partition(":")[0]
    send = ["sh", "-c", f"echo x | nc -u -w1 {address} 9999"]
    cluster.node("n1").run(send, check=False)
    until(lambda: cluster.dropped()["n1", "n3"] > 0)
    assert cluster.dropped()["n2", "n3"] == 0
    cluster.heal_cuts()
    cluster.heal_cuts()
    assert cluster.reachable() == every
    assert cluster.dropped() == {}
    with pytest.raises(KeyError, match="n9"):
        cluster.cut({"n1": frozenset({"n9"})})


def test_two_projects_live_side_by_side(make: Any) -> None:
    first, second = make(2), make(2)
    first.up()
    second.up()
    addresses = {node.reach(7000, "peer") for cluster in (first, second) for node in cluster.nodes}
    assert len(addresses) == 4
    second.down()
    assert len(first.reachable()) == 2


@pytest.mark.parametrize("published", [False, True])
def test_clients_reach_a_node_by_its_address_or_its_published_port(
    make: Any, published: bool
) -> None:
    cluster = make(1, published=published)
    cluster.up()
    node = cluster.node("n1")
    node.start(["python3", "-c", LISTEN, node.listen(7000)], name="listen")
    host, port = split_address(node.reach(7000, "client"))
    assert host.startswith("127.") == published

    def answers() -> bool:
        try:
            with socket.create_connection((host, port), 5) as connection:
                return connection.recv(4) == b"here"
        except OSError:
            return False

    until(answers)


def test_a_database_image_needs_no_tools_inside(make: Any, client: Any) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("nothing"))
    archive.seek(0)
    image = f"{OWN}-empty:latest"
    repository, _, tag = image.partition(":")
    client.import_image_from_data(archive.read(), repository=repository, tag=tag)
    try:
        cluster = make(2, database_image=image)
        cluster.up()
        node = cluster.node("n1")
        program = node.bring(Path(busybox(cluster, client)))
        assert node.run([program, "busybox", "ls", "/"]).stdout.split()[0] == b"dev"
        with pytest.raises(NodeError, match="did not end"):
            node.run([program, "busybox", "sleep", "60"], timeout_s=1)
        daemon = node.start([program, "busybox", "sleep", "1000"], name="database")
        daemon.signal(signal.SIGSTOP)
        until(lambda: daemon.state() == "T")
        daemon.signal(signal.SIGKILL)
        assert daemon.wait(PATIENCE_S) == -signal.SIGKILL
        cluster.cut({"n1": frozenset({"n2"})})
        assert cluster.reachable() == {("n1", "n2")}
        cluster.down()
    finally:
        client.remove_image(image, force=True)


def busybox(cluster: Any, client: Any) -> str:
    """A static program, taken from the side-car, where the controller can give it out again."""
    place = cluster.node("n1").log_dir / "busybox"
    cluster.node("n1").download("/bin/busybox", place)
    place.chmod(0o755)
    return str(place)
