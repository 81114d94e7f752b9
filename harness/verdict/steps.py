"""What would settle an unknown, as whoever answers it says it: after a run, and with a file.

A verdict ``unknown`` that leaves a team without a next step is passed over, and so is one whose
step cannot be taken: flags of ``polygraph test`` are advice for a run, not for a file. The common
steps stand here, so that every checker says the same of the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True)
class Step:
    """What to do after ``run`` and what with a ``file`` (the same, where that is empty).

    ``{checker}`` stands for the name of the checker. ``more_of_the_run``: what is missing is what
    a run that was cut short gets by running to its end.
    """

    run: str
    file: str = ""
    more_of_the_run: bool = False

    def words(self, checker: str, *, is_run: bool) -> str:
        """The words for a run or for a file, judged by ``checker``."""
        words = self.run if is_run else self.file or self.run
        return words.replace("{checker}", checker)


Settle = Step | str
"""A text says the same of runs and of files."""


def words_of(settle: Settle, checker: str = "", *, is_run: bool = True) -> str:
    """The words of ``settle`` for a run or for a file."""
    return settle if isinstance(settle, str) else settle.words(checker, is_run=is_run)


def of_more(settle: Settle) -> Step:
    """``settle``, where what is missing is what a longer run gets."""
    return (
        replace(settle, more_of_the_run=True)
        if isinstance(settle, Step)
        else Step(settle, more_of_the_run=True)
    )


RUN_AGAIN: Final = Step("run it again to its end", more_of_the_run=True)
SEARCH_LONGER: Final = Step(
    "polygraph check RUN --budget 3000 searches longer; a shorter --time-limit, a lower --rate"
    " or fewer --concurrency makes a history that can be judged in time",
    "--budget 3000 searches longer; a part of the history, or fewer operations at once in it,"
    " can be judged in less",
)
SEARCH_CYCLES_LONGER: Final = Step(
    "polygraph check RUN -m {checker} --cycle-search-timeout 60000 searches longer",
    "--cycle-search-timeout 60000 searches longer",
)
MORE_MEMORY: Final = Step(
    "polygraph check RUN on a machine with more memory, or a shorter --time-limit",
    "judge it on a machine with more memory, or judge a part of it",
)
READ_MORE: Final = Step(
    "a longer --time-limit, so that it is read; a longer --recovery-timeout, so that the final"
    " reads come about",
    "a history in which what was written is read and answered",
    more_of_the_run=True,
)
ORDER_MORE: Final = Step(
    "more operations on fewer keys: a longer --time-limit or a higher --rate; or the workload"
    " list-append, whose reads tell the order of all writes",
    "a history with more reads of the same keys, or of list-append, whose reads tell the order"
    " of all writes",
    more_of_the_run=True,
)
MEND_ANSWERS: Final = Step(
    "mend the client or the workload, so that its answers have the form that this checker"
    " reads, and run it again",
    "mend the record that is named there, or how such answers are written down: this model"
    " reads another form",
)
MEND_KEYS: Final = Step(
    "this is a defect of the workload: its values name no key although it says they do",
    "without --independent, or with a history whose values are all [key, value]",
)
UNIQUE_VALUES: Final = Step(
    "a workload that writes no value twice to a key, nor the one that was there first",
    "a history in which no value is written twice to a key, nor the one that was there first",
)
OTHER_MODEL: Final = Step(
    "polygraph check RUN -m MODEL, with a model that has these operations (polygraph list)",
    "-m MODEL, with a model that has these operations (polygraph list)",
)
STRONGER_CLAIM: Final = Step(
    "polygraph check RUN -c MODEL, with a model that forbids it, if the system promises one",
    "-c MODEL, with a model that forbids it, if the system promises one",
)
DECIDES_THE_CLAIM: Final = Step(
    "judge against what is broken with --consistency-models, or choose a workload whose"
    " checker decides the claimed model (polygraph list --matrix)",
    "-c with the model that is broken, if that was promised; or -m with a checker that decides"
    " the claimed one (polygraph list)",
)
DEFECT_OF_CHECKER: Final = Step(
    "this is a defect of the checker: report it, and judge again once it is mended"
)
CRASH_OF_CHECKER: Final = Step(
    "this is a defect of the checker, not of the system: the traceback stands in verdict.json"
    " under its stats; report it, and judge again with polygraph check RUN once it is mended",
    "this is a defect of the checker, not of the history: --json shows the traceback under its"
    " stats; report it, and judge again once it is mended",
)
FREE_MEMORY: Final = Step(
    "free memory on this machine: fewer --nodes, a smaller --parallel; the kernel's log"
    " (dmesg) says which process it chose"
)
MAKE_ROOM: Final = Step("make room where the store lies, and run again")
ASK_EVERY_NODE: Final = Step(
    "a longer --recovery-timeout; look at the log of the node that did not answer",
    more_of_the_run=True,
)
LOOK_AT_LEDGER: Final = Step(
    "faults.jsonl says what was measured; polygraph heal ends what is left"
)
ANYTHING: Final = Step(
    "polygraph check RUN -v tells more; a longer --time-limit gives it more to go by",
    "-v tells more; -m MODEL judges it by another model (polygraph list)",
    more_of_the_run=True,
)
"""For a checker of somebody's that does not say."""
