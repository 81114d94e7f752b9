"""A run that is watched from outside until a chosen moment of its life, for the endurance scripts.

The front writes the phase that the run is in into ``evidence/progress.json``; by that, and by the
run's folder not being there yet, a phase is known within milliseconds of its beginning.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

POLYGRAPH = str(Path(sys.executable).with_name("polygraph"))
TRACEBACK = "Traceback (most recent call last)"
COUNTED_VARIABLE = "POLYGRAPH_COUNTED"
COUNTING = Path(__file__).with_name("counting")
BEFORE = "start of the command"
PHASES = (
    *(BEFORE, "begin", "cluster", "start", "form", "ready", "setup", "run", "heal"),
    *("recovery", "final", "states", "quiet", "seal", "judge", "report", "teardown", "over"),
)
LONGEST_S = {
    **{BEFORE: 0.6, "begin": 0.3, "cluster": 0.8, "start": 0.4, "ready": 0.6},
    **{"setup": 0.05, "run": 4.0, "heal": 0.05, "recovery": 0.05, "final": 0.15, "seal": 0.03},
    **{"judge": 1.5, "report": 1.2, "teardown": 0.2},
}
"""A moment is at most so long after its phase began; that may be in a later one then."""
LOOK_S = 0.002


def run_dir_in(store: Path) -> Path | None:
    """The folder of the one run, once there is one."""
    found = [path for path in store.glob("etcd/*/*") if path.is_dir()]
    return found[0] if found else None


def phase_of(store: Path) -> str:
    """What the run is at, as the front has written it."""
    run_dir = run_dir_in(store)
    if run_dir is None:
        return BEFORE
    try:
        text = (run_dir / "evidence" / "progress.json").read_text("utf-8")
        return str(json.loads(text).get("phase", "begin"))
    except (OSError, ValueError):
        return "begin"


def wait_for_moment(
    phase: str, delay_s: float, front: subprocess.Popen[bytes], store: Path
) -> None:
    """Until the phase has come, or a later one, and then the rest of the time."""
    at = PHASES.index(phase)
    while front.poll() is None and PHASES.index(phase_of(store)) < at:
        time.sleep(LOOK_S)
    with contextlib.suppress(subprocess.TimeoutExpired):
        front.wait(delay_s)


def environment(counted: Path, **more: str) -> dict[str, str]:
    """For a run whose records are to be counted in the file ``counted``."""
    path = os.pathsep.join([str(COUNTING), os.environ.get("PYTHONPATH", "")])
    own = {COUNTED_VARIABLE: str(counted), "PYTHONPATH": path.rstrip(os.pathsep)}
    return {**os.environ, **own, **more}


def told(argv: list[str], limit_s: float) -> tuple[int | str, str]:
    """How a command ends, and what it says."""
    try:
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        return "nothing", f"{argv[1]} still ran after {limit_s:g} s: {error.stdout!r}"
    return done.returncode, done.stdout.decode(errors="replace")


@dataclass(frozen=True)
class Loss:
    """What the journal had taken and the history does not hold: ``milliseconds`` from the first
    record that is lost to the last that was taken."""

    taken: int
    records: int
    oks: int
    milliseconds: float


def loss(run_dir: Path, counted: Path) -> Loss | None:
    """Compare the history with what the journal had taken; ``None`` if that was nothing."""
    if not counted.exists():
        return None
    taken, oks, *times = (number for (number,) in struct.iter_unpack("<Q", counted.read_bytes()))
    if not taken:
        return None
    kept, kept_oks = 0, 0
    for record in records_of(run_dir):
        kept += 1
        kept_oks += record["type"] == "ok"
    since_ms = (times[(taken - 1) % len(times)] - times[kept % len(times)]) / 1e6
    # The page is written behind the append: a death between the two leaves more in the file.
    return Loss(taken, taken - kept, max(oks - kept_oks, 0), since_ms if taken > kept else 0.0)


def records_of(run_dir: Path) -> Iterator[Mapping[str, object]]:
    """Every whole record of the run's history; none where there is none."""
    data = b""
    if (run_dir / "history.jsonl.zst").exists():
        import zstandard

        with (run_dir / "history.jsonl.zst").open("rb") as file:
            data = zstandard.ZstdDecompressor().stream_reader(file).read()
    elif (run_dir / "history.jsonl").exists():
        data = (run_dir / "history.jsonl").read_bytes()
    for line in itertools.islice(data.split(b"\n")[:-1], 1, None):
        yield json.loads(line)
