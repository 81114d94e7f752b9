"""``polygraph check FILE|RUN …``: judge recorded histories again; needs no cluster.

Standard output holds one line for each, ``FILE<TAB>true|false|unknown``, and nothing else with a
tab, as elle-cli prints them; everything said to people goes to standard error. What cannot be
read gets no line and makes exit code 4, the others are judged all the same; the worst code wins,
in the order 1, 4, 3, 2, 0.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from harness.cli.declared import names
from harness.cli.failure import exit_code_of
from harness.cli.options import FORMATS, json_option, plugin_option, store_option
from harness.cli.session import Session
from harness.cli.verbs import Verb
from harness.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_INVALID,
    EXIT_UNKNOWN,
    EXIT_USAGE,
    EXIT_VALID,
    UsageError,
)
from harness.history.consistency import known_models
from harness.plugins import Registry

WORST_FIRST = (EXIT_INVALID, EXIT_USAGE, EXIT_INFRASTRUCTURE, EXIT_UNKNOWN, EXIT_VALID)
EXITS = {True: EXIT_VALID, False: EXIT_INVALID, "unknown": EXIT_UNKNOWN}
STDIN = "-"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the flags ask for: ``model`` is ``-m``, ``header`` replaces what the history says of
    itself, ``options`` go to the checkers.
    """

    model: str | None
    format: str | None
    header: Mapping[str, Any]
    options: Mapping[str, Any]
    store: Path
    registry: Registry
    session: Session
    directory: Path | None = None

    @property
    def overrides(self) -> bool:
        """Whether a run is to be judged otherwise than by its own scenario."""
        return self.model is not None or bool(self.header or self.options)


@click.command("check", cls=Verb)
@click.argument("files", nargs=-1, required=True, metavar="FILE|RUN|- ...")
@click.option("-m", "--model", help="The checker or model, e.g. cas-register or bank.")
@click.option("-f", "--format", type=click.Choice(FORMATS), help="If content does not tell.")
@click.option("-c", "--consistency-models", help="The models to judge against, with commas.")
@click.option("-a", "--anomalies", help="Anomalies that must not be found besides, with commas.")
@click.option(
    "-s",
    "--cycle-search-timeout",
    type=click.FloatRange(min=0),
    help="Milliseconds to search for cycles in each component.  [default: 1000]",
)
@click.option("-i", "--initial", help="The initial state as JSON (a register's value, balances).")
@click.option("--independent", is_flag=True, help="Values are [key, value] of independent keys.")
@click.option(
    "-n",
    "--allow-negative-balances",
    "negative_balances",
    is_flag=True,
    help="bank: let accounts overdraw.",
)
@click.option("-o", "--total-amount", "total", type=int, help="bank: the sum of all accounts.")
@click.option("-v", "--verbose", is_flag=True, help="Tell the anomalies, on standard error.")
@click.option(
    "-d",
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write each verdict and each anomaly's proof into this folder.",
)
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
    as_json: bool,
    initial: str | None,
    independent: bool,
    **flags: Any,
) -> int:
    """Judge recorded histories or runs; prints FILE<TAB>true|false|unknown for each.

    FILE is a history as JSON lines, a JSON array or EDN, also compressed, - is standard input,
    RUN is the folder of a run, or latest.
    """
    registry = Registry(tuple(Path(path) for path in plugin))
    request = Request(
        model=model,
        format=format,
        header=_header(initial, independent),
        options=_checker_options(flags),
        store=store,
        registry=registry,
        session=context.ensure_object(Session),
        directory=directory,
    )
    if model is not None:
        registry.get("checkers", model)  # an unknown name is refused before anything is read
    codes = set()
    for name in files:
        code, verdict = _judge_safely(name, request)
        codes.add(code)
        if verdict is not None:
            _show(name, verdict, as_json=as_json, verbose=verbose)
            if directory is not None:
                _write(name, verdict, directory)
    return next(code for code in WORST_FIRST if code in codes)


def _header(initial: str | None, independent: bool) -> dict[str, Any]:
    """What the user says of a history that says too little of itself."""
    header: dict[str, Any] = {"independent": True} if independent else {}
    if initial is not None:
        try:
            header["initial"] = json.loads(initial)
        except ValueError as error:
            raise UsageError(f"--initial {initial!r} is not JSON: {error}") from error
    return header


