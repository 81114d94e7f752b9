"""A cut has one shape, whatever makes it: our probes in a rule of their own, and counted apart."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.cluster.hands import cuts
from harness.cluster.hands.cuts import Cutter, Iptables, Nft, Rule, dropped_by_source, rules
from harness.cluster.hands.refused import Refused

ROOT = Path(__file__).parents[4]

CLIENTS = "*@2379!10.1.0.1"

NFT_LISTING = """
table inet polygraph {
	chain cut {
		type filter hook input priority -10; policy accept;
		ip saddr 10.1.0.1 udp dport 47077 counter packets 9 bytes 360 drop
		ip saddr 10.1.0.1 counter packets 4 bytes 240 drop
		ip6 saddr fd00::2 udp dport 47077 counter packets 8 bytes 360 drop
		ip6 saddr fd00::2 counter packets 0 bytes 0 drop
		ip saddr 10.1.0.1 return
		tcp dport 2379 counter packets 3 bytes 180 drop
	}
}
"""

IPTABLES_LISTING = """Chain polygraph (1 references)
    pkts      bytes target     prot opt in     out     source               destination
       9      360 DROP       udp  --  *      *       10.1.0.1             0.0.0.0/0            udp dpt:47077
       4      240 DROP       all  --  *      *       10.1.0.1             0.0.0.0/0
       6      240 RETURN     all  --  *      *       10.1.0.1             0.0.0.0/0
       3      180 DROP       tcp  --  *      *       0.0.0.0/0            0.0.0.0/0            tcp dpt:2379
"""  # noqa: E501


BOTH = """
from harness.cluster.hands import cuts
from harness.cluster.namespaces.firewall import Firewall
from harness.linux import kernel

kernel.unshare(kernel.CLONE_NEWNET)
clients = "*@2379!127.0.0.0/8,10.1.0.1"
sources = [clients, "10.1.0.1", "10.1.0.2", "10.1.0.3@2380"]
firewall, nft = Firewall(), cuts.Nft(cuts.TABLE)
firewall.cut(sources)
nft.cut(sources, cuts.PROBE_PORT)
for family in ("ip", "inet"):
    print(cuts._as_root(["nft", "-nn", "list", "table", family, cuts.TABLE]), end="---\\n")
