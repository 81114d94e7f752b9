"""The provider ``none``: endpoints that somebody else runs, named by ``--endpoint``.

No namespaces, no daemons of ours, no faults: what is tested is whether the clients' answers keep
the promise, while others may use the same cluster. So what will be written is said first and
agreed to (``warning``), the run's keys lie under a name of their own, and are removed at its end:
by the run process, by the front where that was killed, and by ``polygraph heal`` where both were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cluster import bare
from harness.cluster.adopted import refuse_unless_it_adopts
from harness.cluster.provider import MOST_NODES, PROVIDER_VARIABLE, Request, RunProcess
from harness.contract.option import SystemOption
from harness.contract.system import System
from harness.errors import HealError, PolygraphError, UsageError

if TYPE_CHECKING:
    from harness.cluster.existing.cluster import ExistingCluster
    from harness.contract.finding import Finding
    from harness.store.registration import Registration

ENDPOINT_HINT = "--endpoint host:port,host:port of what serves clients"
_WORD = re.compile(r"(?P<host>[A-Za-z0-9_][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]+\]):(?P<port>\d+)")


class ExistingProvider:
    """Endpoints as nodes (``Provider``, ``BringsNodes`` and ``AsksFirst``)."""

    options: tuple[SystemOption, ...] = (
        SystemOption(
            name="endpoint",
            kind=str,
            default=None,
            help="what runs already, to be tested as it is: host:port, with commas",
        ),
    )
    grace_s = 20.0
    proof_of_end = "nothing was done to the endpoints but what clients do"

    def settle(self, options: Mapping[str, Any], nodes: int | None) -> tuple[dict[str, Any], int]:
        """The endpoints, and how many there are: each is a node."""
        found = endpoints(options.get("endpoint"))
        if nodes is not None and nodes != len(found):
            raise UsageError(
                f"--nodes {nodes}, but --endpoint names {len(found)}: each of them is a node",
                f"--nodes {len(found)}, or none",
            )
        return {**options, "endpoint": ",".join(found)}, len(found)

    def choose(self, request: Request) -> str:
        """``none``, for a system that keeps a run's keys apart, and without faults."""
        if request.faults:
            raise UsageError(
                f"no fault is done to endpoints that run already ({', '.join(request.faults)}):"
                " they are not ours, and nothing of ours is there",
                "leave out --nemesis; or --provider docker --attach PROJECT, or ssh --attach,"
                " if they are yours to be broken",
            )
        refuse_unless_it_adopts(request)
        return "none"

    def warning(self, request: Request) -> str:
        """What will be done to what is not ours."""
        found = ", ".join(endpoints(request.options.get("endpoint")))
        return (
            f"{request.system.name} at {found} runs already: this run will write there, under a"
            " name of its own that it removes at its end, and load it"
        )

    def prepare(self, request: Request, tell: Callable[[str], None]) -> None:
        """Nothing."""

    def spawn(
        self,
        argv: Sequence[str],
        *,
        request: Request,
        run_dir: Path,
        pass_fds: Sequence[int],
        env: Mapping[str, str],
    ) -> RunProcess:
        """Start the run process as a plain one."""

        def clean_up(run_dir: Path, registered: Registration) -> list[str]:
            return _clear(run_dir, registered.facts["endpoints"], request.system)

        return bare.spawn(
            argv,
            provider="none",
            run_dir=run_dir,
            clean_up=clean_up,
            pass_fds=pass_fds,
            env={**env, PROVIDER_VARIABLE: "none"},
            facts={"endpoints": _by_name(request), "system": request.system.name},
        )

    def cluster(self, request: Request, run_dir: Path) -> ExistingCluster:
        """The endpoints."""
        from harness.cluster.existing.cluster import ExistingCluster

        return ExistingCluster(run_dir, _by_name(request), request.system)

    def believed(
        self, run_dir: Path, registered: Registration, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The endpoints, only where the user names them in this call: a folder may say anything."""
        told = registered.facts.get("endpoints")
        named = list(told.values()) if isinstance(told, dict) else []
        if not named or not all(isinstance(x, str) and _WORD.fullmatch(x) for x in named):
            raise HealError(
                "its registration names no endpoints that can be such",
                "if it is a run of yours, remove its keys by hand, then its cluster.json",
            )
        given = options.get("endpoint")
        if given is None or set(endpoints(given)) != set(named):
            raise HealError(
                f"it wrote at {', '.join(named)}, and may have left keys of its own there; which"
                " endpoints are spoken to, only you say",
                f"if they are yours: polygraph heal --endpoint {','.join(named)}",
            )
        names = [f"n{number}" for number in range(1, len(named) + 1)]
        return {
            "endpoints": dict(zip(names, named, strict=True)),
            "system": str(registered.facts.get("system")),
        }

    def is_up(self, run_dir: Path, registered: Registration) -> bool:
        """Nothing of ours is ever up there."""
        return False

    def clean_up(self, run_dir: Path, registered: Registration) -> list[str]:
        """Remove the run's keys, by a system of ours."""
        from harness.plugins import Registry

        name = registered.facts["system"]
        try:
            system: System = Registry().get("systems", name)({})
        except PolygraphError as error:
            return [f"the keys of the run are {name}'s to remove: {error.message}"]
        return _clear(run_dir, registered.facts["endpoints"], system)

    def strays(self, store: Path) -> list[str]:
        """None: what a run makes is known by its registration."""
        return []

    def examine(self, folder: Path) -> list[Finding]:
        """Nothing is needed."""
        from harness.contract.finding import Finding

        detail = "what runs already, by --endpoint host:port,...: no faults, no logs"
        return [Finding("endpoints", True, detail)]


def endpoints(text: str | None) -> list[str]:
    """The addresses in ``host:port,host:port``; ``UsageError`` where it is anything else."""
    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    if not words:
        raise UsageError("the provider none needs to know what runs already", ENDPOINT_HINT)
    for word in words:
        match = _WORD.fullmatch(word)
        if match is None or not 1 <= int(match["port"]) < 1 << 16:
            raise UsageError(f"--endpoint {word} is not a host and its port", ENDPOINT_HINT)
    if len(set(words)) < len(words):
        raise UsageError("--endpoint names one twice: each of them is a node", ENDPOINT_HINT)
    if len(words) > MOST_NODES:
        raise UsageError(f"--endpoint names {len(words)}, more than {MOST_NODES}")
    return words


def _by_name(request: Request) -> dict[str, str]:
    found = endpoints(request.options.get("endpoint"))
    return dict(zip(request.nodes, found, strict=True))


def _clear(run_dir: Path, found: Mapping[str, str], system: System) -> list[str]:
    from harness.cluster.existing.cluster import ExistingCluster

    try:
        ExistingCluster(run_dir, found, system).clear()
    except PolygraphError as error:
        return [error.message]
    return []


PROVIDER = ExistingProvider()
