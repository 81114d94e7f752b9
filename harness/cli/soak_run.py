"""One run of a soak: ``python -m harness.cli.soak_run [--yes] SCENARIO.json SEED STORE RESULT``.

A front like ``polygraph test``, which leaves in RESULT what the soak counts: exit code, run
folder, verdict and the command that repeats the run. With ``--yes`` the user has agreed to what
every run of the soak does to what is not ours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.cli.failure import exit_code_of
from harness.cli.session import Session
from harness.linux.standard_streams import spare_people
from harness.linux.stopping import stop_by_exception
from harness.run.scenario import resolve
from harness.store.runs import write_json
from harness.store.scenario import registry_of


def main(argv: Sequence[str]) -> int:
    """Do the run; the exit code of ``polygraph test``."""
    from harness.run.front import run

    agreed = list(argv[:1]) == ["--yes"]
    argv = argv[1:] if agreed else argv
    table = json.loads(Path(argv[0]).read_text("utf-8"))
    store, result = Path(argv[2]), Path(argv[3])
    session = Session()
    stop_by_exception()
    try:
        registry = registry_of(table)
        scenario = resolve({**table, "seed": int(argv[1])}, registry)
        outcome = run(scenario, store, lambda event: None, registry, lambda warning: agreed)
    except BaseException as error:
        return exit_code_of(error, session)
    write_json(
        result,
        {
            "exit": outcome.exit_code,
            "run_dir": str(outcome.run_dir),
            "verdict": outcome.verdict,
            "message": outcome.message,
            "reproduce": scenario.command(),
        },
    )
    return outcome.exit_code


if __name__ == "__main__":
    spare_people()
    sys.exit(main(sys.argv[1:]))
