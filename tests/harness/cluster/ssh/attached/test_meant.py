"""What ``--attach`` and ``--start-command`` mean on hosts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.cluster.ssh.attached.meant import start_command, wanted
from harness.contract.roles import Role
from harness.errors import UsageError
from systems.etcd import Etcd
from tests.toys.gossip import Gossip

ONE = [Role(name="etcd", nodes=["n1"])]
TWO = [Role(name="zero", nodes=["n1"]), Role(name="alpha", nodes=["n1"])]


@pytest.mark.parametrize(
    ("text", "roles", "found"),
    [
        ("system", ONE, {"etcd": ("port", "2379")}),
        ("program:etcd", ONE, {"etcd": ("program", "etcd")}),
        ("etcd=pidfile:/run/a=b.pid", ONE, {"etcd": ("pidfile", "/run/a=b.pid")}),
        (
            "zero=port:5080, alpha=port:9080",
            TWO,
            {"zero": ("port", "5080"), "alpha": ("port", "9080")},
        ),
    ],
)
def test_each_role_is_found_in_a_way(
    text: str, roles: list[Role], found: dict[str, tuple[str, str]]
) -> None:
    assert wanted(text, roles, Etcd({})) == found


@pytest.mark.parametrize(
    ("text", "roles", "why"),
    [
        ("port:high", ONE, "high is no port"),
        ("port:70000", ONE, "70000 is no port"),
        ("pidfile:run/x", ONE, "a path that begins at / is needed"),
        ("pogram:x", ONE, "did you mean program"),
        ("port:1,port:2", ONE, "says twice how etcd is found"),
        ("port:1", TWO, "it says no role, of zero, alpha"),
        ("zero=port:1", TWO, "does not say how alpha is found"),
        ("system", TWO, "does not say which of its processes is meant"),
    ],
)
def test_what_is_not_clear_is_refused(text: str, roles: list[Role], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        wanted(text, roles, Etcd({}))


class Supervised(Gossip):
    """Says how it is started again."""

    def start_command(self, node: str, role: str) -> Sequence[str]:
        return ["systemctl", "start", f"{role}@{node}"]


def test_who_starts_it_again_is_said_by_the_user_then_by_the_system() -> None:
    assert start_command(None, Gossip(), "n1", "g") is None
    assert start_command(None, Supervised(), "n1", "g") == ["systemctl", "start", "g@n1"]
    assert start_command("service '{role} x' start", Supervised(), "n1", "g") == [
        "service",
        "g x",
        "start",
    ]
    assert start_command("itself", Supervised(), "n1", "g") == []
    with pytest.raises(UsageError, match="No closing quotation"):
        start_command("service 'x", Gossip(), "n1", "g")
