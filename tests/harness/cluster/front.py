"""A front to be killed: starts a case of ``inside.py`` and says which processes there are.

``front.py SPAWN``, SPAWN being JSON with argv, mode, run_dir, said (a descriptor to pass on) and
how more to spawn it.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from harness.cluster.namespaces.enter import spawn


def main() -> None:
    """Spawn, say so, and wait to be killed."""
    asked = json.loads(sys.argv[1])
    entered = spawn(
        asked["argv"],
        mode=asked["mode"],
        run_dir=Path(asked["run_dir"]),
        pass_fds=[asked["said"]],
        **asked["how"],
    )
    print(json.dumps({"reaper": entered.pid, "run": entered.run_pid}), flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
