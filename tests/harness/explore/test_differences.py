"""What went otherwise in runs made again is said, and nothing where all was as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.explore.differences import differences
from harness.explore.recorded import Recorded
from tests.harness.explore.simulated import candidate

START = candidate("kill-1", "pause-1")
HAPPENED = (
    {"began_s": 10.0, "targets": ["n1"], "bit": True},
    {"began_s": 20.0, "targets": ["n2", "n3"], "bit": True},
)


def run(*happened: dict[str, Any], **facts: Any) -> Recorded:
    plain = {"versions": {"etcd": "3.5.1", "kernel": "6"}, "provider": "local:root"}
    return Recorded(
        run_dir=Path("/run"),
        table={"system": "etcd"},
        schedule=START.schedule,
        happened=happened or HAPPENED,
        facts={**plain, **facts},
    )


def test_the_same_run_differs_in_nothing() -> None:
    assert differences(run(), [run(), run()]) == []
    assert differences(run(), []) == []
    near = ({**HAPPENED[0], "began_s": 10.05}, HAPPENED[1])
    assert differences(run(), [run(*near)]) == []


def test_versions_and_provider_are_compared() -> None:
    now = run(versions={"etcd": "3.5.9", "kernel": "6"}, provider="docker")
    assert differences(run(), [now]) == [
        "etcd: 3.5.1 then, 3.5.9 now",
        "provider: local:root then, docker now",
    ]


def test_other_targets_moments_and_faults_that_did_nothing_are_told_with_their_number() -> None:
    other = ({**HAPPENED[0], "targets": ["n2"], "bit": False}, {**HAPPENED[1], "began_s": 21.5})
    never = (HAPPENED[0], {"never": "milestone 1 never came"})
    assert differences(run(), [run(*other), run(*never)]) == [
        "kill-1 hit n1 then, and n2 in 1 of 2 runs",
        "kill-1 did not bite in 1 of 2 runs",
        "pause-1 never began in 1 of 2 runs",
        "pause-1 began up to 1.50 s later",
    ]
