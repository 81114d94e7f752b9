"""``polygraph export RUN``: the history in another tool's notation."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import click

from harness.cli.flags import completes, flag
from harness.cli.options import FORMATS, max_bytes_option, store_option
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_VALID, HistoryError, cannot_write


@click.command("export", cls=Verb)
@click.argument("run", shell_complete=completes("run-or-file"))
@flag(
    "format",
    short="-f",
    choices=FORMATS,
    required=True,
    help="edn: lines for Elle and Knossos; json: one array for elle-cli; jsonl: our own lines",
)
@flag("output", Path, short="-o", help="the file to write (default: standard output)")
@max_bytes_option
@store_option
def VERB(run: str, format: str, output: Path | None, store: Path, max_bytes: int | None) -> int:
    """Write the history of RUN (a folder, a history file, -, or latest) as FORMAT.

    What only EDN can say (keywords as values, odd map keys) travels tagged in jsonl and is refused
    by json, which other tools read.
    """
    from harness.history.bounds import Bounds
    from harness.history.formats.known import export
    from harness.history.reader import read_history

    history = read_history(history_of(run, store), bounds=Bounds(max_bytes))
    for notice in history.notices:
        say(notice, err=True)
    if output is None:
        export(history, sys.stdout.buffer, format)
        return EXIT_VALID
    write_file(output, lambda file: export(history, file, format))
    return EXIT_VALID


def write_file(output: Path, write: Callable[[BinaryIO], object]) -> None:
    """Have ``write`` fill a file; where it fails, no half of it stays."""
    try:
        with output.open("wb") as file:
            write(file)
    except HistoryError:
        _remove_half(output)
        raise
    except OSError as error:
        _remove_half(output)
        raise cannot_write(f"cannot write {output}", error) from error


def _remove_half(output: Path) -> None:
    """What cannot be said is not half said. A device that was named stays."""
    with contextlib.suppress(OSError):
        if output.is_file():
            output.unlink()


def history_of(run: str, store: Path) -> Path:
    """The file or folder of a history, or the folder of a run."""
    from harness.history.formats.folders import foreign
    from harness.store.runs import find_run, is_run_dir

    path = Path(run)
    is_file = run == "-" or (path.exists() and not path.is_dir())
    if path.is_dir() and not is_run_dir(path) and foreign(path) is not None:
        return path
    return path if is_file else find_run(store, run)
