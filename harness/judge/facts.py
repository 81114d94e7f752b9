"""What a run says of itself in ``evidence/``, taken as it is meant or not at all.

The folder may have come from anybody, so each fact that is judged by has its shape here. One that
has not (a text where a number belongs) is left out and named, and the verdict is unknown: nothing
is guessed, and nothing gets better by being damaged. Facts that nobody judges by may be anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from harness.judge.patterns import is_harmless
from harness.store.untrusted import Folder

FACTS: Final = "evidence/run.json"
STATES: Final = "evidence/final_states.json"
UNREADABLE: Final = "unreadable"
"""The key under which the facts that were left out are named."""
MOST: Final = 2**63
"""Times are nanoseconds and counts are small: no whole number of a run is larger."""
Shape = Callable[[Any], bool]


def read_facts(run_dir: Path) -> dict[str, Any] | None:
    """``evidence/run.json``; ``None`` where it is missing, no plain file, or no object."""
    found = _read(run_dir, FACTS)
    if not isinstance(found, dict):
        return None
    fits = {name: value for name, value in found.items() if SHAPES.get(name, _anything)(value)}
    odd = [name for name in found if name not in fits]
    return {**fits, UNREADABLE: odd}


def read_states(run_dir: Path) -> dict[str, Any] | None:
    """``evidence/final_states.json``, ``None`` where there is none.

    Where there is one that says nothing, no node's state is known.
    """
    found = _read(run_dir, STATES)
    if found is None:
        return None
    if _STATES(found):
        return dict(found)
    return {"states": {}, "unread": {"every node": f"{STATES} cannot be understood"}}


def _read(run_dir: Path, name: str) -> Any:
    """What the file says, ``None`` without a file; an empty text where it cannot be read."""
    try:
        return Folder(run_dir).json(name)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return ""


def _anything(value: Any) -> bool:
    return True


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -MOST <= value < MOST


def _number(value: Any) -> bool:
    return _whole(value) or (isinstance(value, float) and math.isfinite(value))


def _number_or_text(value: Any) -> bool:
    return _number(value) or _text(value)


def _span(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_whole, value))


def _or_null(shape: Shape) -> Shape:
    return lambda value: value is None or shape(value)


def _list(of: Shape) -> Shape:
    return lambda value: isinstance(value, list) and all(map(of, value))


def _table(of: Shape) -> Shape:
    return lambda value: isinstance(value, dict) and all(map(of, value.values()))


def _fields(**known: Shape) -> Shape:
    """An object whose fields of these names have these shapes; any may be missing."""

    def fits(value: Any) -> bool:
        return isinstance(value, dict) and all(
            shape(value[name]) for name, shape in known.items() if name in value
        )

    return fits


def _with(fields: Shape, *needed: str) -> Shape:
    return lambda value: fields(value) and all(name in value for name in needed)


_ENTRY = _or_null(_with(_fields(value=_anything, version=_anything), "value"))
_STATES = _with(
    _fields(states=_table(_table(_ENTRY)), unread=_table(_text), waited_s=_number), "states"
)


SHAPES: Final[Mapping[str, Shape]] = {
    "id": _text,
    "provider": _text,
    "phases": _table(_span),
    "checkers": _list(_text),
    "checker_origins": _table(_text),
    "claims_of": _list(_text),
    "claims_by": _text,
    "other_claim": _or_null(
        _with(
            _fields(by=_text, claims=_list(_text), not_durable=_or_null(_text), source=_text),
            *("by", "claims", "not_durable", "source"),
        )
    ),
    "checker_options": _fields(
        crash_patterns=_list(is_harmless),
        expected_exits=_table(_list(is_harmless)),
        log_patterns=_table(_list(is_harmless)),
        expected_lines=_table(_list(is_harmless)),
    ),
    "gauges": _list(
        _with(
            _fields(
                name=_text,
                help=_text,
                unit=_text,
                returns_to=_or_null(_number_or_text),
                slack=_number,
                within_s=_number,
                at_most=_or_null(_number),
                never_falls=_flag,
                same_everywhere=_flag,
                restarts=_flag,
                grows=_flag,
            ),
            "name",
        )
    ),
    "option_defaults": _table(_anything),
    "start_wall_ns": _or_null(_whole),
    "partial": _flag,
    "interrupted": _flag,
    "stopped_at": _or_null(
        _with(
            _fields(checker=_text, kind=_text, time_s=_number, index=_whole, message=_text),
            *("checker", "kind", "time_s", "index", "message"),
        )
    ),
    "ended_early": _or_null(_text),
    "lost_nodes": _list(_text),
    "unhealed": _list(_text),
    "recovery": _or_null(_fields(ready=_or_null(_flag), seconds=_or_null(_number), why=_text)),
    "exits": _list(
        _fields(
            node=_text,
            daemon=_text,
            role=_text,
            pid=_whole,
            time=_whole,
            status=_or_null(_whole),
            killed_by=_or_null(_whole),
        )
    ),
    "lag_ms": _table(_number),
    "stuck_threads": _whole,
    "stuck_in": _table(_whole),
    "blocking_calls": _list(_with(_fields(by=_text, at=_text, seconds=_number), "by", "at")),
    "suspended_ms": _number,
    "final_keys": _or_null(
        _with(
            _fields(read=_whole, open_under_faults=_whole, used=_whole, read_of_all=_whole),
            *("read", "open_under_faults"),
        )
    ),
    "machine_trouble": _list(_text),
    "milestones": _table(_whole),
}
"""Every fact that a verdict may be made from, and whether a value can be one."""
