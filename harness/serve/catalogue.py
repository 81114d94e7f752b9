"""The catalogue of a store: one row a run, kept in a small SQLite file that can be rebuilt.

The run folders alone are the truth. A row is read again when the folder's verdict or scenario
has changed (time and size of the file), so an index of ten thousand runs costs a directory walk,
not ten thousand JSON files. Rows of folders that are gone go too. Where the store cannot be
written the catalogue is kept in memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.run.store import MARKS, read_json

FILE = ".catalogue.sqlite"
VERSION = 1
PATIENCE_S = 30.0
"""How long to wait for another process that writes the same file."""
VERDICTS: Mapping[Any, str] = {True: "valid", False: "invalid", "unknown": "unknown"}
NO_VERDICT = "none"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run. ``path`` is relative to the store; ``began`` is local time, ISO 8601."""

    path: str
    system: str
    workload: str
    nemesis: str
    verdict: str
    why: str
    seed: int
    provider: str
    began: str
    seconds: float
    operations: int

    @property
    def faults(self) -> list[str]:
        """The names given to ``--nemesis``."""
        return [name for name in self.nemesis.split(",") if name]


COLUMNS = tuple(field.name for field in fields(Row))


class Catalogue:
    """The rows of ``store``. Not safe for several threads at once; one process may hold several."""

    def __init__(self, store: Path) -> None:
        self.store = store.resolve()
        self._database = _open(self.store / FILE)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def refresh(self) -> None:
        """Read what has changed in the store since the last time."""
        known = dict(self._database.execute("select path, stamp from runs"))
        stamps: dict[str, str] = {}
        news: list[tuple[Row, str]] = []
        for folder in run_folders(self.store):
            path = folder.relative_to(self.store).as_posix()
            with contextlib.suppress(OSError):  # it was removed while it was looked at
                stamp = _stamp(folder)
                if known.get(path) != stamp:
                    news.append((read_row(self.store, folder), stamp))
                stamps[path] = stamp
        # Written at once, since another process that serves this store waits meanwhile.
        for row, stamp in news:
            self._put(row, stamp)
        for path in known.keys() - stamps.keys():
            self._database.execute("delete from runs where path = ?", (path,))
        self._database.commit()

    def rows(self, wanted: Mapping[str, str]) -> list[Row]:
        """The rows that fit, the newest first.

        ``wanted`` may hold ``system workload verdict`` (equal), ``fault`` (one of the run's),
        ``since`` and ``until`` (ISO 8601, compared as text); empty values are no filter.
        """
        where, values = _conditions(wanted)
        query = f"select {', '.join(COLUMNS)} from runs{where} order by began desc, path desc"
        found = self._database.execute(query, values)
        return [Row(**dict(zip(COLUMNS, row, strict=True))) for row in found]

    def choices(self) -> dict[str, list[str]]:
        """What there is to filter by."""
        chosen: dict[str, list[str]] = {}
        for column in ("system", "workload", "verdict"):
            rows = self._database.execute(f"select distinct {column} from runs order by 1")
            chosen[column] = [str(value) for (value,) in rows]
        every = self._database.execute("select distinct nemesis from runs")
        names = {name for (nemesis,) in every for name in str(nemesis).split(",") if name}
        return {**chosen, "fault": sorted(names)}

    def _put(self, row: Row, stamp: str) -> None:
        values = [*(getattr(row, name) for name in COLUMNS), stamp]
        marks = ", ".join("?" * len(values))
        names = ", ".join((*COLUMNS, "stamp"))
        self._database.execute(f"insert or replace into runs ({names}) values ({marks})", values)


def run_folders(store: Path) -> Iterator[Path]:
    """Every run folder of ``store``; links are not followed, and what is gone is passed over."""
    for system in _folders(store):
        for workload in _folders(system):
            for folder in _folders(workload):
                if any((folder / mark).exists() for mark in MARKS):
                    yield folder


def _folders(parent: Path) -> list[Path]:
    """The folders in ``parent``, no links; none if it was removed meanwhile."""
    try:
        with os.scandir(parent) as entries:
            return [Path(entry) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def read_row(store: Path, folder: Path) -> Row:
    """The row of one run, from its folder; a killed or broken run has a row too."""
    verdict = _mapping(read_json(folder / "verdict.json"))
    facts = _mapping(read_json(folder / "evidence" / "run.json"))
    scenario = _scenario(folder / "scenario.toml")
    system, workload = folder.relative_to(store).parts[:2]
    phases = [span for span in _mapping(facts.get("phases")).values() if isinstance(span, list)]
    return Row(
        path=folder.relative_to(store).as_posix(),
        system=system,
        workload=workload,
        nemesis=str(scenario.get("nemesis", "")),
        verdict=VERDICTS.get(verdict.get("valid"), NO_VERDICT) if verdict else NO_VERDICT,
        why=str(verdict.get("why", ""))[:1000],
        seed=_number(scenario.get("seed")),
        provider=str(facts.get("provider", scenario.get("provider", ""))),
        began=_began(folder),
        seconds=max((float(span[-1]) for span in phases), default=0.0) / 1e9,
        operations=_operations(verdict),
    )


def _operations(verdict: Mapping[str, Any]) -> int:
    counts = _mapping(verdict.get("operations")).values()
    return sum(_number(n) for by_type in counts for n in _mapping(by_type).values())


def _began(folder: Path) -> str:
    """When the run began, by its name; by its folder's time where the name is another."""
    try:
        return datetime.strptime(folder.name[:15], "%Y%m%dT%H%M%S").isoformat()
    except ValueError:
        return datetime.fromtimestamp(folder.stat().st_mtime).isoformat(timespec="seconds")


def _scenario(path: Path) -> Mapping[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _stamp(folder: Path) -> str:
    """Changes whenever what a row is read from does."""
    parts = []
    for name in ("verdict.json", "scenario.toml", "evidence/run.json"):
        try:
            status = (folder / name).stat()
            parts.append(f"{status.st_mtime_ns}:{status.st_size}")
        except OSError:
            parts.append("none")
    return " ".join(parts)


def _conditions(wanted: Mapping[str, str]) -> tuple[str, Sequence[str]]:
    conditions, values = [], []
    for column in ("system", "workload", "verdict"):
        if wanted.get(column):
            conditions.append(f"{column} = ?")
            values.append(wanted[column])
    if wanted.get("fault"):
        conditions.append("instr(',' || nemesis || ',', ?) > 0")
        values.append(f",{wanted['fault']},")
    for name, sign in (("since", ">="), ("until", "<=")):
        if wanted.get(name):
            conditions.append(f"began {sign} ?")
            values.append(wanted[name])
    return (" where " + " and ".join(conditions) if conditions else ""), values


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _prepared(sqlite3.connect(path, timeout=PATIENCE_S, check_same_thread=False))
    except sqlite3.Error:
        return _prepared(sqlite3.connect(":memory:", check_same_thread=False))


def _prepared(database: sqlite3.Connection) -> sqlite3.Connection:
    """The table, made anew where it is of another version."""
    (version,) = database.execute("pragma user_version").fetchone()
    if version != VERSION:
        database.execute("drop table if exists runs")
        database.execute(f"pragma user_version = {VERSION}")
    columns = ", ".join(COLUMNS)
    database.execute(f"create table if not exists runs ({columns}, stamp, primary key (path))")
    database.commit()
    return database


def as_json(rows: Sequence[Row]) -> str:
    """Rows as JSON, for scripts."""
    return json.dumps([vars(row) for row in rows])
