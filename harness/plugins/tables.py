"""What a plug-in's module says: its tables, and the names that it means to replace.

    CHECKERS = {"bank": MyBank, "ledger": Ledger}
    OVERRIDES = {"checkers": ["bank"]}

Whoever builds a table of the wrong shape is told so, and where.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Any, Final

from harness.errors import UsageError
from harness.wording import shown

OVERRIDES: Final = "OVERRIDES"
"""Where a module says which names of others it replaces, by kind."""


def table_in(module: ModuleType, kind: str, origin: str) -> dict[str, Any]:
    """The factories of ``kind`` by name; ``UsageError`` if the table is none."""
    table = getattr(module, kind.upper(), {})
    if not isinstance(table, Mapping):
        raise UsageError(
            f"{origin}: {kind.upper()} must map names to factories, not be {shown(table)}"
        )
    for name, factory in table.items():
        if not callable(factory):
            raise UsageError(
                f"{origin}: {kind.upper()}[{shown(name)}] is {shown(factory)}, no factory"
            )
    return {str(name): factory for name, factory in table.items()}


def overridden_in(module: ModuleType, kind: str, origin: str) -> frozenset[str]:
    """The names of ``kind`` that the module replaces; ``UsageError`` if it does not say them so."""
    said = getattr(module, OVERRIDES, {})
    names = said.get(kind, ()) if isinstance(said, Mapping) else None
    if names is None or isinstance(names, str) or not isinstance(names, Collection):
        raise UsageError(
            f"{origin}: {OVERRIDES} must map kinds to lists of names, not be {shown(said)}",
            f'{OVERRIDES} = {{"checkers": ["bank"]}}',
        )
    return frozenset(map(str, names))


def refuse_without_tables(module: ModuleType, kinds: Collection[str], origin: str) -> None:
    """``UsageError`` if the module has nothing that could be named: a slip of the pen, surely."""
    tables = [kind.upper() for kind in kinds]
    if not any(hasattr(module, table) for table in tables):
        raise UsageError(
            f"the plug-in {origin} has no table, so there is nothing in it to name (tables are"
            f" {', '.join(tables)})",
            'SYSTEMS = {"my-system": MySystem} at its end; docs/plugins.md',
        )


def refuse_odd_overrides(module: ModuleType, kinds: Collection[str], origin: str) -> None:
    """``UsageError`` if the module says that it replaces what it does not have."""
    for kind in kinds:
        missing = overridden_in(module, kind, origin) - set(table_in(module, kind, origin))
        if missing:
            raise UsageError(
                f"{origin}: {OVERRIDES} names {shown(min(missing))}, which is not in {kind.upper()}"
            )
    unknown = set(getattr(module, OVERRIDES, {})) - set(kinds)
    if unknown:
        known = ", ".join(kinds)
        raise UsageError(
            f"{origin}: {OVERRIDES} knows {known}, not {shown(min(map(str, unknown)))}"
        )
