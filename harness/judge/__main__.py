"""``python -m harness.judge RUN SECONDS [PLUGIN...]``: the verdict on a run, into its folder.

The process that a run is judged in (:mod:`harness.judge.apart`). ``SECONDS`` is what each checker
may take; the plug-in files are those that the run itself was made with.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import PolygraphError
from harness.history.bounds import UNBOUNDED
from harness.judge.apart import collect_seldom
from harness.judge.judge import judge_run
from harness.plugins import Registry
from harness.store.runs import write_json


def main(argv: Sequence[str]) -> int:
    """Judge the run that ``argv`` names; gives the exit code."""
    run_dir, seconds = Path(argv[0]), float(argv[1])
    registry = Registry(tuple(map(Path, argv[2:])))
    collect_seldom()
    try:
        verdict = judge_run(run_dir, seconds=seconds, registry=registry, bounds=UNBOUNDED)
        write_json(run_dir / "verdict.json", verdict)
    except PolygraphError as error:
        with contextlib.suppress(OSError):  # its log may be on the full disk as well
            os.write(sys.stderr.fileno(), f"{error}\n".encode("utf-8", "backslashreplace"))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
