#!/usr/bin/env python3
"""Writes docs/schema/*.json, the JSON Schemas of a run's files, from the types that write them.

    python scripts/schemas.py

A test holds the two equal; ``docs/history.md`` explains every key.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from harness.evidence.milestones import Milestone
from harness.history.ledger import EVENTS, LedgerEntry
from harness.history.operation import TYPES, Header, Operation
from harness.verdict.evidence import End, Progress, RunFacts, States
from harness.verdict.metrics import MetricLine
from harness.verdict.spans import Span
from harness.verdict.verdict_file import VerdictFile

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "schema"
KINDS: Final[Mapping[str, type]] = {
    "header": Header,
    "operation": Operation,
    "ledger": LedgerEntry,
    "milestone": Milestone,
    "metric": MetricLine,
    "span": Span,
    "run": RunFacts,
    "final_states": States,
    "progress": Progress,
    "end": End,
    "verdict": VerdictFile,
}
"""What is described, by the name of its schema."""
WORDS: Final = {"operation": {"type": TYPES}, "ledger": {"event": EVENTS}}
"""Keys whose values are a few words."""


def schema_of(name: str) -> dict[str, Any]:
    """The schema of one kind of line or file."""
    kind = KINDS[name]
    schema = msgspec.json.schema(kind)
    parts = schema["$defs"]
    for part in parts.values():
        part.pop("description", None)
    own = parts[schema["$ref"].rpartition("/")[2]]
    own["description"] = (inspect.getdoc(kind) or "").partition("\n")[0]
    own["properties"].pop("extra", None)  # keys of other tools stand beside ours
    for key, words in WORDS.get(name, {}).items():
        own["properties"][key]["enum"] = list(words)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def text_of(name: str) -> str:
    """The schema as its file holds it."""
    return json.dumps(schema_of(name), indent=1, ensure_ascii=False) + "\n"


def keys_of(name: str) -> set[str]:
    """The keys of one kind of line or file."""
    schema = schema_of(name)
    return set(schema["$defs"][schema["$ref"].rpartition("/")[2]]["properties"])


if __name__ == "__main__":
    for each in KINDS:
        (FOLDER / f"{each}.json").write_text(text_of(each), "utf-8")
