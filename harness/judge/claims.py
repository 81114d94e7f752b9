"""What a verdict is against: the models that a system promises, or that the user asked for.

Every name is one that we know (:mod:`harness.verdict.consistency`), under its usual spelling. A
name that no model has would match nothing, so that a proved violation became "not claimed"; it
is refused at once, wherever it comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from msgspec import structs

from harness.errors import UsageError
from harness.history.history import History
from harness.verdict.consistency import known_models
from harness.verdict.evidence import OtherClaim
from harness.wording import shown

ASSUMED: Final = "assumed"
DOCUMENTED: Final = "documented"
CLAIMS: Final = (ASSUMED, DOCUMENTED)
"""By whom it is claimed: what users take for granted, or what the vendor's own pages promise."""
NO_MODEL: Final = "no model of consistency"


@dataclass(frozen=True)
class Claim:
    """The models promised; ``of`` names the abilities where a system promises different things.

    ``not_durable`` is why what was acknowledged may be lost; ``source`` where that is documented.
    """

    models: tuple[str, ...]
    of: tuple[str, ...] = ()
    not_durable: str | None = None
    by: str = ASSUMED
    source: str = ""

    def as_json(self) -> OtherClaim:
        """How it stands in ``run.json`` and in the verdict, beside the one that is judged."""
        return {
            "by": self.by,
            "claims": list(self.models),
            "not_durable": self.not_durable,
            "source": self.source,
        }


def models_of(names: Any, where: str) -> tuple[str, ...]:
    """The models that ``names`` are, usual spelling; a text is names with commas, not letters.

    ``UsageError`` says ``where`` an unknown name came from, with the nearest names.
    """
    found = names.split(",") if isinstance(names, str) else names
    if not isinstance(found, Sequence) or not all(isinstance(name, str) for name in found):
        raise UsageError(f"{where}: {shown(names)} is no list of consistency models")
    try:
        return known_models(name.strip() for name in found if name.strip())
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def with_known_claims(history: History) -> History:
    """``history`` with the claims of its header under their usual names; refused if unknown."""
    claims = list(models_of(history.header.claims, "the claims of the history's header"))
    if claims == history.header.claims:
        return history
    return replace(history, header=structs.replace(history.header, claims=claims))
