"""What would settle it: for each reason of an ``unknown``, the next thing to do.

A verdict ``unknown`` that leaves a team without a next step is passed over, and so is one whose
step cannot be taken. So a step fits what was judged: flags of ``polygraph test`` are advice for a
run, not for a file; what a run that was cut short lacks, it gets by running to its end. Whoever
knows says it: a checker (:attr:`Verdict.settle`), a finding (:mod:`harness.judge.health`); other
reasons are recognized here by the words that the judge and the checkers use. Each step is told
once, with all the reasons that it settles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.judge.health import HealthFinding
from harness.verdict.verdict import UNKNOWN, Verdict

RUN_AGAIN: Final = "run it again to its end"
CUT_SHORT: Final = frozenset({"partial", "interrupted", "ended-early"})
"""Ailments of a run that did not come to its end."""

UNTESTED: Final = "nothing of this was tested"
"""How :func:`harness.verdict.verdict.untested` begins."""

_RUN_FLAGS: Final = re.compile(
    r"--(time-limit|rate|concurrency|nodes|nemesis[a-z-]*|recovery-timeout|op-timeout|parallel|seed)\b"
)
_MORE_WANTED: Final = re.compile(r"--(time-limit|rate|recovery-timeout|nemesis-[a-z]+)\b")


@dataclass(frozen=True)
class Step:
    """A reason, by its words, and what to do about it: after a run, and with a file."""

    pattern: str
    run: str
    file: str = ""


_STEPS: Final[Sequence[Step]] = (
    Step(
        r"^the checker \S+ crashed",
        "this is a defect of the checker, not of the system: the traceback stands in verdict.json"
        " under its stats; report it, and judge again with polygraph check RUN once it is mended",
        "this is a defect of the checker, not of the history: --json shows the traceback under its"
        " stats; report it, and judge again once it is mended",
    ),
    Step(
        r"ran out of budget|were not enough|ran out of time|was not done after",
        "polygraph check RUN --budget 3000 searches longer; a shorter --time-limit, a lower --rate"
        " or fewer --concurrency makes a history that can be judged in time",
        "--budget 3000 searches longer; a part of the history, or fewer operations at once in it,"
        " can be judged in less",
    ),
    Step(
        r"cycle-search-timeout",
        "polygraph check RUN -m {name} --cycle-search-timeout 60000 searches longer",
        "--cycle-search-timeout 60000 searches longer",
    ),
    Step(
        r"ran out of memory|no more than .* of memory|bytes of memory|was there enough memory",
        "polygraph check RUN on a machine with more memory, or a shorter --time-limit",
        "judge it on a machine with more memory, or judge a part of it",
    ),
    Step(
        r"answered .*no verdict|not true, false or unknown|what is no JSON",
        "this is a defect of the checker: report it, and judge again once it is mended",
    ),
    Step(
        r"which is not claimed",
        "judge against what is broken with --consistency-models, or choose a workload whose"
        " checker decides the claimed model (polygraph list --matrix)",
        "-c with the model that is broken, if that was promised; or -m with a checker that decides"
        " the claimed one (polygraph list)",
    ),
    Step(
        r"was killed \(signal 9\)|the machine had killed",
        "free memory on this machine: fewer --nodes, a smaller --parallel; the kernel's log"
        " (dmesg) says which process it chose",
    ),
    Step(r"the disk under .* was full", "make room where the store lies, and run again"),
    Step(
        r"not every node's state is known",
        "a longer --recovery-timeout; look at the log of the node that did not answer",
    ),
    Step(r"the run ended before it had waited for recovery|was cut short", RUN_AGAIN),
    Step(
        r"not proved healed",
        "faults.jsonl says what was measured; polygraph heal ends what is left",
    ),
    Step(
        r"not wholly known|empty-transaction-graph|does not prove|proves nothing",
        "more operations on fewer keys: a longer --time-limit or a higher --rate; or the workload"
        " list-append, whose reads tell the order of all writes",
        "a history with more reads of the same keys, or of list-append, whose reads tell the order"
        " of all writes",
    ),
    Step(
        r"is not an operation of the model|has no operation of|there is no model",
        "polygraph check RUN -m MODEL, with a model that has these operations (polygraph list)",
        "-m MODEL, with a model that has these operations (polygraph list)",
    ),
    Step(
        r"not \[key, value\]",
        "this is a defect of the workload: its values name no key although it says they do",
        "without --independent, or with a history whose values are all [key, value]",
    ),
    Step(
        r"never read|nobody had read|nothing was ever|no id was|nothing shows|never polled"
        r"|nothing of this was tested",
        "a longer --time-limit, so that it is read; a longer --recovery-timeout, so that the final"
        " reads come about",
        "a history in which what was written is read and answered",
    ),
    Step(
        r"answered .*\bnot?\b|\bis not (balances|\[revision)|\bis no (list|map|\[key)|\btells no\b"
        r"|was not asked|of what was asked|no one row|cannot be read|does not say what",
        "mend the client or the workload, so that its answers have the form that this checker"
        " reads, and run it again",
        "mend the record that is named there, or how such answers are written down: this model"
        " reads another form",
    ),
)
_OTHERWISE: Final = Step(
    "", "polygraph check RUN -v tells more; a longer --time-limit gives it more to go by"
)
_OTHER_FILE: Final = "-v tells more; -m MODEL judges it by another model (polygraph list)"


def steps(
    valid: Any,
    health_findings: Sequence[HealthFinding],
    answers: Mapping[str, Verdict],
    others: Sequence[str] = (),
    *,
    is_run: bool = True,
) -> list[dict[str, str]]:
    """``[{"about", "do"}]`` for the reasons why it is unknown; none for any other verdict.

    ``others`` are reasons of neither finding nor checker. A step that settles several reasons is
    told once, about all of them.
    """
    if valid != UNKNOWN:
        return []
    was_cut = is_run and any(finding.check in CUT_SHORT for finding in health_findings)
    found: dict[str, list[str]] = {}
    for about, todo in _reasons(health_findings, answers, others, is_run):
        wants_more = _MORE_WANTED.search(todo) and "--budget" not in todo
        if was_cut and (wants_more or UNTESTED in about):
            todo = RUN_AGAIN
        told = found.setdefault(todo, [])
        if about not in told:
            told.append(about)
    return [{"about": "; ".join(about), "do": todo} for todo, about in found.items()]


def _reasons(
    health_findings: Sequence[HealthFinding],
    answers: Mapping[str, Verdict],
    others: Sequence[str],
    is_run: bool,
) -> Iterator[tuple[str, str]]:
    for finding in health_findings:
        if finding.level == "unknown":
            yield finding.message, finding.settle
    for name, answer in answers.items():
        if answer.valid == UNKNOWN:
            todo = answer.settle if is_run or not _RUN_FLAGS.search(answer.settle) else ""
            about = f"{answer.why.rstrip('.')} ({name})"
            yield about, todo or step(name, answer.why, is_run=is_run)
    for reason in others:
        if is_run:
            yield reason, "a longer --time-limit, and a workload with a checker"
        else:
            yield reason, "-m MODEL, with a history that has operations of clients (polygraph list)"


def step(checker: str, why: str, *, is_run: bool = True) -> str:
    """What to do about a checker that could not decide, by its reason."""
    known = next((each for each in _STEPS if re.search(each.pattern, why)), _OTHERWISE)
    if is_run:
        return known.run.replace("{name}", checker)
    if known.file or _RUN_FLAGS.search(known.run) is None:
        return known.file or known.run
    return _OTHER_FILE
