"""The provider ``local``: in namespaces where this machine allows them, else plain processes."""

from __future__ import annotations

from harness.cluster.namespaces.provider import LocalProvider
from harness.cluster.plain.provider import PROVIDER as PLAIN
from harness.cluster.provider import Request
from harness.errors import NeedsError, PolygraphError


class AnyLocalProvider(LocalProvider):
    """Whichever of its modes this machine can do (``Provider``)."""

    def choose(self, request: Request) -> str:
        """As with namespaces; where both are forbidden and none was asked for, ``local:plain``."""
        try:
            return super().choose(request)
        except NeedsError as refused:
            if request.provider != "local":
                raise
            return _without_namespaces(request, refused)


def _without_namespaces(request: Request, refused: NeedsError) -> str:
    """``local:plain``, or the refusal of namespaces with that of plain processes."""
    try:
        return PLAIN.choose(request)
    except PolygraphError as error:
        raise NeedsError(f"{refused.message}; {error.message}", refused.hint) from error


PROVIDER = AnyLocalProvider()
