"""What of a found run's registration over ssh may be acted on, whoever wrote it.

A configuration of ssh can run commands (``Match exec``) and say which keys and known hosts count,
so it comes from the user alone: ``~/.ssh/config``, or what he names by ``--ssh-config`` for this
call. What the folder names is only compared with that. Host words become arguments of such
commands (``%h``), so they must look like hosts. The folder that is removed on a host is named
after the run's place, and says itself whose it is (:mod:`harness.cluster.hands.arrival`). And a
host is spoken to only if the user's known_hosts has a key of it, as it must have had when the run
began.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from harness.cluster.provider import MOST_NODES
from harness.errors import HealError, UsageError
from harness.wording import shown

_NODE: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_WORD: Final = re.compile(
    r"([A-Za-z0-9_][A-Za-z0-9._-]{0,63}@)?"
    r"([A-Za-z0-9_][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9._-]{1,15})?\])"
    r"(:[0-9]{1,5})?"
)
_ADDRESS: Final = re.compile(r"[A-Za-z0-9_:\[][A-Za-z0-9._:%\]-]{0,252}")


def believed(run_dir: Path, facts: Mapping[str, Any], ssh_config: str | None) -> dict[str, Any]:
    """The facts to act on; ``HealError`` says what does not fit. Nothing is connected."""
    from harness.cluster.ssh import host_keys as ssh_host_keys
    from harness.cluster.ssh.hosts import hosts_of

    kept = {
        "hosts": _hosts(facts.get("hosts")),
        "host_dir": _host_dir(facts.get("host_dir", "")),
        "ssh_config": _config(run_dir, facts.get("ssh_config"), ssh_config),
    }
    try:
        hosts = hosts_of(kept)
    except UsageError as error:
        raise HealError(error.message, error.hint) from error
    strange = [
        str(each)
        for host in hosts
        for each in (*host.jumps, host)
        if not any(not key.marker for key in ssh_host_keys.known_keys(each))
    ]
    if strange:
        raise HealError(
            f"you know no host key of {', '.join(dict.fromkeys(strange))}, so this run cannot have"
            " been there as you; they were not spoken to",
            "if they are hosts of yours: ssh to each once, then polygraph heal again",
        )
    return kept


def _hosts(told: Any) -> list[tuple[str, str, str | None]]:
    if not isinstance(told, list) or not 1 <= len(told) <= MOST_NODES:
        raise _odd("hosts", told)
    hosts = []
    for each in told:
        if not isinstance(each, list) or len(each) != 3:
            raise _odd("a host", each)
        node, word, peer = each
        if not _fits(_NODE, node) or not _fits(_WORD, word):
            raise _odd("a host", each)
        if peer is not None and not _fits(_ADDRESS, peer):
            raise _odd("a host", each)
        hosts.append((node, word, peer))
    if len({node for node, _, _ in hosts}) < len(hosts):
        raise _odd("a node twice", told)
    return hosts


def _host_dir(told: Any) -> str:
    if not isinstance(told, str) or (
        told and (not told.startswith("/") or "\0" in told or ".." in told.split("/"))
    ):
        raise _odd("a folder on the hosts", told)
    return posixpath.normpath(told) if told else ""


def _config(run_dir: Path, told: Any, own: str | None) -> str | None:
    """The user's configuration, if it is the one that the run was made with."""
    from harness.cluster.ssh.hosts import expanded

    if told is None:
        return None
    if not isinstance(told, str) or not told.startswith("/") or "\0" in told:
        raise _odd("an ssh configuration", told)
    mine = None if own is None else expanded(own).resolve()
    if mine == Path(told):
        return str(mine)
    if Path(told).is_relative_to(run_dir):
        raise HealError(
            f"it names an ssh configuration in its own folder, {told}, which is never used",
            "remove what that run may have left by hand, then its cluster.json",
        )
    raise HealError(
        f"it used the ssh configuration {told}: an ssh configuration can run commands, and which is"
        " used only you say",
        f"if that file is yours: polygraph heal --ssh-config {shlex.quote(told)}",
    )


def _fits(pattern: re.Pattern[str], word: Any) -> bool:
    return isinstance(word, str) and pattern.fullmatch(word) is not None


def _odd(what: str, told: Any) -> HealError:
    return HealError(
        f"its registration names as {what} what cannot be one: {shown(told)}",
        "end what may be left of it by hand, then remove its cluster.json",
    )
