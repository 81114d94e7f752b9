"""The console script: reads the command line, runs one verb, and ends in one of six exit codes.

    0 valid   1 invalid   2 unknown   3 set-up, infrastructure or a defect of our own
    4 usage   130 interrupted

click's own codes collide with these (2 for usage, 1 for an uncaught exception and for Ctrl-C),
so click runs with ``standalone_mode=False`` and :func:`exit_code_of` is the one place where an
exception becomes a code and a message. Nothing may end the process with 0 or 1 by accident: a
``sys.exit`` in a plug-in, a broken pipe and a truncated input are all caught here.

Cost: ``polygraph --help`` imports click and this package's table of verbs, nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from harness.cli.session import Session
from harness.cli.verbs import Escaped, VerbGroup, group_help
from harness.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    PolygraphError,
)
from harness.plugins import unknown_name


def main() -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code; every exception ends here."""
    session = Session()
    try:
        code = _polygraph().main(
            list(argv), prog_name="polygraph", standalone_mode=False, obj=session
        )
        sys.stdout.flush()
    except BaseException as error:
        return exit_code_of(error, session)
    return code if isinstance(code, int) else EXIT_INFRASTRUCTURE


def _polygraph() -> VerbGroup:
    """The command without its verbs' modules, which are imported when used."""
    return VerbGroup(
        name="polygraph",
        help=group_help(),
        params=[
            click.Option(
                ["--traceback"],
                is_flag=True,
                expose_value=False,
                callback=_want_traceback,
                help="Show where in the code an unexpected error came from.",
            ),
            click.Option(
                ["--version"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=_show_version,
                help="Show the version and exit.",
            ),
        ],
    )


def _want_traceback(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    context.find_object(Session).traceback = wanted  # type: ignore[union-attr]


def _show_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from harness import __version__

        click.echo(f"polygraph {__version__}")
        context.exit()


def exit_code_of(error: BaseException, session: Session) -> int:
    """Tell the user what ``error`` means, on standard error, and return the code to end with."""
    if isinstance(error, Escaped):
        error = error.original
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        _say(session, "interrupted")
        return EXIT_INTERRUPTED
    if isinstance(error, click.ClickException):
        _say(session, _usage_message(error))
        return EXIT_USAGE
    if isinstance(error, PolygraphError):
        _show_traceback(error, session)
        _say(session, str(error))
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        _silence_standard_output()
        return EXIT_INFRASTRUCTURE
    return _own_defect(error, session)


def _usage_message(error: click.ClickException) -> str:
    message = error.format_message()
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        flags = [flag for p in error.ctx.command.get_params(error.ctx) for flag in p.opts]
        long_flags = sorted(flag for flag in flags if flag.startswith("--"))
        message = unknown_name("flag", error.option_name, long_flags)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message}\n  try: {error.ctx.command_path} --help"
    return message


def _own_defect(error: BaseException, session: Session) -> int:
    """An exception that nobody meant: ours, or of a plug-in. Never a verdict."""
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    _show_traceback(error, session)
    _say(session, f"unexpected error, no verdict: {what}")
    if not _traceback_wanted(session):
        print("  try: POLYGRAPH_TRACEBACK=1 and the same command, to see where", file=sys.stderr)
    return EXIT_INFRASTRUCTURE


def _say(session: Session, message: str) -> None:
    print(f"polygraph: {message}", file=sys.stderr)
    if session.run_dir is not None:
        print(f"  the run is in {session.run_dir}", file=sys.stderr)


def _traceback_wanted(session: Session) -> bool:
    return session.traceback or bool(os.environ.get("POLYGRAPH_TRACEBACK"))


def _show_traceback(error: BaseException, session: Session) -> None:
    if _traceback_wanted(session):
        import traceback

        traceback.print_exception(error, file=sys.stderr)


def _silence_standard_output() -> None:
    """Keep the interpreter's own flush at exit from failing on the pipe that nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
