"""Judging in a process of its own, with limits of time and memory.

A checker that eats the machine or dies must take neither the run nor its verdict along: then
the verdict is ``unknown`` and says what happened.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.linux import kernel
from harness.linux.stopping import STOPPING
from harness.linux.surroundings import program
from harness.store.runs import read_json, write_json
from harness.verdict.verdict_file import VerdictFile

CHECK_SECONDS = 300.0
GRACE_S = 60.0
MEMORY_SHARE = 0.75


def collect_seldom() -> None:
    """Have the interpreter look for cyclic garbage seldom, in a process that only judges.

    Judging makes millions of objects that live to the end and hardly a cycle; looked at again
    and again, they make ten times the operations take sixteen times the time.
    """
    gc.set_threshold(200_000, 20, 100)


def judge_apart(
    run_dir: Path,
    warn: Callable[[str], None],
    *,
    plugins: Sequence[str] = (),
    seconds: float = CHECK_SECONDS,
) -> dict[str, Any]:
    """The verdict on the run, written to its folder; ``unknown`` if the judging process died.

    ``StoreError`` where none can be written: a verdict that nobody can look up is none.

    ``plugins`` are the files of the run's own scenario, ``seconds`` what each checker may take.
    """
    argv = program("harness.judge", str(run_dir), str(seconds), *plugins)
    log = run_dir / "evidence" / "judge.log"
    failure = _run_limited(argv, log, seconds + GRACE_S)
    verdict: dict[str, Any] | None = read_json(run_dir / "verdict.json")
    if verdict is not None:
        return verdict
    reason = f"the judging process {failure or 'wrote no verdict'}; its words are in {log}"
    warn(reason)
    verdict = {**unjudged(reason)}
    try:
        write_json(run_dir / "verdict.json", verdict)
    except StoreError as error:
        hint = f"polygraph check {run_dir}, once it can be written"
        raise StoreError(f"no verdict could be kept: {error.message}", hint) from error
    return verdict


def unjudged(reason: str) -> VerdictFile:
    """A verdict ``unknown`` that says why nothing was judged."""
    return {
        "valid": "unknown",
        "why": reason,
        "claims": [],
        "schema": 1,
        "seed": None,
        "reproduce": None,
        "operations": {},
        "faults": {},
        "health": [],
        "settle": [{"about": reason, "do": "polygraph check RUN judges the run's folder again"}],
        "checkers": {},
    }


def _run_limited(argv: list[str], log: Path, limit_s: float) -> str | None:
    """Run ``argv`` with its words in ``log``; what went wrong, or ``None``."""
    try:
        with log.open("ab") as words:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                timeout=limit_s,
                preexec_fn=_limit,
                check=False,
            )
    except subprocess.TimeoutExpired:
        return f"was not done after {limit_s:g} s"
    except OSError as error:
        return f"could not be started: {error}"
    if done.returncode < 0:
        return f"was ended by signal {-done.returncode}"
    return f"ended with exit code {done.returncode}" if done.returncode else None


def _limit() -> None:
    """Leave the machine a quarter of its memory whatever a checker does; end with the run alone."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        kernel.end_with_parent(signal.SIGKILL)
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = int(total * MEMORY_SHARE)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
