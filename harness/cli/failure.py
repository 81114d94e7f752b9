"""What an exception means to the user: a message on standard error and one of the exit codes.

The one place where this is decided, for a whole command line (:mod:`harness.cli.main`) and for
one file of many (:mod:`harness.cli.check`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Final

import click

from harness.cli.session import Session
from harness.cli.speech import say
from harness.cli.verbs import Escaped
from harness.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    PolygraphError,
)
from harness.linux.standard_streams import NotTold, silence_output
from harness.linux.stopping import Stopped
from harness.wording import placed

ELSEWHERE: Final[Mapping[str, str]] = {
    "--test-count": "polygraph soak SYSTEM --runs N, which runs a test many times",
    "--node": "--nodes N for a number of nodes, or --nodes-file FILE with --provider ssh",
    "--username": "user@host in the file of --nodes-file, or --ssh-config FILE",
    "--ssh-private-key": "an ssh agent, or IdentityFile in the file of --ssh-config",
    "--no-ssh": "--provider local, which is the default, or --provider docker",
    "--logging-json": "--json, for the verdict",
    "--password": "POLYGRAPH_PASSWORD in the environment, or --password-file FILE: what stands on a"
    " command line can be read by everybody on the machine",
}
"""Flags that people know from elsewhere (Jepsen's), and what does the same here."""


def exit_code_of(error: BaseException, session: Session) -> int:
    """Tell the user what ``error`` means, on standard error, and return the code to end with."""
    if isinstance(error, Escaped):
        error = error.original
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        by = error.__cause__ if isinstance(error, click.Abort) else error
        _say(session, str(by) if isinstance(by, Stopped) else "interrupted")
        return EXIT_INTERRUPTED
    if isinstance(error, click.ClickException):
        _say(session, _usage_message(error))
        return EXIT_USAGE
    if isinstance(error, PolygraphError):
        _show_traceback(error, session)
        _say(session, str(error))
        return error.exit_code
    if isinstance(error, NotTold | BrokenPipeError):
        silence_output()
        if error.errno != errno.EPIPE:  # whoever goes away wants to hear no more
            say_not_told(error)
        return EXIT_INFRASTRUCTURE
    return _own_defect(error, session)


def _usage_message(error: click.ClickException) -> str:
    message = error.format_message()
    if isinstance(error, click.NoSuchOption) and error.option_name in ELSEWHERE:
        return f"there is no flag {error.option_name} here\n  try: {ELSEWHERE[error.option_name]}"
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        from harness.errors import unknown_name

        flags = [flag for p in error.ctx.command.get_params(error.ctx) for flag in p.opts]
        long_flags = sorted(flag for flag in flags if flag.startswith("--"))
        message = unknown_name("flag", error.option_name, long_flags)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message}\n  try: {error.ctx.command_path} --help"
    return message


def _own_defect(error: BaseException, session: Session) -> int:
    """An exception that nobody meant: ours, or of a plug-in. Never a verdict."""
    _show_traceback(error, session)
    _say(session, f"unexpected error, no verdict: {placed(error)}")
    if not _traceback_wanted(session):
        say("  try: POLYGRAPH_TRACEBACK=1 and the same command, to see where", err=True)
    return EXIT_INFRASTRUCTURE


def _say(session: Session, message: str) -> None:
    say(f"polygraph: {message}", err=True)
    if session.run_dir is not None:
        say(f"  the run is in {session.run_dir}", err=True)


def _traceback_wanted(session: Session) -> bool:
    return session.traceback or bool(os.environ.get("POLYGRAPH_TRACEBACK"))


def _show_traceback(error: BaseException, session: Session) -> None:
    if _traceback_wanted(session):
        import traceback

        say("".join(traceback.format_exception(error)), err=True, end="")


def say_not_told(error: OSError) -> None:
    """Tell people that standard output took no more of the answer."""
    say(f"polygraph: standard output cannot be written: {error.strerror}", err=True)
