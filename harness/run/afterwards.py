"""What is fetched of the nodes once the operations of a run are over, for the judge to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from harness.confidential import clear_logs
from harness.contract.node import Cluster, LogsElsewhere
from harness.contract.system import FinalState, Stage
from harness.linux.stopping import name_of
from harness.store.runs import write_json

AGREEMENT_PATIENCE_S: Final = 10.0


def collect_logs(cluster: Cluster, run_dir: Path, warn: Callable[[str], None]) -> None:
    """Fetch the logs that were written elsewhere, and clear all of them of secrets."""
    if isinstance(cluster, LogsElsewhere):
        for what in cluster.collect():
            warn(what)
    clear_logs(run_dir)


def keep_states(stage: Stage, run_dir: Path) -> None:
    """What every node holds in the end, for the checker of their agreement."""
    if isinstance(stage.system, FinalState):
        found = stage.system.final_states(stage, AGREEMENT_PATIENCE_S)
        write_json(run_dir / "evidence" / "final_states.json", asdict(found))


def signals_told(signalled: Sequence[int]) -> list[str]:
    """Whoever signals the run process may have signalled the nodes' processes too."""
    names = dict.fromkeys(map(name_of, signalled))
    return [f"{name} was sent to the run's own processes" for name in names]
