"""One row of the index for each run: found by a look through the store, read from its folder.

What stands in a folder may be anybody's, so a row is made of what has the shape that it should
have, and says of the rest that it is unreadable and why. Nothing in one folder can keep another
from having its row, and no text of a row can be more than text: it is made visible here already.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from harness.report.display import visible
from harness.store.runs import MARKS
from harness.store.untrusted import Folder, NotPlain, parsed_toml
from harness.wording import named as in_words

VERDICTS: Final = {"true": "valid", "false": "invalid", "unknown": "unknown"}
NO_VERDICT: Final = "none"
RUNNING: Final = "running"
"""The status of a run under way."""
UNREADABLE: Final = "unreadable"
MOST_RUNS: Final = 100_000
"""Run folders that are looked at in one store."""
MOST_SCENARIO_BYTES: Final = 1 << 20
_MOST_SEED: Final = 1 << 128
_MOST_COUNT: Final = 1 << 63
_MOST_NS: Final = 1e24
_SCENARIO: Final = "scenario.toml"
_READ: Final = ("verdict.json", _SCENARIO)
_FACTS: Final = "evidence/run.json"
_LOOK: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run. ``path`` is relative to the store; ``began`` is local time, ISO 8601.

    ``trouble`` says which of its files are unreadable, and why. ``state`` is ``over``, or of a run
    without a verdict also ``under way`` or ``not known``. ``kind`` is the same for runs that differ
    in nothing but their seeds (empty where the scenario is not known): only these can be counted
    together as trials of one thing.
    """

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
    trouble: str
    state: str
    kind: str

    @property
    def status(self) -> str:
        """The verdict, or :data:`RUNNING` where it may still come."""
        return RUNNING if self.state == "under way" else self.verdict

    @property
    def faults(self) -> list[str]:
        """The names given to ``--nemesis``."""
        return [name for name in self.nemesis.split(",") if name]


_KINDS: Final = {
    field.name: {"str": str, "int": int, "float": float}[str(field.type)] for field in fields(Row)
}


def row_of(value: Any) -> Row | None:
    """The row that ``value`` tells field by field, or ``None`` where it is none."""
    if not isinstance(value, dict) or value.keys() != _KINDS.keys():
        return None
    is_whole = all(type(value[name]) is kind for name, kind in _KINDS.items())
    return Row(**value) if is_whole else None


def run_folders(store: Path, troubles: list[str]) -> Iterator[tuple[str, str]]:
    """Every run folder of ``store`` with its stamp, which changes when what its row tells does.

    Links are not followed, what is gone is passed over, and a folder of a system or workload that
    cannot be looked into is told in ``troubles``.
    """
    yield from islice(_runs(store, troubles), MOST_RUNS)


def _runs(store: Path, troubles: list[str]) -> Iterator[tuple[str, str]]:
    for system, in_system in _folders(os.fspath(store), None, "", troubles):
        for workload, in_workload in _folders(system, in_system, system, troubles):
            path = f"{system}/{workload}"
            for name in _names(in_workload, path, troubles):
                stamp = _stamp(in_workload, name)
                if stamp is not None:
                    yield f"{path}/{name}", stamp


def _folders(
    name: str, inside: int | None, shown: str, troubles: list[str]
) -> Iterator[tuple[str, int]]:
    """The folders in ``name``, each with its descriptor, open until the next is asked for."""
    flags = _LOOK if inside is not None else _LOOK & ~os.O_NOFOLLOW
    parent = _opened(name, inside, flags, shown, troubles) if inside is None else inside
    if parent is None:
        return
    try:
        for each in _names(parent, shown, troubles):
            number = _opened(each, parent, _LOOK, f"{shown}/{each}".strip("/"), troubles)
            if number is not None:
                try:
                    yield each, number
                finally:
                    os.close(number)
    finally:
        if inside is None:
            os.close(parent)


def _opened(
    name: str, inside: int | None, flags: int, shown: str, troubles: list[str]
) -> int | None:
    try:
        return os.open(name, flags, dir_fd=inside)
    except FileNotFoundError:
        return None
    except OSError as error:
        troubles.append(f"{visible(shown) or 'the store'} cannot be looked into: {error.strerror}")
        return None


