"""Flags that several verbs share, and how a run is named on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])

LATEST = "latest"


def store_option(command: Command) -> Command:
    """``--store DIR``: where runs are kept."""
    return click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("store"),
        show_default="./store",
        help="The folder that keeps the runs.",
    )(command)


def json_option(command: Command) -> Command:
    """``--json``: the answer for machines on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def plugin_option(command: Command) -> Command:
    """``--plugin FILE``: may be given several times."""
    return click.option(
        "--plugin",
        "plugins",
        type=click.Path(path_type=Path),
        multiple=True,
        help="A Python file with further systems, workloads, nemeses or checkers.",
    )(command)


def find_run(name: str, store: Path) -> Path:
    """The folder of the run called ``name``: a folder, or ``latest`` of ``store``.

    Raises ``UsageError`` if there is none.
    """
    folder = Path(name)
    if name == LATEST and not folder.exists():
        folder = store / LATEST
        if not folder.exists():
            raise UsageError(f"there is no run in {store} yet", "name a run's folder, or --store")
    if not folder.is_dir():
        raise UsageError(
            f"{name} is not the folder of a run", "a folder under the store, or latest"
        )
    return folder.resolve()
