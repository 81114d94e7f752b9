"""The page of claims names models that there are, and leads somewhere from every row."""

from __future__ import annotations

import re
from pathlib import Path

from harness.verdict.consistency import known_models

PAGE = (Path(__file__).parents[2] / "docs/claims.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| database")
]


def test_every_claim_is_a_model_that_can_be_claimed() -> None:
    claimed = [name for row in ROWS for name in re.findall(r"`([^`]+)`", row[2])]
    assert len(claimed) > 20
    assert len(known_models(claimed)) == len(claimed)


def test_every_row_has_a_source() -> None:
    for row in ROWS:
        assert len(row) == 5, row
        assert "](https://" in row[4] or row[4] == "the same", row
