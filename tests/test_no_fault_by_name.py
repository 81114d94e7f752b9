"""Nobody excuses, counts or colours by a fault's name: everybody asks the ledger for effects.

A fault of a plug-in is then treated like ours, whatever it is called. Names may stand where faults
are found by name (the table of built-ins), in examples that are shown, and where a word is
something else: an operation of the hands inside a node, a key of a record.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.plugins import Registry

ROOT = Path(__file__).parents[1]
MAY_NAME = (
    "harness/plugins/built_in.py",
    "harness/cli/demo.py",
    "harness/cli/doctor.py",  # --clock is a flag of its own
    "harness/cli/completing.py",  # which takes the name of a system
    "harness/cli/compare.py",  # --power is that of a statistical test
    "harness/run/machine.py",  # whose own disk may be full
    "checkers/explained/",
    "harness/cluster/",  # a clock is a hand there, kill what signals do
)


def sources() -> Iterator[Path]:
    for package in ("harness", "checkers"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if not path.relative_to(ROOT).as_posix().startswith(MAY_NAME):
                yield path


@pytest.mark.slow
def test_no_fault_is_known_by_its_name() -> None:
    names = set(Registry().names("nemeses"))
    named = [
        f"{path.relative_to(ROOT)}:{node.lineno} names {node.value}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
    ]
    assert named == []
    assert len(names) > 3
