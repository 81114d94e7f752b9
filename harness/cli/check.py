"""``polygraph check FILE|RUN …``: judge recorded histories again; needs no cluster.

Standard output holds one line for each, ``FILE<TAB>true|false|unknown``, and nothing else with a
tab, as elle-cli prints them; everything said to people goes to standard error. What cannot be
read gets no line and makes exit code 4, the others are judged all the same; the worst code wins,
in the order 1, 4, 3, 2, 0. The flags are elle-cli's. Several files are judged side by side on the
cores there are; the lines come in the order of the files. ``--self-test`` is another matter:
:mod:`harness.cli.self_test`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from harness.cli.check_one import (
    Begun,
    Outcome,
    Request,
    budget_of,
    judge_apart,
    judge_safely,
    safely,
)
from harness.cli.flags import completes, flag
from harness.cli.kept_proofs import folders
from harness.cli.model_names import initial_state, joined, known_anomalies, refuse_unknown
from harness.cli.options import (
    READABLE,
    json_option,
    max_bytes_option,
    names,
    plugin_option,
    store_option,
)
from harness.cli.session import Session
from harness.cli.speech import on_one_line, say
from harness.cli.verbs import Verb
from harness.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_INVALID,
    EXIT_UNKNOWN,
    EXIT_USAGE,
    EXIT_VALID,
    UsageError,
)
from harness.history.bounds import Bounds
from harness.judge.apart import CHECK_SECONDS, GRACE_S
from harness.option import Duration, Milliseconds
from harness.plugins import Registry
from harness.quantities import spelled
from harness.verdict.consistency import known_models

GRAPHS = ("process", "realtime")
ELLE = "After Elle"
PICTURES = "Pictures of cycles"
WORST_FIRST = (EXIT_INVALID, EXIT_USAGE, EXIT_INFRASTRUCTURE, EXIT_UNKNOWN, EXIT_VALID)


@click.command("check", cls=Verb)
@click.argument(
    "files", nargs=-1, metavar="FILE|RUN|- ...", shell_complete=completes("run-or-file")
)
@flag("model", short="-m", help="the checker or model, e.g. cas-register or bank")
@flag("format", short="-f", choices=READABLE, help="the notation of FILE, if content does not tell")
@flag(
    "sort_by_time",
    Duration,
    least=0,
    help="put records without index in order of time; TIME (5ms) is how far clocks may be off",
)
@flag(
    "consistency_models",
    short="-c",
    many=True,
    multiple=True,
    help="the models to judge against, with commas; may be given several times",
)
@flag("initial", short="-i", help="the initial state: JSON, or x=0,y=0 for several registers")
@flag("independent", bool, help="values are [key, value] of independent keys")
@flag(
    "ignore_f",
    many=True,
    multiple=True,
    metavar="NAME",
    help="leave operations of this name out, with commas; may be given several times",
)
@flag(
    "budget",
    Duration,
    above=0,
    help=f"what each checker may take (default: {spelled(CHECK_SECONDS)}, a run's its own)",
)
@flag(
    "partial", bool, help="judge what is left of a FILE that was cut off in the middle of a record"
)
@flag(
    "self_test",
    bool,
    help="try the checkers on planted anomalies; with FILE, on it with one read changed",
)
@flag("verbose", bool, short="-v", help="tell the anomalies, on standard error")
@flag(
    "directory",
    Path,
    short="-d",
    help="write each verdict, its proofs and a page with pictures into this folder",
)
@flag(
    "anomalies",
    short="-a",
    many=True,
    multiple=True,
    group=ELLE,
    help="look for these beside the models', with commas",
)
@flag(
    "cycle_search_timeout",
    Milliseconds,
    short="-s",
    least=0,
    group=ELLE,
    help="how long to search cycles in one component; a bare number is milliseconds, as elle-cli's",
)
@flag(
    "additional_graphs",
    choices=GRAPHS,
    many=True,
    multiple=True,
    group=ELLE,
    help="this order, also where no model needs it",
)
@flag("commit_order", group=ELLE, help="the field of completions that numbers the commits")
@flag("wfr_keys", bool, group="rw-register", help="writes follow the reads of the same transaction")
@flag("sequential_keys", bool, group="rw-register", help="each key is sequential")
@flag("linearizable_keys", bool, group="rw-register", help="each key is linearizable")
@flag(
    "inference",
    choices=("complete", "elle"),
    group="rw-register",
    help="whether a history is explained at all (complete), or Elle's own rules alone",
)
@flag("group_size", int, short="-g", group="Other checkers", help="long-fork: keys of one group")
@flag(
    "allow_negative_balances",
    bool,
    short="-n",
    dest="negative_balances",
    group="Other checkers",
    help="bank: let accounts overdraw",
)
@flag("max_transfer", int, group="Other checkers", help="bank: the largest transfer")
@flag(
    "total_amount",
    int,
    short="-o",
    dest="total",
    group="Other checkers",
    help="bank: the sum of all accounts",
)
@flag("plot_format", short="-p", group=PICTURES, help="svg or png")
@flag(
    "plot_timeout",
    Milliseconds,
    short="-t",
    dest="plot_timeout_ms",
    group=PICTURES,
    help="how long a picture may take; a bare number is milliseconds, as elle-cli's",
)
@flag("max_plot_bytes", int, short="-b", group=PICTURES, help="the largest graph to draw, in bytes")
@max_bytes_option
@json_option
@plugin_option
@store_option
@click.pass_context
def VERB(
    context: click.Context,
    /,
    files: tuple[str, ...],
    model: str | None,
    format: str | None,
    store: Path,
    plugin: tuple[str, ...],
    verbose: bool,
    directory: Path | None,
    self_test: bool,
    as_json: bool,
    initial: str | None,
    independent: bool,
    sort_by_time: float | None,
    ignore_f: tuple[str, ...],
    budget: float | None,
    max_bytes: int | None,
    partial: bool,
    **flags: Any,
) -> int:
    """Judge recorded histories or runs; prints FILE<TAB>true|false|unknown for each.

    FILE is a history as JSON lines, a JSON array, EDN, a Jepsen log, or in the notation of another
    checker (docs/formats.md), also compressed; a folder of Jepsen's store, of Cobra's logs, of a
    report of etcd's; - is standard input. RUN is the folder of a run, or latest.
    """
    registry = Registry(tuple(Path(path) for path in plugin))
    if not files and not self_test:
        raise click.UsageError("Missing argument 'FILE|RUN|- ...'.", context)
    request = Request(
        model=model,
        format=format,
        sort_by_time=None if sort_by_time is None else round(sort_by_time * 1e9),
        header=_header(initial, independent),
        options=_checker_options(flags),
        ignore_f=names(joined(ignore_f)),
        budget=budget,
        bounds=Bounds(max_bytes),
        partial=partial,
        store=store,
        registry=registry,
        session=context.ensure_object(Session),
        folders=folders(files, directory) if directory is not None else {},
    )
    if model is not None:  # is refused before anything is read
        refused = _refusal(model, request)
        if refused is not None:
            return refused
    if self_test:
        from harness.cli.self_test import try_all, try_files

        return try_files(files, request) if files else try_all(registry, request.session)
    codes = set()
    for name, outcome in _outcomes(files, request):
        codes.add(outcome.code)
        if outcome.verdict is not None:
            _show(name, outcome.verdict, as_json=as_json, verbose=verbose)
        if outcome.said:
            say(outcome.said, end="", err=True)
    return next(code for code in WORST_FIRST if code in codes)


def _header(initial: str | None, independent: bool) -> dict[str, Any]:
    """What the user says of a history that says too little of itself."""
    header: dict[str, Any] = {"independent": True} if independent else {}
    if initial is not None:
        from harness.history.formats.tags import revived
        from harness.history.values import number

        parse = partial(json.loads, parse_float=number)
        header["initial"] = revived(initial_state(initial, parse))
    return header


def _checker_options(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given, as options of checkers."""
    options = {name: value for name, value in flags.items() if value not in (None, False, ())}
    models = joined(options.pop("consistency_models", ()))
    if models:
        options["claims"] = list(known_models(names(models)))
    if "anomalies" in options:
        options["anomalies"] = list(known_anomalies(names(joined(options["anomalies"]))))
    if "additional_graphs" in options:
        options["additional_graphs"] = list(names(joined(options["additional_graphs"])))
    return options


