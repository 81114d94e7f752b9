"""A run that was: what is needed to do it again, read from its folder as somebody's data.

``schedule.jsonl`` says what was planned and what happened to it, ``scenario.toml`` what the run was
asked to be, the ledger whom each fault hit, the verdict what was found. Of a run that was killed
some of that may be missing; then it is done again as far as is known.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from harness.errors import PolygraphError, UsageError
from harness.explore.smaller import Candidate, aims_as_it_did
from harness.history.faults import recorded_faults
from harness.history.ledger import NAME as LEDGER
from harness.history.ledger import read_ledger
from harness.option import Option, with_files
from harness.plugins import Registry
from harness.run.scenario import declared_options
from harness.run.schedule import At, Occurrence, Schedule
from harness.run.schedule_file import MOST_BYTES, NAME, from_json, lines_of, text_of
from harness.soak.loop import signatures
from harness.store.runs import write_text
from harness.store.scenario import CORE, recorded_table
from harness.store.untrusted import Folder, parsed_json

PLANNED: Final = "planned"
HAPPENED: Final = "happened"
SCHEDULES: Final = "schedules"
"""The folder of the store with the schedules of runs made again, each named by what it holds."""
_NS: Final = 1_000_000_000
_LEFT_OUT: Final = ("versions", "schedule", "nemesis", "seed", "leave_db_running")


@dataclass(frozen=True)
class Recorded:
    """One run. ``happened`` and ``details`` are by the place of an occurrence in the schedule."""

    run_dir: Path
    table: Mapping[str, Any]
    schedule: Schedule
    happened: Sequence[Mapping[str, Any]] = ()
    details: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    signatures: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """Of its generators."""
        return int(CORE["seed"].value(self.table.get("seed")) or 0)

    @property
    def time_limit_s(self) -> float:
        """How long there were operations."""
        return float(CORE["time_limit"].value(self.table.get("time_limit", 60.0)))

    @property
    def versions(self) -> Mapping[str, Any]:
        """What took part."""
        return _mapping(self.facts.get("versions"))

    def targets(self) -> dict[str, list[str]]:
        """Whom each occurrence hit, by its name; nobody where it never began."""
        found = {}
        for place, each in enumerate(self.schedule.occurrences):
            told = self._happened(place).get("targets")
            found[each.name] = [str(t) for t in told] if isinstance(told, list) else []
        return found

    def began_ns(self) -> dict[str, int | None]:
        """When each occurrence began, by its name, since the start of the main phase."""
        found: dict[str, int | None] = {}
        for place, each in enumerate(self.schedule.occurrences):
            told = self._happened(place).get("began_s")
            known = isinstance(told, int | float) and not isinstance(told, bool)
            found[each.name] = round(float(told) * _NS) if known and told else each.start_ns
        return found

    def again(self, targets: str = PLANNED, moments: str = PLANNED) -> Candidate:
        """Its schedule, with targets and moments as they were ``planned``, or as it ``happened``.

        As planned, whoever leads by then is hit, and what waited for a milestone waits again; as it
        happened, the nodes that were hit, at the offset at which they were.
        """
        began_ns, hit = self.began_ns(), self.targets()
        found: list[Occurrence] = []
        for place, each in enumerate(self.schedule.occurrences):
            begin, plan = each.begin, each.plan
            if moments == HAPPENED and not isinstance(begin, At):
                at_ns = began_ns[each.name]
                if at_ns is None:  # it never began
                    continue
                begin = At(at_ns)
            if targets == HAPPENED:
                plan = aims_as_it_did(plan, hit[each.name], self.details.get(place, {}))
            found.append(msgspec.structs.replace(each, begin=begin, plan=plan))
        schedule = Schedule(seed=self.schedule.seed, occurrences=tuple(found))
        return Candidate(schedule, self.time_limit_s)

    def scenario(self, candidate: Candidate, store: Path, registry: Registry) -> dict[str, Any]:
        """The flat table, without a seed, of a run by ``candidate``, whose schedule is written.

        What belongs to faults that it does not have is left out.
        """
        table = {name: value for name, value in self.table.items() if name not in _LEFT_OUT}
        table["time_limit"] = candidate.time_limit_s
        table["nemesis"] = ",".join(candidate.faults)
        if candidate.faults:
            table["schedule"] = str(kept_schedule(store, candidate.schedule))
        known = {option.name for option in self.declared(registry, candidate.faults)}
        return {name: value for name, value in table.items() if name in CORE or name in known}

    def paths(self, registry: Registry) -> dict[str, Any]:
        """The programs and files that its scenario names: what a run by it starts or reads."""
        declared = self.declared(registry, self.again().faults)
        names = ["client", *(option.name for option in declared if option.kind is Path)]
        return {name: self.table[name] for name in names if self.table.get(name) is not None}

    def declared(self, registry: Registry, faults: Sequence[str]) -> list[Option]:
        """The options of its parts, as they stand in a scenario."""
        words = [str(self.table.get(name) or CORE[name].default) for name in _PARTS]
        options = declared_options(registry, words[0], words[1], faults, words[2])
        return with_files(list(options.values()))

    def _happened(self, place: int) -> Mapping[str, Any]:
        return self.happened[place] if place < len(self.happened) else {}


_PARTS: Final = ("system", "workload", "provider")


def recorded(run_dir: Path) -> Recorded:
    """The run in a folder; ``UsageError`` where it cannot be told what it was."""
    table = recorded_table(run_dir)
    if not isinstance(table.get("system"), str) or not table["system"]:
        raise UsageError(f"{run_dir}: its scenario names no system")
    facts = _mapping(_json(run_dir, "evidence/run.json"))
    schedule, happened = _schedule(run_dir, facts)
    return Recorded(
        run_dir=run_dir,
        table=table,
        schedule=schedule,
        happened=happened,
        details=_details(run_dir),
        signatures=_signatures(_mapping(_json(run_dir, "verdict.json"))),
        facts=facts,
    )


def kept_schedule(store: Path, schedule: Schedule) -> Path:
    """The file in ``store`` that holds this schedule; the same one for the same schedule."""
    text = text_of(schedule)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = store.resolve() / SCHEDULES / f"{name}.jsonl"
    if not path.exists():
        write_text(path, text)
    return path


def _schedule(
    run_dir: Path, facts: Mapping[str, Any]
) -> tuple[Schedule, Sequence[Mapping[str, Any]]]:
    try:
        text = Folder(run_dir).read(NAME, MOST_BYTES).decode("utf-8")
    except FileNotFoundError:
        if facts.get("schedule"):
            return from_json(facts["schedule"]), ()
        return Schedule(seed=0, occurrences=()), ()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{run_dir}: {NAME} cannot be read: {error}") from error
    found = lines_of(text, f"{run_dir}/{NAME}")
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
    told = [parsed_json(line) for line in text.split("\n") if line.strip().startswith("{")]
    happened = [_mapping(each.get("happened")) for each in told if "fault" in each]
    return Schedule(seed=found.seed or 0, occurrences=placed), happened


def _signatures(verdict: Mapping[str, Any]) -> list[str]:
    """Those of the verdict; none where it is no verdict of ours."""
    try:
        return signatures(verdict)
    except (AttributeError, TypeError):
        return []


def _details(run_dir: Path) -> dict[int, Mapping[str, Any]]:
    """What each fault that was injected did, by its place in the schedule."""
    found = {}
    with contextlib.suppress(PolygraphError):  # a ledger that cannot be read tells nothing
        for fault in recorded_faults(read_ledger(run_dir / LEDGER)):
            place = fault.detail.get("occurrence")
            if isinstance(place, int) and fault.injected_ns is not None:
                found[place] = fault.detail
    return found


def _json(run_dir: Path, name: str) -> Any:
    try:
        return Folder(run_dir).json(name)
    except (OSError, ValueError):
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
