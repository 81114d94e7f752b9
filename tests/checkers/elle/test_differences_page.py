"""Every history on the page about differences from Elle gets the answer that the page states."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.checkers.elle.lists.drawing import judged as judged_lists
from tests.checkers.elle.registers.drawing import judged as judged_registers

PAGE = Path(__file__).parents[3] / "docs" / "elle-differences.md"
BLOCKS = re.findall(r"```history\n(.*?)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
ANSWERS = {"true": True, "false": False, "unknown": "unknown"}


def test_the_page_has_histories() -> None:
    assert len(BLOCKS) >= 10


@pytest.mark.parametrize(("heading", "drawing"), BLOCKS)
def test_a_history_of_the_page_is_judged_as_it_says(heading: str, drawing: str) -> None:
    asked, answer = heading.split(":")
    checker, model, *assume = asked.split()
    valid, *kinds = answer.split()
    if checker == "list-append":
        verdict = judged_lists(drawing, model)
    else:
        verdict = judged_registers(drawing, model, **dict.fromkeys(assume, True))
    assert verdict.valid == ANSWERS[valid], verdict.why
    assert set(kinds) <= set(verdict.anomalies)
