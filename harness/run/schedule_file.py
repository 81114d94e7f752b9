"""A fault schedule as a file: written into every run's folder, and read back to the same schedule.

One JSON object a line, the first one a header that may be missing; lines that are empty or begin
with ``#`` are for people::

    {"polygraph": "schedule", "version": 1, "seed": 7}
    {"name": "kill-1", "fault": "kill", "at_s": 3.0, "lasts_s": 1.5, "plan": {...}}
    {"fault": "pause", "after": {"milestone": "leader-change", "nth": 2, "delay_s": 0.05}}
    {"fault": "partition", "after": {"fault": "kill-1", "event": "end"}, "lasts_s": 2}

What is not said is completed: a name (``kill-2``), the usual duration, a plan drawn from the seed.
A file that ends in ``.toml`` has the same as tables ``[[schedule]]``, and may be a scenario's.
An occurrence may only come after one of an earlier line, so there is no circle. ``happened``, which
a run adds at its end, is passed over. Seconds are written so that the nanoseconds come back
exactly.

A file may be anybody's: every mistake is told with its line and its key, and nothing is guessed.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final, NoReturn

import msgspec

from harness.errors import UsageError, unknown_name
from harness.run.schedule import (
    AfterFault,
    AfterMilestone,
    At,
    Moment,
    Occurrence,
    Planner,
    Schedule,
    is_action,
)
from harness.store.untrusted import parsed_toml
from harness.wording import named, reason, shown

NAME: Final = "schedule.jsonl"
VERSION: Final = 1
TOML: Final = ".toml"
MOST_BYTES: Final = 64 << 20
MOST_S: Final = 1e6
"""Eleven days; so far seconds as floating point give every nanosecond back."""
_HEADER: Final = ("polygraph", "version", "seed")
_KEYS: Final = ("name", "fault", "at_s", "after", "lasts_s", "plan", "happened")
_AFTER_MILESTONE: Final = ("milestone", "nth", "node", "delay_s")
_AFTER_FAULT: Final = ("fault", "event", "delay_s")
_NS: Final = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Line:
    """One occurrence as a file has it; what it does not say is ``None``."""

    place: str
    name: str
    fault: str
    begin: Moment
    lasts_ns: int | None
    plan: dict[str, Any] | None

    def refuse(self, key: str, why: str, hint: str | None = None) -> NoReturn:
        """``UsageError`` that names the line and the key."""
        raise UsageError(f"{self.place}: {key}: {why}", hint)


@dataclass(frozen=True)
class Written:
    """A file: the seed of its header, if it has one, and its occurrences."""

    seed: int | None
    lines: Sequence[Line]

    @property
    def faults(self) -> list[str]:
        """The words of ``--nemesis`` that it needs, in order."""
        return list(dict.fromkeys(line.fault for line in self.lines))


def line_of(planned: Occurrence, happened: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An occurrence as the object that stands in its line."""
    begin = planned.begin
    line: dict[str, Any] = {"name": planned.name, "fault": planned.fault}
    if isinstance(begin, At):
        line["at_s"] = begin.at_ns / _NS
    elif isinstance(begin, AfterMilestone):
        node = {} if begin.node is None else {"node": begin.node}
        told = {"milestone": begin.milestone, "nth": begin.nth, **node}
        line["after"] = {**told, "delay_s": begin.delay_ns / _NS}
    else:
        told = {"fault": begin.fault, "event": begin.event}
        line["after"] = {**told, "delay_s": begin.delay_ns / _NS}
    if planned.lasts_ns is not None:
        line["lasts_s"] = planned.lasts_ns / _NS
    line["plan"] = planned.plan
    return line if happened is None else {**line, "happened": dict(happened)}


def as_json(schedule: Schedule) -> dict[str, Any]:
    """The schedule as one object, for a run's facts."""
    return {"seed": schedule.seed, "occurrences": [line_of(each) for each in schedule.occurrences]}


def text_of(schedule: Schedule, happened: Sequence[Mapping[str, Any] | None] | None = None) -> str:
    """The content of the file, with what ``happened`` to each occurrence if that is known."""
    header = {"polygraph": "schedule", "version": VERSION, "seed": schedule.seed}
    told = happened or [None] * len(schedule.occurrences)
    lines = [line_of(*pair) for pair in zip(schedule.occurrences, told, strict=True)]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (header, *lines))


