"""What all faults have in common that hold a cut: it is cut beside others, let go, and measured.

The ``grudge`` stands in the ledger's detail; an occurrence is the holder of its cut, so that cuts
that overlap are held together (:mod:`nemeses.network.cuts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.contract.fault import Effects, Proof, Stage
from harness.contract.shot import Shot, shoot
from nemeses.network import shapes
from nemeses.network.cuts import cuts_of
from nemeses.network.proofs import cuttable, measured


class HoldsCut:
    """Cut by the ``grudge`` of the detail, and let go again; what proves the bite differs."""

    name = ""

    def effects(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Effects:
        """The links of the grudge carry nothing."""
        return Effects(cuts=detail["grudge"])

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Cut, beside what other cuts hold."""
        shoot(self.prepare(stage, targets, detail))

    def prepare(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Shot:
        """The cut made ready."""
        grudge = shapes.from_json(detail["grudge"])
        return cuts_of(cuttable(stage)).prepare(self.holder(detail), grudge)

    def heal(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Let every packet pass, but for what another cut holds."""
        cuts_of(cuttable(stage)).let_go(self.holder(detail))

    def healed(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether all links carry again, but for what another cut holds."""
        figures: dict[str, Any] = {}
        about = shapes.from_json(detail["grudge"])
        what, is_exact = measured(stage, figures, self.holder(detail), about)
        return Proof(holds=is_exact, what=what, figures=figures)

    def holder(self, detail: Mapping[str, Any]) -> tuple[str, int]:
        """By whom an occurrence's cut is held."""
        return self.name, occurrence_of(detail)


def occurrence_of(detail: Mapping[str, Any]) -> int:
    """Which occurrence of the schedule a detail is of; -1 where it is of none."""
    return int(detail.get("occurrence", -1))
