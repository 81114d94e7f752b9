"""Daemons that are not root, and three ports, alike wherever nodes can be."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cluster import providers
from harness.cluster.hands import users
from harness.cluster.hands.refused import Refused
from harness.cluster.provider import Request
from harness.contract import node
from tests.places import NODES, PLACES, Place, furnish
from tests.toys.three_ports import BOTH, CLIENT, PEER, ThreePorts

PROGRAM = Path(__file__).with_name("users_inside.py")
ROOT = Path(__file__).parents[3]


def outcome(place: Place, run_dir: Path) -> dict[str, Any]:
    """What the program saw as the run process of this place's provider."""
    system: Any = ThreePorts()
    with furnish(place, run_dir) as options:
        asked = Request(provider=place.provider, nodes=NODES[:2], system=system, options=options)
        request = providers.choose(asked)
        provider = providers.of(request.provider)
        provider.prepare(request, print)
        run = provider.spawn(
            [sys.executable, str(PROGRAM), str(run_dir), json.dumps(options)],
            request=request,
            run_dir=run_dir,
            pass_fds=[],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        try:
            status = run.wait(timeout_s=240)
        finally:
            run.kill()
    assert status == 0
    result: dict[str, Any] = json.loads((run_dir / "result.json").read_text())
    return result


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may pass through; those of pytest are closed."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.cluster
@pytest.mark.parametrize("place", PLACES)
def test_another_user_and_every_port_are_the_same_on_every_provider(
    place: Place, tmp_path: Path, open_folder: Path
) -> None:
    """Also where the run's folder is closed to others, as in many a home."""
    assert tmp_path.stat().st_mode & 0o077 == 0
    seen = outcome(place, tmp_path if place.provider != "local:plain" else open_folder)
    [own], told = map(int, seen["is"]["without"]), seen["is"]["told"]
    user = own or node.UNPRIVILEGED  # who is not root already stays who he is
    assert (told["users"], told["powers"], told["starts"]) == ([user] * 3, 0, 1)
    assert told["home"] == seen["is"]["data"]
    command = seen["is"]["command"]
    assert (command[0], command[2:]) == (str(user), [seen["is"]["data"]] * 2)
    assert "no-such-user" in seen["is"]["refused"]
    assert seen["signals"] == {"members": 2, "stopped": True, "all": True, "goes on": True}
    hour = {"ahead_s": 3600, "all_changed": True, "healed": True, "true_s": 0}
    assert seen["clock"] == hour
    assert seen["killed"] == [-9, True]
    assert seen["restarted"] == [60, 2, 7, True]
    both, clients = {str(PEER): True, str(BOTH): True}, {str(CLIENT): True, str(BOTH): True}
    assert seen["ports"] == {
        "clients": clients,
        "peers": both,
        "cut": dict.fromkeys(both, False),
        "still": True,
        "healed": both,
    }


@pytest.mark.root
@pytest.mark.cluster
@pytest.mark.parametrize("mode", ["plain"])
def test_without_namespaces_root_cannot_let_another_user_through_a_closed_folder(
    start: Callable[..., Any],
) -> None:
    refused = start("starts_as_another").result()
    assert "the user 65534 may not use" in refused
    assert "closed to others" in refused


def test_who_is_not_root_cannot_become_somebody_and_need_not_become_anybody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert not users.way_to(users.UNPRIVILEGED).changes_owner
    assert not users.way_to(4711).changes_owner
    for other in (4712, "root"):
        with pytest.raises(Refused, match=f"runs as the user 4711, who cannot become {other}"):
            users.way_to(other)


def test_the_user_that_is_nobody_in_particular_is_the_same_to_contract_and_hands() -> None:
    assert node.UNPRIVILEGED == users.UNPRIVILEGED
