"""The checker of watches: order and completeness."""

from __future__ import annotations

import json

import pytest

from checkers.objects.watch import Watch
from tests.checkers.scripted import judged, kinds

WRITES = '0 write "a" = ["a", 2]\n0 write "b" = ["b", 5]\n1 write "c" ?\n0 write "d" = ["d", 9]\n'


def watched(*events: tuple[int, str], after: int = 0, to: int = 9, process: int = 2) -> str:
    answer = {"after": after, "to": to, "events": [list(event) for event in events]}
    return f"{process} watch {after} = {json.dumps(answer)}\n"


ALL = ((2, "a"), (5, "b"), (7, "c"), (9, "d"))


def test_every_change_once_in_order_is_valid() -> None:
    script = WRITES + watched(*ALL) + watched(*ALL[2:], after=5, process=3)
    verdict = judged(Watch, script)
    assert verdict.valid is True
    assert verdict.stats["revision-count"] == 4


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (watched((5, "b"), (2, "a"), (9, "d")), "out-of-order"),
        (watched(*ALL, to=7), "out-of-order"),
        (watched(*ALL, after=2), "out-of-order"),
        (watched((2, "a"), (5, "b"), (5, "b"), (9, "d")), "duplicated"),
        (watched((2, "a"), (5, "c"), (9, "d")), "divergent"),
        (watched((2, "a"), (9, "d")), "missed"),
        (watched(*ALL) + watched((2, "a"), (5, "b"), (9, "d"), process=3), "missed"),
        (watched(*ALL, (10, "x"), to=10), "unexpected"),
    ],
)
def test_each_broken_guarantee_is_told(script: str, kind: str) -> None:
    verdict = judged(Watch, WRITES + script)
    assert verdict.valid is False
    assert kinds(verdict) == {kind: 1}


def test_an_event_of_a_write_that_failed_or_came_later_is_unexpected() -> None:
    failed = '0 write "a" !\n' + watched((2, "a"))
    assert kinds(judged(Watch, failed)) == {"unexpected": 1}
    later = watched((2, "a")) + '0 write "a" = ["a", 2]\n'
    assert kinds(judged(Watch, later)) == {"unexpected": 1}


def test_a_later_write_must_have_the_higher_revision() -> None:
    script = '0 write "a" = ["a", 5]\n1 write "b" = ["b", 3]\n' + watched((3, "b"), (5, "a"), to=5)
    assert kinds(judged(Watch, script)) == {"write-order": 1}
    told = '0 write "a"\n1 write "b"\n' + watched((3, "b"), (5, "a"), to=5)
    assert kinds(judged(Watch, told)) == {"write-order": 1}


def test_concurrent_writes_may_have_any_order() -> None:
    script = '0 + write "a"\n1 write "b" = ["b", 3]\n0 - ok ["a", 2]\n'
    assert judged(Watch, script + watched((2, "a"), (3, "b"), to=3)).valid is True


def test_without_a_watch_nothing_is_known() -> None:
    assert judged(Watch, WRITES).valid == "unknown"
    assert judged(Watch, '0 watch = "x"').valid == "unknown"
