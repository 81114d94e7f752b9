"""What the parts that come with Polygraph say of themselves: a line each, and their options.

Help and completion must answer at once, and importing every system, workload, fault and provider
takes longer than that. So what they say is kept in ``built_in.json`` beside this module, which
``make pages`` writes and a test compares with the parts. Nothing else is believed of it: a run
asks the parts themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from harness.option import Duration, Milliseconds, Option, Size, with_files

FILE: Final = "built_in.json"
KINDS: Final[Mapping[str, type]] = {
    "bool": bool,
    "str": str,
    "int": int,
    "float": float,
    "path": Path,
    "time": Duration,
    "milliseconds": Milliseconds,
    "size": Size,
}
"""The kinds of options by the words for them in the file."""
MIXES: Final = ("all", "random")
"""Words of ``--nemesis`` for several faults, as in ``harness.run.mixes`` (not imported here)."""
WITH: Final[Mapping[str, str]] = {
    "systems": "Of the system",
    "nemeses": "With --nemesis",
    "workloads": "With --workload",
    "providers": "With --provider",
}
"""Kinds of parts that have options to the headings over those."""


@dataclass(frozen=True)
class Part:
    """One thing that can be named."""

    name: str
    line: str
    options: tuple[Option, ...] = ()


@cache
def parts() -> Mapping[str, Mapping[str, Part]]:
    """Kind (``systems``, …, ``scenarios``, ``anomalies``, ``models``) to name to part."""
    table = json.loads((files("harness.cli") / FILE).read_text("utf-8"))
    return {
        kind: {name: _read(name, said) for name, said in found.items()}
        for kind, found in table.items()
    }


def names_of(kind: str) -> Mapping[str, str]:
    """Name to line."""
    return {name: part.line for name, part in parts().get(kind, {}).items()}


def options_of(kind: str) -> dict[Option, list[str]]:
    """The options of all parts of a kind as flags, each with whose it is: some share theirs."""
    owners: dict[Option, list[str]] = {}
    for name, part in parts().get(kind, {}).items():
        for option in with_files(part.options):
            owners.setdefault(option, []).append(name)
    return owners


def options_with(chosen: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, Option]]:
    """The options of the parts that are named by kind, each with its heading."""
    for kind, names in chosen.items():
        for name in names:
            part = parts().get(kind, {}).get(name)
            for option in with_files(part.options) if part is not None else ():
                yield f"{WITH[kind]} {name}", option


def written(option: Option) -> dict[str, Any]:
    """The option as the file has it: what differs from an option that says nothing."""
    words = {kind: word for word, kind in KINDS.items()}
    told: dict[str, Any] = {"name": option.name, "kind": words.get(option.kind, "str")}
    told |= {"help": option.help}
    rest = ("choices", "words", "bare", "many", "least", "above", "most", "secret", "advice")
    for name in ("default", *rest):
        value = getattr(option, name)
        if value != getattr(Option, name, None):
            told[name] = str(value) if isinstance(value, Path) else value
    return told


def _read(name: str, said: Mapping[str, Any]) -> Part:
    options = [{**each, "kind": KINDS[each["kind"]]} for each in said.get("options", ())]
    for each in options:
        for listed in ("choices", "words"):
            each[listed] = tuple(each.get(listed, ()))
        if isinstance(each.get("default"), list):
            each["default"] = tuple(each["default"])
    return Part(name, said["line"], tuple(Option(**each) for each in options))
