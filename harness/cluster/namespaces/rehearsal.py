"""Tries out, in a throw-away run, what a cluster will need, so that a refusal comes early.

That ``unshare`` succeeds proves little: containers let it pass and then refuse the mount of
``/proc``, Ubuntu gives user namespaces without any capability in them. So a bridge, a veth pair,
a firewall table and one whole node are really made; all of it ends with the process.

It runs in the reaper's bare interpreter, where pyroute2 would cost more than all the rest: three
netlink messages are therefore packed by hand (rtnetlink(7)).
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from harness.cluster.namespaces import steps as namespaces

REHEARSAL_STEPS = ("bridge", "veth pair", "firewall table", "node")

_NLM_F_REQUEST_ACK = 0x1 | 0x4
_NLM_F_CREATE = 0x400
_NLMSG_ERROR = 2
_RTM_NEWLINK = 16
_IFLA_IFNAME = 3
_IFLA_LINKINFO = 18
_IFLA_INFO_KIND = 1
_NETLINK_ROUTE = 0
_NETLINK_NETFILTER = 12
_NFNL_BATCH_BEGIN = 0x10
_NFNL_BATCH_END = 0x11
_NFT_NEWTABLE = 10 << 8
_NFTA_TABLE_NAME = 1


def rehearse(fail_at: str | None) -> None:
    """As pid 1 of a run: make one of each thing; ``StepFailed`` names the first one refused."""
    with namespaces.step("bridge", fail_at):
        _make_link("rehearsal0", b"bridge")
    with namespaces.step("veth pair", fail_at):
        _make_link("rehearsal1", b"veth")
    with namespaces.step("firewall table", fail_at):
        _make_table(b"rehearsal")
    _make_node(fail_at)


def _make_node(fail_at: str | None) -> None:
    """A node as the agent makes it; its step that failed comes back through a pipe."""
    readable, writable = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            if namespaces.enter_node(fail_at) == 0:
                _furnish_node(fail_at)
        except namespaces.StepFailed as failure:
            os.write(writable, f"{failure.number} {failure.step}".encode())
        except Exception as error:  # a defect of ours is no machine that can do it all
            os.write(writable, f"{errno.EIO} node ({type(error).__name__}: {error})".encode())
        finally:
            os._exit(0)
    os.close(writable)
    with open(readable, encoding="utf-8") as pipe:
        number, _, refused = pipe.read().partition(" ")
    if refused:
        raise namespaces.StepFailed(refused, OSError(int(number), os.strerror(int(number))))


def _furnish_node(fail_at: str | None) -> None:
    namespaces.furnish_node(
        {
            "name": "rehearsal",
            "hosts": "/etc/hosts",
            "data": "/tmp",  # a folder of the node's own by then
            "show": [],
            "fail_at": fail_at,
        }
    )


def _make_link(name: str, kind: bytes) -> None:
    info = _attribute(_IFLA_LINKINFO, _attribute(_IFLA_INFO_KIND, kind))
    payload = struct.pack("BxHiII", 0, 0, 0, 0, 0) + _attribute(_IFLA_IFNAME, name.encode() + b"\0")
    flags = _NLM_F_REQUEST_ACK | _NLM_F_CREATE
    _ask(_NETLINK_ROUTE, _message(_RTM_NEWLINK, flags, payload + info))


def _make_table(name: bytes) -> None:
    batch = struct.pack(">BBH", 0, 0, 10)
    table = struct.pack(">BBH", socket.AF_INET, 0, 0) + _attribute(_NFTA_TABLE_NAME, name + b"\0")
    _ask(
        _NETLINK_NETFILTER,
        _message(_NFNL_BATCH_BEGIN, 0x1, batch)
        + _message(_NFT_NEWTABLE, _NLM_F_REQUEST_ACK | _NLM_F_CREATE, table)
        + _message(_NFNL_BATCH_END, 0x1, batch),
    )


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _message(kind: int, flags: int, payload: bytes) -> bytes:
    return struct.pack("IHHII", 16 + len(payload), kind, flags, 1, 0) + payload


def _ask(family: int, request: bytes) -> None:
    """Send, and raise ``OSError`` with the number in the kernel's acknowledgement."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, family) as netlink:
        netlink.bind((0, 0))
        netlink.settimeout(5)
        netlink.send(request)
        answer = netlink.recv(65536)
    kind = struct.unpack_from("IHHII", answer)[1]
    number = -struct.unpack_from("i", answer, 16)[0] if kind == _NLMSG_ERROR else errno.EPROTO
    if number:
        raise OSError(number, os.strerror(number))
