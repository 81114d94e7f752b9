"""Options that several SQL systems have, and what was given for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from harness.contract.option import Option
from harness.errors import UsageError

PRIMARY, ANY = "primary", "any"

READS: Final = Option(
    name="reads",
    choices=(PRIMARY, ANY),
    default=PRIMARY,
    help="where that which only reads goes: to the primary, or to any server",
)
TABLES: Final = Option(
    name="tables", kind=int, default=1, least=1, help="how many tables the keys are spread over"
)
SETTINGS: Final = Option(
    name="settings", many=True, help="further settings of the servers, NAME=VALUE"
)
DATABASE: Final = Option(
    name="database", help="with --endpoint: the database in which the run makes its tables"
)


def dialect_of(names: Sequence[str]) -> Option:
    """Which database it is that runs already, of those that speak the protocol."""
    help_ = "with --endpoint: which database it is"
    return Option(name="dialect", choices=tuple(names), default=names[0], help=help_)


STATEMENT, GET_AND_PUT = "statement", "get-and-put"

APPEND_BY: Final = Option(
    name="append_by",
    choices=(STATEMENT, GET_AND_PUT),
    default=STATEMENT,
    help="how a transaction appends: by one statement, or by reading the list and writing it back",
)


def values_of(options: Sequence[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given for each option, or its default."""
    values = {option.name: given.get(option.name) for option in options}
    return {
        option.name: option.default if values[option.name] is None else values[option.name]
        for option in options
    }


def settings_of(given: Iterable[Any] | None) -> dict[str, str]:
    """``NAME=VALUE`` of ``--settings``; ``UsageError`` for what is something else."""
    settings = {}
    for each in given or ():
        name, is_one, value = str(each).partition("=")
        if not is_one or not name.strip():
            raise UsageError(f"--settings {each} is not NAME=VALUE", "--settings fsync=off")
        settings[name.strip()] = value.strip()
    return settings
