"""``polygraph report RUN``: write the page again from what the run's folder holds."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.flags import completes, flag
from harness.cli.options import max_bytes_option, store_option
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_VALID, StoreError, cannot_write

PAGE = "report.html"


@click.command("report", cls=Verb)
@click.argument("run", default="latest", shell_complete=completes("run"))
@flag("open", bool, dest="is_opened", help="open the page in your browser")
@flag(
    "output",
    Path,
    short="-o",
    help="the file to write, or a folder for report.html (default: the run's own)",
)
@max_bytes_option
@store_option
def VERB(run: str, is_opened: bool, output: Path | None, max_bytes: int | None, store: Path) -> int:
    """Write report.html of RUN (a folder, or latest) and print its path."""
    from harness.history.bounds import Bounds
    from harness.report import render
    from harness.report.page import page_of
    from harness.store.runs import find_run

    run_dir, bounds = find_run(store, run), Bounds(max_bytes)
    if output is None:
        try:
            page = render(run_dir, bounds)
        except StoreError as error:
            hint = "-o FILE or -o DIR, which writes the page elsewhere"
            raise StoreError(error.message, hint) from error
    else:
        page = output / PAGE if output.is_dir() else output
        _write(page, page_of(run_dir, bounds))
    say(page)
    if is_opened:
        _open(page)
    return EXIT_VALID


def _open(page: Path) -> None:
    """The page in the user's browser, which ``BROWSER`` may name; it is told where none starts."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        say("no browser could be started here; BROWSER names one", err=True)


def _write(page: Path, text: str) -> None:
    """Where the user says, which may also be a device or lie behind a link."""
    from harness.store.runs import write_text

    if page.is_file() or not page.exists():
        write_text(page.resolve(), text)
        return
    try:
        page.write_text(text, "utf-8", errors="backslashreplace")
    except OSError as error:
        raise cannot_write(f"cannot write {page}", error) from error
