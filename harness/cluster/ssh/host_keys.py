"""Is the host that answers the one that the user knows? Asked of ``known_hosts``, as ssh does.

A key that is not known is refused with the command that would accept it; one that has changed, or
is revoked, is refused loudly, because somebody may be listening in between. Nothing is ever added
to ``known_hosts`` here: what a host's key is, only the user can know.

Files are read as sshd(8) describes them: several names, wildcards, negation, hashed names,
``@revoked`` and ``@cert-authority`` (which is not supported, and said so).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.ssh.hosts import Host
from harness.errors import NodeError


@dataclass(frozen=True, kw_only=True)
class Known:
    """A key that is known for a host, and where that stands."""

    marker: str
    kind: str
    blob: bytes
    file: str
    number: int

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.file}, line {self.number}"


def known_keys(host: Host) -> list[Known]:
    """What the known_hosts files say of this host."""
    return [key for file in host.known_hosts_files for key in _matching(Path(file), host.key_name)]


def preferred_algorithms(known: Sequence[Known], offered: Sequence[str]) -> list[str]:
    """``offered`` with those first whose keys are known, so that such a key is asked for."""
    kinds = [key.kind for key in known if not key.marker]
    wanted = {
        algorithm
        for kind in kinds
        for algorithm in (["rsa-sha2-512", "rsa-sha2-256"] if kind == "ssh-rsa" else [kind])
    }
    return sorted(offered, key=lambda algorithm: algorithm not in wanted)


def verify(host: Host, known: Sequence[Known], kind: str, blob: bytes) -> None:
    """``NodeError`` unless the key that the host showed is one that is known for it."""
    shown = f"{kind} {fingerprint(blob)}"
    revoked = [key for key in known if key.marker == "@revoked" and key.blob == blob]
    plain = [key for key in known if not key.marker]
    if revoked:
        raise NodeError(
            f"{host.node}: THE HOST KEY OF {host} IS REVOKED ({shown}, {revoked[0].place})",
            "find out why before anything is sent there",
        )
    if any(key.kind == kind and key.blob == blob for key in plain):
        return
    if plain:
        raise NodeError(
            f"{host.node}: THE HOST KEY OF {host} HAS CHANGED: it shows {shown}, but "
            f"{plain[0].place} knows {plain[0].kind} {fingerprint(plain[0].blob)}; somebody may "
            "be in between, or the host was set up anew",
            f"if it was: ssh-keygen -R '{host.key_name}' -f {shlex.quote(plain[0].file)}, then "
            f"{_accept(host)}",
        )
    note = " (a @cert-authority there is not supported)" if known else ""
    raise NodeError(
        f"{host.node}: the host key of {host} is not known ({shown}){note}",
        f"compare that fingerprint with the host's own, then {_accept(host)}",
    )


def fingerprint(blob: bytes) -> str:
    """As ssh shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _accept(host: Host) -> str:
    """The command that writes the key to where it is looked for, under the name that is looked for.

    ``ssh-keyscan`` knows neither jumps nor aliases; ``ssh`` itself asks, and writes it down.
    """
    files = [file for file in host.known_hosts_files if file != os.devnull]
    if not files:
        return "name a UserKnownHostsFile in the ssh configuration that keeps what is accepted"
    file = shlex.quote(files[0])
    name = host.address.lower()
    if host.key_name not in (name, f"[{name}]:{host.port}"):
        options = f"-o HostKeyAlias={shlex.quote(host.key_name)} -o UserKnownHostsFile={file} "
        return host.command().replace("ssh ", f"ssh {options}", 1)
    if host.jumps:
        return host.command().replace("ssh ", f"ssh -o UserKnownHostsFile={file} ", 1)
    port = "" if host.port == 22 else f"-p {host.port} "
    return f"ssh-keyscan {port}{host.address} >> {file}"


def _matching(path: Path, name: str) -> Iterator[Known]:
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return
    for number, line in enumerate(lines, 1):
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) < 3 or fields[0].startswith("#") or not _names(fields[0], name):
            continue
        try:
            blob = base64.b64decode(fields[2], validate=True)
        except ValueError:
            continue
        yield Known(marker=marker, kind=fields[1], blob=blob, file=str(path), number=number)


def _names(patterns: str, name: str) -> bool:
    """Whether the first field of a line means this host."""
    found = False
    for pattern in patterns.split(","):
        if pattern.startswith("|1|"):
            found = found or _is_hash_of(pattern, name)
        elif _is_like(pattern.removeprefix("!"), name):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _is_like(pattern: str, name: str) -> bool:
    wild = re.escape(pattern.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(wild, name) is not None


def _is_hash_of(hashed: str, name: str) -> bool:
    try:
        _, _, salt, digest = hashed.split("|")
        key, wanted = base64.b64decode(salt), base64.b64decode(digest)
    except ValueError:
        return False
    return hmac.compare_digest(hmac.new(key, name.encode(), hashlib.sha1).digest(), wanted)
