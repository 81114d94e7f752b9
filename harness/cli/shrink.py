"""``polygraph shrink RUN``: the smallest fault schedule that still fails as RUN did.

The search is :mod:`harness.explore.shrinking`, its answers are real runs
(:mod:`harness.explore.trials`). Its folder holds a book for each question, ``shrink.json`` and in
the end ``shrunk.toml``, a scenario for ``polygraph test``. A shrink that was killed goes on with
``--resume``: the same search, which finds its answers in the books.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from harness.cli.flags import completes, flag
from harness.cli.options import json_option, plugin_option, store_option
from harness.cli.replay import RUNS, limit_s, ready, refuse_shares, schedule_flags
from harness.cli.soak_report import in_short
from harness.cli.speech import say
from harness.cli.test import told_or_kept
from harness.cli.verbs import Verb
from harness.errors import EXIT_INTERRUPTED, EXIT_UNKNOWN, EXIT_VALID, UsageError, unknown_name
from harness.linux.stopping import how_stopped
from harness.linux.surroundings import program

if TYPE_CHECKING:
    from harness.explore.recorded import Recorded
    from harness.explore.shrinking import Ask, Shrink, Tally
    from harness.explore.smaller import Candidate
    from harness.explore.trials import Trials
    from harness.soak.book import Entry

SEARCH: Final = "The search"
NAME: Final = "shrink.json"
SCENARIO: Final = "shrunk.toml"
STAGES: Final = ("faults", "time", "targets", "length")
KEPT: Final = (
    "targets", "moments", "anomaly", "confidence", "parallel", "reference_runs", "stages",
)  # fmt: skip
"""Flags that a resumed shrink has from the first time: with others it were another search."""


@click.command("shrink", cls=Verb)
@click.argument("run", required=False, shell_complete=completes("run"))
@flag("anomaly", group=SEARCH, help="the kind of anomaly that must show (default: any of RUN's)")
@flag("confidence", float, default=0.95, group=SEARCH, help="of each step")
@flag(
    "reference_runs",
    int,
    least=4,
    default=40,
    group=SEARCH,
    help="at most so many runs find out how often the schedule fails as it was",
)
@flag(
    "stages",
    default=",".join(STAGES),
    words=STAGES,
    group=SEARCH,
    help="what is made smaller, with commas",
)
@flag("resume", Path, group=SEARCH, help="go on with the shrink in this folder")
@schedule_flags
@flag("parallel", int, least=1, default=1, group=RUNS, help="clusters side by side")
@flag("yes", bool, group=RUNS, help="agree to what a run does to what runs already")
@flag("output", Path, short="-o", help="write the scenario here, too")
@plugin_option
@store_option
@json_option
def VERB(run: str | None, **flags: Any) -> int:
    """Find the smallest fault schedule that still fails as RUN (a folder, or latest) did.

    Fewer faults, sooner, on fewer nodes, shorter. Each step is repeated as often as the failure
    rate asks for. Exits 0 with a scenario, 2 if it does not fail again, 130 if interrupted.
    """
    from harness.explore.recorded import recorded
    from harness.explore.shrinking import NeverAgain
    from harness.explore.trials import Stopped
    from harness.store.runs import find_run

    refuse_shares(flags["confidence"])
    folder, kept = _opened(run, flags)
    was = recorded(find_run(flags["store"], kept["run"]))
    trials = _trials(was, folder, kept, flags)
    shrink = _search(was, trials, kept)
    say(f"shrink: {folder}", err=flags["as_json"])
    try:
        result = shrink.run()
        fresh = shrink.measured(result)
    except NeverAgain as never:
        say(_never(never.tally), err=flags["as_json"])
        return EXIT_UNKNOWN
    except Stopped as stopped:
        say(f"go on   polygraph shrink --resume {folder}", err=True)
        if stopped.number is not None:
            say(f"polygraph: {how_stopped(stopped.number)}", err=True)
        return EXIT_INTERRUPTED
    with told_or_kept():
        _end(was, shrink, trials, result, fresh, folder, flags)
    return EXIT_VALID


def _opened(run: str | None, flags: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
    """The folder of the shrink, and what it was asked, the first time."""
    from harness.store.runs import find_run, read_json, write_json

    if flags["resume"] is not None:
        folder = Path(flags["resume"]).resolve()
        kept = read_json(folder / NAME)
        if not isinstance(kept, dict) or set(KEPT) - set(kept) or "run" not in kept:
            raise UsageError(f"{folder} is not the folder of a shrink")
        return folder, kept
    found = find_run(flags["store"], run or "latest")
    kept = {"shrink": 1, "run": str(found), **{name: flags[name] for name in KEPT}}
    name = f"{datetime.now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    folder = flags["store"].resolve() / "shrinks" / name
    write_json(folder / NAME, kept)
    return folder, kept


def _trials(
    was: Recorded, folder: Path, kept: Mapping[str, Any], flags: Mapping[str, Any]
) -> Trials:
    from harness.cli.soak_agreement import words_of_agreement
    from harness.explore.trials import Trials
    from harness.soak.book import Settings

    registry, store = ready(was, flags), flags["store"].resolve()
    first = was.scenario(was.again(), store, registry)
    settings = Settings(
        scenario=first,
        seed=was.seed,
        runs=None,
        duration_s=None,
        until_failure=False,
        parallel=kept["parallel"],
        confidence=kept["confidence"],
        at_most=0.05,
        hard_limit_s=0.0,
        start_wall_ns=0,
    )
    agreed = words_of_agreement(settings, flags)

    def tell(entry: Entry) -> None:
        if entry.event == "ended":
            sign = "shows it" if trials.shows(entry) else entry.outcome
            why = f": {in_short(entry.why)}" if entry.outcome == "infrastructure" else ""
            _say(f"    run {entry.number}: {sign}, {entry.seconds:.0f} s{why}", flags)

    trials = Trials(
        folder=folder,
        store=store,
        command=[*program("harness.cli.soak_run"), *agreed],
        seed=was.seed,
        parallel=kept["parallel"],
        signatures=_looked_for(was, kept["anomaly"]),
        table=lambda candidate: was.scenario(candidate, store, registry),
        hard_limit_s=lambda candidate: limit_s(was.scenario(candidate, store, registry)),
        begin=lambda ask, tally: _say(_asked(ask, tally), flags),
        tell=tell,
    )
    return trials


def _looked_for(was: Recorded, kind: str | None) -> frozenset[str]:
    """The signatures that count; ``UsageError`` where the run has none."""
    if not was.signatures:
        raise UsageError(f"{was.run_dir} found no anomaly, so there is nothing to shrink")
    found = frozenset(s for s in was.signatures if kind in (None, s, s.partition(": ")[2]))
    if not found:
        raise UsageError(f"--anomaly {kind}: the run has {'; '.join(was.signatures)}")
    return found


def _search(was: Recorded, trials: Trials, kept: Mapping[str, Any]) -> Shrink:
    from harness.explore.shrinking import Shrink

    return Shrink(
        was.again(kept["targets"], kept["moments"]),
        trials,
        targets=was.targets(),
        began_ns=was.began_ns(),
        error=1 - kept["confidence"],
        most_reference_runs=kept["reference_runs"],
        stages=_stages(str(kept["stages"])),
    )


def _stages(text: str) -> frozenset[str]:
    words = [word for part in text.split(",") if (word := part.strip())]
    for word in words:
        if word not in STAGES:
            raise UsageError(f"--stages: {unknown_name('stage', word, STAGES)}")
    return frozenset(words)


def _asked(ask: Ask, tally: Tally) -> str:
    so_far = f" ({tally.failures} of {tally.runs} so far)" if tally.runs else ""
    return f"  {ask.what}{so_far}"


def _say(line: str, flags: Mapping[str, Any]) -> None:
    with told_or_kept():
        say(line, err=flags["as_json"])


def _never(tally: Tally) -> str:
    from harness.soak.statistics import estimate

    most = estimate(tally.runs, 0, 0.95, "fixed-n").at_most * 100
    return (
        f"it did not fail again in {tally.runs} runs: its failure rate is at most {most:.3g} %,"
        " with 95 % confidence; nothing is shrunk. --reference-runs asks for more,"
        " --targets happened for the nodes that were hit"
    )


# -- the end -----------------------------------------------------------------------------------


def _end(
    was: Recorded,
    shrink: Shrink,
    trials: Trials,
    result: Candidate,
    fresh: Tally,
    folder: Path,
    flags: Mapping[str, Any],
) -> None:
    """Write the scenario and the summary, and say both."""
    from harness.store.runs import read_json, write_json, write_text

    summary = summary_of(shrink, result, fresh, trials.asked)
    kept = read_json(folder / NAME)
    write_json(folder / NAME, {**(kept if isinstance(kept, dict) else {}), "result": summary})
    text = scenario_text(was, result, summary)
    write_text(folder / SCENARIO, text)
    if flags["output"] is not None:
        shutil.copyfile(folder / SCENARIO, flags["output"])
    if flags["as_json"]:
        say(json.dumps(summary))
    for line in summary["sentences"]:
        _say(line, flags)
    _say(f"scenario {folder / SCENARIO}", flags)
    _say(f"run it   polygraph test --scenario {folder / SCENARIO}", flags)


def summary_of(shrink: Shrink, result: Candidate, fresh: Tally, asked: int) -> dict[str, Any]:
    """What was tried, what came of it, and how sure each of that is."""
    from harness.run.schedule_file import line_of

    steps = [
        {
            "what": step.what,
            "decision": "kept" if step.decision == "still" else "refused",
            "runs": step.tally.runs,
            "failures": step.tally.failures,
        }
        for step in shrink.steps
    ]
    runs = shrink.reference.runs + fresh.runs + sum(step.tally.runs for step in shrink.steps)
    return {
        "schedule": [line_of(each) for each in result.schedule.occurrences],
        "time_limit_s": result.time_limit_s,
        "reference": vars(shrink.reference),
        "result": vars(fresh),
        "rates": None if shrink.rates is None else vars(shrink.rates),
        "confidence": 1 - shrink.error,
        "questions": asked,
        "runs": runs,
        "steps": steps,
        "sentences": sentences(shrink, result, fresh, runs),
    }


def sentences(shrink: Shrink, result: Candidate, fresh: Tally, runs: int) -> list[str]:
    """The result in words."""
    from harness.soak.statistics import estimate

    rates, was = shrink.rates, shrink.reference
    assert rates is not None
    sure = f"{(1 - shrink.error) * 100:.4g} %"
    before, after = len(shrink.start.schedule.occurrences), len(result.schedule.occurrences)
    found = [f"{before} faults became {after}: {result.names}, a run of {result.time_limit_s:g} s"]
    interval = estimate(fresh.runs, fresh.failures, 0.95, "fixed-n")
    found.append(
        f"it failed in {fresh.failures} of {fresh.runs} fresh runs ({interval.low * 100:.3g} to"
        f" {interval.high * 100:.3g} %, 95 % confidence); as it was, in {was.failures} of"
        f" {was.runs}"
    )
    found.append(
        f"each step kept fails in {rates.still * 100:.3g} % of runs or more and each refused"
        f" in {rates.rare * 100:.3g} % or less, each wrong in {shrink.error * 100:.3g} % of"
        f" cases at most if the true rate is not between; {len(shrink.steps)} steps, {runs} runs"
    )
    if not result.schedule.occurrences:
        found.append("it fails without any fault: none of them is to blame")
    elif shrink.minimal:
        found.append(_minimal(shrink.minimal, sure))
    return found


def _minimal(refused: Sequence[Any], sure: str) -> str:
    together = f", {len(refused)} times" if len(refused) > 1 else ""
    return (
        f"no fault of it can go: without any one it was refused, with {sure} confidence{together}"
    )


def scenario_text(was: Recorded, result: Candidate, summary: Mapping[str, Any]) -> str:
    """The scenario that ``polygraph test`` runs: the run's own, with the schedule in it."""
    from harness.run.schedule_file import toml_of
    from harness.store.scenario import CORE, recorded, registry_of

    core = {**was.table, "time_limit": result.time_limit_s, "nemesis": ",".join(result.faults)}
    core.pop("schedule", None)
    options = was.declared(registry_of(was.table), result.faults)
    known = {*CORE, *(option.name for option in options)}
    table = {name: value for name, value in core.items() if name in known}
    head = [f"# {line}" for line in ("shrunk from " + was.run_dir.name, *summary["sentences"])]
    body = recorded(table).to_toml({}).partition("\n[versions]")[0].rstrip("\n")
    return "\n".join([*head, body, "", toml_of(result.schedule)]).rstrip("\n") + "\n"
