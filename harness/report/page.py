"""The page: everything the run folder holds, put together into one file.

``report.html`` must work from a disk with the network off, today and in ten years: style,
programs, pictures and data are inside, nothing is loaded, no link leaves the page, and its own
content policy forbids the browser to try (scripts run by hash only, so that a hostile value that
slipped through would still be dead text). The template escapes; foreign text went through
:mod:`harness.report.display` before.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.history.bounds import USUAL, Bounds
from harness.history.history import History
from harness.history.operation import TYPES
from harness.report.bands import Band
from harness.report.concurrency import thread_count
from harness.report.display import duration, seconds, shown, visible
from harness.report.facts import run_facts
from harness.report.findings import (
    MOST_DRAWN,
    Finding,
    fault_counts,
    findings,
    issues,
    parts,
    steps_beside,
    texts,
    word_of,
)
from harness.report.intervals import Calls
from harness.report.lanes import draw
from harness.report.logs import NodeLog, read_logs
from harness.report.model import Run, read_run
from harness.report.plots import Plot, draw_plots, write_pictures
from harness.report.timeline import script_json, timeline_data
from harness.report.wording import Wording
from harness.store.ended import why_no_verdict
from harness.store.runs import write_text
from harness.store.untrusted import Folder

SCRIPTS = (
    "dom.js",
    "data.js",
    "view.js",
    "paint.js",
    "overview.js",
    "details.js",
    "search.js",
    "input.js",
    "logs.js",
    "start.js",
)
"""The page's program, in the order in which its files are joined."""
PILLOW = "pip install 'polygraph-db[plots]'"


def render(run_dir: Path, bounds: Bounds = USUAL, *, history: History | None = None) -> Path:
    """Write ``report.html`` and ``plots/`` into ``run_dir`` and return the page's path.

    Any part of the folder may be missing. Raises :class:`harness.errors.UsageError` if ``run_dir``
    is no folder and ``StoreError`` or ``OSError`` if it cannot be written. A page that somebody
    else writes at the same time (a run under way, and who looks at it) is replaced whole.
    ``history`` is that of the folder, where it is at hand already.
    """
    run = read_run(Path(run_dir), bounds, history=history)
    page = run.folder / "report.html"
    write_text(page, _html(run, run.inside.below("plots")))
    return page


def page_of(folder: Path | Folder, bounds: Bounds = USUAL) -> str:
    """The page of a run, of which nothing is written."""
    return _html(read_run(folder, bounds), None)


def _html(run: Run, plots_folder: Folder | None) -> str:
    wording = Wording(run.calls)
    found, left_out = findings(run.verdict, run.calls.by_index)
    anomalies = [_anomaly(run, finding, wording) for finding in found]
    windows = [(a["start_ns"], a["end_ns"]) for a in anomalies if a["calls"]]
    plots, plots_notice = _plots(run, plots_folder)
    logs = read_logs(run.inside, run.start_wall_ns, windows)
    data = timeline_data(
        run.calls,
        run.bands,
        [_for_timeline(anomaly) for anomaly in anomalies],
        wording=wording,
        threads=thread_count(run.calls, run.scenario),
    )
    program = "\n".join(_asset(name) for name in SCRIPTS)
    program = f'(() => {{\n"use strict";\n{program}\n}})();\n'
    page: str = _template().render(
        verdict=_verdict(run.verdict),
        no_verdict="" if run.verdict else shown(why_no_verdict(run.folder) or "", 2000),
        facts=run_facts(run),
        notices=run.notices,
        anomalies=anomalies,
        drawn=MOST_DRAWN,
        keyed=run.calls.keyed,
        anomalies_left_out=left_out,
        bands=run.bands,
        has_ledger=run.has_ledger,
        plots=plots,
        plots_notice=plots_notice,
        calls=len(run.calls),
        logs=logs,
        scenario=visible(run.scenario_text, 100_000),
        timeline_json=script_json(data),
        logs_json=script_json([_log(log) for log in logs]),
        style=_asset("report.css"),
        program=program,
        program_hash=base64.b64encode(hashlib.sha256(program.encode()).digest()).decode(),
    )
    return page


