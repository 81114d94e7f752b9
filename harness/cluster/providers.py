"""The providers by name, each imported when it is asked for: none costs where it is not used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from harness.cluster.provider import Provider, Request
from harness.errors import UsageError, unknown_name

_LOCAL = "harness.cluster.local.provider"
_MODULES: Mapping[str, str] = {
    "local": _LOCAL,
    "local:root": _LOCAL,
    "local:userns": _LOCAL,
    "local:plain": "harness.cluster.plain.provider",
    "docker": "harness.cluster.docker.provider",
    "docker:attach": "harness.cluster.docker.attached.provider",
    "ssh": "harness.cluster.ssh.provider",
    "ssh:attach": "harness.cluster.ssh.attached.provider",
    "none": "harness.cluster.existing.provider",
}
"""Name as given to ``--provider`` to the module whose ``PROVIDER`` serves it."""

NAMES = tuple(_MODULES)

LINES: Mapping[str, str] = {
    "local": "nodes on this Linux machine, in whichever of the three ways works",
    "local:root": "nodes as namespaces, made as root",
    "local:userns": "nodes as namespaces, made by an ordinary user",
    "local:plain": "nodes as plain processes on loopback, where namespaces are forbidden",
    "docker": "nodes as containers",
    "docker:attach": "containers of yours that run already, by --attach PROJECT",
    "ssh": "hosts of yours, reached over ssh",
    "ssh:attach": "what runs already on hosts of yours, by --attach",
    "none": "endpoints that run already, by --endpoint: no faults, no logs",
}
"""What each is, in a line."""


def of(name: str) -> Provider:
    """The provider of that name; ``UsageError`` with the nearest names if there is none."""
    if name not in _MODULES:
        raise UsageError(unknown_name("provider", name, NAMES))
    return cast(Provider, importlib.import_module(_MODULES[name]).PROVIDER)


def every() -> list[Provider]:
    """All providers, each once."""
    modules = dict.fromkeys(_MODULES.values())
    return [cast(Provider, importlib.import_module(module).PROVIDER) for module in modules]


def choose(request: Request) -> Request:
    """The request with the full name of the provider that will serve it, or why none can."""
    return replace(request, provider=of(request.provider).choose(request))
