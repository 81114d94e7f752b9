"""Which hosts a run uses, and how the user reaches them: nodes file and ssh configuration.

A nodes file has one host a line: ``[user@]host[:port]``, optionally followed by ``peer=ADDRESS``,
the address by which the other nodes see the host where that is not the one that the controller
connects to (machines of a cloud have two). ``#`` begins a comment.

What a line leaves open comes from the user's ssh configuration, read as ``ssh`` reads it:
HostName, Port, User, IdentityFile, IdentitiesOnly, ProxyJump, HostKeyAlias, UserKnownHostsFile,
and Include. ProxyCommand is refused rather than ignored.
"""

from __future__ import annotations

import getpass
import glob
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import NeedsError, NodeError, UsageError
from harness.wording import reason, shown

if TYPE_CHECKING:
    from paramiko import SSHConfig

NODES_FILE_HINT = "--nodes-file FILE with one host a line: [user@]host[:port]"
PARAMIKO_HINT = 'pip install "polygraph-db[ssh]"'

_WORD = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:\s]+))(?::(?P<port>\d+))?"
)
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
_KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
_SYSTEM_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
_PORTS = range(1, 1 << 16)
_MOST_JUMPS = 8
_MOST_INCLUDES = 16


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the nodes file, for a node."""

    node: str
    word: str
    peer: str | None = None


@dataclass(frozen=True, kw_only=True)
class Host:
    """One host, with everything that is needed to reach it. ``word`` is what the user wrote."""

    node: str
    word: str
    address: str
    port: int
    user: str
    peer: str | None
    key_name: str
    identity_files: tuple[str, ...]
    identities_only: bool
    known_hosts_files: tuple[str, ...]
    jumps: tuple[Host, ...] = ()

    def __str__(self) -> str:
        """``user@address:port``."""
        return f"{self.user}@{bracketed(self.address)}:{self.port}"

    def command(self) -> str:
        """How the user would try this connection by hand."""
        jumps = f"-J {','.join(map(str, self.jumps))} " if self.jumps else ""
        return f"ssh -p {self.port} {jumps}{self.user}@{self.address} true"


def need_paramiko() -> None:
    """``NeedsError`` unless the ssh library is installed; imports it, which costs 0.1 s."""
    try:
        import paramiko  # noqa: F401
    except ImportError as error:
        raise NeedsError(f"the ssh provider needs paramiko: {error}", PARAMIKO_HINT) from error


def read_nodes_file(path: Path) -> list[tuple[str, str | None]]:
    """(host word, peer address or ``None``) of each line; ``UsageError`` names a wrong line."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = reason(error) if isinstance(error, OSError) else error
        raise UsageError(f"cannot read the nodes file {path}: {why}", NODES_FILE_HINT) from error
    found: list[tuple[str, str | None]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        peers = [word.removeprefix("peer=") for word in words[1:] if word.startswith("peer=")]
        if len(words) - 1 != len(peers) or len(peers) > 1 or not _parsed(words[0]):
            raise UsageError(f"{path}, line {number}: not a host: {line.strip()}", NODES_FILE_HINT)
        found.append((words[0], peers[0] if peers else None))
    if not found:
        raise UsageError(f"the nodes file {path} names no host", NODES_FILE_HINT)
    twice = sorted({word for word, _ in found if [w for w, _ in found].count(word) > 1})
    if twice:
        raise UsageError(f"the nodes file {path} names a host twice: {', '.join(twice)}")
    return found


def read_config(path: str | None) -> SSHConfig:
    """The user's ssh configuration, then the system's; ``UsageError`` if it cannot be parsed."""
    from paramiko import SSHConfig
    from paramiko.ssh_exception import ConfigParseError

    asked = expanded(path or "~/.ssh/config")
    if path and not asked.is_file():
        raise UsageError(f"there is no ssh configuration {asked}")
    config = SSHConfig()
    for file in (asked, Path("/etc/ssh/ssh_config")):
        if file.is_file():
            try:
                config.parse(_included(file, _MOST_INCLUDES))
            except (ConfigParseError, OSError, UnicodeDecodeError) as error:
                raise UsageError(f"the ssh configuration {file}: {error}") from error
    return config


def _included(path: Path, depth: int) -> Iterator[str]:
    """The lines of a configuration, those of the files that it includes in their place."""
    for line in path.read_text("utf-8").splitlines():
        match = re.match(r"\s*include\s*=?\s*(.+)", line, re.IGNORECASE)
        if match is None or depth == 0:
            yield line
            continue
        for pattern in match[1].split():
            folder = path.parent if path.parent.name == "ssh" else expanded("~/.ssh")
            for name in sorted(glob.glob(str(folder / expanded(pattern.strip('"'))))):
                yield from _included(Path(name), depth - 1)


def complete(line: Line, config: SSHConfig, depth: int = _MOST_JUMPS) -> Host:
    """The host of a line with what the ssh configuration says; ``UsageError`` if that cannot be."""
    parsed = _parsed(line.word)
    if not parsed:
        raise UsageError(f"{line.node}: not a host: {shown(line.word)}", NODES_FILE_HINT)
    found = _looked_up(config, parsed["host"])
    if found.get("proxycommand") and not found.get("proxyjump"):
        raise UsageError(
            f"{line.node}: ProxyCommand for {parsed['host']} is not supported",
            "ProxyJump in the ssh configuration",
        )
    address = str(found.get("hostname", parsed["host"]))
    port = _port(parsed["port"] or str(found.get("port", 22)))
    if port is None:
        raise UsageError(
            f"{line.node}: the ssh configuration names no port for {parsed['host']}: "
            f"{found.get('port')}",
            f"Port {_PORTS[0]} to {_PORTS[-1]}",
        )
    alias = found.get("hostkeyalias")
    name = str(alias or address).lower()
    return Host(
        node=line.node,
        word=line.word,
        address=address,
        port=port,
        user=parsed["user"] or found.get("user") or getpass.getuser(),
        peer=line.peer,
        key_name=name if port == 22 or alias else f"[{name}]:{port}",
        identity_files=_identity_files(found),
        identities_only=found.get("identitiesonly") == "yes",
        known_hosts_files=_known_hosts_files(found),
        jumps=_jumps(line.node, str(found.get("proxyjump", "none")), config, depth),
    )


def resolved(host: Host, name: str) -> str:
    """The address behind a name of the host; ``NodeError`` if there is none."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the second where it cannot be a name at all
        raise NodeError(
            f"{host.node}: the name {name} does not resolve: "
            f"{getattr(error, 'strerror', None) or error}",
            "HostName in the ssh configuration, or peer=ADDRESS in the nodes file",
        ) from error
    return str(found[0][4][0])


def expanded(name: str) -> Path:
    """A path with ``~`` in full; as it is where it names a user that there is not."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def bracketed(address: str) -> str:
    """``[::1]`` for an IPv6 address, any other as it is."""
    return f"[{address}]" if ":" in address else address


def _parsed(word: str) -> dict[str, str]:
    """``user``, ``host``, ``port`` of a word, empty where not given; nothing if it is none."""
    match = _WORD.fullmatch(word)
    if match is None or (match["port"] and _port(match["port"]) is None):
        return {}
    return {
        "user": match["user"] or "",
        "host": match["v6"] or match["host"],
        "port": match["port"] or "",
    }


def _port(text: str) -> int | None:
    """The number of a port, if it is one. (A resolver makes another of one that is too large.)"""
    return int(text) if text.isdecimal() and int(text) in _PORTS else None


def _looked_up(config: SSHConfig, host: str) -> Mapping[str, Any]:
    from paramiko.ssh_exception import ConfigParseError, CouldNotCanonicalize

    try:
        found: Mapping[str, Any] = config.lookup(host)
    except (ConfigParseError, CouldNotCanonicalize, ImportError) as error:
        raise UsageError(f"the ssh configuration for {host}: {error}") from error
    return found


def _identity_files(found: Mapping[str, Any]) -> tuple[str, ...]:
    names = found.get("identityfile") or [f"~/.ssh/{name}" for name in _DEFAULT_KEYS]
    return tuple(str(expanded(name.strip('"'))) for name in names)


def _known_hosts_files(found: Mapping[str, Any]) -> tuple[str, ...]:
    words: Sequence[str] = [
        *str(found.get("userknownhostsfile", _KNOWN_HOSTS)).split(),
        *str(found.get("globalknownhostsfile", _SYSTEM_KNOWN_HOSTS)).split(),
    ]
    return tuple(str(expanded(word.strip('"'))) for word in words)


def _jumps(node: str, word: str, config: SSHConfig, depth: int) -> tuple[Host, ...]:
    """The hosts on the way, in order; a jump host may have jumps of its own."""
    if word.lower() == "none":
        return ()
    if depth == 0:
        raise UsageError(f"{node}: more than {_MOST_JUMPS} jump hosts, or jumps in a circle")
    jumps: list[Host] = []
    for each in word.split(","):
        host = complete(Line(node=node, word=each.strip()), config, depth - 1)
        jumps += [*(host.jumps if not jumps else ()), host]
    return tuple(jumps)


def hosts_of(facts: Mapping[str, Any]) -> list[Host]:
    """The hosts that a run's facts name, as the ssh configuration now completes them."""
    need_paramiko()
    config = read_config(facts["ssh_config"])
    return [
        complete(Line(node=node, word=word, peer=peer), config)
        for node, word, peer in facts["hosts"]
    ]
