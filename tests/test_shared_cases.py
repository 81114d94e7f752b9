"""Small histories of every kind that was once judged wrongly, each with the outcomes it may have.

They lie where ``tests/shared_data.py`` says: each folder's ``INDEX.md`` has a
line a case with the file, the flags of ``polygraph check`` and the accepted outcomes, of which
``exit4`` means that it is refused with a reason. The whole way is taken, from the words of a
command line to the printed line.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

import pytest

from harness.cli.main import run
from tests.shared_data import CASES

pytestmark = pytest.mark.cases

FOLDERS = ("public", "sound")
LEAST = 100
"""Cases that the index files must hold, so that a change of their form does not empty this test."""
_LINE = re.compile(r"\| (\S+) \| `(.*?)` \| (.*?) \| (.*) \|$")


@dataclass(frozen=True)
class Case:
    """A line of an index."""

    folder: str
    file: str
    flags: tuple[str, ...]
    accepted: tuple[str, ...]
    why: str


def cases() -> list[Case]:
    """Every line of the index files; none where these are not here."""
    found = []
    for folder in FOLDERS:
        index = CASES / folder / "INDEX.md"
        lines = index.read_text("utf-8").splitlines() if index.is_file() else []
        for match in filter(None, map(_LINE.match, lines)):
            file, flags, accepted, why = match.groups()
            words = tuple(accepted.split())
            found.append(Case(folder, file, tuple(shlex.split(flags)), words, why))
    return found


def test_the_index_files_are_read() -> None:
    assert len(cases()) >= LEAST
    known = {"true", "false", "unknown", "exit4"}
    assert {word for case in cases() for word in case.accepted} <= known


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{case.folder}/{case.file}") for case in cases()]
)
def test_each_case_has_an_accepted_outcome(
    case: Case, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CASES / case.folder)
    code = run(("check", *case.flags, case.file))
    said = capfd.readouterr()
    outcome = said.out.strip().rpartition("\t")[2] or f"exit{code}"
    assert outcome in case.accepted, f"{case.why}\n{said.err}"
    if outcome == "exit4":
        assert "polygraph: " in said.err
