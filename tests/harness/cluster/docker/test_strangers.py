"""A folder that names the project of others: their containers stay, in a real engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.cluster.docker import engine
from harness.cluster.leftovers import down, heal
from harness.errors import HealError
from harness.linux.identity import ProcessIdentity
from harness.store import registration
from tests.harness.cluster.strange_runs import folder_of, gone, register, store

__all__ = ["gone", "store"]

pytestmark = [pytest.mark.docker, pytest.mark.cluster, pytest.mark.usefixtures("nothing_left")]


def test_the_containers_of_others_stay_whatever_project_a_folder_names(
    store: Path, gone: ProcessIdentity, make: Any
) -> None:
    beside = make(1)
    beside.up()
    facts = {"project": beside._layout.project, "engine": engine.find()}
    run_dir = register(folder_of(store, "hostile"), gone, provider="docker", facts=facts)
    (left,) = heal(store)
    assert f"names the project {beside._layout.project}" in left
    assert beside.nodes[0].run(["true"]).exit_code == 0
    with pytest.raises(HealError, match="names the project"):
        down(run_dir)
    assert beside.nodes[0].run(["true"]).exit_code == 0
    assert registration.path(run_dir).exists()


def test_things_that_carry_the_projects_name_alone_stay(
    store: Path, gone: ProcessIdentity, client: Any
) -> None:
    run_dir = folder_of(store, "run")
    project = engine.project_of(run_dir)
    others = engine.labels(project, "/elsewhere")
    own = engine.labels(project, str(run_dir))
    client.create_volume(f"{project}-others", labels=others)
    client.create_volume(f"{project}-n1", labels=own)
    try:
        facts = {"project": project, "engine": engine.find()}
        register(run_dir, gone, provider="docker", facts=facts)
        assert heal(store) == []
        label = f"{engine.PROJECT_LABEL}={project}"
        assert engine.everything(client, label) == ([], [f"{project}-others"], [])
    finally:
        client.remove_volume(f"{project}-others", force=True)
