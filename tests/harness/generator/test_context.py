"""Contexts: bit masks of threads, fair turns, processes that follow from threads."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.generator.context import initial_context, threads_in


def test_the_nemesis_is_the_thread_above_the_clients() -> None:
    context = initial_context(2)
    assert context.all_processes() == [0, 1, "nemesis"]
    assert context.thread_of("nemesis") == 2
    assert initial_context(2, nemesis=False).all_processes() == [0, 1]


@pytest.mark.parametrize("mask", [0b1111, 0b11111, 0b11111 << 5, 0b11111 << 15, (1 << 20) - 1])
def test_every_free_thread_of_a_group_gets_the_same_share(mask: int) -> None:
    context = initial_context(20)
    served: Counter[int] = Counter()
    draws = 400 * mask.bit_count()
    for _ in range(draws):
        thread = context.restrict(mask).some_free_thread()
        served[thread] += 1
        context = context.busy(thread, 0).freed(thread, 0)
    assert sorted(served) == list(threads_in(mask))
    assert min(served.values()) > 300
    assert max(served.values()) < 500


def test_only_a_free_thread_is_served_and_none_where_none_is_free() -> None:
    context = initial_context(3)
    for thread in (0, 1, 2):
        context = context.busy(thread, 0)
    assert context.restrict(0b111).some_free_thread() == -1
    assert {context.busy(t, 0).some_free_thread() for t in (0, 1, 2)} == {3}


def test_no_thread_is_free_when_all_are_busy() -> None:
    context = initial_context(1)
    for thread in (0, 1):
        context = context.busy(thread, 5)
    assert context.some_free_thread() == -1
    assert context.free == 0


def test_restricting_keeps_only_those_threads() -> None:
    context = initial_context(4).busy(1, 0).restrict(0b0011)
    assert context.free == 0b0001
    assert context.all_processes() == [0, 1]


@given(st.integers(1, 200), st.lists(st.integers(0, 10_000), max_size=30))
def test_a_process_tells_its_thread_however_often_it_was_replaced(
    concurrency: int, crashes: list[int]
) -> None:
    context = initial_context(concurrency)
    for crash in crashes:
        context = context.with_next_process(crash % concurrency)
    for thread, process in enumerate(context.processes):
        assert context.thread_of(process) == thread
    assert len(set(context.processes)) == concurrency + 1


def test_the_nemesis_is_never_replaced() -> None:
    assert initial_context(2).with_next_process(2).processes == (0, 1, "nemesis")


@given(st.sets(st.integers(0, 300)))
def test_threads_in_lists_the_bits(threads: set[int]) -> None:
    assert list(threads_in(sum(1 << thread for thread in threads))) == sorted(threads)
