"""The console script: reads the command line, runs one verb, and ends in one of six exit codes.

    0 valid   1 invalid   2 unknown   3 set-up, infrastructure or a defect of our own
    4 usage   130 interrupted

click's own codes collide with these (2 for usage, 1 for an uncaught exception and for Ctrl-C),
so click runs with ``standalone_mode=False`` and :mod:`harness.cli.failure` is the one place where
an exception becomes a code and a message. Nothing may end the process with 0 or 1 by accident: a
``sys.exit`` in a plug-in, a broken pipe and a truncated input are all caught here, and what no
process can catch by its parent (:mod:`harness.cli.guard`).

Cost: ``polygraph --help`` imports click and this package's table of verbs, nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from harness.cli.failure import exit_code_of
from harness.cli.guard import guarded, may_load_plugins
from harness.cli.session import Session
from harness.cli.speech import say, speak_in_any_encoding
from harness.cli.table import group_help
from harness.cli.verbs import VerbGroup
from harness.errors import EXIT_INFRASTRUCTURE
from harness.linux.standard_streams import prepare
from harness.linux.stopping import stop_by_exception

COMPLETION_VARIABLE = "_POLYGRAPH_COMPLETE"


def main() -> None:
    """Run the command line of this process and exit with its code."""
    prepare()
    stop_by_exception()
    argv = sys.argv[1:]
    if os.environ.get(COMPLETION_VARIABLE):
        sys.exit(_complete())
    if may_load_plugins(argv, os.environ):
        sys.exit(guarded(lambda: _run_with_plugins(argv)))
    sys.exit(run(argv))


def _complete() -> int:
    """What a shell asks when somebody presses Tab."""
    from harness.cli.completing import answer

    return answer(_polygraph(), os.environ)


def _run_with_plugins(argv: Sequence[str]) -> int:
    """As :func:`run`; what the authors of plug-ins should know is said on standard error."""
    from harness.plugins.notices import listen

    listen(lambda notice: say(f"polygraph: {notice}", err=True))
    return run(argv)


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code; every exception ends here."""
    speak_in_any_encoding()
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
    session = context.find_object(Session)
    assert session is not None  # the group makes it before it reads a flag
    session.traceback = wanted


def _show_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from harness import __version__

        say(f"polygraph {__version__}")
        context.exit()


if __name__ == "__main__":
    main()