def _names(inside: int, shown: str, troubles: list[str]) -> list[str]:
    """The folders in a folder, no links; none if it was removed meanwhile."""
    try:
        with os.scandir(inside) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    except OSError as error:
        troubles.append(f"{visible(shown)} cannot be looked into: {error.strerror}")
        return []


def _stamp(inside: int, run: str) -> str | None:
    """Of the files that a row is read from; ``None`` where the folder is no run's."""
    verdict, scenario = (_mark(inside, f"{run}/{name}") for name in _READ)
    if not scenario and not any(_mark(inside, f"{run}/{name}") for name in MARKS):
        return None
    # A link on the way to it is not passed, not even to look at what is behind.
    facts = _mark(inside, f"{run}/{_FACTS}") if _is_folder(inside, f"{run}/evidence") else ""
    return f"{verdict} {scenario} {facts}"


def _mark(inside: int, name: str) -> str:
    try:
        found = os.stat(name, dir_fd=inside, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"!{error.errno}"
    return f"{found.st_mode}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"


def _is_folder(inside: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=inside, follow_symlinks=False).st_mode)
    except OSError:
        return False


def is_run(inside: Folder, path: str) -> bool:
    """Whether there is a run folder at ``path`` in the store, with no link on the way."""
    parts = path.split("/")
    if len(parts) != 3 or any(part in ("", ".", "..") or "\0" in part for part in parts):
        return False
    run = inside.below(path)
    try:
        run.changed_s()
    except PermissionError:
        return True
    except OSError:
        return False
    return any(_is_there(run, mark) for mark in MARKS)


def _is_there(run: Folder, name: str) -> bool:
    try:
        run.stat(name)
    except (NotPlain, PermissionError):
        return True
    except OSError:
        return False
    return True


def address(path: str) -> str:
    """``path`` as it stands in an address; names that are no text come back as they were."""
    return quote(os.fsencode(path))


def path_of(address: str | bytes) -> str:
    """The path that :func:`address` made an address of."""
    return os.fsdecode(unquote_to_bytes(address))


def row(inside: Folder, path: str) -> Row:
    """:func:`read_row`, and nothing that it meets can keep the others from having theirs."""
    try:
        return read_row(inside, path)
    except Exception as error:  # a defect of ours: told in the run's own row
        blank: dict[str, Any] = {name: kind() for name, kind in _KINDS.items()}
        system, workload = (visible(part, 100) for part in path.split("/")[:2])
        named = {"path": path, "system": system, "workload": workload, "verdict": UNREADABLE}
        named["state"] = "over"
        return Row(**{**blank, **named, "trouble": visible(in_words(error), 200)})


def read_row(inside: Folder, path: str) -> Row:
    """The row of the run at ``path`` in the store; a killed, broken or odd run has one too."""
    troubles: list[str] = []
    run = inside.below(path)
    verdict = _object(run, "verdict.json", troubles)
    word = NO_VERDICT if verdict is None and not troubles else _word(verdict or {}, troubles)
    scenario = _scenario(run, troubles)
    if word == NO_VERDICT and troubles:
        word = UNREADABLE
    facts = _object(run, _FACTS, troubles) or {}
    state, no_verdict = _state(inside.path / path) if word == NO_VERDICT else ("over", "")
    found = _Found(troubles)
    system, workload = path.split("/")[:2]
    return Row(
        path=path,
        system=visible(system, 100),
        workload=visible(workload, 100),
        nemesis=found.text(scenario, "nemesis", 400),
        verdict=word,
        why=no_verdict or found.text(verdict or {}, "why", 1000),
        seed=found.whole(scenario.get("seed"), "seed", _MOST_SEED),
        provider=found.text(facts if "provider" in facts else scenario, "provider", 100),
        began=_began(run, path),
        seconds=found.seconds(facts),
        operations=found.operations(verdict or {}),
        trouble="; ".join(troubles[:3]),
        state=state,
        kind=_kind(path, scenario),
    )


def _kind(path: str, scenario: Mapping[str, Any]) -> str:
    """A name for all runs of the same scenario, whatever their seeds."""
    if not scenario:
        return ""
    told = {name: value for name, value in scenario.items() if name != "seed"}
    text = json.dumps([path.split("/")[:2], told], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]


