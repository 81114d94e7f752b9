"""What the shaper does with each packet: held until its time, lost, sent twice, one bit turned."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from harness.cluster.hands.shaper import Shaper

SOURCE, OTHER = "10.77.0.1", "10.77.0.2"


class Queue:
    """Packets to be decided on, and what was decided."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, bytes]] = []
        self.passed: list[tuple[int, bytes | None]] = []
        self.dropped: list[int] = []

    def take(self) -> Iterator[tuple[int, bytes]]:
        yield from self.waiting
        self.waiting = []

    def decide(self, number: int, passes: bool, changed: bytes | None = None) -> None:
        if passes:
            self.passed.append((number, changed))
        else:
            self.dropped.append(number)


class Raw:
    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Any]] = []

    def sendto(self, packet: bytes, address: Any) -> None:
        self.sent.append((packet, address))


def packet(source: str = SOURCE, size: int = 100) -> bytes:
    head = b"\x45" + bytes(11) + socket.inet_aton(source) + socket.inet_aton("10.77.0.9")
    return head.ljust(size, b"x")


def shaped(count: int = 1, source: str = SOURCE, **shape: float) -> tuple[Shaper, Any, Any]:
    queue, raw = Queue(), Raw()
    shaper = Shaper(queue, raw, seed=1)  # type: ignore[arg-type]
    shaper.shape({SOURCE: shape})
    queue.waiting = [(number, packet(source)) for number in range(count)]
    shaper.take(100.0)
    return shaper, queue, raw


def test_what_is_delayed_passes_at_its_time_and_not_before() -> None:
    shaper, queue, _ = shaped(2, delay_s=0.5)
    assert shaper.let_go(100.4) == pytest.approx(100.5)
    assert queue.passed == []
    assert shaper.let_go(100.5) is None
    assert queue.passed == [(0, None), (1, None)]
    assert shaper.counts[SOURCE]["held"] == 2


def test_others_pass_untouched() -> None:
    shaper, queue, _ = shaped(3, source=OTHER, loss=1.0)
    assert [number for number, _ in queue.passed] == [0, 1, 2]
    assert shaper.counts == {SOURCE: dict.fromkeys(shaper.counts[SOURCE], 0)}


def test_shares_are_kept() -> None:
    shaper, queue, _ = shaped(2000, loss=0.3)
    assert 500 < len(queue.dropped) < 700
    assert len(queue.dropped) + len(queue.passed) == 2000
    assert shaper.counts[SOURCE]["dropped"] == len(queue.dropped)


def test_a_duplicate_is_sent_to_the_node_itself() -> None:
    _, queue, raw = shaped(duplicate=1.0)
    assert queue.passed == [(0, None)]
    assert raw.sent == [(packet(), ("10.77.0.9", 0))]


def test_what_is_corrupted_has_one_other_bit_behind_its_header() -> None:
    _, queue, _ = shaped(200, corrupt=1.0)
    for _, changed in queue.passed:
        assert changed[:20] == packet()[:20]
        turned = [a ^ b for a, b in zip(changed, packet(), strict=True)]
        assert sum(bin(each).count("1") for each in turned) == 1


def test_some_are_overtaken() -> None:
    shaper, queue, _ = shaped(100, reorder=0.3, late_s=0.02)
    shaper.let_go(101.0)
    numbers = [number for number, _ in queue.passed]
    assert sorted(numbers) == list(range(100))
    assert numbers != sorted(numbers)


def test_a_rate_spreads_what_comes_at_once_and_loses_what_finds_no_room() -> None:
    shaper, queue, _ = shaped(100, rate=10_000)  # a packet each hundredth of a second
    assert len(queue.dropped) == pytest.approx(50, abs=1), "half a second of them may wait"
    shaper.let_go(100.0951)
    assert len(queue.passed) == 9
    shaper.let_go(101.0)
    assert len(queue.passed) + len(queue.dropped) == 100


def test_what_is_held_passes_when_another_shape_comes() -> None:
    shaper, queue, _ = shaped(delay_s=0.5)
    shaper.shape({})
    shaper.let_go(100.5)
    assert queue.passed == [(0, None)]
    assert json.dumps(shaper.counts) == "{}"
