"""A run's folder is data: ``heal`` and ``down`` obey none that a stranger may have written.

Each of these folders could be a download. Beside it there is always a run of our own that died:
whatever the stranger's folder holds, ours is healed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.leftovers import down
from harness.errors import HealError
from harness.history.ledger import Ledger
from harness.linux.identity import ProcessIdentity
from harness.store import registration
from harness.store.runs import new_run_dir
from tests.harness.cluster.strange_runs import (
    LIMIT_S,
    folder_of,
    gone,
    healed_in_time,
    identity_of,
    ours,
    register,
    started,
    store,
    victim,
)

pytestmark = pytest.mark.slow


__all__ = ["gone", "ours", "store", "victim"]


@pytest.mark.parametrize("provider", ["local:root", "local:userns", "local:plain", "docker", "ssh"])
def test_no_process_ends_that_does_not_prove_to_be_the_runs(
    store: Path, victim: subprocess.Popen[bytes], ours: Callable[[], bool], provider: str
) -> None:
    run_dir = register(folder_of(store, "hostile"), identity_of(victim), provider=provider)
    begun = time.monotonic()
    (left,) = healed_in_time(store)
    assert time.monotonic() - begun < LIMIT_S / 2, "it was waited for"
    assert f"the process {victim.pid}" in left
    assert "does not prove to be" in left
    assert victim.poll() is None
    with pytest.raises(HealError, match="does not prove to be"):
        down(run_dir)
    assert victim.poll() is None
    assert registration.path(run_dir).exists()
    assert ours()


def test_a_process_of_another_run_ends_with_no_other(store: Path, ours: Callable[[], bool]) -> None:
    beside = started(POLYGRAPH_RUN_FOLDER=str(store / "system" / "workload" / "beside"))
    try:
        run_dir = register(folder_of(store, "hostile"), identity_of(beside))
        (left,) = healed_in_time(store)
        assert "does not prove to be" in left
        assert beside.poll() is None
        right = folder_of(store, "beside")
        register(right, identity_of(beside))
        registration.path(run_dir).unlink()
        assert healed_in_time(store) == []
        assert beside.wait(30) == -signal.SIGKILL
    finally:
        beside.kill()
        beside.communicate()
    assert ours()


@pytest.mark.parametrize("link", ["nodes", "nodes/n1", "nodes/n1/data"])
@pytest.mark.parametrize("how", ["heal", "down"])
def test_no_data_is_removed_through_a_link(
    store: Path, tmp_path: Path, gone: ProcessIdentity, link: str, how: str
) -> None:
    run_dir = register(folder_of(store, "hostile"), gone)
    elsewhere = tmp_path / "elsewhere"
    precious = elsewhere / "nodes" / "n1" / "data" / "precious"
    precious.parent.mkdir(parents=True)
    precious.write_text("mine")
    (run_dir / link).parent.mkdir(parents=True, exist_ok=True)
    (run_dir / link).symlink_to(elsewhere / link)
    (run_dir / "nodes" / "n2").mkdir(exist_ok=True) if link != "nodes" else None
    (data := run_dir / "nodes" / "n2" / "data").mkdir() if link != "nodes" else None
    if how == "heal":
        healed_in_time(store)
    else:
        down(run_dir)
    assert precious.read_text() == "mine"
    assert link == "nodes" or not data.exists(), "what is the run's own goes"


def ssh_facts(word: str, config: Path | None) -> dict[str, Any]:
    """Facts of a run over ssh."""
    config_name = None if config is None else str(config)
    return {"hosts": [["n1", word, None]], "ssh_config": config_name, "host_dir": ""}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of the user's without any configuration."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)  # whoever runs commands reads it
        yield home


@pytest.mark.parametrize("where", ["in the folder", "in the store", "elsewhere"])
def test_no_ssh_configuration_is_read_that_a_folder_names(
    store: Path,
    tmp_path: Path,
    home: Path,
    gone: ProcessIdentity,
    ours: Callable[[], bool],
    where: str,
) -> None:
    run_dir = folder_of(store, "hostile")
    places = {"in the folder": run_dir, "in the store": store, "elsewhere": tmp_path}
    config, proof = places[where] / "config", tmp_path / "it-ran"
    config.write_text(f'Match exec "touch {proof}"\n HostName 127.0.0.1\n')
    register(run_dir, gone, provider="ssh", facts=ssh_facts("127.0.0.1", config))
    (left,) = healed_in_time(store)
    assert not proof.exists()
    assert str(config) in left
    assert "never used" in left or f"--ssh-config {config}" in left
    with pytest.raises(HealError, match="ssh configuration"):
        down(run_dir)
    assert not proof.exists()
    assert registration.path(run_dir).exists()
    assert ours()


def test_a_host_that_is_a_command_does_not_reach_the_users_own_configuration(
    store: Path, tmp_path: Path, home: Path, gone: ProcessIdentity, ours: Callable[[], bool]
) -> None:
    proof = tmp_path / "it-ran"
    (home / ".ssh" / "config").write_text('Match exec "test %h = lab"\n User root\n')
    word = f"$(touch${{IFS}}{proof})"
    register(folder_of(store, "hostile"), gone, provider="ssh", facts=ssh_facts(word, None))
    (left,) = healed_in_time(store)
    assert not proof.exists()
    assert "cannot be one" in left
    assert ours()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host_dir", "/var/tmp/../../home"),
        ("host_dir", "relative"),
        ("host_dir", 7),
        ("hosts", [["../n1", "127.0.0.1", None]]),
        ("hosts", [["n1", "-oProxyCommand=x", None]]),
        ("hosts", [["n1", "127.0.0.1", "`id`"]]),
        ("hosts", [["n1", "127.0.0.1"]]),
        ("hosts", {"n1": "127.0.0.1"}),
        ("hosts", [["n1", "127.0.0.1", None]] * 2),
        ("hosts", []),
        ("ssh_config", ["x"]),
        ("ssh_config", "relative"),
    ],
)
def test_facts_over_ssh_that_cannot_be_ours_are_told(
    store: Path,
    home: Path,
    gone: ProcessIdentity,
    ours: Callable[[], bool],
    name: str,
    value: Any,
) -> None:
    facts = {**ssh_facts("127.0.0.1", None), name: value}
    run_dir = register(folder_of(store, "hostile"), gone, provider="ssh", facts=facts)
    (left,) = healed_in_time(store)
    assert "what cannot be one" in left
    assert registration.path(run_dir).exists()
    assert ours()


def test_no_host_is_spoken_to_that_the_user_does_not_know(
    store: Path, home: Path, gone: ProcessIdentity, ours: Callable[[], bool]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        word = f"127.0.0.1:{listener.getsockname()[1]}"
        register(folder_of(store, "hostile"), gone, provider="ssh", facts=ssh_facts(word, None))
        (left,) = healed_in_time(store)
        assert "you know no host key of" in left
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert ours()


def test_a_configuration_that_the_user_names_is_used(
    store: Path, tmp_path: Path, home: Path, gone: ProcessIdentity, ours: Callable[[], bool]
) -> None:
    config, proof = tmp_path / "config", tmp_path / "it-ran"
    config.write_text(f'Match exec "touch {proof}"\n HostName 127.0.0.1\n')
    register(folder_of(store, "mine"), gone, provider="ssh", facts=ssh_facts("lab", config))
    (left,) = healed_in_time(store, {"ssh_config": str(config)})
    assert "you know no host key of" in left
    assert proof.exists()
    assert ours()


class Engine:
    """Stands for a Docker engine: holds containers by their labels, and says what was removed."""

    def __init__(self, *held: dict[str, str]) -> None:
        self.held = {str(number): labels for number, labels in enumerate(held)}

    def containers(self, all: bool, filters: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = filters["label"]
        words = [wanted] if isinstance(wanted, str) else wanted
        return [
            {"Id": id, "Labels": labels}
            for id, labels in self.held.items()
            if {*words} <= {f"{name}={value}" for name, value in labels.items()} | {*labels}
        ]

    def volumes(self, filters: dict[str, Any]) -> dict[str, Any]:
        return {"Volumes": None}

    def networks(self, filters: dict[str, Any]) -> list[dict[str, Any]]:
        return []

    def remove_container(self, id: str, force: bool, v: bool) -> None:
        del self.held[id]

    def remove_volume(self, name: str, force: bool) -> None:
        raise AssertionError("there are none")

    def remove_network(self, id: str) -> None:
        raise AssertionError("there are none")


@pytest.fixture
def engine_at(monkeypatch: pytest.MonkeyPatch) -> dict[str | None, Engine]:
    """Engines by their address, in place of the SDK; the user's own is ``unix:///own``."""
    from harness.cluster.docker import engine

    engines: dict[str | None, Engine] = {}
    monkeypatch.setenv("DOCKER_HOST", "unix:///own")
    monkeypatch.setattr(engine, "_SETTLE_S", 0.0)
    monkeypatch.setattr(engine, "connect", lambda url=None, **how: engines[url or "unix:///own"])
    return engines


