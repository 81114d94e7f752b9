"""Many random histories of registers against the oracles: ``python -m`` this module.

    python -m tests.checkers.elle.registers.campaign --histories 100000

Each is judged with or without times, with or without an assumption, at some level (``--levels``:
in all these ways, at so many). ``true`` where the oracle allows nothing, or ``false`` where it
allows all, is a disagreement, and told with its seed. The last line counts answers, and how many of
the histories were invalid at their level.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec.structs import replace

from checkers.elle.options import OF_SESSIONS
from checkers.elle.registers.weak_saturation import CAUSAL, READ_ATOMIC, READ_COMMITTED
from checkers.proof.models import canonical, friendly
from harness.history.history import History
from harness.verdict.verdict import UNKNOWN, Verdict
from tests.checkers.elle.registers.axioms import is_allowed
from tests.checkers.elle.registers.drawing import (
    judged,
    odd_history,
    random_history,
    says_nothing,
)
from tests.checkers.elle.registers.oracle import LEVELS, UNDECIDED, allowed

WEAK: Final = {"read-atomic": READ_ATOMIC, "causal": CAUSAL}
OF_TEXTS: Final = ("read-committed", "read-atomic", "causal", "snapshot-isolation", "serializable")
ASSUMPTIONS: Final = ("wfr_keys", "sequential_keys", "linearizable_keys")


@dataclass
class Tally:
    """What was answered, by level, and where that was wrong."""

    answers: Counter[tuple[str, Any, bool]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def note(self, name: str, seed: int, verdict: Verdict, least: bool, most: bool) -> None:
        """``least``: allowed by the strictest reading; ``most``: by the widest one."""
        nothing = "nothing" if says_nothing(verdict) else verdict.valid
        self.answers[name, nothing, most] += 1
        if (verdict.valid is True and not most) or (verdict.valid is False and least):
            self.wrong.append(f"{name} seed {seed}: {verdict.valid} {verdict.why}")


def history_of(seed: int) -> History:
    """The history of a seed: two of three are odd."""
    rng = random.Random(f"campaign {seed}")
    shape = {
        "transactions": rng.choice((2, 3, 3, 4, 4, 5)),
        "keys": rng.choice((1, 2, 2, 3)),
        "most_steps": rng.choice((2, 3, 4)),
    }
    return (odd_history if seed % 3 else random_history)(seed, **shape)


def without_times(history: History) -> History:
    """The same where only the order within each session means anything."""
    header = replace(history.header, extra={"order": "session"})
    return History(history.operations, header)


def judge_one(seed: int, tally: Tally, levels: int = 0) -> None:
    """Judge the history of ``seed`` at so many levels and once of each other kind; with none, in
    one way alone.
    """
    rng = random.Random(f"levels {seed}")
    history = history_of(seed)
    if not levels:
        way = rng.choice((_at_levels, _assuming, _weakly, _as_text))
        way(seed, history, rng, tally)
        return
    for _ in range(levels):
        _at_levels(seed, history, rng, tally)
    for way in (_assuming, _weakly, _as_text):
        way(seed, history, rng, tally)


def _at_levels(seed: int, history: History, rng: random.Random, tally: Tally) -> None:
    level, possible = rng.choice(LEVELS), allowed(history)
    verdict = judged(history, level)
    if level == LEVELS[0] and UNDECIDED in possible:
        is_open = verdict.valid == UNKNOWN
        tally.note(level, seed, verdict, not is_open, is_open)
    else:
        tally.note(level, seed, verdict, level in possible, level in possible)


def _assuming(seed: int, history: History, rng: random.Random, tally: Tally) -> None:
    level, assume = rng.choice(LEVELS[1:]), rng.choice(ASSUMPTIONS)
    verdict = judged(history, level, **{assume: True})
    least = level in allowed(history, (assume,))
    tally.note(f"{level} {assume}", seed, verdict, least, least or level in allowed(history))


def _weakly(seed: int, history: History, rng: random.Random, tally: Tally) -> None:
    model = rng.choice(tuple(WEAK))
    least = is_allowed(history, WEAK[model], sessions=True)
    most = least or is_allowed(history, WEAK[model], sessions=model == "causal")
    tally.note(model, seed, judged(history, model), least, most)


def _as_text(seed: int, history: History, rng: random.Random, tally: Tally) -> None:
    text, model = without_times(history), rng.choice(OF_TEXTS)
    if model in ("snapshot-isolation", "serializable"):
        strong = friendly(canonical(OF_SESSIONS[canonical(model)]))
        least = strong in allowed(history)
    else:
        kind = {**WEAK, "read-committed": READ_COMMITTED}[model]
        least = is_allowed(history, kind, sessions=True)
    tally.note(f"texts {model}", seed, judged(text, model), least, least)


def main() -> None:
    """Judge as many as asked for and tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--levels", type=int, default=0)
    asked = parser.parse_args()
    tally = Tally()
    for done in range(asked.histories):
        judge_one(asked.first + done, tally, asked.levels)
        if done % 10_000 == 9_999:
            tell(tally, done + 1)
    tell(tally, asked.histories)


def tell(tally: Tally, histories: int) -> None:
    """What was found so far, by level."""
    for name in sorted({name for name, _, _ in tally.answers}):
        rows = {(v, m): n for (other, v, m), n in tally.answers.items() if other == name}
        invalid = sum(n for (_, allows), n in rows.items() if not allows)
        left = rows.get((UNKNOWN, False), 0)
        print(
            f"{name}: {sum(rows.values())} judged, {invalid} invalid of which {left} unknown;"
            f" valid ones unknown {rows.get((UNKNOWN, True), 0)}, saying nothing"
            f" {sum(n for (v, _), n in rows.items() if v == 'nothing')}"
        )
    invalid = sum(n for (_, _, allows), n in tally.answers.items() if not allows)
    left = sum(n for (_, v, allows), n in tally.answers.items() if not allows and v == UNKNOWN)
    print("\n".join(tally.wrong[:50]))
    print(
        f"{histories} histories, {tally.answers.total()} judgements, {invalid} of what is invalid"
        f" ({left} of these left unknown), {len(tally.wrong)} disagreements",
        flush=True,
    )


if __name__ == "__main__":
    main()
