"""A finding: a shipped scenario that also says what is expected of it, and where that is published.

The scenario's file ends in a table ``[finding]``, which every other verb leaves alone. With an
empty ``expect`` the scenario is a *control*: the same workload and faults on something that must
stay clean, without which a violation proves nothing but that the tester cries wolf.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from harness.errors import UsageError, unknown_name
from harness.scenarios import shipped

TABLE: Final = "finding"


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One finding, or one control.

    ``what`` is said in a sentence; ``source`` is where it was published; ``expect`` holds kinds of
    anomalies as a soak has them (``"linearizable: stale-read"``), of which one must be seen, or
    nothing at all; ``control`` names the finding that is its control; ``tried`` says what else was
    tried, where it does not show, and why a control is not clean, where that is known.
    """

    what: str
    expect: list[str]
    source: str = ""
    control: str = ""
    tried: str = ""
    name: str = ""
    scenario: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def is_control(self) -> bool:
        """Whether nothing must be found."""
        return not self.expect

    @property
    def system(self) -> str:
        """What is under test."""
        return str(self.scenario["system"])


def scenario_of(table: Mapping[str, Any]) -> dict[str, Any]:
    """The flat table of a scenario's file, without what is a finding's alone."""
    return {name: value for name, value in table.items() if name != TABLE}


def parsed(name: str, text: str) -> Finding | None:
    """The finding in a scenario's file, ``None`` if it is a scenario and no more.

    ``UsageError`` where its table is not as it must be.
    """
    table = tomllib.loads(text)
    if TABLE not in table:
        return None
    told = {**table[TABLE], "name": name, "scenario": scenario_of(table)}
    try:
        return msgspec.convert(told, Finding)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"the scenario {name}: [finding]: {error}", "docs/track-record.md"
        ) from error


def findings() -> dict[str, Finding]:
    """Every finding that we ship, by its name; ``UsageError`` if one's control is none."""
    read = {name: parsed(name, file.read_text("utf-8")) for name, file in shipped().items()}
    found = {name: finding for name, finding in sorted(read.items()) if finding is not None}
    for finding in found.values():
        control = found.get(finding.control)
        if finding.control and (control is None or not control.is_control):
            raise UsageError(f"{finding.name}: {finding.control} is no control that we ship")
    return found


def chosen(
    known: Mapping[str, Finding], names: Iterable[str], systems: Iterable[str]
) -> list[Finding]:
    """Those named, with their controls; all of some systems; all there are if nothing is said."""
    wanted, of = list(names), set(systems)
    for name in wanted:
        if name not in known:
            raise UsageError(unknown_name("finding", name, list(known)))
    unknown = of - {finding.system for finding in known.values()}
    if unknown:
        raise UsageError(f"there is no finding on the system {min(unknown)}")
    if not wanted:
        return [each for each in known.values() if not of or each.system in of]
    taken = dict.fromkeys(each for name in wanted for each in (name, known[name].control) if each)
    return [known[name] for name in taken]