def labels_of(project: str, run_dir: Path | str) -> dict[str, str]:
    """What a container of a run carries."""
    return {
        "org.polygraph.project": project,
        "org.polygraph.run": str(run_dir),
        "org.polygraph.host": socket.gethostname(),
    }


def project_of(run_dir: Path) -> str:
    """The project of a run, as the provider names it."""
    import hashlib

    place = f"{socket.gethostname()}:{run_dir}"
    return f"polygraph-{hashlib.sha256(place.encode()).hexdigest()[:10]}"


def test_no_container_goes_but_those_that_say_that_they_are_the_runs(
    store: Path,
    gone: ProcessIdentity,
    ours: Callable[[], bool],
    engine_at: dict[str | None, Engine],
) -> None:
    hostile, honest = folder_of(store, "hostile"), folder_of(store, "honest")
    own = project_of(honest)
    unrelated = labels_of("shop", "/elsewhere")
    mixed = labels_of(own, "/elsewhere")  # the project's name alone is no proof
    stray = labels_of("shop", folder_of(store, "forgotten"))
    held = Engine(unrelated, mixed, stray, labels_of(own, honest))
    engine_at["unix:///own"] = held
    register(hostile, gone, provider="docker", facts={"project": "shop", "engine": "unix:///own"})
    register(honest, gone, provider="docker", facts={"project": own, "engine": "unix:///own"})
    (left,) = healed_in_time(store)
    assert "names the project shop" in left
    assert [*held.held.values()] == [unrelated, mixed, stray]
    with pytest.raises(HealError, match="names the project shop"):
        down(hostile)
    assert [*held.held.values()] == [unrelated, mixed, stray]
    assert not registration.path(honest).exists()
    assert ours()


