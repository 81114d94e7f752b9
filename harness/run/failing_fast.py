"""``--fail-fast``: the first anomaly that can be told at once ends the operations of a run.

The onlooker (:mod:`harness.run.onlooker`) sees it from the front; the run process is told by a line
on its standard input. It then begins no operation and no fault any more, heals, waits for recovery,
reads finally and judges as ever: the verdict is the checkers' alone, and what the run did not come
to do is not held against it. ``--leave-db-running`` keeps the cluster as it is by then.

Only what breaks the claim ends a run: an anomaly whose weakest models that it rules out, and all
stronger ones, nobody claimed leaves it as it is. One that nobody explains does end it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

from harness.errors import PolygraphError
from harness.judge.claims import DOCUMENTED
from harness.plugins import Registry
from harness.run.onlooker import Onlooker
from harness.run.preparation import Parts
from harness.verdict.explanation import Explanation

ANOMALY: Final = "anomaly"
"""What the run process reads from its standard input before the anomaly, as JSON, on one line."""
MOST_SAID: Final = 200
"""Characters of its message: the line is written at once."""


class FailFast:
    """Tells the run process of what ``onlooker`` saw, once; nothing where that was not asked for.

    ``tell`` is how a line reaches the run process, once there is one.
    """

    def __init__(self, onlooker: Onlooker, parts: Parts, registry: Registry) -> None:
        self.tell: Callable[[str], None] = lambda line: None
        self._onlooker = onlooker
        self._registry = registry
        self._claims = parts.claims
        self._is_none_promised = parts.scenario.claims == DOCUMENTED and not parts.claims
        self._is_over = not parts.scenario.fail_fast

    def look(self) -> None:
        """Tell of an anomaly, if one was seen by now."""
        if self._is_over or self._onlooker.first is None:
            return
        self._is_over = True
        seen = self._onlooker.told()["anomaly"]
        if not self._is_none_promised and breaks(seen["kind"], self._claims, self._registry):
            self.tell(f"{ANOMALY} {json.dumps({**seen, 'message': seen['message'][:MOST_SAID]})}")


def breaks(kind: str, claims: Sequence[str], registry: Registry) -> bool:
    """Whether an anomaly of this type breaks one of ``claims``, as far as anybody explains it."""
    try:
        known = registry.names("explanations")
        if not claims or kind not in known:
            return True
        explained: Explanation = registry.get("explanations", kind)()
    except PolygraphError:
        return True
    ruled_out = {*explained.rules_out, *explained.also_rules_out}
    return not ruled_out or bool(ruled_out & set(claims))