def _outcomes(files: Sequence[str], request: Request) -> Iterator[tuple[str, Outcome]]:
    """Every name with its outcome, in the order of ``files``."""
    from harness.cli.side_by_side import cores, judge_all
    from harness.cli.waiting import Waiting

    judge = judge_apart if len(files) > 1 else judge_safely
    limit_s = max(budget_of(name, request) for name in files) + GRACE_S
    found = judge_all(files, partial(judge, request=request), cores(), limit_s=limit_s)
    early: dict[int, Outcome] = {}
    following = 0
    with Waiting(len(files)) as waiting:
        waiting.begin(files[0] if len(files) == 1 else "")
        for position, outcome in found:
            early[position] = outcome
            waiting.advance()
            while following in early:
                yield files[following], early.pop(following)
                following += 1


def _refusal(model: str, request: Request) -> int | None:
    """The exit code if there is no such model, which is told; ``None`` if there is.

    Loading plug-ins to find out may end the process, so then another one does it.
    """
    if not request.registry.is_extended():
        refuse_unknown(model, request.registry)
        return None
    from harness.cli.side_by_side import judge_all

    def look(name: str, begun: Begun) -> Outcome:
        return safely(lambda: refuse_unknown(model, request.registry), request.session)

    for _, outcome in judge_all([model], look, 1):
        if outcome.verdict is not None:
            files = ", ".join(map(str, request.registry.plugin_files)) or "entry points"
            raise UsageError(f"the plug-ins ({files}) cannot be loaded: {outcome.verdict['why']}")
        return outcome.code or None
    return None


def _show(name: str, verdict: Mapping[str, Any], *, as_json: bool, verbose: bool) -> None:
    if as_json:
        say(json.dumps({"file": name, **verdict}))
    else:
        say(f"{on_one_line(name)}\t{json.dumps(verdict['valid']).strip(chr(34))}")
    for line in _remarks(verdict, verbose):
        say(f"{on_one_line(name)}: {line}", err=True)


def _remarks(verdict: Mapping[str, Any], verbose: bool) -> Iterator[str]:
    """What people want to know beside the answer."""
    from harness.cli.ending import anomaly_lines

    if verdict.get("partial"):
        yield "partial: the run did not end by itself; this judges what there is"
    yield from verdict.get("notices", ())
    if verdict["valid"] is not True:
        yield verdict["why"]
        for step in verdict.get("settle") or ():
            yield f"to settle it: {step['do']}"
    if verdict.get("left_out"):
        yield f"left out, for want of the run's other files: {', '.join(verdict['left_out'])}"
    if verbose:
        yield from (line.strip() for line in anomaly_lines(verdict))
