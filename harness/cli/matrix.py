"""``polygraph list --matrix``: which workload runs on which system, and which fault where.

A workload needs abilities that the system's clients must have
(:data:`harness.contract.client.ABILITIES`), a fault abilities of nodes and cluster, which providers
have by their table (:data:`harness.cluster.abilities.ABILITIES`), and of the system.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.cluster import abilities
from harness.contract.fault import HasNeeds
from harness.contract.workload import WorkloadOptions
from harness.option import defaults_of
from harness.plugins import Registry


def tables(registry: Registry) -> dict[str, Any]:
    """Both tables, for machines: workload to system, and fault to provider."""
    return {"workloads": workloads(registry), "faults": faults(registry)}


def workloads(registry: Registry) -> dict[str, dict[str, list[str]]]:
    """Workload to system to the abilities that are missing (none: it runs)."""
    systems = {
        name: set(found.factory(defaults_of(found.factory)).abilities())
        for name, found in registry.usable("systems").items()
    }
    return {
        workload: {
            system: _names(_needs(found.factory) - has) for system, has in sorted(systems.items())
        }
        for workload, found in sorted(registry.usable("workloads").items())
    }


def faults(registry: Registry) -> dict[str, dict[str, Any] | None]:
    """Fault to provider to what is ``missing`` and under which ``conditions`` it is possible.

    ``system`` names what the system must be able to do; ``None`` in place of all of that is a
    fault that does not say what it needs.
    """
    usable = sorted(registry.usable("nemeses").items())
    return {name: _of_fault(found.factory) for name, found in usable}


def show(table: Mapping[str, Any], say: Callable[[str], Any]) -> None:
    """Both tables, for people, a line each pair."""
    for workload, systems in table["workloads"].items():
        for system, missing in systems.items():
            answer = f"no: its clients lack {', '.join(missing)}" if missing else "yes"
            say(f"{workload:<16} on {system:<16} {answer}")
    for fault, found in table["faults"].items():
        for provider in abilities.ABILITIES:
            say(f"{fault:<16} on {provider:<16} {_answer(found, provider)}")


def _answer(found: Mapping[str, Any] | None, provider: str) -> str:
    if found is None:
        return "asked before set-up"
    on = found["providers"][provider]
    if on["missing"]:
        return f"no: it lacks {', '.join(on['missing'])}"
    of_system = found["system"]
    wanted = [f"the system has {' and '.join(of_system)}"] if of_system else []
    wanted += on["conditions"]
    return f"yes, if {' and '.join(wanted)}" if wanted else "yes"


def _of_fault(factory: Any) -> dict[str, Any] | None:
    fault = factory(defaults_of(factory))
    if not isinstance(fault, HasNeeds):
        return None
    needs = fault.needs
    return {
        "system": _names(abilities.of_systems(needs)),
        "providers": {
            provider: {
                "missing": _missing(needs, provider),
                "conditions": abilities.conditions(needs, provider),
            }
            for provider in abilities.ABILITIES
        },
    }


def _missing(needs: Any, provider: str) -> list[str]:
    """What a provider lacks for a fault; of one that touches nothing the reason, at least."""
    untouched = ["nodes of our own"] if abilities.is_untouched(provider) else []
    return _names(abilities.lacking(needs, provider)) or untouched


def _names(types: Any) -> list[str]:
    return sorted(each.__name__ for each in types)


def _needs(factory: Any) -> set[type]:
    options = WorkloadOptions(nodes=5, concurrency=20, seed=0, extra=defaults_of(factory))
    return set(factory(options).needs)
