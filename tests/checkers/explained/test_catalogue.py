"""The catalogue of anomalies and models: every example is judged as it says, and none is missing.

Which names the checkers tell is read off their sources, so that a new anomaly without an
explanation fails here.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import checkers
from checkers.explained import ANOMALIES, EXPLANATIONS
from checkers.proof.models import (
    EXISTENCE,
    EXISTS,
    FORBIDS,
    IMPLIED,
    NAMES,
    UNKNOWN_MAKING,
    WEAKER,
    boundary,
    canonical,
    friendly,
    impossible,
)
from harness.contract.system import LogPatterns
from harness.plugins import Registry
from harness.verdict.consistency import MODELS
from harness.verdict.explanation import Example, Explanation

ENTRIES: dict[str, Explanation] = {
    entry.name: entry for entry in (factory() for factory in EXPLANATIONS.values())
}
EXAMPLES = [
    pytest.param(example, id=f"{name}-{number}")
    for name, entry in ENTRIES.items()
    for number, example in enumerate(entry.examples)
]
MODEL_ENTRIES = [entry for entry in ENTRIES.values() if entry.kind == "model"]
WITHOUT_EXAMPLE = {"cycle-search-timeout"}
"""What no history shows: it depends on how long the search took."""


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_judged_as_it_says(example: Example) -> None:
    verdict = example.judged(Registry().get("checkers", example.checker))
    assert sorted(verdict.anomalies) == sorted(example.expects)
    assert verdict.valid == example.valid


def test_every_entry_has_words_an_example_and_a_source() -> None:
    for name, entry in ENTRIES.items():
        assert entry.text.endswith("."), name
        assert "  " not in entry.text, name
        assert entry.sources, name
        assert bool(entry.examples) is (name not in WITHOUT_EXAMPLE), name


def test_an_example_shows_its_own_anomaly_or_the_text_names_what_is_told() -> None:
    for name, entry in ENTRIES.items():
        for example in entry.examples if entry.kind == "anomaly" else ():
            told = set(example.expects)
            says = any(kind in entry.text for kind in told) or "read skew" in entry.text
            assert name in told or says, name


@pytest.mark.parametrize("name", [n for n in ENTRIES if impossible([n])])
def test_what_an_anomaly_of_the_lattice_rules_out_is_the_lattices(name: str) -> None:
    entry = ENTRIES[name]
    assert (entry.rules_out, entry.also_rules_out) == boundary([name])
    for example in entry.examples[:1]:
        if name in example.expects and example.checker in ("list-append", "rw-register"):
            verdict = example.judged()
            assert set(entry.rules_out) <= {*verdict.not_, *verdict.also_not}


@pytest.mark.parametrize("entry", MODEL_ENTRIES, ids=lambda entry: str(entry.name))
def test_the_example_of_a_model_is_judged_against_it(entry: Explanation) -> None:
    (example,) = entry.examples
    assert example.options["claims"] == (entry.name,)
    verdict = example.judged()
    assert verdict.valid is example.valid
    if example.valid is False:
        assert entry.name in {*verdict.not_, *verdict.also_not}
    weaker = WEAKER.get(canonical(entry.name), ())
    assert entry.facts["next weaker"] == tuple(sorted(map(friendly, weaker)))


def test_only_models_that_no_anomaly_touches_are_shown_kept() -> None:
    kept = {entry.name for entry in MODEL_ENTRIES if entry.examples[0].valid is True}
    assert kept == {"1SR", "session-serializable"} | (
        kept & {"writes-follow-reads", "monotonic-writes", "read-your-writes"}
    )


def test_every_model_under_every_name_is_explained() -> None:
    assert set(NAMES) | set(MODELS) <= set(EXPLANATIONS)


def test_every_anomaly_of_the_lattice_is_explained() -> None:
    lattice = {*IMPLIED, *UNKNOWN_MAKING, *(model + EXISTS for model in EXISTENCE)}
    lattice |= {implied for names in IMPLIED.values() for implied in names}
    lattice |= {name for names in FORBIDS.values() for name in names}
    assert lattice - set(ANOMALIES) == set()


@pytest.mark.slow
def test_every_anomaly_that_a_checker_tells_is_explained() -> None:
    told = {kind for module in modules() for kind in kinds(module)}
    assert {"stale-read", "wrong-total", "int-poll-skip", "torn-write", "crash"} <= told
    assert told - set(ANOMALIES) == set()


def test_every_kind_of_line_that_a_system_of_ours_names_is_explained() -> None:
    systems = [found.factory({}) for found in Registry().found("systems").values()]
    kinds = {
        kind
        for system in systems
        if isinstance(system, LogPatterns)
        for kind in system.log_patterns()
    }
    assert kinds
    assert kinds - set(ANOMALIES) == set()


def modules() -> Iterator[ModuleType]:
    """Every module of the checkers, the catalogue left out."""
    for info in pkgutil.walk_packages(checkers.__path__, "checkers."):
        if not info.name.startswith("checkers.explained"):
            yield importlib.import_module(info.name)


def kinds(module: ModuleType) -> Iterator[str]:
    """The types of anomalies that a module's own source tells."""
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and tells(node):
            yield from constants(node.args[0], module)
        if isinstance(node, ast.keyword) and node.arg == "anomalies":
            keys = node.value.keys if isinstance(node.value, ast.Dict) else []
            for key in keys:
                yield from constants(key, module)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            target = node.targets[0]
            if isinstance(target.value, ast.Name) and target.value.id in ("anomalies", "cycles"):
                yield from constants(target.slice, module)
    yield from getattr(module, "MEANINGS", {})
    yield from getattr(module, "ANOMALIES", {})
    for name in ("UNEXPECTED_KEY", "NIL_BALANCE", "WRONG_TOTAL", "NEGATIVE_VALUE", "UNREPEATABLE"):
        yield from filter(None, [getattr(module, name, None)])
    for name in (
        "NONLINEARIZABLE",
        "STALE_READ",
        "TOO_LOW",
        "TOO_HIGH",
        "UNREACHABLE",
        "REAPPEARED",
    ):
        yield from filter(None, [getattr(module, name, None)])


def tells(call: ast.Call) -> bool:
    """Whether a call adds a case of an anomaly to what was found."""
    if not isinstance(call.func, ast.Attribute):
        return False
    method = call.func.attr
    if method == "setdefault":
        owner = call.func.value
        return isinstance(owner, ast.Name) and owner.id in ("anomalies", "found", "told")
    return method in ("wants", "keep") or (method == "add" and len(call.args) > 2)


def constants(node: Any, module: ModuleType) -> Iterator[str]:
    """The texts that an expression may stand for: a literal, a constant, or a sum of the two."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name):
        value = getattr(module, node.id, None)
        if isinstance(value, str):
            yield value
    elif isinstance(node, ast.BinOp):
        for left in [*constants(node.left, module)] or ["", "int-"]:
            for right in constants(node.right, module):
                yield left + right


def test_names_are_spelled_once() -> None:
    owners: Mapping[str, str] = {}
    for entry in ENTRIES.values():
        for name in entry.names:
            assert owners.get(name, entry.name) == entry.name
            owners = {**owners, name: entry.name}
