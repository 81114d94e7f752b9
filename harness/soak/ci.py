"""What a CI's page gets from a soak: annotations, a summary in Markdown, a folder of artifacts.

GitHub's runner says who it is by ``GITHUB_ACTIONS`` and takes annotations as lines of standard
output (``::error title=…::message``) and Markdown through the file ``GITHUB_STEP_SUMMARY``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.soak.page import write_page
from harness.store.untrusted import Folder

SMALL = ("scenario.toml", "verdict.json", "faults.jsonl", "evidence/run.json")
"""What is kept of a run that passed: enough to repeat and to count it."""
MOST_ANNOTATIONS = 10


def github_annotations(summary: Mapping[str, Any]) -> Iterator[str]:
    """An error for each kind of violation, a warning for runs that decided nothing."""
    for group in summary["groups"][:MOST_ANNOTATIONS]:
        kinds = ", ".join(group["signatures"]) or "violation"
        text = f"{len(group['runs'])} run(s): {group['first']}\nrepeat: {group['reproduce']}"
        yield f"::error title={_property(kinds)}::{_message(text)}"
    undecided = [run for run in summary["results"] if run["outcome"] not in ("passed", "violation")]
    if undecided:
        text = f"{len(undecided)} run(s) decided nothing, first: {undecided[0]['why']}"
        yield f"::warning title=Undecided runs::{_message(text)}"


def step_summary(summary: Mapping[str, Any], headline: str, needed: str) -> str:
    """Markdown: the counts, the rate, and every run that did not pass."""
    lines = [f"## {_cell(headline)}", "", summary["sentence"], "", needed, ""]
    rest = [run for run in summary["results"] if run["outcome"] != "passed"]
    if rest:
        lines += ["| run | outcome | why | repeat |", "|---|---|---|---|"]
        lines += [
            f"| {run['number']} | {run['outcome']} | {_cell(run['why'])} |"
            f" `{_cell(run['reproduce'])}` |"
            for run in rest
        ]
    return "\n".join(lines) + "\n"


def keep_artifacts(
    summary: Mapping[str, Any], soak: Path, target: Path, store: Path | None = None
) -> None:
    """Copy into ``target`` the soak's own files, failing runs whole and passing ones small.

    What was copied before is left as it is, so this may be called after every run. Runs are those
    of ``store`` (that of the soak's folder unless given), whatever a book says that somebody else
    may have written, and only plain files are copied.
    """
    target.mkdir(parents=True, exist_ok=True)
    inside = Folder(soak)
    for name in ("soak.jsonl", "summary.json"):
        if inside.has(name):
            _copy(inside, name, target / name)
    runs = Folder((store or soak.parent.parent).resolve())
    kept = {run["number"]: _run_in(runs, run["run_dir"]) for run in summary["results"]}
    for run in summary["results"]:
        source = kept[run["number"]]
        if source is not None:
            place = target / "runs" / Path(run["run_dir"]).name
            _keep(source, place, small=run["outcome"] == "passed")
    write_page(target, _moved(summary, target))


def _run_in(store: Folder, run_dir: str | None) -> Folder | None:
    """The folder of a run of the store, reached without a link; ``None`` where it is none."""
    path = Path(run_dir or "")
    if ".." in path.parts or store.path not in path.parents:
        return None
    found = store.below(path.relative_to(store.path).as_posix())
    try:
        found.folders()
    except OSError:
        return None
    return found


def _moved(summary: Mapping[str, Any], target: Path) -> dict[str, Any]:
    """``summary`` with the runs where they were copied to, so that the page's links lead there."""
    results = [
        {**run, "run_dir": str(target / "runs" / Path(run["run_dir"]).name)}
        if run["run_dir"] and (target / "runs" / Path(run["run_dir"]).name).is_dir()
        else run
        for run in summary["results"]
    ]
    return {**summary, "results": results}


def _keep(source: Folder, target: Path, *, small: bool) -> None:
    if target.exists():
        return
    draft = target.with_name(f".{target.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, exist_ok=True)
    for name in SMALL if small else source.files():
        if source.has(name):
            _copy(source, name, draft / name)
    draft.rename(target)


def _copy(source: Folder, name: str, target: Path) -> None:
    """One plain file with its time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):  # it went meanwhile
        found = source.stat(name)
        with source.open(name) as file, target.open("wb") as out:
            shutil.copyfileobj(file, out)
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table: on one line, with nothing that is markup."""
    plain = " ".join(str(text).split())[:400].replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{char}" if char in "\\|[]*_`" else char for char in plain)
