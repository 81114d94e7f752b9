"""A run process without namespaces around it: a session of its own, tied to the front by a pipe.

The docker, ssh and plain providers start it so. The end of its standard input tells it that the
front died, however the front died; it then heals, seals, takes its cluster down and exits. If
the run process itself is killed, the front cleans up after it; if both are, ``polygraph heal``
does, by what ``cluster.json`` says.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.cluster import belonging
from harness.errors import HealError, SetupError, cannot_write
from harness.linux import identity
from harness.linux.identity import ProcessIdentity
from harness.linux.stopping import held_back
from harness.store import registration
from harness.store.registration import Registration

_END_TIMEOUT_S = 10.0

CleanUp = Callable[[Path, Registration], list[str]]
"""``Provider.clean_up``."""


class BareRun:
    """The run process, as the front sees it (``RunProcess``)."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        run_dir: Path,
        clean_up: CleanUp,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.run_pid = process.pid
        self.stdin_fd: int | None = process.stdin.fileno() if process.stdin else None
        self.left_running = False
        self._process = process
        self._run_dir = run_dir
        self._clean_up = clean_up
        self._facts = dict(facts or {})

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Its exit code (128 + n for signal n) with its cluster gone; ``None`` at the time-out."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        registered = registration.read(self._run_dir)
        self.left_running = registered is not None and registered.left_running
        if not self.left_running:
            self._let_go(registered)
        return code if code >= 0 else 128 - code

    def kill(self) -> None:
        """End it and its cluster, also one that was left running; returns when all is gone."""
        if self._process.poll() is None:
            self._process.kill()
            try:
                self._process.wait(_END_TIMEOUT_S)
            except subprocess.TimeoutExpired as error:
                raise HealError(
                    f"the run process {self.run_pid} does not end, though it was killed: it waits "
                    "in the kernel, most likely for a disk",
                    "polygraph heal, once it has ended",
                ) from error
        self._let_go(registration.read(self._run_dir))

    def _let_go(self, registered: Registration | None) -> None:
        """Clean up after a run process that did not do so itself, and forget the run."""
        if self._process.stdin is not None:
            self._process.stdin.close()
            self.stdin_fd = None
        if registered is None:
            return
        from harness.cluster.leftovers import forget

        registered = replace(registered, facts=self._facts)  # as we know them, whatever is written
        left = self._clean_up(self._run_dir, registered) or forget(self._run_dir, registered)
        if left:
            raise HealError("; ".join(left), "polygraph heal")


def spawn(
    argv: Sequence[str],
    *,
    provider: str,
    run_dir: Path,
    clean_up: CleanUp,
    pass_fds: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> BareRun:
    """Start ``argv`` as the run process of a run that is registered before it can make anything.

    ``facts`` is what the provider's ``clean_up`` will need to know (JSON). ``StoreError`` or
    ``SetupError`` with nothing left behind.
    """
    _register(run_dir, provider, identity.identify(os.getpid()), facts or {})
    try:
        with held_back():  # until the run process takes them calmly
            process = subprocess.Popen(
                [os.fspath(word) for word in argv],
                stdin=subprocess.PIPE,
                pass_fds=list(pass_fds),
                env=belonging.environment(env, run_dir),
                # The terminal's Ctrl-C is the front's, which passes it on.
                start_new_session=True,
            )
    except OSError as error:
        registration.remove(run_dir)
        raise SetupError(f"the run process could not be started: {error}") from error
    run = BareRun(process, run_dir, clean_up, facts)
    try:
        _register(run_dir, provider, identity.identify(process.pid), facts or {})
    except BaseException:
        run.kill()
        raise
    return run


def _register(
    run_dir: Path, provider: str, keeper: ProcessIdentity | None, facts: Mapping[str, Any]
) -> None:
    """Until the run process has a number the front stands for it: dead front, dead run."""
    if keeper is None:
        raise SetupError(f"the run process of {run_dir} ended at once")
    try:
        registration.write(run_dir, provider, keeper, facts)
    except OSError as error:
        raise cannot_write(f"cannot write into {run_dir}", error) from error
