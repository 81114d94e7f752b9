"""The way in: the front starts a run process inside namespaces that end with it.

The front (command line, scheduler, test) stays outside, may have threads and may die; what it
starts here (:mod:`harness.cluster.namespaces.reaper`) is a fresh small interpreter, so nothing is
forked among the front's threads. Three descriptors tie them together: the front's own pidfd, by
which the reaper knows that the front died, however it died; the run process's standard input, whose
end tells it the same; and a channel for what happened.

Cost: about 50 ms until the run process is executed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from harness.cluster import belonging, leftovers
from harness.cluster.namespaces import wire
from harness.cluster.namespaces.reaper import GRACE_S
from harness.cluster.namespaces.reasons import PYROUTE2_HINT, has_pyroute2, hint_for
from harness.errors import NeedsError, SetupError, UsageError, cannot_write
from harness.linux import identity
from harness.linux.identity import ProcessIdentity
from harness.linux.stopping import held_back
from harness.store import registration
from harness.wording import shown

Mode = Literal["root", "userns"]
MODES: tuple[Mode, ...] = ("root", "userns")
PLAIN: Literal["plain"] = "plain"
"""No namespaces: the reaper itself ends all."""

# Last on the path: where this package is installed, its neighbours must not stand in for the
# standard library.
_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from harness.cluster.namespaces import reaper; reaper.main()"
)
_SETUP_TIMEOUT_S = 30.0
_GIVE_UP_TIMEOUT_S = 5.0
_END_TIMEOUT_S = 30.0


class Entered:
    """A run process in its namespaces, as the front sees it.

    ``pid`` is the reaper, whose end is the end of all; ``run_pid`` the run process.
    ``stdin_fd`` is the front's end of the run process's standard input if ``spawn`` made it.
    """

    def __init__(self, launcher: subprocess.Popen[bytes], channel: socket.socket) -> None:
        self.pid = 0
        self.run_pid = 0
        self.stdin_fd: int | None = None
        self.left_running = False
        self._launcher = launcher
        self._channel = channel
        self._identity: ProcessIdentity | None = None
        self._run_dir: Path | None = None
        self._status: int | None = None

    def wait(self, timeout_s: float | None = None) -> int | None:
        """The run process's exit code once all is gone, or ``None`` at the time-out.

        128 + n where signal n ended the run process, or the reaper and all with it.
        Where the run process left its cluster running, its exit code and ``left_running``.
        """
        if self._status is not None:
            return self._status
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        message = self._next_message(deadline)
        if message is None:
            return None
        if message.get("stays"):
            self.left_running = True
            self._status = int(message["exit"])
            return self._status
        return self._wait_for_launcher(deadline)

    def close_stdin(self) -> None:
        """End the run process's standard input: it heals, seals and exits. Safe twice."""
        if self.stdin_fd is not None:
            os.close(self.stdin_fd)
            self.stdin_fd = None

    def kill(self) -> None:
        """End everything at once, also a cluster that was left running; returns when it is gone."""
        if self._identity is None:
            self._give_up()
        elif not identity.kill_and_wait(self._identity, _END_TIMEOUT_S):
            raise SetupError(f"the reaper {self.pid} of {self._run_dir} does not end")
        self._wait_for_launcher(None)

    def _give_up(self) -> None:
        """Before the reaper is known: it ends when nobody listens; kill the launcher if not."""
        self._channel.close()
        try:
            self._launcher.wait(_GIVE_UP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._launcher.kill()

    def _next_message(self, deadline: float | None) -> dict[str, Any] | None:
        """The next report; ``{}`` at its end; ``None`` at the deadline."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        left_ms = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        if not poll.poll(left_ms):
            return None
        message = wire.receive(self._channel)
        return {} if message is None else message.body

    def _wait_for_launcher(self, deadline: float | None) -> int | None:
        left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            code = self._launcher.wait(left_s)
        except subprocess.TimeoutExpired:
            return None
        self._status = code
        self._let_go()
        return code

    def _let_go(self) -> None:
        self._channel.close()
        self.close_stdin()
        if self._run_dir is not None:
            leftovers.forget(self._run_dir)


def choose_mode(provider: str) -> Mode:
    """The mode in which this machine can run ``provider`` (``local``, ``local:root``, …).

    Each candidate is rehearsed: a bridge, a veth pair, a firewall table and a node are really
    made in a child and end with it. ``NeedsError`` says what was refused and what would help.
    """
    kind, _, mode = provider.partition(":")
    if kind in ("docker", "ssh") or mode == "plain":
        raise UsageError(f"the provider {shown(provider)} makes no namespaces", "--provider local")
    if kind != "local" or (mode and mode not in MODES) or provider.endswith(":"):
        known = ", ".join(["local", *(f"local:{m}" for m in MODES)])
        raise UsageError(f"there is no provider {shown(provider)} (known: {known})")
    if not has_pyroute2():
        raise NeedsError("the local provider needs the Python package pyroute2", PYROUTE2_HINT)
    refusals = []
    for candidate in MODES:
        if mode in ("", candidate):
            refusal = refusal_of(candidate)
            if refusal is None:
                return candidate
            refusals.append((candidate, refusal))
    what = "; ".join(f"local:{candidate}: {refusal}" for candidate, refusal in refusals)
    hint = "; or ".join(dict.fromkeys(hint_for(candidate, why) for candidate, why in refusals))
    raise NeedsError(f"this machine does not let a cluster be made here ({what})", hint)


def refusal_of(mode: Mode, *, fail_at: str | None = None) -> str | None:
    """Why a cluster cannot be made in this mode, by rehearsing it; ``None`` if it can."""
    if mode == "root" and os.geteuid() != 0:
        return "not run as root"
    entered: Entered | None = None
    try:
        entered = _launch(
            {"mode": mode, "rehearse": True, "fail_at": fail_at, "pass_fds": []}, (), None, None
        )
        _expect(entered, "rehearsed")
    except SetupError as error:
        return error.message
    finally:
        if entered is not None:
            entered.kill()
    return None


def spawn(
    argv: Sequence[str],
    *,
    mode: Mode | Literal["plain"],
    run_dir: Path,
    pass_fds: Sequence[int] = (),
    stdin: int | None = None,
    env: Mapping[str, str] | None = None,
    fail_at: str | None = None,
    grace_s: float = GRACE_S,
) -> Entered:
    """Start ``argv`` as the run process, in namespaces of its own; returns once it is executed.

    ``stdin`` is a descriptor to read from; without it a pipe is made whose other end only the
    front holds (:attr:`Entered.stdin_fd`), so that its death is the end of that input.
    ``pass_fds`` stay open under their numbers. ``run_dir`` gets ``cluster.json``, by which
    ``polygraph down`` and ``heal`` find the run. ``fail_at`` names a step that fails on request.
    When the front has died the run process has ``grace_s`` to end by itself.
    ``SetupError`` or ``StoreError`` with nothing left behind.
    """
    settings: dict[str, Any] = {
        "mode": mode,
        "rehearse": False,
        "fail_at": fail_at,
        "grace_s": grace_s,
        "argv": [os.fspath(word) for word in argv],
        "registration": os.fspath(registration.path(run_dir.resolve())),
        "pass_fds": list(pass_fds),
    }
    made: tuple[int, int] | None = os.pipe() if stdin is None else None
    marked = belonging.environment(env, run_dir)
    entered = _launch(settings, pass_fds, made[0] if made else stdin, marked)
    if made:
        os.close(made[0])
        entered.stdin_fd = made[1]
    try:
        return _complete(entered, mode, run_dir)
    except BaseException:
        entered.kill()
        raise


def _complete(entered: Entered, mode: str, run_dir: Path) -> Entered:
    """Register the run before the run process exists, then let it start."""
    entered.pid = _expect(entered, "ready").pid
    entered._identity = identity.identify(entered.pid)
    if entered._identity is None:
        raise SetupError(f"the reaper {entered.pid} ended at once")
    try:
        registration.write(run_dir, f"local:{mode}", entered._identity)
    except OSError as error:
        raise cannot_write(f"cannot write into {run_dir}", error) from error
    entered._run_dir = run_dir
    wire.send(entered._channel, {"go": True})
    started = _expect(entered, "started")
    entered.run_pid = started.body["pid"] if mode == PLAIN else started.pid
    return entered


def _launch(
    settings: dict[str, Any],
    pass_fds: Sequence[int],
    stdin: int | None,
    env: Mapping[str, str] | None,
) -> Entered:
    ours, theirs = wire.pair()
    front_fd = os.pidfd_open(os.getpid())
    settings |= {"report_fd": theirs.fileno(), "front_fd": front_fd}
    root = Path(__file__).resolve().parents[3]
    try:
        with held_back():  # until the reaper ignores them
            launcher = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BOOT, str(root), json.dumps(settings)],
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                pass_fds=[*pass_fds, theirs.fileno(), front_fd],
                env=None if env is None else dict(env),
                # The terminal's Ctrl-C is the front's, which passes it on.
                start_new_session=True,
            )
    except OSError as error:
        ours.close()
        raise SetupError(f"the reaper could not be started: {error}") from error
    finally:
        theirs.close()
        os.close(front_fd)
    return Entered(launcher, ours)


def _expect(entered: Entered, key: str) -> wire.Message:
    """The next message, which must have ``key``; ``SetupError`` names the step that failed."""
    poll = select.poll()
    poll.register(entered._channel, select.POLLIN)
    if not poll.poll(_SETUP_TIMEOUT_S * 1000):
        raise SetupError(f"the run's namespaces did not come up in {_SETUP_TIMEOUT_S:.0f} s")
    message = wire.receive(entered._channel)
    if message is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            entered._launcher.wait(1.0)
        raise SetupError("the run's first process ended during set-up")
    if "failed" in message.body:
        raise SetupError(f"{message.body['failed']}: {message.body['why']}")
    if key not in message.body:
        raise SetupError(f"the run's first process said {message.body} instead of {shown(key)}")
    return message
