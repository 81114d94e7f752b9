"""A proof names operations that have no order by themselves, and says why in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from checkers.linearizable import Linearizable
from checkers.linearizable.checker import MOST_EXPLAINED, prove
from checkers.linearizable.judge_registers import judge
from checkers.linearizable.minimal import minimal
from checkers.linearizable.register_entries import Entry, by_key
from checkers.linearizable.register_models import CAS_REGISTER
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import LedgerEntry, Record
from harness.verdict.verdict import Anomaly, Budget
from tests.checkers.drawing import drawn
from tests.checkers.linearizable.orders import (
    has_order,
    ordered_entries,
    random_entries,
    sources_added,
    with_one_read_changed,
)
from tests.checkers.linearizable.recorded import history_of

SECOND = 1_000_000_000


def some_broken_history(seed: int) -> list[Entry]:
    random = Random(seed)
    kind = seed % 3
    size, processes = random.randint(3, 12), random.randint(1, 5)
    unknown, cas = random.choice([0.0, 0.1, 0.4]), random.choice([0.0, 0.2, 0.4])
    values = 0 if kind == 0 else random.randint(2, 5)
    make = random_entries if kind == 2 else ordered_entries
    entries = make(random, size=size, processes=processes, values=values, unknown=unknown, cas=cas)
    return with_one_read_changed(random, entries)


@pytest.mark.slow
def test_the_operations_of_a_proof_have_no_order_by_themselves() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(2500):
        history = history_of(some_broken_history(seed))
        (home,) = by_key(history, CAS_REGISTER, independent=False, initial=0)
        broken = judge([home], Budget.start(600)).broken
        if not broken:
            continue
        proof = prove(history, broken[0], Budget.start(600))
        people = {entry.at for entry in proof.cast}
        cast = [entry for entry in home.entries if entry.at in people]
        if proof.part is not None:
            holds = not any(has_order(cast, start) for start in proof.part.start)
        else:
            holds = not has_order(sources_added(cast, home.entries, proof.late.complete))
        assert holds, f"seed {seed}: {proof.text()}"
        kinds[proof.kind] += 1
    assert kinds["stale-read"] > 200
    assert kinds["nonlinearizable"] > 200


def test_a_minimal_part_has_no_order_and_little_beside() -> None:
    sizes = []
    for seed in range(60):
        random = Random(seed)
        entries = ordered_entries(random, size=60, processes=4, values=3, unknown=0.02, cas=0.2)
        (home,) = by_key(
            history_of(with_one_read_changed(random, entries)),
            CAS_REGISTER,
            independent=False,
            initial=0,
        )
        if not judge([home], Budget.start(600)).broken:
            continue
        part = minimal(home.entries, Budget.start(600))
        assert len(part.entries) < len(home.entries)
        sizes.append(len(part.entries))
        if len(part.entries) <= 10:
            assert not any(has_order(part.entries, start) for start in part.start)
    assert sum(size <= 10 for size in sizes) > len(sizes) // 2


STALE = """
  n1: [w1]  [w2]
  n2:              [r1]
