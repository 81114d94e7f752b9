"""Many small random histories against having every turn in every order: ``python -m`` this module.

    python -m tests.checkers.isolation.rw_register.campaign --histories 100000

Each is decided at all levels, and judged by rw-register at one of them. A *yes* where no order is,
a *no* where one is, an answer left open, or a proof that does not hold, is told with its seed.
Three in four are contested (blind writes of few keys), one in eight has values that are not unique,
the others are of the kinds that checkers of registers are fooled by (infos that tell, own futures,
declared initial states, lists). What rw-register says is held against two oracles, of which one
knows values alone.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from dataclasses import dataclass, field

from checkers.elle.registers.dependencies import WRITES
from checkers.elle.registers.versions import Versions, versions
from checkers.elle.transactions import transactions
from checkers.isolation.rw_register.decision import decide
from checkers.isolation.rw_register.problem import LEVELS, problem
from checkers.proof.models import canonical
from harness.history.columns import columns
from harness.history.history import History
from harness.verdict.verdict import UNKNOWN, Budget
from tests.checkers.elle.registers.campaign import history_of
from tests.checkers.elle.registers.drawing import judged, says_nothing
from tests.checkers.isolation.rw_register.contested import contested
from tests.checkers.isolation.rw_register.schedule_oracle import MODELS, allows
from tests.checkers.isolation.rw_register.value_oracle import allows_values, repeated


@dataclass
class Tally:
    """How each was decided, by model, way and answer; and what was wrong."""

    ways: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def is_repeated(seed: int) -> bool:
    """Whether values need not be unique there (nor a nil be no value), so only values tell."""
    return seed % 8 == 3


def drawn(seed: int) -> History:
    """The history of a seed."""
    rng = random.Random(f"shape {seed}")
    if is_repeated(seed):
        return repeated(seed, transactions=rng.choice((3, 4, 5, 6)), keys=rng.choice((1, 2, 3)))
    if seed % 4 == 3:
        return history_of(seed)
    return contested(
        seed,
        transactions=rng.choice((3, 4, 5, 6, 6, 7, 8)),
        keys=rng.choice((1, 2, 2, 3)),
        most_steps=rng.choice((2, 3, 4)),
    )


def known_of(history: History) -> Versions:
    """The versions of a history."""
    found = transactions(columns(history), WRITES, of_lists=False)
    return versions(found, history.header.initial, infos=True)


def decide_one(seed: int, tally: Tally) -> None:
    """Decide the history of ``seed`` at every level."""
    history = drawn(seed)
    known = known_of(history)
    stated = None if len(known.written_twice) else problem(known)
    for model, (kind, keeps) in MODELS.items():
        is_allowed = (allows_values if is_repeated(seed) else allows)(history, kind, keeps)
        if stated is None:
            tally.ways[model, "odd reads", is_allowed] += 1
            if is_allowed and not len(known.written_twice):
                tally.wrong.append(f"seed {seed}, {model}: left out, and allowed")
            continue
        made = decide(stated, LEVELS[canonical(model)], Budget.start(60))
        tally.ways[model, made.how or made.why, is_allowed] += 1
        if made.holds is not is_allowed:
            tally.wrong.append(f"seed {seed}, {model}: {made.holds} {made.why}")
    _judge(seed, history, tally)


def _judge(seed: int, history: History, tally: Tally) -> None:
    """What rw-register says at one level."""
    model = random.Random(f"model {seed}").choice(list(MODELS))
    is_allowed = allows_values(history, *MODELS[model])
    verdict = judged(history, model)
    if verdict.valid == UNKNOWN:
        has_times = any(operation.type == "invoke" for operation in history.operations)
        if not says_nothing(verdict) and has_times:
            tally.wrong.append(f"seed {seed}, {model}: unknown {verdict.why}")
    elif verdict.valid is not is_allowed:
        tally.wrong.append(f"seed {seed}, {model}: {verdict.valid} {verdict.why}")


def tell(tally: Tally, histories: int) -> None:
    """What was found so far."""
    for way in sorted(tally.ways):
        print(*way, tally.ways[way])
    print("\n".join(tally.wrong[:50]))
    print(f"{histories} histories, {len(tally.wrong)} disagreements", flush=True)


def main() -> None:
    """Decide as many as asked for and tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    tally = Tally()
    for done in range(asked.histories):
        decide_one(asked.first + done, tally)
        if done % 10_000 == 9_999:
            tell(tally, done + 1)
    tell(tally, asked.histories)


if __name__ == "__main__":
    main()
