"""One ssh connection: reached (through jump hosts), proved to be the host, logged in by key.

Every step has a time-out and one clear message: a host that is paused accepts the TCP connection
and hangs at the banner. Small packets are sent at once (``TCP_NODELAY``): with the kernel's wait
for more to send a command takes 50 ms instead of 4. A connection whose peer does not acknowledge
anything for 10 s is ended by the kernel, so that nobody waits for a host that is gone.

Programs on the host are Python of ours, :mod:`harness.cluster.hands.arrival` and
:mod:`harness.cluster.hands.transfer`, sent over their own standard input and executed by
``python3 -c``: no quoting of a shell is between, whatever the user's login shell is.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cluster.ssh import host_keys as ssh_host_keys
from harness.cluster.ssh.hosts import Host
from harness.errors import NodeError

if TYPE_CHECKING:
    from paramiko import Channel, PKey, Transport

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 15.0

_HANDS = Path(__file__).parents[1] / "hands"
_BOOT = "import sys;b=sys.stdin.buffer;exec(b.read(int(b.readline())))"
_LOG = "polygraph.ssh"
_KEEPALIVE_S = 5
_MOST_NOISE_BYTES = 1 << 16
_NO_STATUS = -1
"""What paramiko gives where the host said no exit status."""


class Connection:
    """An open connection to ``host``. Any thread may use it."""

    def __init__(self, host: Host, transports: list[Transport]) -> None:
        self.host = host
        self._transports = transports

    def is_open(self) -> bool:
        """Whether it has not been noticed to be lost."""
        return bool(self._transports[-1].is_active())

    def close(self) -> None:
        """Close it, and those to the jump hosts. Safe twice."""
        for transport in reversed(self._transports):
            transport.close()

    def execute(self, program: str, settings: dict[str, Any], timeout_s: float) -> Channel:
        """Run one of the programs of ``hands`` by the host's python3; its channel.

        ``NodeError`` if the host has no channel to give.
        """
        from paramiko import SSHException

        source = (_HANDS / program).read_bytes()
        try:
            channel = self._transports[-1].open_session(timeout=timeout_s)
            channel.settimeout(timeout_s)
            channel.exec_command(f"exec python3 -I -S -c '{_BOOT}'")
            send(channel, str(len(source)).encode() + b"\n" + source)
            send(channel, json.dumps(settings).encode() + b"\n")
        except (SSHException, OSError, EOFError) as error:
            raise lost(self.host, error) from error
        return channel

    def answer(self, channel: Channel) -> tuple[dict[str, Any], bytes]:
        """The program's first line of JSON, and what came behind it.

        What a login shell printed before is passed over. ``NodeError`` if there is none: it says
        why no program ran, or that the connection is lost.
        """
        received = b""
        try:
            while len(received) < _MOST_NOISE_BYTES:
                data = channel.recv(1 << 16)
                if not data:
                    break
                received += data
                *lines, rest = received.split(b"\n")
                for number, line in enumerate(lines):
                    if line.startswith(b'{"'):
                        return json.loads(line), b"\n".join([*lines[number + 1 :], rest])
        except (OSError, ValueError) as error:
            raise lost(self.host, error) from error
        raise self._unanswered(channel, received)

    def _unanswered(self, channel: Channel, received: bytes) -> NodeError:
        with contextlib.suppress(OSError):
            received += channel.recv_stderr(1 << 16)
        said = received.decode(errors="replace").strip()[-300:]
        # The status comes after the end of what was said, or never if the connection broke.
        channel.status_event.wait(ANSWER_TIMEOUT_S)
        status = channel.recv_exit_status() if channel.exit_status_ready() else _NO_STATUS
        if status == _NO_STATUS and not said:
            return lost(self.host, ConnectionError("it ended before any answer"))
        if status == 127 or "python3" in said:
            return NodeError(
                f"{self.host.node}: {self.host} has no python3 that runs: {said}",
                "apt-get install python3 there",
            )
        return NodeError(f"{self.host.node}: {self.host} runs no command: {said or 'no answer'}")


def connect(host: Host, timeout_s: float = CONNECT_TIMEOUT_S) -> Connection:
    """Connect and log in; ``NodeError`` says which step failed and what would help."""
    transports: list[Transport] = []
    try:
        for each in (*host.jumps, host):
            way = _tcp(each, timeout_s) if not transports else _through(transports[-1], each)
            transports.append(_handshake(each, way, timeout_s))
            _log_in(each, transports[-1], timeout_s)
    except BaseException:
        for transport in reversed(transports):
            transport.close()
        raise
    return Connection(host, transports)


def send(channel: Channel, data: bytes) -> None:
    """Send ``data`` to the channel's program, unless it has ended: then its answer tells why.

    A host without python3 closes the channel while we still send; whether we notice by then is
    luck, and no lost connection. ``TimeoutError`` if the program lives and does not read.
    """
    try:
        channel.sendall(data)
    except TimeoutError:
        raise
    except OSError:
        if not channel.closed:
            raise


def lost(host: Host, error: BaseException) -> NodeError:
    """A connection that stood and broke."""
    why = str(error) or type(error).__name__
    return NodeError(f"{host.node}: the connection to {host} is lost: {why}", "polygraph heal")


def _tcp(host: Host, timeout_s: float) -> socket.socket:
    try:
        way = socket.create_connection((host.address, host.port), timeout_s)
    except (OSError, UnicodeError) as error:  # the second where it cannot be a name at all
        why = getattr(error, "strerror", None) or str(error)
        raise NodeError(f"{host.node}: cannot connect to {host}: {why}", host.command()) from error
    way.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    way.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(timeout_s * 1000))
    way.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return way


def _through(jump: Transport, host: Host) -> Channel:
    from paramiko import SSHException

    try:
        target = (host.address, host.port)
        return jump.open_channel("direct-tcpip", target, ("127.0.0.1", 0), timeout=10.0)
    except (SSHException, OSError, EOFError) as error:
        raise NodeError(
            f"{host.node}: the jump host does not connect to {host}: {error}", host.command()
        ) from error


def _handshake(host: Host, way: socket.socket | Channel, timeout_s: float) -> Transport:
    """Up to a verified host key."""
    from paramiko import SSHException, Transport

    logging.getLogger(_LOG).addHandler(logging.NullHandler())
    try:
        transport = Transport(way)
    except (SSHException, OSError, EOFError) as error:
        raise NodeError(f"{host.node}: {host}: {error}", host.command()) from error
    transport.set_log_channel(_LOG)
    transport.banner_timeout = transport.handshake_timeout = timeout_s
    transport.auth_timeout = timeout_s
    known = ssh_host_keys.known_keys(host)
    options = transport.get_security_options()
    options.key_types = ssh_host_keys.preferred_algorithms(known, options.key_types)
    try:
        transport.start_client(timeout=2 * timeout_s)
        key = transport.get_remote_server_key()
        ssh_host_keys.verify(host, known, key.get_name(), key.asbytes())
    except (SSHException, OSError, EOFError) as error:
        transport.close()
        raise _no_handshake(host, error, timeout_s) from error
    except BaseException:
        transport.close()
        raise
    transport.set_keepalive(_KEEPALIVE_S)
    return transport


def _no_handshake(host: Host, error: BaseException, timeout_s: float) -> NodeError:
    if "banner" in str(error) or "protocol version" in str(error):
        what = f"{host} takes the connection and does not greet as ssh within {timeout_s:g} s"
        hint = f"is it paused, overloaded or no sshd? {host.command()}"
        return NodeError(f"{host.node}: {what}", hint)
    why = str(error) or type(error).__name__
    return NodeError(f"{host.node}: no ssh session with {host}: {why}", host.command())


def _log_in(host: Host, transport: Transport, timeout_s: float) -> None:
    """By the keys of the configuration or the usual files, then by the agent's others."""
    from paramiko import AuthenticationException, SSHException

    tried: list[str] = []
    for name, key in _keys(host, tried):
        tried.append(name)
        try:
            further = transport.auth_publickey(host.user, key)
        except AuthenticationException:
            continue
        except (SSHException, OSError, EOFError) as error:
            tried.append(f"then the host ended the session: {error or type(error).__name__}")
            break
        if not further:
            return
        tried.append(f"accepted, but {', '.join(further)} is asked for as well")
        break
    raise NodeError(
        f"{host.node}: {host} accepts none of the keys ({'; '.join(tried) or 'there is none'})",
        f"ssh-copy-id -p {host.port} {host.user}@{host.address}, or IdentityFile in ~/.ssh/config",
    )


