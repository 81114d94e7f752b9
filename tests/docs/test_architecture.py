"""The page on architecture is true: its walks name what there is, its arrows are those held."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.docs.names import defined_in
from tests.docs.pages import ROOT, text_of
from tests.test_arrows import ARROWS, BASE, CONTRACT, FAMILIES, RECORD

PAGE = text_of("docs/architecture.md")
SETS = {"contract": CONTRACT, "base": BASE, "record": RECORD, "families": FAMILIES}
"""Names of the page for several folders at once, the largest first."""
WALKS = re.findall(r"^## (An operation|A fault|A file that is checked)$", PAGE, re.MULTILINE)


def section(title: str) -> str:
    """The text below a heading."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> Iterator[tuple[str, list[str]]]:
    """The file and the functions of each row of a walk."""
    for line in section(title).splitlines():
        if line.startswith("| `"):
            file, functions, _ = line.strip("| ").split(" | ")
            yield file.strip("`"), re.findall(r"`([^`]+)`", functions)


@pytest.mark.parametrize("title", WALKS)
def test_a_walk_names_files_and_functions_that_there_are(title: str) -> None:
    found = list(rows(title))
    assert len(found) > 5
    missing = [
        f"{file}: {name}"
        for file, functions in found
        for name in functions
        if not defined_in(ROOT / file, name)
    ]
    assert missing == []


def test_the_files_of_one_operation_are_counted_right() -> None:
    walk = list(rows("An operation"))
    last = next(at for at, (_, functions) in enumerate(walk) if functions == ["checked"])
    said = re.findall(r"history: (\d+)\.\*\*|On to the verdict it is (\d+)", PAGE)
    counted = [len({file for file, _ in part}) for part in (walk[: last + 1], walk)]
    assert [int(one or other) for one, other in said] == counted


def row(folder: str) -> str:
    """The line of the page for a folder, its sets by their names."""
    left, told = set(ARROWS[folder]), []
    for name, members in SETS.items():
        if members <= left:
            told.append(f"*{name}*")
            left -= members
    told += [f"`{each}`" for each in sorted(left)]
    return f"| `{folder}` | {', '.join(told) or 'nothing'} |"


def test_the_page_draws_the_arrows_that_a_test_holds() -> None:
    drawn = [line for line in section("Who may import whom").splitlines() if line.startswith("| `")]
    assert drawn == [row(folder) for folder in ARROWS]
