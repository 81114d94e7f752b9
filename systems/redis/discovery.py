"""How a client finds out who leads: by asking Sentinel, as its documentation has it.

The Sentinels are tried in order, that of the client's own node first; the server that one names is
connected to, and must say by ``ROLE`` that it is a primary. Then there are two manners:

* ``reconnect``: the connection is kept until it is lost or its server says that it is a replica.
  Sentinel ends the connections to a primary that it demotes, and most libraries rely on that; a
  primary that is cut off from the others and still believes is one that its clients stay on.
* ``subscribe``: the client also listens to that Sentinel's ``+switch-master``, as others do, and
  leaves for the new primary at once. So the clients on either side of a cut use different ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Final

from harness.contract.client import Failed, Target
from harness.contract.node import split_address
from harness.wording import shown
from systems.drivers.http import Lost
from systems.drivers.resp import Answer, RespConnection
from systems.redis.places import PRIMARY_NAME, Places

_PATIENCE_S: Final = 0.5
RECONNECT: Final = "reconnect"
SUBSCRIBE: Final = "subscribe"


class Discovery:
    """Finds the primary for one client."""

    def __init__(self, places: Places, *, subscribes: bool) -> None:
        self._places = places
        self._subscribes = subscribes
        self._news: RespConnection | None = None

    @property
    def is_needed(self) -> bool:
        """Whether there is anybody to ask."""
        return bool(self._places.sentinels)

    @property
    def has_switched(self) -> bool:
        """Whether Sentinel has told of another primary since (or can tell no more)."""
        return self._news is not None and not self._news.reusable

    def close(self) -> None:
        """Listen no more. Safe twice."""
        news, self._news = self._news, None
        if news is not None:
            news.close()

    async def connected(self, target: Target) -> tuple[RespConnection, str | None]:
        """A connection to the primary, and its node; ``Failed`` if there is none."""
        peer = await self._named(target)
        address, node = self._places.for_client(peer)
        connection = await connected(address)
        (role,) = await connection.exchange(("ROLE",))
        if not (isinstance(role, list) and role[:1] == [b"master"]):
            connection.close()
            said = ["connect", f"whom Sentinel names is no primary: {_role(role)}"]
            raise Failed(said, session_ended=False)
        return connection, node

    async def _named(self, target: Target) -> str:
        """Who leads, as the first Sentinel that answers says."""
        why = "there is no Sentinel"
        for address in self._places.sentinels_from(target.node):
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    if self._subscribes:  # before it is asked, so that nothing is missed
                        await self._listen(address)
                    return await _asked(address)
            except TimeoutError:
                why = "no Sentinel answers: timed out"
            except (Lost, OSError) as error:
                why = f"no Sentinel answers: {reason(error)}"
        raise Failed(["connect", why], session_ended=False)

    async def _listen(self, address: str) -> None:
        self.close()
        news = await connected(address)
        (answer,) = await news.exchange(("SUBSCRIBE", "+switch-master"))
        if not (isinstance(answer, list) and answer[:1] == [b"subscribe"]):
            news.close()
            raise Lost(f"it takes no subscription: {shown(answer)}")
        self._news = news


async def _asked(address: str) -> str:
    connection = await connected(address)
    with contextlib.closing(connection):
        (found,) = await connection.exchange(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", PRIMARY_NAME))
    match found:
        case [bytes(host), bytes(port)]:
            return f"{host.decode()}:{port.decode()}"
    raise Lost(f"it knows of no primary: {shown(found)}")


async def connected(address: str) -> RespConnection:
    """A connection to ``host:port``."""
    return await RespConnection.connect(*split_address(address))


def reason(error: Exception) -> str:
    """What went wrong, without the address: equal troubles shall read alike in a history."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else str(error) or type(error).__name__


def _role(said: Answer) -> str:
    match said:
        case [bytes(word), *_]:
            return word.decode("utf-8", "replace")
    return shown(said)
