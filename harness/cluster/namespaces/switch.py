"""The wires of a local cluster: one bridge, and a veth pair from it to each node.

The bridge lives in the run's own network namespace and carries the controller's address; each
node holds the far end of its pair, ``eth0``. The machine's own network has no part in it, so the
addresses cannot clash with anything, nor a firewall of the machine's drop what crosses the bridge
(docker's does, if the bridge stands in the machine's namespace).

Who has which hardware address is fixed and told to every end beforehand. Left to ARP, a question
asked while a new port of the bridge is not yet forwarding is lost, and asked again only after a
whole second; and a starved machine could lose one in the middle of a run.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

from harness.cluster.namespaces.netlink import (
    ACK,
    CREATE,
    EXCLUSIVE,
    ROUTE,
    Netlink,
    Request,
    in_network,
    pyroute2,
)

BRIDGE = "switch"
NODE_LINK = "eth0"
PREFIX_LENGTH = 24

_NEWLINK = 16
_DELLINK = 17
_NEWADDR = 20
_NEWNEIGH = 28
_REPLACE = 0x100
_PERMANENT = 0x80
_UP = 1


class Switch:
    """The bridge in the calling process's network namespace. Close it to be rid of all links."""

    def __init__(self, address: str) -> None:
        self._netlink = Netlink(ROUTE)
        self._pairs: list[str] = []
        try:
            info = {"attrs": [["IFLA_INFO_KIND", "bridge"]]}
            self._netlink.tell([_new_link(BRIDGE, info, address)])
            self._netlink.tell([_new_address(BRIDGE, address)])
        except BaseException:
            self.close()
            raise

    def connect(self, number: int, namespace_fd: int, address: str) -> None:
        """A veth pair from the bridge to ``eth0`` in that network namespace, which stays down."""
        name = f"{BRIDGE}{number}"
        peer = {
            "attrs": [
                ["IFLA_IFNAME", NODE_LINK],
                ["IFLA_ADDRESS", _hardware_address(address)],
                ["IFLA_NET_NS_FD", namespace_fd],
            ]
        }
        info = {
            "attrs": [
                ["IFLA_INFO_KIND", "veth"],
                ["IFLA_INFO_DATA", {"attrs": [["VETH_INFO_PEER", peer]]}],
            ]
        }
        bridge = ("IFLA_MASTER", socket.if_nametoindex(BRIDGE))
        self._netlink.tell([_new_link(name, info, None, bridge), _neighbour(BRIDGE, address)])
        self._pairs.append(name)

    def close(self) -> None:
        """Remove every link made here. Safe twice."""
        for name in (*self._pairs, BRIDGE):
            try:
                self._netlink.tell([_delete_link(name)])
            except OSError as error:
                if error.errno not in (errno.ENODEV, errno.EBADF):
                    raise
        self._pairs.clear()
        self._netlink.close()


def join(namespace_fd: int, address: str, others: Sequence[str]) -> None:
    """Bring ``eth0`` in that network namespace up with its address and its neighbours'."""

    def work() -> None:
        netlink = Netlink(ROUTE)
        try:
            neighbours = [_neighbour(NODE_LINK, other) for other in others]
            netlink.tell([_up(NODE_LINK), _new_address(NODE_LINK, address), *neighbours])
        finally:
            netlink.close()

    in_network(namespace_fd, work)


def _hardware_address(address: str) -> str:
    """Locally administered, with the IPv4 address in it."""
    return "02:00:" + ":".join(f"{byte:02x}" for byte in socket.inet_aton(address))


def _neighbour(link: str, address: str) -> Request:
    ndmsg = pyroute2("netlink.rtnl.ndmsg").ndmsg

    fields = {
        "family": socket.AF_INET,
        "ifindex": socket.if_nametoindex(link),
        "state": _PERMANENT,
    }
    attributes = [("NDA_DST", address), ("NDA_LLADDR", _hardware_address(address))]
    return Request(ndmsg(), _NEWNEIGH, ACK | CREATE | _REPLACE, fields, attributes)


def _new_link(name: str, info: object, address: str | None, *more: tuple[str, object]) -> Request:
    ifinfmsg = pyroute2("netlink.rtnl.ifinfmsg").ifinfmsg

    attributes = [("IFLA_IFNAME", name), ("IFLA_LINKINFO", info), *more]
    if address is not None:
        attributes.append(("IFLA_ADDRESS", _hardware_address(address)))
    up = {"flags": _UP, "change": _UP}
    return Request(ifinfmsg(), _NEWLINK, ACK | CREATE | EXCLUSIVE, up, attributes)


def _up(name: str) -> Request:
    ifinfmsg = pyroute2("netlink.rtnl.ifinfmsg").ifinfmsg

    fields = {"flags": _UP, "change": _UP}
    return Request(ifinfmsg(), _NEWLINK, ACK, fields, [("IFLA_IFNAME", name)])


def _delete_link(name: str) -> Request:
    ifinfmsg = pyroute2("netlink.rtnl.ifinfmsg").ifinfmsg

    return Request(ifinfmsg(), _DELLINK, ACK, {}, [("IFLA_IFNAME", name)])


def _new_address(link: str, address: str) -> Request:
    ifaddrmsg = pyroute2("netlink.rtnl.ifaddrmsg").ifaddrmsg

    fields = {
        "family": socket.AF_INET,
        "prefixlen": PREFIX_LENGTH,
        "index": socket.if_nametoindex(link),
    }
    attributes = [("IFA_LOCAL", address), ("IFA_ADDRESS", address)]
    return Request(ifaddrmsg(), _NEWADDR, ACK | CREATE | EXCLUSIVE, fields, attributes)
