"""A claim is a known model under one name, or is refused."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.verdict.consistency import MODELS, SYNONYMS, known_models


def test_second_names_stand_for_the_usual_ones() -> None:
    assert known_models(["PL-SS", "strong-serializable", "serializable"]) == (
        "strict-serializable",
        "strict-serializable",
        "serializable",
    )


def test_every_second_name_leads_to_a_model() -> None:
    assert set(SYNONYMS.values()) <= set(MODELS)
    assert not set(SYNONYMS) & set(MODELS)


def test_a_misspelt_model_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean .*linearizable"):
        known_models(["linearisable"])