def read_lines(path: Path) -> Written:
    """The file as it is; ``UsageError`` names the line and the key of what is wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise UsageError(f"the schedule {path}: {reason(error)}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the schedule {path} is no text (UTF-8)") from error
    if len(data) > MOST_BYTES:
        raise UsageError(f"the schedule {path} is larger than {MOST_BYTES >> 20} MiB")
    return tables_of(text, str(path)) if path.suffix == TOML else lines_of(text, str(path))


def tables_of(text: str, name: str) -> Written:
    """The tables ``[[schedule]]`` of a TOML text, and its ``seed``; other keys are a scenario's."""
    try:
        whole = parsed_toml(text)
    except ValueError as error:
        raise UsageError(f"the schedule {name} is not TOML: {error}") from error
    tables = whole.get("schedule", [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise UsageError(f"{name}: schedule: must be tables, [[schedule]]")
    counts: Counter[str] = Counter()
    lines: list[Line] = []
    for number, table in enumerate(tables, 1):
        place = f"{name}: [[schedule]] {number}"
        known = {"plan": _from_text(table.get("plan"), place)} if "plan" in table else {}
        lines.append(_line({**table, **known}, place, counts, [line.name for line in lines]))
    seed = whole.get("seed")
    if seed is not None and type(seed) is not int:
        raise UsageError(f"{name}: seed: must be a whole number")
    return Written(seed, lines)


def toml_of(schedule: Schedule) -> str:
    """The schedule as tables ``[[schedule]]``, to stand at the end of a scenario's file.

    A plan that TOML cannot say (it has no null) stands there as a text of JSON.
    """
    return "\n".join(
        "\n".join(["[[schedule]]", *(f"{key} = {_toml(value)}" for key, value in line.items())])
        for line in map(line_of, schedule.occurrences)
    )


def _toml(value: Any) -> str:
    try:
        return _toml_value(value)
    except ValueError:
        return _quoted(json.dumps(value))


def _toml_value(value: Any) -> str:
    """``ValueError`` where TOML has no such value."""
    if isinstance(value, Mapping):
        pairs = [f"{_quoted(key)} = {_toml_value(each)}" for key, each in value.items()]
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if value is None:
        raise ValueError(value)
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _from_text(plan: Any, place: str) -> Any:
    return _decoded(plan, f"{place}: plan") if isinstance(plan, str) else plan


def lines_of(text: str, name: str) -> Written:
    """As :func:`read_lines`, of a content."""
    seed: int | None = None
    counts: Counter[str] = Counter()
    lines: list[Line] = []
    for number, content in enumerate(text.split("\n"), 1):
        if not content.strip() or content.lstrip().startswith("#"):
            continue
        place = f"{name}: line {number}"
        table = _decoded(content, place)
        if not lines and "polygraph" in table:
            seed = _seed(table, place)
            continue
        lines.append(_line(table, place, counts, [line.name for line in lines]))
    return Written(seed, lines)


def complete(
    found: Written,
    faults: Sequence[Planner],
    nodes: Sequence[str],
    seed: int,
    lasts_s: Callable[[str], float],
    time_limit_s: float,
    milestones: Sequence[str],
) -> Schedule:
    """The schedule of a file, all that it does not say filled in from ``seed`` and ``lasts_s``.

    ``milestones`` are those that the system declares. ``UsageError`` with line and key for a fault
    that is not among ``faults``, a milestone that there is none of, or what begins too late.
    """
    known = {fault.name: fault for fault in faults}
    placed = []
    for number, line in enumerate(found.lines):
        fault = known.get(line.fault)
        if fault is None:
            line.refuse("fault", unknown_name("fault", line.fault, list(known)))
        _refuse_moment(line, time_limit_s, milestones)
        own = Random(f"polygraph schedule {seed} {number} {line.fault}")
        plan = fault.plan(nodes, own) if line.plan is None else line.plan
        if is_action(fault) and line.lasts_ns is not None:
            line.refuse("lasts_s", f"{line.fault} is done in a moment and does not last")
        usual = None if is_action(fault) else round(lasts_s(line.fault) * _NS)
        lasts_ns = usual if line.lasts_ns is None else line.lasts_ns
        placed.append(
            Occurrence(
                name=line.name, fault=line.fault, begin=line.begin, lasts_ns=lasts_ns, plan=plan
            )
        )
    return Schedule(seed=seed, occurrences=tuple(placed))


def from_json(told: Mapping[str, Any]) -> Schedule:
    """The schedule in a run's facts, also of earlier versions; ``UsageError`` if it is none."""
    try:
        seed, occurrences = told["seed"], told["occurrences"]
        content = "\n".join(json.dumps(_modern(each)) for each in occurrences)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"this is not a fault schedule: {named(error)}") from error
    found = lines_of(content, "this is not a fault schedule")
    placed = tuple(
        Occurrence(
            name=line.name,
            fault=line.fault,
            begin=line.begin,
            lasts_ns=line.lasts_ns,
            plan=line.plan or {},
        )
        for line in found.lines
    )
    return Schedule(seed=int(seed), occurrences=placed)


def _modern(told: Any) -> Any:
    """An occurrence of version 0, which had times in nanoseconds alone, as it is written now."""
    if not isinstance(told, dict) or "start_ns" not in told:
        return told
    lasts_s = (told["stop_ns"] - told["start_ns"]) / _NS
    rest = {key: value for key, value in told.items() if key not in ("start_ns", "stop_ns")}
    return {**rest, "at_s": told["start_ns"] / _NS, "lasts_s": lasts_s}


# -- one line ----------------------------------------------------------------------------------


def _decoded(content: str, place: str) -> dict[str, Any]:
    try:
        table = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise UsageError(f"{place}: is no JSON: {error}") from error
    if not isinstance(table, dict):
        raise UsageError(f"{place}: is no JSON object")
    return table


def _seed(table: Mapping[str, Any], place: str) -> int | None:
    _refuse_unknown(table, _HEADER, place, "")
    if table["polygraph"] != "schedule":
        raise UsageError(f"{place}: polygraph: this is no schedule, but {table['polygraph']!s}")
    if table.get("version", VERSION) != VERSION:
        raise UsageError(
            f"{place}: version: is {table['version']}, and this Polygraph reads {VERSION}",
            "a newer polygraph-db",
        )
    seed = table.get("seed")
    if seed is not None and type(seed) is not int:
        raise UsageError(f"{place}: seed: must be a whole number")
    return seed


def _line(
    table: Mapping[str, Any], place: str, counts: Counter[str], earlier: Sequence[str]
) -> Line:
    _refuse_unknown(table, _KEYS, place, "")
    fault = _text(table, "fault", place, "")
    counts[fault] += 1
    name = f"{fault}-{counts[fault]}"
    if table.get("name") is not None:
        name = _text(table, "name", place, "")
    if name in earlier:
        raise UsageError(f"{place}: name: {shown(name)} is the name of an earlier line")
    plan = table.get("plan")
    if plan is not None and not isinstance(plan, dict):
        raise UsageError(f"{place}: plan: must be a JSON object")
    lasts = table.get("lasts_s")
    return Line(
        place=place,
        name=name,
        fault=fault,
        begin=_moment(table, place, earlier),
        lasts_ns=None if lasts is None else _time(table, "lasts_s", place, "", least=1),
        plan=plan,
    )


def _moment(table: Mapping[str, Any], place: str, earlier: Sequence[str]) -> Moment:
    after = table.get("after")
    if (after is None) == (table.get("at_s") is None):
        raise UsageError(f"{place}: at_s: give either at_s or after, so that it is known when")
    if after is None:
        return At(_time(table, "at_s", place, ""))
    if not isinstance(after, dict) or ("milestone" in after) == ("fault" in after):
        raise UsageError(f"{place}: after: must name either a milestone or a fault")
    delay_ns = _time(after, "delay_s", place, "after.") if "delay_s" in after else 0
    if "milestone" in after:
        _refuse_unknown(after, _AFTER_MILESTONE, place, "after.")
        nth = after.get("nth", 1)
        if type(nth) is not int or not 1 <= nth < 1 << 31:
            raise UsageError(f"{place}: after.nth: must be a whole number from 1, not {nth!s}")
        node = after.get("node")
        return AfterMilestone(
            milestone=_text(after, "milestone", place, "after."),
            nth=nth,
            node=None if node is None else _text(after, "node", place, "after."),
            delay_ns=delay_ns,
        )
    _refuse_unknown(after, _AFTER_FAULT, place, "after.")
    other, event = _text(after, "fault", place, "after."), after.get("event", "end")
    if other not in earlier:
        known = unknown_name("name of an earlier line", other, earlier)
        raise UsageError(f"{place}: after.fault: {known}")
    if event not in ("begin", "end"):
        raise UsageError(f"{place}: after.event: must be begin or end, not {event!s}")
    return AfterFault(fault=other, event=event, delay_ns=delay_ns)


def _refuse_unknown(
    table: Mapping[str, Any], known: Sequence[str], place: str, within: str
) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{place}: {within}{key}: {unknown_name('key', key, known)}")


def _text(table: Mapping[str, Any], key: str, place: str, within: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise UsageError(f"{place}: {within}{key}: must be a text of at most 200 letters")
    return value


def _time(table: Mapping[str, Any], key: str, place: str, within: str, *, least: int = 0) -> int:
    """Nanoseconds of a time in seconds."""
    value = table[key]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= MOST_S:
        raise UsageError(f"{place}: {within}{key}: must be seconds, from 0 to {MOST_S:,.0f}")
    found: int = round(value * _NS)
    if found < least:
        raise UsageError(f"{place}: {within}{key}: must be more than 0")
    return found


def _refuse_moment(line: Line, time_limit_s: float, milestones: Sequence[str]) -> None:
    begin = line.begin
    if isinstance(begin, At) and begin.at_ns >= time_limit_s * _NS:
        line.refuse(
            "at_s",
            f"{begin.at_ns / _NS:g} s is not within the time limit of {time_limit_s:g} s",
            f"--time-limit {math.ceil(begin.at_ns / _NS) + 2}",
        )
    if isinstance(begin, AfterMilestone) and begin.milestone not in milestones:
        if not milestones:
            line.refuse("after.milestone", "the system declares no milestones")
        line.refuse("after.milestone", unknown_name("milestone", begin.milestone, milestones))