def _checker_options(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given, as options of checkers."""
    options = {name: value for name, value in flags.items() if value not in (None, False)}
    models = options.pop("consistency_models", "")
    if "anomalies" in options:
        options["anomalies"] = names(options["anomalies"])
    if models:
        options["claims"] = list(known_models(names(models)))
    return options


def _judge_safely(name: str, request: Request) -> tuple[int, dict[str, Any] | None]:
    """The exit code of one file or run, and its verdict; trouble with it is told, not raised."""
    try:
        verdict = _judge(name, request)
    except Exception as error:
        return exit_code_of(error, request.session), None
    return EXITS[verdict["valid"]], verdict


def _judge(name: str, request: Request) -> dict[str, Any]:
    path = Path(name)
    if name == STDIN or path.is_file() or (path.exists() and not path.is_dir()):
        return _judge_file(path, request)
    from harness.run.store import find_run

    return _judge_run(find_run(request.store, name), request)


def _judge_file(path: Path, request: Request) -> dict[str, Any]:
    from harness.history.reader import read_history

    return _judge_history(read_history(path, request.format), str(path), request)


def _judge_history(history: Any, name: str, request: Request) -> dict[str, Any]:
    """Judge a bare history, by ``-m`` or by what its header says it is."""
    from msgspec import structs

    from harness.run.judge import RUN_CHECKERS, judge_history

    header = structs.replace(history.header, **request.header)
    history = dataclasses.replace(history, header=header)
    checkers = [*_checkers_for(history, name, request), *RUN_CHECKERS]
    options = dict(request.options)
    if request.directory is not None:
        options["directory"] = str(_folder(name, request.directory))
    return judge_history(history, checkers, options, request.registry)


def _checkers_for(history: Any, name: str, request: Request) -> Sequence[str]:
    """The names of the checkers: ``-m``, else the workload's, else the model's own."""
    header, registry = history.header, request.registry
    if request.model is not None:
        return [request.model]
    if header.workload in registry.names("workloads"):
        return tuple(registry.get("workloads", header.workload).checkers)
    if header.model:
        return [header.model]
    raise UsageError(f"{name} does not say what it is a history of", "-m MODEL, see polygraph list")


def _judge_run(run_dir: Path, request: Request) -> dict[str, Any]:
    """Judge a run by all that its folder holds; keep the verdict where there was none."""
    from harness.run.judge import judge_run, load_record
    from harness.run.store import read_json, write_json

    if request.overrides:
        click.echo(f"{run_dir}: other flags than its own, so judged as a bare history", err=True)
        return _judge_history(load_record(run_dir).history, str(run_dir), request)
    verdict = judge_run(run_dir)
    stored = read_json(run_dir / "verdict.json")
    if stored is None:
        write_json(run_dir / "verdict.json", verdict)
    elif stored.get("valid") != verdict["valid"]:
        click.echo(
            f"{run_dir}: its verdict.json says {stored.get('valid')}, kept as it is", err=True
        )
    return verdict


def _show(name: str, verdict: Mapping[str, Any], *, as_json: bool, verbose: bool) -> None:
    if as_json:
        click.echo(json.dumps({"file": name, **verdict}))
    else:
        click.echo(f"{name}\t{json.dumps(verdict['valid']).strip(chr(34))}")
    for line in _remarks(verdict, verbose):
        click.echo(f"{name}: {line}", err=True)


def _remarks(verdict: Mapping[str, Any], verbose: bool) -> Iterator[str]:
    """What people want to know beside the answer."""
    from harness.cli.ending import anomaly_lines
    from harness.cli.progress import printable

    if verdict.get("partial"):
        yield "partial: the run did not end by itself; this judges what there is"
    yield from (printable(notice) for notice in verdict.get("notices", ()))
    if verdict["valid"] is not True:
        yield printable(verdict["why"])
    if verdict.get("left_out"):
        yield f"left out, for want of the run's other files: {', '.join(verdict['left_out'])}"
    if verbose:
        yield from (line.strip() for line in anomaly_lines(verdict))


def _folder(name: str, directory: Path) -> Path:
    """Where everything about one file or run goes."""
    return directory / (Path(name).name if name not in (STDIN, "standard input") else "stdin")


def _write(name: str, verdict: Mapping[str, Any], directory: Path) -> None:
    """``DIR/<name>/verdict.json`` and one text for each anomaly type."""
    from harness.run.store import write_json

    folder = _folder(name, directory)
    write_json(folder / "verdict.json", dict(verdict))
    for kind, texts in _proofs(verdict):
        (folder / f"{kind}.txt").write_text("\n\n".join(texts) + "\n", "utf-8")


def _proofs(verdict: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[str]]]:
    for part in verdict["checkers"].values():
        for kind, cases in part["anomalies"].items():
            yield kind.replace("/", "-"), [case["message"] for case in cases]