@cache
def _template() -> Any:
    """Read and compiled once a process."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_last_look,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(seconds=seconds, duration=duration)
    return environment.get_template("report.html.j2")


def _last_look(value: Any) -> Any:
    """A net below the others: no text gets into the page with unseen characters in it."""
    return visible(value, len(value)) if type(value) is str else value


def _asset(name: str) -> str:
    return files("harness.report").joinpath("assets", name).read_text(encoding="utf-8")


def _verdict(verdict: Mapping[str, Any]) -> dict[str, Any]:
    word = word_of(verdict.get("valid"))
    return {
        "word": word,
        "why": shown(verdict.get("why") or "", 4000),
        "claims": texts(verdict.get("claims")),
        "claims_of": texts(verdict.get("claims_of")),
        "not_durable": shown(verdict.get("not_durable") or "", 400),
        "claims_by": shown(verdict.get("claims_by") or "", 40),
        "other_claim": _other_claim(verdict.get("other_claim")),
        "reproduce": shown(verdict.get("reproduce") or "", 4000),
        "health": issues(verdict.get("health")),
        "settle": steps_beside(verdict.get("settle"), verdict.get("health")),
        "parts": parts(verdict),
        "ruled_out": list(dict.fromkeys(m for part in parts(verdict) for m in part.ruled_out)),
        "faults": fault_counts(verdict.get("faults")),
    }


def _other_claim(claim: Any) -> dict[str, Any] | None:
    """A claim that was not judged."""
    if not isinstance(claim, Mapping):
        return None
    return {
        "by": shown(claim.get("by") or "", 40),
        "claims": texts(claim.get("claims")),
        "not_durable": shown(claim.get("not_durable") or "", 400),
        "source": shown(claim.get("source") or "", 400),
    }


def _plots(run: Run, folder: Folder | None) -> tuple[list[Plot], str]:
    """The plots, also as files in ``folder`` if it is given; and what there is to say of them."""
    plots = draw_plots(run.calls, run.bands)
    if not plots:
        return [], "No operation completed, so there is nothing to plot."
    try:
        if folder is not None:
            write_pictures(plots, folder)
    except ImportError:
        return (
            plots,
            f"Pillow is not installed, so these are not in plots/ too; {PILLOW} brings it.",
        )
    except OSError as error:
        run.notices.append(f"The pictures in plots/ are not written: {error.strerror or error}")
    return plots, ""


def _anomaly(run: Run, finding: Finding, wording: Wording) -> dict[str, Any]:
    by_index = run.calls.by_index
    named = {by_index[index] for index in finding.witness if index in by_index}
    witness = sorted(named, key=run.calls.span)
    start, end = _window(run.calls, witness)
    names = {by_index[i]: name for i, name in finding.names.items() if i in by_index}
    is_drawn = finding.number <= MOST_DRAWN
    return {
        "finding": finding,
        "calls": witness,
        "start_ns": start,
        "end_ns": end,
        "faults": _active(run.bands, start, end) if witness else [],
        "rows": [_row(run.calls, call, wording, names) for call in witness] if is_drawn else [],
        "drawing": draw(run.calls, witness, run.bands, wording, names) if is_drawn else None,
    }


def _window(calls: Calls, witness: Sequence[int]) -> tuple[int, int]:
    """From the first invoke to the last completion; an open call counts by its beginning only."""
    starts = [int(calls.start[call]) for call in witness]
    ends = [int(calls.end[call]) for call in witness if calls.complete[call] >= 0]
    return min(starts, default=0), max([*starts, *ends], default=0)


def _active(bands: Sequence[Band], start: int, end: int) -> list[Band]:
    return [band for band in bands if band.was_injected and band.overlaps(start, end)]


def _row(calls: Calls, call: int, wording: Wording, names: Mapping[int, str]) -> dict[str, Any]:
    first, second = calls.records(call)
    record = first or second
    assert record is not None  # a call has at least one record
    return {
        "name": names.get(call, ""),
        "index": record.index,
        "done": second.index if first is not None and second is not None else None,
        "process": int(calls.process[call]),
        "node": wording.node(call),
        "start": int(calls.start[call]),
        "end": int(calls.end[call]) if second is not None else None,
        "phrase": wording.phrase(call, with_key=True, limit=400),
        "type": TYPES[int(calls.type[call])],
        "error": wording.error(call),
        "beside": wording.beside(call),
    }


def _for_timeline(anomaly: Mapping[str, Any]) -> dict[str, Any]:
    finding: Finding = anomaly["finding"]
    return {
        "number": finding.number,
        "title": finding.kind,
        "calls": anomaly["calls"],
        "start": anomaly["start_ns"] // 1000,
        "end": anomaly["end_ns"] // 1000,
    }


def _log(log: NodeLog) -> dict[str, Any]:
    return {
        "node": log.node,
        "name": log.name,
        "first": [line.number for line in log.lines],
        "time": [None if line.time_ns is None else line.time_ns // 1000 for line in log.lines],
        "mark": "".join(
            "2" if line.is_crash else "1" if line.is_near else "0" for line in log.lines
        ),
        "text": [line.text for line in log.lines],
        "left_out": log.left_out,
        "total": log.total,
    }