print(firewall.dropped(sources), nft.dropped(sources, cuts.PROBE_PORT), "")
"""


class Programs:
    """Stands in for what runs programs; ``says`` answers each, or refuses it."""

    def __init__(self, says: str | Refused = "") -> None:
        self.says = says
        self.scripts: list[str] = []

    def __call__(self, argv: Sequence[str], script: str = "") -> str:
        self.scripts.append(script or " ".join(argv))
        if isinstance(self.says, Refused):
            raise self.says
        return self.says


def test_the_rule_for_probes_comes_before_that_for_everything_of_its_source() -> None:
    of_a = [Rule("a", "udp", "dport", 7), Rule("a", counts="a")]
    assert rules(["a"], 7) == of_a
    assert rules(["b", "a"], 7)[2:] == of_a


def test_a_port_is_cut_at_either_end_and_clients_are_whoever_is_no_node() -> None:
    assert rules(["*@9!a,b", "a@8"], 7) == [
        Rule("a", "tcp", "dport", 8, counts="a@8"),
        Rule("a", "tcp", "sport", 8, counts="a@8"),
        Rule("a", drops=False),
        Rule("b", drops=False),
        Rule("", "tcp", "dport", 9, counts="*@9!a,b"),
    ]
    assert dropped_by_source(rules(["*@9!a,b", "a@8"], 7), [1, 2, 5]) == {"a@8": 3, "*@9!a,b": 5}


def test_counters_of_another_cut_count_for_nothing() -> None:
    assert dropped_by_source(rules(["a", "b"], 7), [1, 2]) == {}


def test_nft_replaces_its_table_in_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = Programs()
    monkeypatch.setattr(cuts, "_as_root", programs)
    Nft("polygraph").cut(["10.1.0.1", "fd00::2"], 47077)
    assert programs.scripts == [
        "table inet polygraph\n"
        "delete table inet polygraph\n"
        "table inet polygraph {\n"
        "chain cut {\n"
        "type filter hook input priority -10; policy accept;\n"
        "ip saddr 10.1.0.1 udp dport 47077 counter drop\n"
        "ip saddr 10.1.0.1 counter drop\n"
        "ip6 saddr fd00::2 udp dport 47077 counter drop\n"
        "ip6 saddr fd00::2 counter drop\n"
        "}\n"
        "}\n"
    ]


def test_iptables_replaces_its_chain_in_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = Programs()
    monkeypatch.setattr(cuts, "_as_root", programs)
    Iptables("polygraph").cut(["10.1.0.1"], 47077)
    assert programs.scripts[0] == (
        "*filter\n"
        ":polygraph - [0:0]\n"
        "-A polygraph -s 10.1.0.1/32 -p udp --dport 47077 -j DROP\n"
        "-A polygraph -s 10.1.0.1/32 -j DROP\n"
        "COMMIT\n"
    )


@pytest.mark.parametrize(
    ("kind", "listing", "counted"),
    [
        (Nft, NFT_LISTING, {"10.1.0.1": 4, "fd00::2": 0, CLIENTS: 3}),
        (Iptables, IPTABLES_LISTING, {"10.1.0.1": 4, CLIENTS: 3}),
    ],
)
def test_what_the_database_sent_is_counted_and_our_probes_are_not(
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Nft] | type[Iptables],
    listing: str,
    counted: dict[str, int],
) -> None:
    monkeypatch.setattr(cuts, "_as_root", Programs(listing))
    assert kind("polygraph").dropped(list(counted), 47077) == counted


def test_without_a_table_nothing_is_cut_and_any_other_refusal_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cuts, "_as_root", Programs(Refused("nft: Error: No such file")))
    assert Nft("polygraph").dropped([], 47077) == {}
    monkeypatch.setattr(cuts, "_as_root", Programs(Refused("nft: Operation not permitted")))
    with pytest.raises(Refused, match="not permitted"):
        Nft("polygraph").dropped([], 47077)


def test_a_cut_that_stays_in_force_is_named_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = Programs()
    monkeypatch.setattr(cuts, "_as_root", programs)
    monkeypatch.setattr(cuts, "_KINDS", (Nft,))
    monkeypatch.setattr(cuts.shutil, "which", lambda program, path=None: program)
    cutter = Cutter("")
    cutter.end()  # nothing was cut
    assert programs.scripts == []
    cutter.tool("polygraph").cut(["10.1.0.1"], 1)
    programs.says = Refused("it is not permitted")
    with pytest.raises(Refused, match="its cut is in force: it is not permitted"):
        cutter.end()


def test_what_was_cut_with_is_kept_for_who_comes_after_without_another_try(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    programs = Programs()
    monkeypatch.setattr(cuts, "_as_root", programs)
    monkeypatch.setattr(cuts.shutil, "which", lambda program, path=None: program)
    first = Cutter(str(tmp_path)).tool("polygraph_1")
    programs.scripts.clear()
    # Trying again would let every link carry.
    again = Cutter(str(tmp_path)).tool("polygraph_1")
    assert type(again) is type(first)
    assert programs.scripts == []


@pytest.mark.root
def test_the_kernel_shows_a_cut_by_netlink_as_it_shows_one_by_nft() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BOTH], capture_output=True, text=True, cwd=ROOT, check=True
    )
    by_netlink, by_nft, counted = done.stdout.split("---\n")
    assert by_netlink.count("counter packets 0 bytes 0 drop") == 7
    assert by_netlink.count(" return") == 2
    assert by_netlink == by_nft.replace("table inet polygraph", "table ip polygraph")
    each = "{'10.1.0.1': 0, '10.1.0.2': 0, '10.1.0.3@2380': 0, '*@2379!127.0.0.0/8,10.1.0.1': 0} "
    assert counted == each * 2 + "\n"
