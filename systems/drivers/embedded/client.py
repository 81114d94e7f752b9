"""The client: every ability but ``Watches``, over one connection to one server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from harness.contract.client import ABILITIES, Watches
from systems.drivers.embedded.asks import Asks
from systems.drivers.embedded.dialect import Dialect
from systems.drivers.embedded.objects import EmbeddedObjects
from systems.drivers.embedded.transaction import EmbeddedTransactions

CAN: Final = tuple(each for each in ABILITIES.values() if each is not Watches)
"""The abilities of these clients."""


class EmbeddedClient(EmbeddedObjects):
    """Speaks to one server (:mod:`systems.drivers.embedded.server`)."""

    def __init__(
        self, op_timeout_s: float, dialect: Dialect, is_definite: Callable[[str, str], bool]
    ) -> None:
        asks = Asks(op_timeout_s, is_definite)
        super().__init__(asks, dialect)
        self.open, self.close = asks.open, asks.close
        self.begin = EmbeddedTransactions(asks, dialect).begin
