"""The compiled reader of Plume's text takes what the array passes take, and nothing else."""

from __future__ import annotations

import re
from random import Random

import numpy as np
import pytest

from harness.history.formats import plume

pytest.importorskip("numba", reason="compiled loops need numba")
pytestmark = pytest.mark.slow  # numba compiles once

LARGE = str((1 << 64) - 2)
PARTS = ("0", "7", "10", "9999999999", "10000000000", "1" * 19, LARGE, str((1 << 64) - 1), "9" * 20)
ODD = ("", "-1", "-2", "x", " 1", "1 ", "--1", "1-", "+1")


def line(random: Random, *, odd: float) -> str:
    def part() -> str:
        return random.choice(ODD if random.random() < odd else PARTS[:3])

    txn = "-1" if random.random() < 0.1 else part()
    kind = random.choice("rw" if random.random() >= odd else "xR (")
    text = f"{kind}({part()},{random.choice(PARTS)},{part()},{txn})\n"
    if random.random() < odd:
        at = random.randrange(len(text))
        text = text[:at] + random.choice("(),\n r0-") + text[at + random.randint(0, 1) :]
    return text


def test_as_the_array_passes_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plume, "COMPILE_FROM", 0)
    random, taken, refused = Random(11), 0, 0
    for _ in range(3_000):
        odd = random.choice((0.0, 0.02, 0.2))
        data = "".join(line(random, odd=odd) for _ in range(random.randint(1, 6))).encode()
        found, expected = plume._compiled(data), plume._quick(data)
        if found is None:
            refused += 1  # numbers of twenty digits are left to the other ways
            assert expected is None or re.search(rb"\d{20}", data), data
            continue
        taken += 1
        assert expected is not None, data
        for name, column in vars(expected).items():
            assert np.array_equal(getattr(found, name), column), (name, data)
    assert taken > 500
    assert refused > 500


def test_a_text_without_lines_is_left_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plume, "COMPILE_FROM", 0)
    assert plume._compiled(b"") is None
    assert plume._compiled(b"r(1,2,3,4)") is None
