"""Nodes files and ssh configurations: which host a line means, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.cluster.ssh.connection import connect
from harness.cluster.ssh.hosts import (
    Host,
    Line,
    complete,
    read_config,
    read_nodes_file,
    resolved,
)
from harness.cluster.ssh.provider import PROVIDER
from harness.errors import NodeError, UsageError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anybody's ssh configuration."""
    (tmp_path / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def host(home: Path, config: str, word: str, peer: str | None = None) -> Host:
    """The host that ``word`` means under this configuration."""
    (home / ".ssh" / "config").write_text(config)
    return complete(Line(node="n1", word=word, peer=peer), read_config(None))


def nodes(tmp_path: Path, text: str) -> list[tuple[str, str | None]]:
    """What a nodes file of this text names."""
    (tmp_path / "nodes").write_text(text)
    return read_nodes_file(tmp_path / "nodes")


def test_a_nodes_file_has_a_host_a_line_and_comments(tmp_path: Path) -> None:
    text = "# mine\nroot@10.0.0.1:2222\n\ndb2 peer=192.168.0.2  # inner\n[fe80::1]:22\n"
    found = nodes(tmp_path, text)
    assert found == [("root@10.0.0.1:2222", None), ("db2", "192.168.0.2"), ("[fe80::1]:22", None)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no host"),
        ("# nothing\n", "names no host"),
        ("a\nb c\n", "line 2: not a host: b c"),
        ("a:port\n", "line 1: not a host"),
        ("a:22\nb:65536\n", "line 2: not a host: b:65536"),
        ("a:0\n", "line 1: not a host: a:0"),
        ("a\na\n", "names a host twice: a"),
        ("a peer=1 peer=2\n", "line 1: not a host"),
    ],
)
def test_a_wrong_nodes_file_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        nodes(tmp_path, text)


def test_a_missing_nodes_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_nodes_file(tmp_path / "none")


def test_the_users_configuration_completes_a_host(home: Path) -> None:
    config = "Host db1\n HostName 10.0.0.7\n Port 2022\n User deploy\n IdentityFile ~/.ssh/mine\n"
    found = host(home, config, "db1")
    assert (found.address, found.port, found.user) == ("10.0.0.7", 2022, "deploy")
    assert found.identity_files == (str(home / ".ssh" / "mine"),)
    assert found.key_name == "[10.0.0.7]:2022"


def test_the_nodes_file_wins_over_the_configuration(home: Path) -> None:
    found = host(home, "Host *\n Port 2022\n User deploy\n", "root@db1:23")
    assert (found.address, found.port, found.user) == ("db1", 23, "root")


def test_included_files_are_read_in_their_place(home: Path) -> None:
    (home / ".ssh" / "more.conf").write_text("Host db1\n Port 2023\n")
    assert host(home, "Include more.conf\nHost *\n Port 24\n", "db1").port == 2023


def test_jump_hosts_come_in_order_with_their_own_jumps(home: Path) -> None:
    config = "Host db1\n ProxyJump inner\nHost inner\n ProxyJump me@outer:2222\n User you\n"
    jumps = host(home, config, "db1").jumps
    assert [str(jump) for jump in jumps] == ["me@outer:2222", "you@inner:22"]


def test_jumps_in_a_circle_are_refused(home: Path) -> None:
    with pytest.raises(UsageError, match="in a circle"):
        host(home, "Host *\n ProxyJump other\n", "db1")


def test_a_proxy_command_is_refused_and_not_ignored(home: Path) -> None:
    with pytest.raises(UsageError, match="ProxyCommand for db1"):
        host(home, "Host *\n ProxyCommand nc %h %p\n", "db1")


def test_an_alias_names_the_host_key(home: Path) -> None:
    assert host(home, "Host *\n HostKeyAlias rack\n Port 77\n", "db1").key_name == "rack"


@pytest.mark.parametrize("port", ["foo", "0", "99999"])
def test_a_port_of_the_configuration_that_is_none_is_refused(home: Path, port: str) -> None:
    with pytest.raises(UsageError, match=f"names no port for db1: {port}"):
        host(home, f"Host *\n Port {port}\n", "db1")


def test_the_home_of_a_user_that_there_is_not_is_a_file_that_there_is_not(home: Path) -> None:
    config = "Include ~no-such-user/x\nHost *\n UserKnownHostsFile ~no-such-user/known\n"
    assert host(home, config, "db1").known_hosts_files[0] == "~no-such-user/known"


@pytest.mark.parametrize("name", ["a..b", f"{'x' * 64}.example"])
def test_what_cannot_be_a_name_is_said_to_be_none(home: Path, name: str) -> None:
    found = host(home, "", name)
    with pytest.raises(NodeError, match=f"n1: the name {name} does not resolve: "):
        resolved(found, name)
    with pytest.raises(NodeError, match=f"n1: cannot connect to .*{name}:22: "):
        connect(found)


def test_a_named_configuration_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no ssh configuration"):
        read_config(str(tmp_path / "none"))


def settled(tmp_path: Path, asked: int | None, **options: Any) -> tuple[dict[str, Any], int]:
    """What the provider makes of its options, three hosts being named."""
    (tmp_path / "nodes").write_text("a\nb\nc\n")
    return PROVIDER.settle({"nodes_file": str(tmp_path / "nodes"), **options}, asked)


def test_the_nodes_file_says_how_many_nodes_there_are(tmp_path: Path) -> None:
    assert settled(tmp_path, None)[1] == 3
    assert settled(tmp_path, 2)[1] == 2


def test_more_nodes_than_hosts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--nodes 4, but .* names 3 hosts"):
        settled(tmp_path, 4)


def test_a_run_keeps_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options, _ = settled(tmp_path, None, nodes_file="nodes", ssh_config="config")
    assert options["nodes_file"] == str(tmp_path / "nodes")
    assert options["ssh_config"] == str(tmp_path / "config")


@pytest.mark.parametrize("folder", ["runs", "~/runs", "./runs"])
def test_a_folder_on_the_hosts_must_be_an_absolute_path(tmp_path: Path, folder: str) -> None:
    with pytest.raises(UsageError, match="is no absolute path") as refused:
        settled(tmp_path, None, host_dir=folder)
    assert refused.value.hint == "--host-dir /var/tmp/runs"


def test_hosts_must_be_named() -> None:
    with pytest.raises(UsageError, match="needs to know its hosts"):
        PROVIDER.settle({"nodes_file": None}, 5)
