"""Where containers of somebody else's are reached, by clients and by each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from harness.cluster.places import Hosts, Moved, Places, joined
from harness.contract.node import Port
from harness.errors import SetupError

_EVERYWHERE = ("", "0.0.0.0", "::")
_HERE = "127.0.0.1"


def common_networks(every: Iterable[Mapping[str, Any]]) -> list[str]:
    """The networks in which all of these containers are."""
    sets = [set(_networks(details)) for details in every]
    return sorted(set.intersection(*sets)) if sets else []


def addresses_of(details: Mapping[str, Any], networks: Sequence[str]) -> list[str]:
    """The addresses of a container in these networks, IPv4 before IPv6."""
    found = [_networks(details)[name] for name in networks if name in _networks(details)]
    each = [end.get("IPAddress") for end in found] + [end.get("GlobalIPv6Address") for end in found]
    return [address for address in each if address]


def places_of(
    node: str, details: Mapping[str, Any], ports: Sequence[Port], engine_url: str
) -> Places:
    """A container's ports: clients are led to what is published of it, else to its address."""
    addresses = addresses_of(details, list(_networks(details)))
    host = addresses[0] if addresses else _HERE
    published = details["NetworkSettings"].get("Ports") or {}
    moved = {}
    for port in ports:
        places = published.get(f"{port.number}/tcp") or []
        if port.clients and places:
            client = joined(_reached(places[0], engine_url), int(places[0]["HostPort"]))
        else:
            client = joined(host, port.number)
        at = joined(host, port.number)
        moved[port.number] = Moved(listen=at, client=client, peer=at)
    if not addresses and not moved:
        raise SetupError(f"{node}: the engine tells no address of it")
    return Places(node=node, ports=ports, hosts=Hosts.same(host), moved=moved)


def _reached(place: Mapping[str, str], engine_url: str) -> str:
    """The address of a published port as seen from here, where the engine may be elsewhere."""
    if place.get("HostIp") not in _EVERYWHERE:
        return str(place["HostIp"])
    parts = urlsplit(engine_url)
    return parts.hostname or _HERE if parts.scheme in ("tcp", "http", "https") else _HERE


def _networks(details: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = details["NetworkSettings"].get("Networks") or {}
    return found