"""


def only_anomaly(record: Record) -> Anomaly:
    verdict = Linearizable({}).check(record, Budget.start(600))
    ((case,),) = verdict.anomalies.values()
    return case


def test_a_stale_read_is_told_with_the_write_that_it_missed() -> None:
    case = only_anomaly(Record(history=drawn(STALE)))
    assert case.witness == (1, 3, 5)
    assert case.data["impossible"] == 5
    assert case.data["prefix"] == 4
    assert case.data["tried"] == [{"order": [1, 3], "state": "2"}]
    for words in (
        "Stale read: T3 read 1 and missed T2, which wrote 2.",
        "T1 = write 1 by process 0 on n1, invoked at index 0, 0.006 s, ok at index 1, 0.009 s",
        "T3 = read -> 1 by process 1 on n2, invoked at index 4",
        "T2 < T3, because T2 was answered (index 3, 0.015 s) before T3 was invoked"
        " (index 4, 0.019 s, 4.0 ms later)",
        "only T1 had written 1: a contradiction",
    ):
        assert words in case.message
    assert "While it ran" not in case.message


def test_a_stale_read_says_how_far_behind_it_was() -> None:
    case = only_anomaly(
        Record(
            history=drawn(
                """
                n1: [w1]  [w2]  [c2>3]  [w4]
                n2:                          [r1]
                """
            )
        )
    )
    assert "T3 read 1 and missed T2, which wrote 4" in case.message
    assert "T3 missed 3 changes" in case.message
    assert "the first at index 3" in case.message


def test_a_read_of_the_initial_value_needs_no_first_write() -> None:
    case = only_anomaly(Record(history=drawn("n1: [w1]  [r_]")))
    assert "T2 read nil and missed T1, which wrote 1" in case.message
    assert "nil was the value at the start" in case.message
    assert case.witness == (1, 3)


def ledger(*events: tuple[int, str, str, int]) -> list[LedgerEntry]:
    return [
        LedgerEntry(number, fault, ["n1"], event, time, {"what": "n1 | n2 n3 n4 n5"})
        for number, fault, event, time in events
    ]


def test_a_proof_names_the_faults_then_active_and_no_others() -> None:
    faults = ledger(
        (3, "partition", "intend", 5_000_000),
        (3, "partition", "injected", 6_000_000),
        (3, "partition", "healed", 7 * SECOND),
        (4, "kill", "intend", 8 * SECOND),
    )
    case = only_anomaly(Record(history=drawn(STALE), faults=faults))
    assert (
        "While it ran: partition of n1 | n2 n3 n4 n5 (fault 3, from 0.0 s to 7.0 s)."
        in case.message
    )
    assert "kill" not in case.message
    quiet = only_anomaly(Record(history=drawn(STALE), faults=faults[3:]))
    assert "While it ran no fault was active." in quiet.message


def stale_keys(count: int) -> History:
    """Key n is read stale at n seconds, by one process after the other."""
    operations: list[Operation] = []
    for key in range(count):
        for n, (f, value) in enumerate([("write", 1), ("write", 2), ("read", 1)]):
            for kind in ("invoke", "ok"):
                asked = None if (f, kind) == ("read", "invoke") else value
                time_ns = key * SECOND + len(operations) % 6 * 1000
                index = len(operations)
                operations.append(Operation(index, time_ns, n, kind, f, [key, asked], node="n1"))
    return History(operations, Header(independent=True))


def explained_keys(count: int, *fault_s: int) -> tuple[str, list[int]]:
    """``why``, and the keys in the order told, with a fault in force at these seconds."""
    faults = ledger(
        *(
            (number, "partition", event, second * SECOND + offset_ns)
            for number, second in enumerate(fault_s)
            for event, offset_ns in (("intend", -1000), ("injected", 0), ("healed", 100_000))
        )
    )
    record = Record(history=stale_keys(count), faults=faults)
    verdict = Linearizable({}).check(record, Budget.start(600))
    [anomalies] = verdict.anomalies.values()
    return verdict.why, [anomaly.key for anomaly in anomalies]


def test_what_broke_without_a_fault_is_told_first_then_by_time() -> None:
    assert explained_keys(6)[1] == [0, 1, 2, 3, 4, 5]
    why, keys = explained_keys(6, 4, 0)
    assert keys == [1, 2, 3, 5, 0, 4]
    assert "6 of 6 keys are not linearizable; Stale read of key 1:" in why


def test_of_too_many_keys_those_that_broke_without_a_fault_are_told() -> None:
    why, keys = explained_keys(MOST_EXPLAINED + 2, 0, 1)
    assert keys == list(range(2, MOST_EXPLAINED + 2))
    assert "of key 2:" in why


def test_a_read_of_a_failed_write_names_that_write() -> None:
    case = only_anomaly(
        Record(
            history=drawn(
                """
                n1: [w1]  [w2!
                n2:             [r2]
                """
            )
        )
    )
    assert "tried to, and was told that it failed" in case.message
    assert 3 in case.witness


def test_a_read_from_the_future_names_the_later_write() -> None:
    case = only_anomaly(
        Record(
            history=drawn(
                """
                n1:        [w1]
                n2:  [r1]
                """
            )
        )
    )
    assert "began only afterwards" in case.message
    assert case.witness == (1, 3)


def test_an_unanswered_change_is_proved_to_have_happened_by_who_saw_it() -> None:
    case = only_anomaly(
        Record(
            history=drawn(
                """
                n1: [w1]  [c1>2       ?
                n2:         [c1>3  ]
                n3:               [r2     ]
                """
            )
        )
    )
    assert "did happen although it was never answered" in case.message


def test_a_proof_by_exhaustion_says_what_could_be_held() -> None:
    case = only_anomaly(
        Record(
            history=drawn(
                """
                n1: [w1]  [w2]     [w1]   [w2]
                n2:                              [c1>3]
                """
            )
        )
    )
    assert "the register held 2 when" in case.message
    assert case.data["impossible"] == 9


def test_a_value_that_nobody_wrote_is_told_in_one_line_amid_many_repeated_ones() -> None:
    random = Random(5)
    entries = ordered_entries(random, size=400, processes=6, values=3, unknown=0.01, cas=0.3)
    reads = [entry for entry in entries if entry.is_read]
    wrong = reads[len(reads) // 2]
    odd = [replace(e, seen=77) if e is wrong else e for e in entries]
    verdict = Linearizable({"initial": 0}).check(Record(history=history_of(odd)), Budget.start(600))
    ((case,),) = verdict.anomalies.values()
    assert case.witness == (wrong.complete,)
    assert "nobody had begun to write 77" in case.message


def test_a_long_history_with_one_stale_read_is_told_with_few_operations() -> None:
    random = Random(9)
    entries = ordered_entries(random, size=3_000, processes=5, values=5, unknown=0.0, cas=0.3)
    changed = with_one_read_changed(random, entries)
    verdict = Linearizable({"initial": 0}).check(
        Record(history=history_of(changed)), Budget.start(600)
    )
    ((case,),) = verdict.anomalies.values()
    assert len(case.witness) < 10
