"""What a soak does to what is not ours: agreed to once, before the first of its runs begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from harness.cli.test import agreement
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.soak.book import Settings

AGREED = "--yes"
"""To each run of the soak (:mod:`harness.cli.soak_run`): what its warning says was agreed to."""


def words_of_agreement(settings: Settings, flags: Mapping[str, Any]) -> list[str]:
    """What a run is told where the user was asked, and agreed; nothing where nobody need be asked.

    ``UsageError`` where nobody agrees, or where runs beside each other would break one cluster.
    """
    agrees = _once(agreement(flags["yes"]))
    asked = [_asked(cell.scenario, settings.parallel, agrees) for cell in settings.all_cells]
    return [AGREED] if any(asked) else []


def _asked(table: Mapping[str, Any], parallel: int, agrees: Callable[[str], bool]) -> bool:
    from harness.cluster import providers
    from harness.cluster.provider import AsksFirst
    from harness.run.front import ask_first
    from harness.run.preparation import prepare
    from harness.run.scenario import resolve
    from harness.store.scenario import registry_of

    registry = registry_of(table)
    scenario = resolve(table, registry)
    attaches = bool(scenario.all_options.get("attach"))
    if not attaches and not isinstance(providers.of(scenario.provider), AsksFirst):
        return False
    if attaches and scenario.nemesis and parallel > 1:
        raise UsageError(
            f"--parallel {parallel}: runs side by side would break the same cluster, and none could"
            " tell its own faults from another's",
            "--parallel 1, where something is attached to",
        )
    ask_first(prepare(scenario, registry), agrees)
    return True


def _once(agrees: Callable[[str], bool]) -> Callable[[str], bool]:
    """Ask once what would be asked with the same words again."""
    said: dict[str, bool] = {}

    def remembered(warning: str) -> bool:
        if warning not in said:
            said[warning] = agrees(warning)
        return said[warning]

    return remembered
