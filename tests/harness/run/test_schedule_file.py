"""Schedules as files: read back to the same schedule, completed, and told what is wrong where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.plugins import Registry
from harness.run.preparation import prepare
from harness.run.scenario import resolve
from harness.run.schedule import AfterFault, AfterMilestone, At, Occurrence, Schedule
from harness.run.schedule_file import complete, lines_of, read_lines, tables_of, text_of, toml_of
from nemeses.actions.admin import AdminAction
from nemeses.process.kill import Kill
from nemeses.process.pause import Pause

NODES = ["n1", "n2", "n3"]
FAULTS: list[Any] = [Kill({}), Pause({}), AdminAction({})]
MILESTONES = ["leader-change", "compaction"]

times_ns = st.integers(0, 999_999_999_999_999)
plans = st.dictionaries(st.text(max_size=8), st.one_of(st.integers(-(2**53), 2**53), st.text()))


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """Any schedule: names are different, and what comes after another stands below it."""
    occurrences: list[Occurrence] = []
    for name in draw(st.lists(st.text(min_size=1, max_size=9), unique=True, max_size=6)):
        moments: list[Any] = [
            st.builds(At, times_ns),
            st.builds(
                AfterMilestone,
                milestone=st.sampled_from(MILESTONES),
                nth=st.integers(1, 2**31 - 1),
                node=st.one_of(st.none(), st.sampled_from(NODES)),
                delay_ns=times_ns,
            ),
        ]
        if occurrences:
            earlier = st.sampled_from([each.name for each in occurrences])
            events: Any = st.sampled_from(["begin", "end"])
            moments.append(st.builds(AfterFault, fault=earlier, event=events, delay_ns=times_ns))
        fault = draw(st.sampled_from([each.name for each in FAULTS]))
        lasts_ns = None if fault == "admin" else draw(st.integers(1, 10**15 - 1))
        occurrences.append(
            Occurrence(
                name=name,
                fault=fault,
                begin=draw(st.one_of(moments)),
                lasts_ns=lasts_ns,
                plan=draw(plans),
            )
        )
    return Schedule(seed=draw(st.integers(0, 2**32)), occurrences=tuple(occurrences))


def completed(text: str, *, time_limit_s: float = 1e6) -> Schedule:
    found = lines_of(text, "mine.jsonl")
    seed = 5 if found.seed is None else found.seed
    return complete(found, FAULTS, NODES, seed, lambda name: 2.5, time_limit_s, MILESTONES)


@pytest.mark.slow
@given(schedules(), st.booleans())
def test_a_written_schedule_is_read_back_to_the_same(plan: Schedule, is_over: bool) -> None:
    happened = [{"began_s": 1.0}] * len(plan.occurrences) if is_over else None
    assert completed(text_of(plan, happened)) == plan


@pytest.mark.slow
@given(schedules(), st.dictionaries(st.text(max_size=3), st.none(), max_size=1))
def test_a_schedule_as_toml_is_read_back_to_the_same(plan: Schedule, more: dict[str, Any]) -> None:
    """Also with what TOML cannot say: a plan with a null."""
    each = [msgspec.structs.replace(e, plan={**e.plan, **more}) for e in plan.occurrences]
    whole = msgspec.structs.replace(plan, occurrences=tuple(each))
    found = tables_of(f"seed = {plan.seed}\n{toml_of(whole)}", "mine.toml")
    assert (
        complete(found, FAULTS, NODES, found.seed or 0, lambda name: 2.5, 1e6, MILESTONES) == whole
    )


def test_what_is_wrong_in_toml_is_told_with_its_table(tmp_path: Path) -> None:
    wrong = tmp_path / "mine.toml"
    for text, said in (
        ('[[schedule]]\nfault = "kill"\n', r"\[\[schedule\]\] 1: at_s: give either"),
        ('schedule = "a"\n', "schedule: must be tables"),
        ("[[schedule\n", "is not TOML"),
        ('seed = "a"\n', "seed: must be a whole number"),
    ):
        wrong.write_text(text)
        with pytest.raises(UsageError, match=said):
            read_lines(wrong)


def test_what_a_file_does_not_say_is_completed_from_the_seed() -> None:
    text = """
        # by hand
        {"fault": "kill", "at_s": 1}
        {"fault": "kill", "after": {"milestone": "leader-change"}, "lasts_s": 0.5}
        {"fault": "admin", "after": {"fault": "kill-2"}}
    """
    first, second, third = completed(text).occurrences
    assert (first.name, first.begin, first.lasts_ns) == ("kill-1", At(10**9), 2_500_000_000)
    assert sorted(first.plan["order"]) == NODES
    assert second.begin == AfterMilestone(milestone="leader-change")
    assert (third.begin, third.lasts_ns) == (AfterFault(fault="kill-2"), None)
    assert completed(text) == completed(text)
    other = completed('{"polygraph": "schedule", "seed": 6}\n' + text)
    assert [each.plan for each in other.occurrences] != [each.plan for each in (first, second)]


LINE = '{"fault": "kill", "at_s": 1}\n'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"fault": "kill", "at_s": }', "is no JSON"),
        ("[1]", "is no JSON object"),
        ('{"at_s": 1}', "fault: must be a text"),
        ('{"fault": "kil", "at_s": 1}', "fault: .*did you mean kill"),
        ('{"fault": "kill"}', "at_s: give either at_s or after"),
        ('{"fault": "kill", "at_s": 1, "after": {"milestone": "compaction"}}', "at_s: give either"),
        ('{"fault": "kill", "at_s": -1}', "at_s: must be seconds"),
        ('{"fault": "kill", "at_s": true}', "at_s: must be seconds"),
        ('{"fault": "kill", "at_s": 1e9}', "at_s: must be seconds"),
        ('{"fault": "kill", "at_s": 60}', "at_s: 60 s is not within the time limit of 30 s"),
        ('{"fault": "kill", "at_s": 1, "lasts_s": 0}', "lasts_s: must be more than 0"),
        ('{"fault": "admin", "at_s": 1, "lasts_s": 2}', "lasts_s: admin is done in a moment"),
        ('{"fault": "kill", "at_s": 1, "plan": []}', "plan: must be a JSON object"),
        ('{"fault": "kill", "at_s": 1, "name": "kill-1"}', "name: 'kill-1' is the name of an earl"),
        ('{"fault": "kill", "at_s": 1, "last_s": 1}', "last_s: .*did you mean lasts_s"),
        ('{"fault": "kill", "after": {}}', "after: must name either a milestone or a fault"),
        ('{"fault": "kill", "after": {"milestone": "x"}}', "after.milestone: .*'x'"),
        (
            '{"fault": "kill", "after": {"milestone": "compaction", "nth": 0}}',
            "after.nth: must be a whole number from 1, not 0",
        ),
        (
            '{"fault": "kill", "after": {"milestone": "compaction", "delay_s": "1"}}',
            "after.delay_s: must be seconds",
        ),
        ('{"fault": "kill", "after": {"milestone": "compaction", "on": 1}}', "after.on: "),
        ('{"fault": "kill", "after": {"fault": "kill-2"}}', "after.fault: .*did you mean kill-1"),
        (
            '{"fault": "kill", "after": {"fault": "kill-1", "event": "heal"}}',
            "after.event: must be",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_key(line: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"mine.jsonl: line 2: {said}"):
        completed(LINE + line, time_limit_s=30.0)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ('{"polygraph": 1, "run": "x"}', "run: "),
        ('{"polygraph": 1}', "polygraph: this is no schedule"),
        ('{"polygraph": "schedule", "version": 2}', "version: is 2"),
        ('{"polygraph": "schedule", "seed": "x"}', "seed: must be a whole number"),
    ],
)
def test_another_file_is_told_from_a_schedule(header: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"mine.jsonl: line 1: {said}"):
        completed(header)


def test_a_plan_nested_too_deeply_is_refused() -> None:
    deep = '{"fault": "kill", "at_s": 1, "plan": ' + '{"a":' * 100_000 + "1" + "}" * 100_001
    with pytest.raises(UsageError, match="line 1: is no JSON"):
        completed(deep)


def test_a_run_goes_by_a_file_and_takes_its_faults_from_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(LINE + '{"fault": "pause", "after": {"milestone": "leader-change"}}\n')
    table = {"system": "etcd", "schedule": str(path), "seed": 3}
    scenario = resolve(table, Registry())
    assert scenario.nemesis == ("kill", "pause")
    plan = prepare(scenario, Registry()).schedule
    assert plan is not None
    assert [each.fault for each in plan.occurrences] == ["kill", "pause"]
    path.write_text(text_of(plan))
    assert prepare(resolve({**table, "seed": 4}, Registry()), Registry()).schedule == plan
    with pytest.raises(UsageError, match="--nemesis kill, but the schedule"):
        resolve({**table, "nemesis": "kill"}, Registry())
    path.write_text('{"fault": "kil", "at_s": 1}')
    with pytest.raises(UsageError, match=r"line 1: fault: .*did you mean kill"):
        resolve(table, Registry())


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_lines(tmp_path / "mine.jsonl")
    (tmp_path / "mine.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="is no text"):
        read_lines(tmp_path / "mine.jsonl")


def test_a_written_schedule_is_one_object_a_line() -> None:
    plan = completed(LINE)
    lines = [json.loads(line) for line in text_of(plan, [{"never": "why"}]).splitlines()]
    assert lines[0] == {"polygraph": "schedule", "version": 1, "seed": 5}
    assert lines[1]["happened"] == {"never": "why"}
