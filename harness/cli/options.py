"""Flags that several verbs share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

FORMATS = ("edn", "json", "jsonl")
"""Names of the notations of histories, as in ``harness.history.formats`` (not imported here)."""

_SESSIONS = ("plume", "awdit", "cobra", "dbcop", "dbcop-json", "veristrong")

READABLE = (*FORMATS, "jepsen-log", *_SESSIONS, "etcd-operations", "chaos")
"""Names of the notations that can be read, as in ``harness.history.formats.READERS``."""

WRITTEN = (*FORMATS, "jepsen-log", *_SESSIONS, "chaos")
"""Names of those that can be written, as in ``harness.history.formats.conversion.WRITTEN``."""

_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}

Command = TypeVar("Command", bound=Callable[..., Any])


def store_option(command: Command) -> Command:
    """``--store DIR``: where runs are kept."""
    return click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("store"),
        show_default=True,
        help="The folder that keeps the runs.",
    )(command)


def ssh_config_option(command: Command) -> Command:
    """``--ssh-config FILE``: how the hosts of runs over ssh are reached, for verbs that find runs.

    What a run's folder names is not believed: a configuration can run commands.
    """
    return click.option(
        "--ssh-config",
        type=click.Path(),
        default=None,
        help="The ssh configuration that runs were made with, if not ~/.ssh/config.",
    )(command)


def json_option(command: Command) -> Command:
    """``--json``: the answer for machines on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def plugin_option(command: Command) -> Command:
    """``--plugin FILE``: may be given several times."""
    return click.option(
        "--plugin",
        type=click.Path(),
        multiple=True,
        help="A Python file with further systems, workloads, nemeses or checkers.",
    )(command)


def max_bytes_option(command: Command) -> Command:
    """``--max-bytes SIZE``: how much may be read of a history."""
    return click.option(
        "--max-bytes",
        callback=_bytes,
        metavar="SIZE",
        help="Read histories up to this size, unpacked (8GiB), in place of the usual bounds.",
    )(command)


def _bytes(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """A size (``8GiB``, ``500MB``, ``1000``) in bytes, for an option."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])(i?)B?|B)?", text.strip(), re.IGNORECASE)
    size = 0
    if match is not None:
        power = " KMGT".index(match[2].upper()) if match[2] else 0
        size = int(float(match[1]) * (1024 if match[3] else 1000) ** power)
    if size < 1:
        raise click.BadParameter(f"{text!r} is no size; expected one like 8GiB, 500MB or 1000000")
    return size


def nanoseconds(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """A short time (``0``, ``5ms``, ``200us``, ``1.5s``) in nanoseconds, for an option."""
    if text is None:
        return None
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)\s*(ns|us|ms|s)|0)", text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is no time; expected one like 5ms, 200us, 1.5s or 0")
    return int(float(match[1]) * _UNITS[match[2]]) if match[1] else 0


def names(words: str | Sequence[str]) -> tuple[str, ...]:
    """``a,b`` as names; ``none`` is no name."""
    parts = words.split(",") if isinstance(words, str) else words
    return tuple(part.strip() for part in parts if part.strip() not in ("", "none"))
