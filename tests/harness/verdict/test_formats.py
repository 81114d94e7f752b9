"""Types, schemas, the page that explains them and what runs write say the same of a run's files."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

from harness.history.bounds import USUAL
from harness.history.content import content_of, opened
from harness.history.seal import find_history
from harness.judge.facts import SHAPES
from tests.harness.run.test_life import live

ROOT = Path(__file__).parents[3]
RUNS = ROOT / "tests" / "data" / "runs"


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("schemas", ROOT / "scripts" / "schemas.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = _script()
KINDS = tuple(SCRIPT.KINDS)


def documented() -> dict[str, set[str]]:
    """The keys in the tables of ``docs/history.md``, by heading."""
    page = (ROOT / "docs" / "history.md").read_text("utf-8")
    sections = re.split(r"^### (\w+)$", page, flags=re.MULTILINE)
    found = {}
    for name, text in zip(sections[1::2], sections[2::2], strict=True):
        rows = re.findall(r"^\| (`[^|]*`) \|", text.partition("\n## ")[0], flags=re.MULTILINE)
        found[name] = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    return found


@pytest.mark.parametrize("name", KINDS)
def test_the_schema_file_is_that_of_the_type(name: str) -> None:
    kept = (ROOT / "docs" / "schema" / f"{name}.json").read_text("utf-8")
    assert kept == SCRIPT.text_of(name), "python scripts/schemas.py writes it again"
    jsonschema.Draft202012Validator.check_schema(json.loads(kept))


def test_the_page_explains_every_key_and_no_other() -> None:
    assert documented() == {name: SCRIPT.keys_of(name) for name in KINDS}


def test_every_fact_that_is_judged_by_is_one_that_runs_write() -> None:
    assert set(SHAPES) <= SCRIPT.keys_of("run")


def lines(path: Path) -> list[Any]:
    """The whole lines of a file of JSON lines, compressed or not."""
    content = content_of(opened(path, str(path)), str(path), path, USUAL, lambda head: None)
    try:
        data = content.read()
    finally:
        content.close()
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


def parts(run_dir: Path) -> Iterator[tuple[str, Any]]:
    """What a run's folder holds, by the name of its schema."""
    header, *operations = lines(find_history(run_dir))
    yield "header", header
    yield from (("operation", operation) for operation in operations)
    yield from (("ledger", entry) for entry in lines(run_dir / "faults.jsonl"))
    yield "verdict", json.loads((run_dir / "verdict.json").read_text())
    for name in ("run", "final_states", "progress", "end"):
        path = run_dir / "evidence" / f"{name}.json"
        if path.exists():
            yield name, json.loads(path.read_text())


def problems(run_dir: Path) -> list[str]:
    """What does not fit its schema, and which keys none tells of."""
    checks = {name: jsonschema.Draft202012Validator(SCRIPT.schema_of(name)) for name in KINDS}
    found = []
    for name, part in parts(run_dir):
        found += [f"{name}: {error.message}" for error in checks[name].iter_errors(part)]
        found += [f"{name}: {key} is not told" for key in part.keys() - SCRIPT.keys_of(name)]
    return found


@pytest.mark.parametrize("name", sorted(path.name for path in RUNS.iterdir()))
def test_an_old_run_fits_the_schemas(name: str) -> None:
    assert problems(RUNS / name) == []


@pytest.mark.slow
def test_a_new_run_fits_the_schemas(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    live(run_dir, nemesis="partition,kill,pause", misbehave="stale")
    assert problems(run_dir) == []
    assert {name for name, _ in parts(run_dir)} >= {"header", "operation", "ledger", "run"}


def test_what_does_not_fit_is_seen(tmp_path: Path) -> None:
    for name, wrong in (
        ("operation", {"index": 0, "time": 1, "process": 0, "type": "done", "f": "read"}),
        ("ledger", {"id": "0", "fault": "kill", "targets": [], "event": "intend", "time": 1}),
        ("run", {"phases": {"run": "long"}}),
        ("verdict", {"valid": "perhaps"}),
        ("end", {"exit": 0}),
    ):
        validator = jsonschema.Draft202012Validator(SCRIPT.schema_of(name))
        assert list(validator.iter_errors(wrong)), name
