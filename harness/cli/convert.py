"""``polygraph convert FILE --to FORMAT``: a history from any notation into any that can say it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.cli.export import history_of, write_file
from harness.cli.flags import completes, flag
from harness.cli.options import READABLE, WRITTEN, max_bytes_option, store_option
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_VALID, UsageError, cannot_write


@click.command("convert", cls=Verb)
@click.argument("file", metavar="FILE|RUN|-", shell_complete=completes("run-or-file"))
@flag("to", dest="target", choices=WRITTEN, required=True, help="the notation to write")
@flag("format", short="-f", choices=READABLE, help="the notation of FILE, if content does not tell")
@flag(
    "output",
    Path,
    short="-o",
    help="the file to write, or the folder (cobra) (default: standard output)",
)
@flag("lossy", bool, help="leave out what cannot be said, and tell how much")
@max_bytes_option
@store_option
def VERB(
    file: str,
    target: str,
    format: str | None,
    output: Path | None,
    lossy: bool,
    store: Path,
    max_bytes: int | None,
) -> int:
    """Write the history in FILE (or a folder, -, a run, latest) in another notation.

    What the other cannot say (times, outcomes that nobody knows, values that are no numbers) is
    refused by name; --lossy leaves it out and says how often.
    """
    from harness.history.bounds import Bounds
    from harness.history.formats.conversion import FOLDERS, converted
    from harness.history.formats.losses import Losses, facts_told
    from harness.history.reader import read_history

    if target in FOLDERS and output is None:
        raise UsageError(f"{target} is a folder of files, so it needs a place", "-o FOLDER")
    history = read_history(history_of(file, store), format, bounds=Bounds(max_bytes))
    for notice in history.notices:
        say(notice, err=True)
    if target in FOLDERS and output is not None and output.is_dir() and any(output.iterdir()):
        raise UsageError(
            f"{output} holds other files, which would be read as sessions as well", "a new folder"
        )
    losses = Losses(may_drop=lossy)
    for each in converted(history, target, losses):
        if output is None:
            each.write(sys.stdout.buffer)
        elif each.name:
            _make(output)
            write_file(output / each.name, each.write)
        else:
            write_file(output, each.write)
    for told in facts_told(losses.dropped):
        say(told, err=True)
    return EXIT_VALID


def _make(folder: Path) -> None:
    """The folder for several files."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(f"cannot write {folder}", error) from error
