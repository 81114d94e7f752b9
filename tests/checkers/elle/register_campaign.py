"""Many random histories of registers against the oracles: ``python -m`` this module.

    python -m tests.checkers.elle.register_campaign --histories 100000 --levels 3

Each is judged at some levels, with and without times, with and without assumptions. ``true`` where
the oracle allows nothing, or ``false`` where it allows all, is a disagreement, and told with its
seed. The last line counts answers and how many of the histories were invalid at their level.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec.structs import replace

from checkers.elle.models import canonical, friendly
from checkers.elle.options import OF_SESSIONS
from checkers.elle.saturation import CAUSAL, READ_ATOMIC, READ_COMMITTED
from harness.history.history import History
from harness.history.verdict import UNKNOWN, Verdict
from tests.checkers.elle.register_axioms import is_allowed
from tests.checkers.elle.register_histories import (
    judged,
    odd_history,
    random_history,
    says_nothing,
)
from tests.checkers.elle.register_oracle import LEVELS, UNDECIDED, allowed

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


def judge_one(seed: int, tally: Tally, levels: int) -> None:
    """Judge the history of ``seed`` at so many levels of each kind."""
    rng = random.Random(f"levels {seed}")
    history = history_of(seed)
    possible = allowed(history)
    for level in rng.sample(LEVELS, min(levels, len(LEVELS))):
        verdict = judged(history, level)
        if level == LEVELS[0] and UNDECIDED in possible:
            tally.note(
                level, seed, verdict, verdict.valid is not UNKNOWN, verdict.valid is not True
            )
            continue
        tally.note(level, seed, verdict, level in possible, level in possible)
    assume = rng.choice(ASSUMPTIONS)
    level = rng.choice(LEVELS[1:])
    verdict = judged(history, level, **{assume: True})
    assumed = allowed(history, (assume,))
    tally.note(f"{level} {assume}", seed, verdict, level in assumed, level in possible)
    model = rng.choice(tuple(WEAK))
    most = is_allowed(history, WEAK[model], sessions=model == "causal")
    least = is_allowed(history, WEAK[model], sessions=True)
    tally.note(model, seed, judged(history, model), least, most)
    text, model = without_times(history), rng.choice(OF_TEXTS)
    if model in ("snapshot-isolation", "serializable"):
        strong = friendly(canonical(OF_SESSIONS[canonical(model)]))
        least = strong in possible
    else:
        kind = {**WEAK, "read-committed": READ_COMMITTED}[model]
        least = is_allowed(history, kind, sessions=True)
    tally.note(f"texts {model}", seed, judged(text, model), least, least)


def main() -> None:
    """Judge as many as asked for and tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--levels", type=int, default=3)
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
