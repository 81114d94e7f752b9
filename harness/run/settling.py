"""What would settle it: for a run that is ``unknown``, the next thing to do about each reason.

A verdict ``unknown`` that leaves a team without a next step is passed over. Ailments of the run
bring their own step (:mod:`harness.run.health`); the reasons of checkers are recognized here by
the words that the judge and the checkers use. Every step names a flag or a command.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from harness.history.verdict import UNKNOWN, Verdict
from harness.run.health import Ailment

_STEPS: Final[Sequence[tuple[str, str]]] = (
    (
        r"^the checker \S+ crashed",
        "this is a defect of the checker, not of the system: the traceback stands in verdict.json"
        " under its stats; report it, and judge again with polygraph check RUN once it is mended",
    ),
    (
        r"ran out of budget|were not enough|ran out of time|cycle-search-timeout",
        "a shorter --time-limit, a lower --rate or fewer --concurrency makes a history that can be"
        " judged in time; for Elle's checkers polygraph check RUN -m {name}"
        " --cycle-search-timeout 60000 searches longer",
    ),
    (
        r"ran out of memory|no more than .* of memory|bytes of memory",
        "polygraph check RUN on a machine with more memory, or a shorter --time-limit",
    ),
    (
        r"answered .*no verdict|not true, false or unknown|what is no JSON",
        "this is a defect of the checker: report it, and judge again once it is mended",
    ),
    (
        r"which is not claimed",
        "judge against what is broken with --consistency-models, or choose a workload whose"
        " checker decides the claimed model (polygraph list --matrix)",
    ),
    (
        r"was killed \(signal 9\)|the machine had killed",
        "free memory on this machine: fewer --nodes, a smaller --parallel; the kernel's log"
        " (dmesg) says which process it chose",
    ),
    (r"the disk under .* was full", "make room where the store lies, and run again"),
    (
        r"not every node's state is known",
        "a longer --recovery-timeout; look at the log of the node that did not answer",
    ),
    (
        r"the run ended before it had waited for recovery|was cut short",
        "run it again to its end",
    ),
    (
        r"not proved healed",
        "faults.jsonl says what was measured; polygraph heal ends what is left",
    ),
    (
        r"not wholly known|empty-transaction-graph|does not prove|proves nothing",
        "more operations on fewer keys: a longer --time-limit or a higher --rate; or the workload"
        " list-append, whose reads tell the order of all writes",
    ),
    (
        r"never read|nobody had read|nothing was ever|no id was|nothing shows|never polled",
        "a longer --time-limit, so that it is read; a longer --recovery-timeout, so that the final"
        " reads come about",
    ),
)
_OTHERWISE: Final = (
    "polygraph check RUN -v tells more; a longer --time-limit gives it more to go by"
)


def steps(
    valid: Any,
    ailments: Sequence[Ailment],
    answers: Mapping[str, Verdict],
    others: Sequence[str] = (),
) -> list[dict[str, str]]:
    """``[{"about", "do"}]`` for each reason why it is unknown; none for any other verdict.

    ``others`` are reasons of neither, for which running again with more to judge is all there is.
    """
    if valid != UNKNOWN:
        return []
    return list(_steps(ailments, answers, others))


def _steps(
    ailments: Sequence[Ailment], answers: Mapping[str, Verdict], others: Sequence[str]
) -> Iterator[dict[str, str]]:
    for ailment in ailments:
        if ailment.level == "unknown":
            yield {"about": ailment.message, "do": ailment.settle}
    for name, answer in answers.items():
        if answer.valid == UNKNOWN:
            todo = answer.settle or step(name, answer.why)
            yield {"about": f"{answer.why.rstrip('.')} ({name})", "do": todo}
    for reason in others:
        yield {"about": reason, "do": "a longer --time-limit, and a workload with a checker"}


def step(checker: str, why: str) -> str:
    """What to do about a checker that could not decide, by its reason."""
    for pattern, todo in _STEPS:
        if re.search(pattern, why):
            return todo.replace("{name}", checker)
    return _OTHERWISE
