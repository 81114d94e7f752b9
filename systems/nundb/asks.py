"""One connection of one client of Nun-db, over which everything is asked: one command, sent once.

By TCP, logged in once a connection; or by HTTP, where every request is a session of its own and so
carries the login and the command, with ``;`` between. What became of an operation is told by stage:

* **connect**: refused, no connection in time, the login refused, nobody leads: ``Failed``.
* **sent**: reset, end of file, time-out, half an answer: the server may do it now or later.
* **answer**: an error: by :data:`REFUSED`, Nun-db's own word that nothing was done, else in doubt.

A pure read is ``Failed`` in doubt, for it has no effect. ``ok`` is said by a primary before any
other node has the change, and by a secondary as soon as it has passed it on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from harness.contract.client import Failed, Indeterminate, Target, tell
from harness.contract.node import split_address
from harness.wording import shown
from systems.drivers.http import HttpConnection, Lost
from systems.nundb.lines import LineConnection, Said
from systems.nundb.members import members_in, primary_in
from systems.nundb.places import LOGIN, TCP

_OWN_SHARE: Final = 0.9  # of the operation's time-out; the rest is for the owner's reaction
REFUSED: Final = (
    "Invalid version!",
    "Not auth",
    "No database found!",
    "Not a valid database name",
    "Key is not numeric",
)


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a client asks. ``primary``: whoever leads, by the word of the client's own node.

    ``tcp`` maps the address by which a node is known to its peers to that for clients.
    """

    primary: bool = True
    http: bool = False
    tcp: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


class Asks:
    """Asks one node one thing at a time."""

    def __init__(self, op_timeout_s: float, manner: Manner) -> None:
        self._timeout_s = op_timeout_s * _OWN_SHARE
        self._manner = manner
        self._target: str | None = None
        self._http: str | None = None
        self._node: str | None = None
        self._idle: LineConnection | None = None
        self._in_use: LineConnection | HttpConnection | None = None

    async def open(self, target: str) -> None:
        """Remember where to go; the connection is made by the first command, inside its time."""
        address = target if ":" in target else f"{target}:{TCP}"
        try:
            split_address(address)
        except ValueError as error:
            said = ["connect", f"not an address: {shown(target)}"]
            raise Failed(said, session_ended=False) from error
        self._target = address
        if isinstance(target, Target):
            self._node = target.node
            self._http = target.addresses.get(3013)

    async def close(self) -> None:
        """Drop every connection, also one with a command under way. Safe twice."""
        self._target = None
        if self._idle is not None:
            self._idle.close()
            self._idle = None
        if self._in_use is not None:
            self._in_use.abandon()

    def deadline(self) -> float:
        """When an operation that begins now is given up, on the running loop's clock."""
        return asyncio.get_running_loop().time() + self._timeout_s

    async def ask(self, command: str, deadline: float, *, mutates: bool) -> Said:
        """Send ``command`` once; its answer, or ``Failed`` / ``Indeterminate`` by stage."""
        if self._manner.http:
            return await self._ask_by_http(command, deadline, mutates=mutates)
        connection = await self._connected(deadline)
        self._in_use = connection
        try:
            async with asyncio.timeout_at(deadline):
                said = await connection.exchange(command)
        except TimeoutError as error:
            raise _doubt(mutates, ["sent", "timed out"], session_ended=True) from error
        except (Lost, OSError) as error:
            raise _doubt(mutates, ["sent", _reason(error)], session_ended=True) from error
        finally:
            self._in_use = None
        if self._target is None:
            connection.close()
        elif not connection.closed:
            self._idle = connection
        if said.error is not None:
            in_doubt = mutates and said.error not in REFUSED
            raise _doubt(in_doubt, ["answer", said.error], session_ended=True)
        return said

    async def _ask_by_http(self, command: str, deadline: float, *, mutates: bool) -> Said:
        """One request with the login and the command; answers are joined by ``;``."""
        if self._http is None:
            raise Failed(["connect", "no address for HTTP is known"], session_ended=False)
        try:
            async with asyncio.timeout_at(deadline):
                connection = await HttpConnection.connect(*split_address(self._http))
        except (OSError, TimeoutError) as error:
            raise Failed(["connect", _reason(error)], session_ended=False) from error
        self._in_use = connection
        body = ";".join((*LOGIN, command)).encode()
        try:
            async with asyncio.timeout_at(deadline):
                answer = await connection.exchange("/", body)
        except TimeoutError as error:
            raise _doubt(mutates, ["sent", "timed out"], session_ended=True) from error
        except (Lost, OSError) as error:
            raise _doubt(mutates, ["sent", _reason(error)], session_ended=True) from error
        finally:
            self._in_use = None
            connection.close()
        parts = [part.strip() for part in answer.body.decode("utf-8", "replace").split(";")]
        if answer.status != 200 or len(parts) != len(LOGIN) + 1:
            raise _doubt(mutates, ["answer", answer.status, shown(parts)], session_ended=False)
        if parts[0] != "valid auth" or parts[1] != "empty":
            raise Failed(["answer", f"the login was answered with {parts[:2]}"])
        if parts[2] in REFUSED:
            raise Failed(["answer", parts[2]], session_ended=False)
        return Said(() if parts[2] == "empty" else (parts[2],))

    async def _connected(self, deadline: float) -> LineConnection:
        """A connection that is logged in, and on which no command has been sent for this yet."""
        idle, self._idle = self._idle, None
        if idle is not None:
            if idle.reusable:
                return idle
            idle.close()
            raise Failed(["connect", "the connection was lost"], session_ended=True)
        if self._target is None:
            raise Failed(["connect", "this client is not open"], session_ended=False)
        try:
            async with asyncio.timeout_at(deadline):
                if not self._manner.primary:
                    return await self._logged_in(self._target, self._node)
                return await self._at_the_primary(self._target)
        except TimeoutError as error:
            raise Failed(["connect", "timed out"], session_ended=False) from error
        except (Lost, OSError) as error:
            raise Failed(["connect", _reason(error)], session_ended=False) from error

    async def _at_the_primary(self, own: str) -> LineConnection:
        """At whoever the client's own node says is the primary."""
        connection = await self._logged_in(own, self._node)
        said = await connection.exchange("cluster-state")
        primary = primary_in(said.lines)
        if primary is None:
            connection.close()
            raise Failed(["connect", "its node knows of no single primary"], session_ended=False)
        address = self._manner.tcp.get(primary, primary)
        if address == own or len(members_in(said.lines)) == 1:
            return connection
        connection.close()
        return await self._logged_in(address, self._manner.names.get(primary))

    async def _logged_in(self, address: str, node: str | None) -> LineConnection:
        connection = await LineConnection.connect(*split_address(address))
        for command in LOGIN:
            said = await connection.exchange(command)
            if said.error is not None or "invalid auth" in said.lines:
                connection.close()
                what = said.error or "invalid auth"
                raise Failed(["connect", f"the login is refused: {what}"], session_ended=False)
        if node is not None:
            tell(served=node)
        return connection


def _doubt(in_doubt: bool, error: object, *, session_ended: bool) -> Failed | Indeterminate:
    return Indeterminate(error) if in_doubt else Failed(error, session_ended=session_ended)


def _reason(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else str(error) or type(error).__name__