def test_no_engine_is_spoken_to_that_a_folder_names(
    store: Path,
    gone: ProcessIdentity,
    ours: Callable[[], bool],
    engine_at: dict[str | None, Engine],
) -> None:
    run_dir = folder_of(store, "hostile")
    theirs = Engine(labels_of(project_of(run_dir), run_dir))
    engine_at["tcp://theirs"], engine_at["unix:///own"] = theirs, Engine()
    facts = {"project": project_of(run_dir), "engine": "tcp://theirs"}
    register(run_dir, gone, provider="docker", facts=facts)
    (left,) = healed_in_time(store)
    assert "DOCKER_HOST=tcp://theirs" in left
    assert len(theirs.held) == 1
    assert ours()


# -- whose the folder is -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "mode"),
    [
        (".", 0o775),
        (".", 0o757),
        ("cluster.json", 0o664),
        ("cluster.json", 0o646),
        ("faults.jsonl", 0o664),
        ("..", 0o775),
        ("../..", 0o775),
        ("../../..", 0o777),
    ],
)
def test_a_run_that_others_can_write_is_not_obeyed_and_it_is_said_what_would_help(
    store: Path, place: str, mode: int
) -> None:
    marked = started(POLYGRAPH_RUN_FOLDER=str(store / "system" / "workload" / "run"))
    try:
        run_dir = register(folder_of(store, "run"), identity_of(marked))
        (run_dir / "faults.jsonl").touch(0o644)
        before = (run_dir / place).stat().st_mode
        (run_dir / place).chmod(mode)
        (left,) = healed_in_time(store)
        assert "can write" in left
        assert f"chmod go-w {(run_dir / place).resolve()}" in left
        with pytest.raises(HealError, match="can write"):
            down(run_dir, store)
        assert marked.poll() is None
        (run_dir / place).chmod(before)
        assert healed_in_time(store) == []
        assert marked.wait(30) == -signal.SIGKILL
    finally:
        marked.kill()
        marked.communicate()


def test_in_a_store_of_many_users_where_nobody_can_replace_anothers_runs_are_healed(
    store: Path, gone: ProcessIdentity, ours: Callable[[], bool]
) -> None:
    store.chmod(0o1777)
    assert healed_in_time(store) == []
    assert ours()


@pytest.mark.parametrize("place", [".", "cluster.json", "faults.jsonl", "..", "../../.."])
def test_a_run_of_another_user_is_not_obeyed_not_even_by_root(
    store: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    marked = started(POLYGRAPH_RUN_FOLDER=str(store / "system" / "workload" / "run"))
    try:
        run_dir = register(folder_of(store, "run"), identity_of(marked))
        (run_dir / "faults.jsonl").touch(0o644)
        another = pretended_owner(monkeypatch, (run_dir / place).resolve())
        (left,) = healed_in_time(store)
        assert f"belongs to user {another}" in left
        with pytest.raises(HealError, match="belongs to"):
            down(run_dir, store)
        assert marked.poll() is None
    finally:
        marked.kill()
        marked.communicate()


def pretended_owner(monkeypatch: pytest.MonkeyPatch, place: Path) -> int:
    """Have this one file belong to another user; who that is."""
    another = 4_000_000
    if os.geteuid() == 0:
        os.chown(place, another, -1, follow_symlinks=False)
        return another

    def pretending(look: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
        def looked(path: Any, *more: Any, **how: Any) -> os.stat_result:
            found = look(path, *more, **how)
            if str(path) != str(place):
                return found
            return os.stat_result([*found[:4], another, *found[5:]])

        return looked

    monkeypatch.setattr(os, "stat", pretending(os.stat))
    monkeypatch.setattr(os, "lstat", pretending(os.lstat))
    return another


def test_runs_that_are_made_with_an_open_umask_can_be_healed_all_the_same(
    store: Path, gone: ProcessIdentity
) -> None:
    before = os.umask(0)
    try:
        run_dir = new_run_dir(store, "system", "workload", datetime(2026, 1, 2))
        registration.write(run_dir, "local:userns", gone)
        ledger = Ledger(run_dir / "faults.jsonl", lambda: 5)
        ledger.intend("partition", ["n1"], {})
        ledger.close()
        registration.mark_left_running(run_dir)
    finally:
        os.umask(before)
    assert healed_in_time(store) == []
    assert not registration.path(run_dir).exists()
