"""What the conformance kit has found, as a table and in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from harness.conformance.kit import Case, LoopFactory, Nonconformance
from harness.conformance.through_proxy import Tried
from harness.errors import EXIT_INVALID, EXIT_UNKNOWN, EXIT_VALID

SCRIPTED: Final = "scripted server"
PROXIED: Final = "real server, through a proxy"


@dataclass
class Row:
    """One operation under one of the two: of how many cases how many showed nothing, or a fault."""

    operation: str
    under: str
    cases: int = 0
    untried: int = 0
    wrong: int = 0

    def told(self) -> str:
        """In a few words."""
        if self.untried == self.cases:
            return "not tried"
        words = [f"{self.cases - self.untried} cases"]
        words.append(f"{self.wrong} wrong" if self.wrong else "right")
        if self.untried:
            words.append(f"{self.untried} not reached")
        return ", ".join(words)


@dataclass
class Findings:
    """All that was tried of one system's client."""

    system: str
    versions: Mapping[str, str] = field(default_factory=dict)
    provider: str = ""
    rows: list[Row] = field(default_factory=list)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    why_not: dict[str, str] = field(default_factory=dict)
    """Of an operation or a whole part that showed nothing, why."""

    @property
    def exit_code(self) -> int:
        """1 if the client did wrong, 2 if something could not be tried, else 0."""
        if self.wrong:
            return EXIT_INVALID
        is_empty = not self.rows or any(row.untried == row.cases for row in self.rows)
        return EXIT_UNKNOWN if is_empty else EXIT_VALID

    def as_json(self) -> dict[str, Any]:
        """Everything, with ``valid`` as a verdict has it."""
        valid = {EXIT_VALID: True, EXIT_INVALID: False}.get(self.exit_code, "unknown")
        return {"valid": valid, **asdict(self)}

    def lines(self) -> Iterator[str]:
        """The table, and below it what the client did wrong, in words."""
        versions = " ".join(f"{name} {version}" for name, version in self.versions.items())
        where = f", on {self.provider}" if self.provider else ""
        yield f"the client of {self.system}{f' ({versions})' if versions else ''}{where}"
        yield ""
        yield from self._table()
        if self.wrong:
            yield ""
            yield f"The client did wrong in {len(self.wrong)} cases:"
        for case in self.wrong:
            yield f"  {case['case']}"
            yield from (f"    {what}" for what in case["what"])
        if self.why_not:
            yield ""
            yield "Not tried:"
        yield from (f"  {name}: {why}" for name, why in self.why_not.items())

    def _table(self) -> Iterator[str]:
        found: dict[str, dict[str, str]] = {}
        for row in self.rows:
            found.setdefault(row.operation, {})[row.under] = row.told()
        columns = [
            under for under in (SCRIPTED, PROXIED) if any(under in c for c in found.values())
        ]
        table = [["operation", *columns]]
        table += [[name, *(cells.get(c, "-") for c in columns)] for name, cells in found.items()]
        widths = [max(len(line[n]) for line in table) for n in range(len(table[0]))]
        for line in table:
            yield "  ".join(
                cell.ljust(width) for cell, width in zip(line, widths, strict=True)
            ).rstrip()


def try_scripted(
    findings: Findings,
    cases: Sequence[Case],
    loop_factory: LoopFactory | None = None,
) -> None:
    """Run ``cases`` one by one, and note what the client did."""
    rows: dict[str, Row] = {}
    for case in cases:
        row = rows.setdefault(case.trial.name, Row(case.trial.name, SCRIPTED))
        row.cases += 1
        try:
            case.run(loop_factory)
        except Nonconformance as error:
            row.wrong += 1
            what = str(error).removeprefix(f"{case}: ")
            findings.wrong.append({"under": SCRIPTED, "case": str(case), "what": [what]})
    findings.rows += rows.values()


def note_proxied(findings: Findings, tried: Sequence[Tried]) -> None:
    """Note what came of the cases before the real server."""
    rows: dict[str, Row] = {}
    for each in tried:
        row = rows.setdefault(each.trial, Row(each.trial, PROXIED))
        row.cases += 1
        row.untried += each.why_not is not None and not each.wrong
        row.wrong += bool(each.wrong)
        if each.wrong:
            wrong = {"under": PROXIED, "case": str(each), "what": each.wrong}
            findings.wrong.append(wrong)
        elif each.why_not is not None:
            findings.why_not.setdefault(f"{each}", each.why_not)
    findings.rows += rows.values()
