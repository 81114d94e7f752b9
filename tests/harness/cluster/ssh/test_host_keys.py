"""Host keys: what is known is let in, everything else refused, and said how to go on."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
from pathlib import Path

import pytest

from harness.cluster.ssh.host_keys import fingerprint, known_keys, preferred_algorithms, verify
from harness.cluster.ssh.hosts import Host
from harness.errors import NodeError

KEY, OTHER = b"key of the host", b"key of another"
ED25519 = "ssh-ed25519"


def line(names: str, blob: bytes = KEY, kind: str = ED25519) -> str:
    """A line of known_hosts."""
    return f"{names} {kind} {base64.b64encode(blob).decode()} comment\n"


def hashed(name: str) -> str:
    """A host name as ``HashKnownHosts`` writes it."""
    salt = b"0123456789abcdefghij"
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def host(tmp_path: Path, text: str, port: int = 22) -> Host:
    """The host db1, known as the text says."""
    (tmp_path / "known").write_text(text)
    return Host(
        node="n1",
        word="db1",
        address="db1",
        port=port,
        user="root",
        peer=None,
        key_name="db1" if port == 22 else f"[db1]:{port}",
        identity_files=(),
        identities_only=False,
        known_hosts_files=(str(tmp_path / "known"), str(tmp_path / "none")),
    )


def check(tmp_path: Path, text: str, port: int = 22, kind: str = ED25519) -> None:
    """Verify the host's key against known hosts of this text."""
    db1 = host(tmp_path, text, port)
    verify(db1, known_keys(db1), kind, KEY)


@pytest.mark.parametrize(
    "names", ["db1", "DB1", "other,db1", "db*", "d?1", "*,!other", hashed("db1")]
)
def test_a_known_key_is_let_in(tmp_path: Path, names: str) -> None:
    check(tmp_path, "# comment\nrubbish\n" + line(names))


def test_another_port_is_another_name(tmp_path: Path) -> None:
    check(tmp_path, line("[db1]:2222"), port=2222)
    with pytest.raises(NodeError, match="is not known"):
        check(tmp_path, line("db1"), port=2222)


@pytest.mark.parametrize("names", ["db2", "*,!db1", hashed("db2"), "|1|rubbish|"])
def test_an_unknown_key_is_refused_with_the_command_that_accepts_it(
    tmp_path: Path, names: str
) -> None:
    with pytest.raises(NodeError, match="is not known") as refused:
        check(tmp_path, line(names))
    assert fingerprint(KEY) in str(refused.value)
    assert f"ssh-keyscan db1 >> {tmp_path / 'known'}" in str(refused.value)


def test_a_changed_key_is_refused_loudly(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="HAS CHANGED") as refused:
        check(tmp_path, line("db1", OTHER), port=22)
    assert fingerprint(OTHER) in str(refused.value)
    assert f"ssh-keygen -R 'db1' -f {tmp_path / 'known'}, then ssh-keyscan" in str(refused.value)


def test_an_alias_is_accepted_by_ssh_which_writes_it_where_it_is_looked_for(tmp_path: Path) -> None:
    db1 = dataclasses.replace(host(tmp_path, ""), key_name="rack", port=77)
    with pytest.raises(NodeError, match="is not known") as refused:
        verify(db1, known_keys(db1), ED25519, KEY)
    known = f"-o HostKeyAlias=rack -o UserKnownHostsFile={tmp_path / 'known'}"
    assert f"then ssh {known} -p 77 root@db1 true" in str(refused.value)


def test_a_file_with_a_space_is_quoted_and_one_that_keeps_nothing_is_not_proposed(
    tmp_path: Path,
) -> None:
    for files, hint in [
        (("/dev/null", "/my keys/known"), "ssh-keyscan db1 >> '/my keys/known'"),
        (("/dev/null",), "name a UserKnownHostsFile in the ssh configuration"),
    ]:
        db1 = dataclasses.replace(host(tmp_path, ""), known_hosts_files=files)
        with pytest.raises(NodeError) as refused:
            verify(db1, known_keys(db1), ED25519, KEY)
        assert hint in str(refused.value)


def test_a_key_of_a_kind_that_is_not_known_is_a_changed_one(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="HAS CHANGED"):
        check(tmp_path, line("db1"), kind="ssh-rsa")


def test_one_of_several_known_keys_is_enough(tmp_path: Path) -> None:
    check(tmp_path, line("db1", OTHER) + line("db1"))


def test_a_revoked_key_is_refused_though_it_is_known(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="IS REVOKED"):
        check(tmp_path, line("db1") + "@revoked " + line("*"))


def test_an_authority_lets_nobody_in_and_is_said(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="@cert-authority there is not supported"):
        check(tmp_path, "@cert-authority " + line("*"))


def test_no_file_knows_nobody(tmp_path: Path) -> None:
    db1 = host(tmp_path, "")
    (tmp_path / "known").unlink()
    assert known_keys(db1) == []


def test_algorithms_whose_keys_are_known_are_asked_for_first(tmp_path: Path) -> None:
    offered = ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"]
    known = known_keys(host(tmp_path, line("db1", kind="ssh-rsa")))
    assert preferred_algorithms(known, offered) == [*offered[2:], *offered[:2]]
    assert preferred_algorithms([], offered) == offered
