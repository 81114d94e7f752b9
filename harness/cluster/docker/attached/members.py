"""Which containers of a compose project are the nodes, and what each is there for.

``--attach PROJECT`` takes the running containers that carry the project's label, in the order of
their services and numbers. ``--members`` names services or containers of it, each with ``=ROLE``
where the system has several roles; without that a service serves the role that it is called after
(``alpha``, ``alpha2``). What was found is kept with the run by the containers' names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.cluster.docker import engine
from harness.cluster.provider import MOST_NODES
from harness.contract.option import SystemOption
from harness.contract.roles import Role
from harness.errors import SetupError, UsageError, unknown_name

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"
ENGINE = "engine"
"""As ``--start-command``: the engine starts again what ended."""

_NUMBER = re.compile(r"[-_]?\d+$")
_SURELY = ("always", "unless-stopped")
_ON_FAILURE = "on-failure"


ATTACH: tuple[SystemOption, ...] = (
    SystemOption(
        name="attach",
        kind=str,
        default=None,
        help="a compose project of yours that runs already, to be tested and broken as it is",
    ),
    SystemOption(
        name="members",
        kind=str,
        default=None,
        help="which of its services or containers are nodes, with commas (default: all that run);"
        " SERVICE=ROLE where the system has roles",
    ),
    SystemOption(
        name="start_command",
        kind=str,
        default=None,
        choices=(ENGINE,),
        help="who starts again what was ended, where no restart policy does: the engine",
    ),
)
"""The options of containers that somebody else runs."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A container that is a node. ``role`` is empty where nobody said which."""

    name: str
    service: str
    role: str = ""

    def __str__(self) -> str:
        """As ``--members`` has it."""
        return f"{self.name}={self.role}" if self.role else self.name


def find(client: Any, project: str, asked: str | None) -> list[Member]:
    """The members of ``project``; ``UsageError`` says what is not there, or more than allowed."""
    with engine.complaints(f"look for the containers of {project}"):
        filters = {"label": f"{PROJECT_LABEL}={project}"}
        found = client.containers(filters=filters)
        if not found:
            raise UsageError(_nothing_there(client, project), "docker compose ls")
    known = sorted((_member(each) for each in found), key=lambda of: (of[0].service, of[1]))
    members = [member for member, _ in known]
    if asked:
        members = [each for word in _words(asked) for each in _meant(word, members, project)]
    names = [each.name for each in members]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"--members names {twice} twice: each container is one node")
    if len(members) > MOST_NODES:
        raise UsageError(f"{project} has {len(members)} containers, more than {MOST_NODES}")
    return members


def parsed(text: str) -> list[Member]:
    """Members as :func:`kept` wrote them, without asking the engine."""
    return [Member(name=name, service="", role=role) for name, role in _words(text)]


def kept(members: Sequence[Member]) -> str:
    """Members as the run keeps them."""
    return ",".join(map(str, members))


def placed(members: Sequence[Member], nodes: Sequence[str], roles: Sequence[Role]) -> list[Role]:
    """The system's roles, each on the nodes that are there for it; ``UsageError`` if unclear."""
    if len(roles) == 1:
        odd = [each for each in members if each.role not in ("", roles[0].name)]
        if odd:
            raise UsageError(f"--members {odd[0]}: there is one role alone, {roles[0].name}")
        return [replace(roles[0], nodes=tuple(nodes))]
    names = [role.name for role in roles]
    of = {node: _role_of(each, names) for node, each in zip(nodes, members, strict=True)}
    found = [
        replace(role, nodes=tuple(node for node in nodes if of[node] == role.name))
        for role in roles
    ]
    missing = [role.name for role in found if not role.nodes]
    if missing:
        raise UsageError(
            f"no container is there for the role {', '.join(missing)}",
            f"--members SERVICE=ROLE,... with the roles {', '.join(names)}",
        )
    return found


def end_refusal(details: Mapping[str, Any], start_command: str | None, politely: bool) -> str:
    """Why nobody would start a container again whose process was ended; empty if somebody would.

    ``details`` are what the engine says of it.
    """
    host = details["HostConfig"]
    if host.get("AutoRemove"):
        return "it is removed when it ends (--rm); run it without"
    if start_command == ENGINE:
        return ""
    policy = host.get("RestartPolicy") or {}
    name, most = policy.get("Name") or "no", policy.get("MaximumRetryCount") or 0
    if name in _SURELY or (name == _ON_FAILURE and not politely and not most):
        return ""
    why = f"its restart policy is {name}"
    if name == _ON_FAILURE:
        why += f", at most {most} times" if most else ", and a polite end is none"
    return why


def _member(container: Mapping[str, Any]) -> tuple[Member, int]:
    labels = container.get("Labels") or {}
    name = container["Names"][0].lstrip("/")
    number = labels.get(NUMBER_LABEL, "0")
    if engine.RUN_LABEL in labels:
        raise UsageError(f"the container {name} is one of a run of {labels[engine.RUN_LABEL]}")
    member = Member(name=name, service=labels.get(SERVICE_LABEL, name))
    return member, int(number) if number.isdecimal() else 0


def _nothing_there(client: Any, project: str) -> str:
    others = client.containers(filters={"label": PROJECT_LABEL})
    known = sorted({each["Labels"][PROJECT_LABEL] for each in others})
    if not known:
        return f"nothing of a compose project {project} runs in this engine, nor of any other"
    return unknown_name("running compose project", project, known)


def _words(text: str) -> list[tuple[str, str]]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise UsageError("--members names nobody", "--members SERVICE,SERVICE=ROLE,...")
    return [(name, role) for name, _, role in (word.partition("=") for word in words)]


def _meant(word: tuple[str, str], members: Sequence[Member], project: str) -> list[Member]:
    name, role = word
    found = [each for each in members if name in (each.service, each.name)]
    if not found:
        known = sorted({each.service for each in members})
        raise UsageError(f"{project}: {unknown_name('service or container', name, known)}")
    return [replace(each, role=role) for each in found]


def _role_of(member: Member, names: Sequence[str]) -> str:
    if member.role:
        if member.role not in names:
            raise UsageError(f"--members {member}: {unknown_name('role', member.role, names)}")
        return member.role
    called = _NUMBER.sub("", member.service)
    if called not in names:
        raise UsageError(
            f"nobody says which role {member.name} has: {', '.join(names)}",
            f"--members {member.name}=ROLE,...",
        )
    return called


def details_of(client: Any, member: Member, project: str) -> dict[str, Any]:
    """What the engine says of a member; ``SetupError`` if it does not run, or is another's now."""
    from docker.errors import NotFound

    with engine.complaints(f"look at the container {member.name}"):
        try:
            found: dict[str, Any] = client.inspect_container(member.name)
        except NotFound as error:
            raise SetupError(f"there is no container {member.name} any more") from error
    if (found["Config"].get("Labels") or {}).get(PROJECT_LABEL) != project:
        raise SetupError(f"the container {member.name} is none of the project {project}")
    state = found["State"]
    if not state["Running"] or state.get("Paused") or state.get("Restarting"):
        raise SetupError(
            f"the container {member.name} does not run: it is {state['Status']}",
            "have all that is attached to run whole, or name others by --members",
        )
    return found
