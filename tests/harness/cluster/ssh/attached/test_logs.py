"""Logs of what runs on hosts already: where they are said to be, read as they grow, no line twice.

What is asked of a host is answered by the program that is executed there, here in this process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.hands import transfer
from harness.cluster.ssh.attached.logs import HostLog, begun, fetched, meant
from harness.cluster.ssh.attached.systemd import starts_again, unit_of
from harness.contract.roles import Role
from harness.errors import NodeError, UsageError

ONE = [Role(name="etcd", nodes=("n1", "n2"))]
TWO = [Role(name="zero", nodes=("n1",)), Role(name="alpha", nodes=("n2",))]


class Host:
    """Its name, and the controller's folder for it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.log_dir = folder / "nodes" / name

    def fetch(
        self, settings: dict[str, Any], write: Callable[[bytes], object]
    ) -> Mapping[str, Any]:
        said = BytesIO()
        transfer.transfer(BytesIO(json.dumps(settings).encode() + b"\n"), said)
        head, _, data = said.getvalue().partition(b"\n")
        answer: dict[str, Any] = json.loads(head)
        if "error" in answer:
            raise NodeError(f"{self.name}: {answer['error']}")
        assert len(data) == answer["size"]
        write(data)
        return answer


def read(host: Host, role: str = "etcd") -> str:
    return (host.log_dir / f"{role}.log").read_text()


def test_a_file_is_read_from_where_it_ended_and_from_its_beginning_where_it_is_another(
    tmp_path: Path,
) -> None:
    host, there = Host("n1", tmp_path), tmp_path / "n1.log"
    there.write_text("before the run\n")
    place = {"etcd": ("file", f"{tmp_path}/{{node}}.log")}
    logs = begun(place, [Role(name="etcd", nodes=("n1",))], {"n1": host})
    assert (fetched(logs), read(host)) == ([], "")
    with there.open("a") as file:
        file.write("one\ntw")
    assert (fetched(logs), read(host)) == ([], "one\ntw")
    with there.open("a") as file:
        file.write("o\n")
    assert (fetched(logs), read(host)) == ([], "one\ntwo\n")
    there.rename(tmp_path / "n1.log.1")
    there.write_text("a longer one than the old one was, by far\n")
    [told] = fetched(logs)
    assert told.startswith(f"n1: {there} is a new one")
    assert read(host) == "one\ntwo\na longer one than the old one was, by far\n"
    there.write_text("cut\n")
    assert "is a new one" in fetched(logs)[0]
    assert (fetched(logs), read(host).splitlines()[-1]) == ([], "cut")
    there.unlink()
    assert fetched(logs) == [f"n1: its log is not here: n1: No such file or directory: {there}"]


JOURNAL = """#!/bin/sh
# Says lines of the file "said" as journalctl does: after a cursor, which is their number.
after=$(sed -n 's/.*--after-cursor=\\([0-9]*\\).*/\\1/p' <<END
$*
END
)
case "$*" in *--unit=etcd*) ;; *) echo 'no unit' >&2; exit 1;; esac
case "$*" in *--lines=0*) ;; *) tail -n +$((${after:-0} + 1)) "$(dirname "$0")/said";; esac
echo "-- cursor: $(wc -l <"$(dirname "$0")/said")"
"""


def test_a_journal_is_read_after_what_was_read_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "journalctl").write_text(JOURNAL)
    (tmp_path / "journalctl").chmod(0o755)
    (tmp_path / "said").write_text("before\n")
    host = Host("n1", tmp_path)
    log = HostLog(host, "etcd", "journal", "etcd")
    log.begin()
    assert (log.fetch(), read(host)) == ("", "")
    with (tmp_path / "said").open("a") as said:
        said.write("one\ntwo\n")
    assert (log.fetch(), read(host)) == ("", "one\ntwo\n")
    assert (log.fetch(), read(host)) == ("", "one\ntwo\n")
    with pytest.raises(NodeError, match="journalctl ended with 1: no unit"):
        HostLog(host, "etcd", "journal", "another").begin()


def test_logs_that_cannot_be_read_are_told_before_anything_is_done(tmp_path: Path) -> None:
    hosts = {name: Host(name, tmp_path) for name in ("n1", "n2")}
    with pytest.raises(NodeError, match=r"n1: No such file.*; n2: No such file") as refused:
        begun(meant("file:/nowhere/{role}-{node}", ONE), ONE, hosts)
    assert "/nowhere/etcd-n2" in str(refused.value)
    assert "--server-logs" in str(refused.value.hint)


def test_where_logs_are_is_said_for_each_role_or_not_at_all() -> None:
    assert meant(None, ONE) == {}
    assert meant("journal:etcd", ONE) == {"etcd": ("journal", "etcd")}
    assert meant("alpha=file:/a/=b", TWO) == {"alpha": ("file", "/a/=b")}


@pytest.mark.parametrize(
    ("said", "roles", "why"),
    [
        ("journal:etcd", TWO, "says no role, of zero, alpha"),
        ("file:relative", ONE, "begins at /"),
        ("jurnal:etcd", ONE, "did you mean journal"),
        ("file:", ONE, "no kind of log"),
        ("zero=journal:z,zero=journal:y", TWO, "says twice where the log of zero is"),
    ],
)
def test_what_is_no_place_of_a_log_is_refused(said: str, roles: list[Role], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        meant(said, roles)


CGROUP = "0::/system.slice/etcd.service\n"


@pytest.mark.parametrize(
    ("politely", "restart", "more", "would"),
    [
        (False, "always", "", True),
        (True, "always", "", True),
        (False, "on-failure", "", True),
        (True, "on-failure", "", False),
        (True, "on-success", "", True),
        (False, "on-success", "", False),
        (False, "no", "", False),
        (False, "on-watchdog", "", False),
        (False, "always", "SIGKILL", False),
    ],
)
def test_systemd_starts_again_what_its_service_says(
    politely: bool, restart: str, more: str, would: bool
) -> None:
    shown = f"MainPID=71\nRestart={restart}\nRestartPreventExitStatus={more}\n"

    def run(argv: list[str]) -> str:
        if argv[0] == "cat":
            return CGROUP if argv == ["cat", "/proc/71/cgroup"] else CGROUP.replace("etcd", "web")
        assert argv[-1] in ("etcd.service", "web.service")
        return shown

    assert starts_again(run, 71, politely) is would
    assert not starts_again(run, 72, politely)  # another process of that service


def test_where_there_is_no_systemd_nobody_is_said_to_start_it_again() -> None:
    def run(argv: list[str]) -> str:
        if argv[0] == "cat":
            return CGROUP
        raise NodeError("n1: No such file or directory: systemctl")

    assert not starts_again(run, 71, False)
    assert unit_of("0::/user.slice/user-1000.slice/user@1000.service\n") is None
    assert unit_of("12:cpu:/system.slice/a.service\n1:name=systemd:/system.slice/b.service\n") == (
        "b.service"
    )
    assert unit_of("0::/\n") is None
