"""``make demo``: one run that must fail and one that must hold, on a real etcd cluster of five.

First etcd is asked for serializable reads, which may be stale, while the network is cut: the
verdict must be *invalid* and the proof must name stale reads. Then it is asked for what it
promises, under cuts, kills and pauses: the verdict must be *valid*. The released etcd carries
known bugs; if the honest run shows one of them, that is a finding, said as such.

Each run is the very command that its ``$`` line shows, so a reader can paste it. Exits 0 if both
verdicts are as stated (or the second shows a known bug), else with the code of the run that was
not, and 3 where this machine cannot make a cluster.
"""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_INVALID,
    EXIT_VALID,
)
from harness.linux.standard_streams import prepare
from harness.linux.stopping import handled_by
from harness.linux.surroundings import program

STORE = Path("store")

MUST_FAIL = (
    "test etcd --workload register --serializable-reads --nemesis partition"
    " --time-limit 15 --nemesis-interval 3"
)
MUST_HOLD = (
    "test etcd --workload register --nemesis partition,kill,pause"
    " --time-limit 20 --nemesis-interval 3"
)

STALE_READ = "stale-read"
KNOWN_BUGS: Mapping[str, str] = {
    "pause": "20418 (linearizable reads may be stale after a pause)",
    "kill": "13766 (members diverge when killed under load, 3.5.0 to 3.5.2)",
}


@dataclass(frozen=True)
class Shown:
    """How one run of the demo ended. ``verdict`` is empty where there is none."""

    exit_code: int
    run_dir: Path
    verdict: Mapping[str, Any]


def main() -> int:
    """Do both runs, say what came of each, and return the exit code."""
    print("1. etcd with reads that may be stale, while the network is cut. This must FAIL.\n")
    failing = _run(MUST_FAIL)
    if not _finds_stale_reads(failing):
        return _not_as_stated(failing, "invalid, with stale reads")
    print("\nAs it must: the stale reads were found.\n")
    print("2. etcd as it promises to be, under cuts, kills and pauses. This must HOLD.\n")
    honest = _run(MUST_HOLD)
    bug = known_bug(honest.verdict)
    if honest.exit_code != EXIT_VALID and bug is None:
        return _not_as_stated(honest, "valid")
    print(f"\nA known bug of this etcd was found: {bug}." if bug else "\nAs it must: it held.")
    for title, run in (("must fail", failing), ("must hold", honest)):
        print(f"\n{title}\n  report  {run.run_dir / 'report.html'}")
        print(f"  repeat  {_pasteable(str(run.verdict.get('reproduce')))}")
    return EXIT_VALID


def _run(command: str) -> Shown:
    """Run ``polygraph COMMAND`` as a process of its own, its output passed through."""
    argv = [*shlex.split(command), "--store", str(STORE)]
    print(f"$ {_pasteable('polygraph ' + shlex.join(argv))}", flush=True)
    before = _latest()
    exit_code = _wait(subprocess.Popen(program("harness.cli.main", *argv)))
    run_dir = _latest()
    if run_dir is None or run_dir == before:
        return Shown(exit_code, STORE, {})
    try:
        verdict = json.loads((run_dir / "verdict.json").read_text("utf-8"))
    except OSError:
        verdict = {}
    return Shown(exit_code, run_dir, verdict)


def _pasteable(command: str) -> str:
    """``polygraph …`` as it can be typed here: a fresh virtual environment is on nobody's path."""
    script = Path(sys.executable).with_name("polygraph")
    if shutil.which("polygraph") == str(script) or not script.exists():
        return command
    here = Path.cwd()
    shown = script.relative_to(here) if script.is_relative_to(here) else script
    return shlex.quote(str(shown)) + command.removeprefix("polygraph")


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Its exit code. Ctrl-C reaches the run too, which then ends by itself: wait on.

    What else stops a command is passed on.
    """

    def pass_on(number: int, frame: Any) -> None:
        if number != signal.SIGINT:
            process.send_signal(number)

    with handled_by(pass_on):
        return process.wait()


def _latest() -> Path | None:
    link = STORE / "latest"
    return link.resolve() if link.exists() else None


def anomalies(verdict: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Every case in a verdict, as its type and its proof."""
    return [
        (kind, case["message"])
        for part in verdict.get("checkers", {}).values()
        for kind, cases in part["anomalies"].items()
        for case in cases
    ]


def _finds_stale_reads(run: Shown) -> bool:
    kinds = {kind for kind, _ in anomalies(run.verdict)}
    return run.exit_code == EXIT_INVALID and STALE_READ in kinds


def known_bug(verdict: Mapping[str, Any]) -> str | None:
    """The known bug of this etcd that explains *every* anomaly of ``verdict``, or ``None``.

    The proofs name the faults that were active: a stale read under a pause, or a broken register
    after a kill. Anything else is not explained away.
    """
    found = anomalies(verdict)
    if verdict.get("valid") is not False or not found:
        return None
    if all(kind == STALE_READ and "pause" in message for kind, message in found):
        return KNOWN_BUGS["pause"]
    of_register = {STALE_READ, "nonlinearizable"}
    if all(kind in of_register and "kill" in message for kind, message in found):
        return KNOWN_BUGS["kill"]
    return None


def _not_as_stated(run: Shown, stated: str) -> int:
    """Say that the demo failed; never 0."""
    if not run.verdict:
        print("\nThe demo ends here, without a verdict (see above).", file=sys.stderr)
        return run.exit_code if run.exit_code > EXIT_INVALID else EXIT_INFRASTRUCTURE
    print(f"\nThe demo failed: this run was to be {stated}, and was not.", file=sys.stderr)
    print(f"  it was: {run.verdict['valid']}: {run.verdict['why']}", file=sys.stderr)
    print(f"  report  {run.run_dir / 'report.html'}", file=sys.stderr)
    return EXIT_INVALID if run.exit_code == EXIT_VALID else run.exit_code


if __name__ == "__main__":
    prepare()
    sys.exit(main())
