"""The table of ``docs/track-record.md``, written from the results that lie beside it.

Each finding's last result is a small file of its own in ``record/`` beside the page, so that who
measures one touches no other; the table between the two marks is made from all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from harness.errors import UsageError, cannot_write
from harness.record.finding import Finding
from harness.record.result import Result, is_as_expected

BEGIN: Final = "<!-- record: written by polygraph record, not by hand -->"
END: Final = "<!-- /record -->"
FOLDER: Final = "record"
_HEAD: Final = """\
| finding | on | expected | seen | rate (95 %) | first seen after | control | code |
|---|---|---|---|---|---|---|---|
"""
_CONTROLS: Final = """\
| control | on | violations | rate at most (95 %) | operations | code |
|---|---|---|---|---|---|
"""


def keep(page: Path, result: Result) -> None:
    """Write a result beside ``page``, instead of the one that was there."""
    folder = page.parent / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        text = msgspec.json.format(msgspec.json.encode(result), indent=1)
        (folder / f"{result.finding}.json").write_bytes(text + b"\n")
    except OSError as error:
        raise cannot_write(f"cannot write into {folder}", error) from error


def kept(page: Path) -> dict[str, Result]:
    """The results beside ``page``, by finding."""
    files = sorted((page.parent / FOLDER).glob("*.json"))
    try:
        results = [msgspec.json.decode(file.read_bytes(), type=Result) for file in files]
    except msgspec.MsgspecError as error:
        raise UsageError(f"{page.parent / FOLDER}: not a result: {error}") from error
    return {result.finding: result for result in results}


def rewrite(page: Path, findings: Mapping[str, Finding]) -> None:
    """Put the table of all results into ``page``, between its marks."""
    try:
        text = page.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {page}: {error.strerror}") from error
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"{page} has no place for the table", f"{BEGIN} and {END}, a line each")
    table = written(findings, kept(page))
    try:
        page.write_text(f"{before}{BEGIN}\n\n{table}\n{END}{after}", "utf-8")
    except OSError as error:
        raise cannot_write(f"cannot write {page}", error) from error


def written(findings: Mapping[str, Finding], results: Mapping[str, Result]) -> str:
    """Both tables in Markdown: findings, and controls."""
    positives = [each for each in findings.values() if not each.is_control]
    controls = [each for each in findings.values() if each.is_control]
    rows = [_row(each, results) for each in positives]
    clean = [_control_row(each, results.get(each.name)) for each in controls]
    return "\n".join([_HEAD + "\n".join(rows), "", _CONTROLS + "\n".join(clean), ""])


def _row(finding: Finding, results: Mapping[str, Result]) -> str:
    result = results.get(finding.name)
    what = finding.what.replace("|", "\\|")
    source = f"; {finding.source}" if finding.source else ""
    cells = [
        f"`{finding.name}`: {what}{source}",
        _on(finding, result),
        ", ".join(f"`{kind}`" for kind in finding.expect),
        _seen(finding, result),
        _rate(result),
        _times(result),
        _control(finding, results),
        f"`{result.commit}`" if result else "",
    ]
    return f"| {' | '.join(cells)} |"


def _control_row(finding: Finding, result: Result | None) -> str:
    bad = "not run" if result is None else f"{result.found} of {result.decided}"
    if result is not None and result.found:
        bad += f" ({', '.join(result.others)})" + (f"; {finding.tried}" if finding.tried else "")
    cells = [
        f"`{finding.name}`: {finding.what.replace('|', chr(92) + '|')}",
        _on(finding, result),
        bad + _undecided(result),
        _percent(result.high) if result and result.decided and not result.found else _rate(result),
        f"{result.operations:,}" if result else "",
        f"`{result.commit}`" if result else "",
    ]
    return f"| {' | '.join(cells)} |"


def _on(finding: Finding, result: Result | None) -> str:
    versions = ", ".join(f"{name} {it}" for name, it in (result.versions if result else {}).items())
    return versions or finding.system


def _seen(finding: Finding, result: Result | None) -> str:
    if result is None:
        return "not run"
    said = f"{result.found} of {result.decided}"
    if result.others:
        said += f", also {', '.join(result.others)}"
    if is_as_expected(finding, result) is False and finding.tried:
        said += f"; {finding.tried}"
    return said + _undecided(result)


def _undecided(result: Result | None) -> str:
    left = result.runs - result.decided if result else 0
    return f" ({left} undecided)" if left else ""


def _rate(result: Result | None) -> str:
    if result is None or not result.decided:
        return ""
    return f"{_percent(result.low)} to {_percent(result.high)}"


def _times(result: Result | None) -> str:
    times = result.seen_s if result else []
    if not times:
        return ""
    middle = times[len(times) // 2]
    return f"{middle:g} s ({times[0]:g} to {times[-1]:g})" if len(times) > 1 else f"{middle:g} s"


def _control(finding: Finding, results: Mapping[str, Result]) -> str:
    if not finding.control:
        return ""
    result = results.get(finding.control)
    clean = "not run" if result is None else f"{result.found} of {result.decided} invalid"
    return f"`{finding.control}`: {clean}"


def _percent(rate: float) -> str:
    return f"{100 * rate:.3g} %"