def _state(run_dir: Path) -> tuple[str, str]:
    """Whether a run without a verdict is over, and if it is, why it has none."""
    from harness.store.ended import ending, why_no_verdict

    state = ending(run_dir).state
    if state in ("under way", "not known"):
        return state, ""
    return "over", visible(why_no_verdict(run_dir) or "", 1000)


def _word(verdict: Mapping[str, Any], troubles: list[str]) -> str:
    """What the verdict says; only the very values that a verdict may have say anything."""
    valid = verdict.get("valid")
    said = str(valid).lower() if isinstance(valid, bool) else valid
    if isinstance(said, str) and said in VERDICTS and (isinstance(valid, bool) or said != "true"):
        return VERDICTS[said]
    if not troubles:
        troubles.append('verdict.json: "valid" is neither true, false nor "unknown"')
    return UNREADABLE


@dataclass(frozen=True)
class _Found:
    """Takes the values of a row out of what was read, and tells those of another shape."""

    troubles: list[str]

    def text(self, values: Mapping[str, Any], name: str, limit: int) -> str:
        """A text, made visible and cut; empty where there is none."""
        value = values.get(name)
        if value is not None and not isinstance(value, str):
            self.troubles.append(f"{name} is no text")
        return visible(value, limit) if isinstance(value, str) else ""

    def whole(self, value: Any, name: str, most: int) -> int:
        """A whole number below ``most`` either way, else 0."""
        if value is None:
            return 0
        if not isinstance(value, int) or isinstance(value, bool) or not -most < value < most:
            self.troubles.append(f"{name} is no number that can be")
            return 0
        return value

    def seconds(self, facts: Mapping[str, Any]) -> float:
        """When the last phase ended."""
        phases = facts.get("phases")
        spans = phases.values() if isinstance(phases, dict) else ()
        ends = [span[-1] for span in spans if isinstance(span, list) and span]
        known = [end for end in ends if isinstance(end, int | float) and abs(end) < _MOST_NS]
        if len(known) < len(ends):
            self.troubles.append("a phase ends at no time that can be")
        return max((end / 1e9 for end in known if math.isfinite(end)), default=0.0)

    def operations(self, verdict: Mapping[str, Any]) -> int:
        """How many there were, of every kind and type."""
        kinds = verdict.get("operations")
        counts = [
            self.whole(count, "a count of operations", _MOST_COUNT)
            for by_type in (kinds.values() if isinstance(kinds, dict) else ())
            for count in (by_type.values() if isinstance(by_type, dict) else ())
        ]
        return sum(counts)


def _object(run: Folder, name: str, troubles: list[str]) -> dict[str, Any] | None:
    """The JSON object in a file; ``None`` where it is missing or, which is told, unreadable."""
    try:
        value = run.json(name)
    except FileNotFoundError:
        return None
    except OSError as error:
        troubles.append(f"{name} {_said(error)}")
        return None
    except ValueError as error:
        troubles.append(f"{name}: {visible(str(error), 200)}")
        return None
    if not isinstance(value, dict):
        troubles.append(f"{name} is no JSON object")
        return None
    return value


def _said(error: OSError) -> str:
    """Why a file is not read, as it reads after its name."""
    said = error.strerror or str(error)
    return said if said.startswith(("is ", "lies ")) else f"cannot be read: {said}"


def _scenario(run: Folder, troubles: list[str]) -> Mapping[str, Any]:
    try:
        return parsed_toml(run.read(_SCENARIO, MOST_SCENARIO_BYTES))
    except FileNotFoundError:
        return {}
    except OSError as error:
        troubles.append(f"{_SCENARIO} {_said(error)}")
    except ValueError as error:
        troubles.append(f"{_SCENARIO} {visible(str(error), 200)}")
    return {}


def _began(run: Folder, path: str) -> str:
    """When the run began, by its name; by its folder's time where the name is another."""
    try:
        return datetime.strptime(path.rsplit("/", 1)[-1][:15], "%Y%m%dT%H%M%S").isoformat()
    except ValueError:
        pass
    try:
        changed_s = run.changed_s()
        return datetime.fromtimestamp(changed_s).isoformat(timespec="seconds")
    except (OSError, OverflowError, ValueError):  # gone, or in a year that has no name
        return ""
