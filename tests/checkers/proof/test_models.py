"""The lattice: what each anomaly rules out, after Elle's own table and unit tests."""

from __future__ import annotations

import pytest

from checkers.proof.models import (
    CYCLES,
    EXISTENCE,
    FORBIDDEN_BY,
    MODELS,
    NAMES,
    WEAKER,
    boundary,
    canonical,
    friendly,
    implied_anomalies,
    implied_models,
    impossible,
    prohibited,
    stronger_models,
    weakest,
)
from harness.verdict.consistency import MODELS as NAMED_MODELS
from harness.verdict.consistency import SYNONYMS


def out_by(*anomalies: str) -> set[str]:
    return {friendly(model) for model in impossible(anomalies)}


def test_there_are_thirty_six_models_and_every_name_is_one_of_them() -> None:
    assert len(MODELS) == 36
    assert {canonical(name) for name in NAMES} == MODELS


def test_the_command_line_knows_the_same_models() -> None:
    assert {canonical(name) for name in NAMED_MODELS} == MODELS
    assert {canonical(name) for name in SYNONYMS} <= MODELS
    assert {canonical(a) == canonical(b) for a, b in SYNONYMS.items()} == {True}


def test_an_unknown_model_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="stricct"):
        canonical("stricct-serializable")


def test_there_are_twenty_four_types_of_cycles() -> None:
    assert len(CYCLES) == len(set(CYCLES)) == 24


def test_no_model_is_weaker_than_itself() -> None:
    assert [m for m in MODELS if any(m in implied_models([w]) for w in WEAKER.get(m, ()))] == []


@pytest.mark.parametrize(
    ("anomaly", "least"),
    [
        ("G0", {"read-uncommitted"}),
        ("G1c", {"read-committed"}),
        ("G-single-item", {"consistent-view", "repeatable-read"}),
        ("G-single", {"consistent-view"}),
        ("G-nonadjacent-item", {"repeatable-read", "snapshot-isolation"}),
        ("G-nonadjacent", {"snapshot-isolation"}),
        ("G2-item", {"repeatable-read"}),
        ("G2", {"serializable"}),
        ("G0-process", {"strong-session-read-uncommitted"}),
        ("G1c-process", {"strong-session-read-committed"}),
        ("G-single-item-process", {"strong-session-snapshot-isolation"}),
        ("G-single-process", {"strong-session-snapshot-isolation"}),
        ("G-nonadjacent-item-process", {"strong-session-snapshot-isolation"}),
        ("G-nonadjacent-process", {"strong-session-snapshot-isolation"}),
        ("G2-item-process", {"strong-session-serializable"}),
        ("G2-process", {"strong-session-serializable"}),
        ("G0-realtime", {"strong-read-uncommitted"}),
        ("G1c-realtime", {"strong-read-committed"}),
        ("G-single-item-realtime", {"strong-snapshot-isolation"}),
        ("G-single-realtime", {"strong-snapshot-isolation"}),
        ("G-nonadjacent-item-realtime", {"strong-snapshot-isolation"}),
        ("G-nonadjacent-realtime", {"strong-snapshot-isolation"}),
        ("G2-item-realtime", {"strict-serializable"}),
        ("G2-realtime", {"strict-serializable"}),
        ("internal", {"read-atomic"}),
        ("future-read", {"read-uncommitted"}),
        ("own-write-unread", {"read-uncommitted"}),
        ("own-appends-reordered", {"read-uncommitted"}),
        ("own-write-overwritten", {"read-committed"}),
        ("non-repeatable-read", {"consistent-view", "repeatable-read"}),
        ("G1a", {"read-committed"}),
        ("G1b", {"read-committed"}),
        ("dirty-update", {"read-committed"}),
        ("incompatible-order", {"read-committed"}),
        ("lost-update", {"cursor-stability", "update-atomic"}),
        ("duplicate-elements", {"read-uncommitted"}),
        ("cyclic-versions", {"read-uncommitted"}),
        ("thin-air", {"read-uncommitted"}),
        ("predicate-read-miss", {"serializable"}),
        ("write-skew", {"serializable"}),
        ("G-update", {"update-serializable"}),
        ("G-SI", {"snapshot-isolation"}),
    ],
)
def test_the_weakest_models_that_an_anomaly_rules_out(anomaly: str, least: set[str]) -> None:
    assert set(boundary([anomaly])[0]) == least


@pytest.mark.parametrize("model", EXISTENCE)
def test_a_cycle_against_a_model_rules_it_out_with_all_stronger_ones(model: str) -> None:
    assert impossible([f"{model}-cycle-exists"]) == stronger_models([model])


def test_what_g_single_rules_out() -> None:
    assert out_by("G-single") == {
        "consistent-view",
        "forward-consistent-view",
        "strict-serializable",
        "serializable",
        "snapshot-isolation",
        "strong-session-serializable",
        "strong-session-snapshot-isolation",
        "strong-snapshot-isolation",
        "update-serializable",
    }


def test_how_many_models_others_rule_out() -> None:
    assert len(out_by("dirty-update")) == 22
    assert out_by("internal") == {
        "causal-cerone",
        "parallel-snapshot-isolation",
        "prefix",
        "read-atomic",
        "update-atomic",
        "serializable",
        "snapshot-isolation",
        "strict-serializable",
        "strong-session-serializable",
        "strong-session-snapshot-isolation",
        "strong-snapshot-isolation",
    }


def test_g_single_breaks_snapshot_isolation_by_its_own_property_too() -> None:
    """In Elle the two spellings of it never meet."""
    assert "G-SI" in implied_anomalies(["G-single"])


def test_what_read_committed_prohibits() -> None:
    assert prohibited(["read-committed"]) == {
        "dirty-update",
        "G1a",
        "G1b",
        "G1c",
        "G1",
        "G0",
        "PL-1-cycle-exists",
        "PL-2-cycle-exists",
        "cyclic-versions",
        "duplicate-elements",
        "incompatible-order",
        "future-read",
        "own-write-unread",
        "own-appends-reordered",
        "own-write-overwritten",
        "thin-air",
    }


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("repeatable-read", {"G-single-item", "G-nonadjacent-item", "G2-item", "lost-update"}),
        ("snapshot-isolation", {"internal", "G-single", "G-nonadjacent", "lost-update", "G-SI"}),
        ("serializable", {"G2", "G2-item", "internal", "predicate-read-miss", "write-skew"}),
        ("strong-session-serializable", {"G0-process", "G1c-process", "G2-item-process"}),
        ("strict-serializable", {"G0-realtime", "G1c-realtime", "G2-item-realtime"}),
    ],
)
def test_what_stronger_models_add(model: str, more: set[str]) -> None:
    assert prohibited([model]) >= prohibited(["read-committed"]) | more


def test_each_model_prohibits_what_its_weaker_ones_prohibit() -> None:
    for model in MODELS:
        for weaker in WEAKER.get(model, ()):
            assert prohibited([model]) >= prohibited([weaker])
        assert prohibited([model]) >= set(FORBIDDEN_BY[model])


def test_weakest_of_a_set() -> None:
    assert weakest(["serializable", "strict-serializable"]) == {"PL-3"}
    some = ["repeatable-read", "read-committed", "sequential", "read-your-writes"]
    assert weakest(some) == {"read-your-writes", "PL-2"}
