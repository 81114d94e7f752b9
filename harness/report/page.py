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
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.history.bounds import USUAL, Bounds
from harness.history.history import History
from harness.report.cases import Case, cases_of, cast_of, grouped
from harness.report.concurrency import thread_count
from harness.report.display import duration, shown, visible
from harness.report.facts import run_facts
from harness.report.findings import fault_counts, findings, parts, texts, word_of
from harness.report.head import head_of
from harness.report.logs import NodeLog, read_logs
from harness.report.model import Run, read_run
from harness.report.plots import Plot, draw_gauges, draw_plots, write_pictures
from harness.report.templates import environment
from harness.report.timeline import script_json, timeline_data
from harness.report.wording import Wording
from harness.store.runs import write_text
from harness.store.untrusted import Folder
from harness.verdict.metrics import read_metrics

SCRIPTS = (
    "dom.js",
    "data.js",
    "view.js",
    "paint.js",
    "overview.js",
    "details.js",
    "drawings.js",
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
    cases = cases_of(run, found, wording)
    is_timed = run.calls.is_timed
    windows = [(case.start_ns, case.end_ns) for case in cases if case.calls and is_timed]
    plots, plots_notice = _plots(run, plots_folder)
    logs = read_logs(run.inside, run.start_wall_ns, windows)
    data = timeline_data(
        run.calls,
        run.bands,
        [_for_timeline(case) for case in cases],
        wording=wording,
        threads=thread_count(run.calls, run.scenario),
    )
    program = "\n".join(_asset(name) for name in SCRIPTS)
    program = f'(() => {{\n"use strict";\n{program}\n}})();\n'
    page: str = _template().render(
        wording=wording,
        verdict=_verdict(run.verdict),
        head=head_of(run),
        cast=cast_of(shown(run.verdict.get("why") or "", 4000), cases, run.calls, wording),
        facts=run_facts(run),
        notices=run.notices,
        groups=grouped(cases),
        anomalies=len(cases) + left_out,
        last_number=max((case.finding.number for case in cases if case.is_drawn), default=0),
        anomalies_left_out=left_out,
        keyed=run.calls.keyed,
        is_timed=is_timed,
        unit_ns=1000 if is_timed else 1,
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
    from jinja2 import pass_context

    made = environment("harness.report", __file__, _asset, finalize=_last_look, lstrip_blocks=True)
    made.filters.update(seconds=pass_context(_moment), duration=duration)
    return made.get_template("report.html.j2")


def _moment(context: Any, time_ns: float | None) -> str:
    """A time in the words of the run that is drawn, which may know none."""
    wording: Wording = context["wording"]
    return wording.moment(time_ns)


def _last_look(value: Any) -> Any:
    """A net below the others: no text gets into the page with unseen characters in it."""
    return visible(value, len(value)) if type(value) is str else value


def _asset(name: str) -> str:
    return files("harness.report").joinpath("assets", name).read_text(encoding="utf-8")


def _verdict(verdict: Mapping[str, Any]) -> dict[str, Any]:
    word = word_of(verdict.get("valid"))
    return {
        "word": word,
        "claims": texts(verdict.get("claims")),
        "claims_of": texts(verdict.get("claims_of")),
        "not_durable": shown(verdict.get("not_durable") or "", 400),
        "claims_by": shown(verdict.get("claims_by") or "", 40),
        "other_claim": _other_claim(verdict.get("other_claim")),
        "reproduce": shown(verdict.get("reproduce") or "", 4000),
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
    if not run.calls.is_timed:
        return [], "The history has no times, so there is neither a latency nor a rate to plot."
    plots = [*draw_plots(run.calls, run.bands), *_gauges(run)]
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


def _gauges(run: Run) -> list[Plot]:
    """The plot of what was sampled, as far as the folder says it in the shape that runs write."""
    gauges = run.evidence.get("gauges")
    gauges = gauges if isinstance(gauges, list) else []
    told = [each for each in gauges if isinstance(each, Mapping) and "name" in each]
    try:
        metrics = read_metrics(run.inside)
    except OSError as error:
        run.notices.append(f"metrics.jsonl could not be read: {error.strerror or error}")
        return []
    if metrics is None or not told:
        return []
    return draw_gauges(metrics, told, run.calls, run.bands)


def _for_timeline(case: Case) -> dict[str, Any]:
    return {
        "number": case.finding.number,
        "title": case.finding.kind,
        "calls": case.calls,
        "start": case.start_ns,
        "end": case.end_ns,
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