def _keys(host: Host, tried: list[str]) -> Iterator[tuple[str, PKey]]:
    from paramiko import Agent, PasswordRequiredException, PKey, SSHException
    from paramiko.pkey import UnknownKeyType

    agent: list[PKey] = []
    with contextlib.suppress(SSHException, OSError):
        agent = list(Agent().get_keys())
    asked = {_public(Path(f"{path}.pub")) for path in host.identity_files}
    # Hosts end a session after six tries: the keys that were asked for come first.
    for key in [key for key in agent if key.asbytes() in asked]:
        yield f"the agent's {key.get_name()}", key
    for path in host.identity_files:
        try:
            yield path, PKey.from_path(path)
        except FileNotFoundError:
            continue
        except (PasswordRequiredException, TypeError):
            tried.append(f"{path} needs a passphrase: ssh-add it")
        except (OSError, ValueError, SSHException, UnknownKeyType) as error:
            tried.append(f"{path} cannot be used: {error}")
    for key in [key for key in agent if key.asbytes() not in asked]:
        if not host.identities_only:
            yield f"the agent's {key.get_name()}", key


def _public(path: Path) -> bytes | None:
    import base64

    try:
        return base64.b64decode(path.read_text("utf-8").split()[1])
    except (OSError, ValueError, IndexError):
        return None
