"""Names in pages are looked up as a reader would look them up."""

from __future__ import annotations

import pytest

from tests.docs.names import dangling, is_there


@pytest.mark.parametrize(
    "name",
    [
        "harness",
        "harness.run.life",
        "harness.run.life.Life",
        "harness.run.life.Life.run",
        "harness.run.life.Life.journal",
        "harness.contract.node.ProcessIdentity",
        "tests.docs.names.is_there",
    ],
)
def test_what_is_there_is_found(name: str) -> None:
    assert is_there(name)


@pytest.mark.parametrize(
    "name", ["harness.runs", "harness.run.life.Lives", "harness.run.life.Life.runs"]
)
def test_what_is_not_there_is_not(name: str) -> None:
    assert not is_there(name)


def test_a_page_is_searched_for_what_leads_nowhere() -> None:
    text = """`harness/run/life.py` `harness/run/lives.py` `lives.py` `store/x` `harness.run.lives`
    `a/b` `tests/docs/*.py` `scripts/*.pl` `harness.client`, which has moved
```python
from harness.nowhere import x
from harness.run.life import Life

x = "`harness.elsewhere`"
```
"""
    assert dangling("docs/x.md", text) == [
        "docs/x.md: harness/run/lives.py",
        "docs/x.md: harness.run.lives",
        "docs/x.md: scripts/*.pl",
        "docs/x.md: harness.nowhere.x",
    ]
