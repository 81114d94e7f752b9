#!/usr/bin/env python3
"""The disk fills at random moments of runs: nobody is accused, the history is kept, heal works.

    python scripts/full_disk.py --count 20 --parallel 2

Each run keeps its store, the nodes' data included, on a small disk of its own: a tmpfs in a mount
namespace of this script, so that nothing of the machine's is touched. At a moment of the run's
life that is chosen as in ``kill_runs.py`` all that is free is taken, and taken again whenever
something is freed, until the run has ended. Every third time the disk stays as it is and the
command, its run process and whatever they start later may write no file any longer than a few
bytes (``RLIMIT_FSIZE``, as a quota would have it): the database goes on, only we cannot write.

Expected of each: the run ends by itself in 3; in 0 or 2 only where its verdict is on the disk, and
in 3 all the same where the history is not whole. It never accuses the database,
whatever the database did about the disk. While the disk is still full, ``polygraph check`` and
``report`` say what they can, without a traceback. When there is room again ``polygraph heal`` says
that nothing is left and nothing is, and ``check`` reads the history. What the journal had taken and
could not write (in one flush, and until the run takes note) is told.

Needs root. Exit codes: 0 all was as expected, 1 something was not; each failure says how to
repeat it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import random
import resource
import subprocess
import sys
import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from harness.linux import kernel  # noqa: E402
from harness.store.runs import read_json  # noqa: E402
from scripts.left_behind import TOKEN_VARIABLE, Traces, litter  # noqa: E402
from scripts.moments import (  # noqa: E402
    BEFORE,
    LONGEST_S,
    PHASES,
    POLYGRAPH,
    TRACEBACK,
    environment,
    loss,
    phase_of,
    run_dir_in,
    told,
    wait_for_moment,
)

IN_TURN = (
    *("run", "cluster", "run", "seal", "start", "judge", "run", "judge", "final", "report"),
    *("run", BEFORE, "run", "begin", "ready", "heal", "run", "seal", "recovery", "teardown"),
)
FAULTS = ("--nemesis-interval", "0.5", "--nemesis-duration", "0.3")
END_S = 150.0
FILL_AGAIN_S = 0.01
CHUNK = b"\0" * 65536
ODD_BYTES = 4096


@dataclass
class Moment:
    """One run whose disk fills: when, and what came of it."""

    number: int
    phase: str
    delay_s: float
    kind: str
    seed: int
    in_phase: str = ""
    exit: int | str | None = None
    checked_full: int | str | None = None
    checked: int | str | None = None
    lost: str = "-"
    litter: int = 0
    verdict: object = None
    failures: list[str] = field(default_factory=list)


def main() -> None:
    """Fill them all, print a line for each and the table at the end."""
    given = arguments()
    if os.geteuid() != 0:
        sys.exit("full_disk.py needs root: it mounts small disks, for itself alone")
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    given.store.mkdir(parents=True, exist_ok=True)
    given.store = given.store.resolve()
    waiting: queue.Queue[Moment] = queue.Queue()
    for number in range(given.skip, given.skip + given.count):
        waiting.put(planned(number, given))
    done: list[Moment] = []
    lanes = [
        threading.Thread(target=lane, args=(waiting, done, given)) for _ in range(given.parallel)
    ]
    for each in lanes:
        each.start()
    for each in lanes:
        each.join()
    print_table(done, given)
    sys.exit(len(done) < given.count or any(moment.failures for moment in done))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--provider", default="local:root")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--skip", type=int, default=0, help="begin with the run of this number")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--size", default="700m", help="of each disk; etcd reserves 128 MiB a node")
    parser.add_argument("--rate", type=float, default=300.0)
    parser.add_argument("--workload", default="register")
    parser.add_argument("--nemesis", default="partition,kill,pause,clock")
    parser.add_argument("--time-limit", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phase", choices=PHASES, help="fill in this phase alone")
    parser.add_argument("--kind", choices=("disk", "limit"), help="fill in this way alone")
    parser.add_argument("--store", type=Path, default=Path("store-full"))
    parser.add_argument("more", nargs="*", help="further flags of polygraph test, after --")
    return parser.parse_args()


def planned(number: int, given: argparse.Namespace) -> Moment:
    """When and how: by the number and the seed alone."""
    rng = random.Random(f"{given.seed}-full-{number}")
    phase = given.phase or IN_TURN[number % len(IN_TURN)]
    delay_s = rng.uniform(0.0, LONGEST_S[phase])
    kind = given.kind or ("limit" if number % 3 == 2 else "disk")
    return Moment(number, phase, delay_s, kind, given.seed * 100_000 + number)


def lane(waiting: queue.Queue[Moment], done: list[Moment], given: argparse.Namespace) -> None:
    """One run after the other."""
    while True:
        try:
            moment = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            carried_out(moment, given)
        except Exception as error:
            moment.failures.append(f"this script failed: {error!r}")
        done.append(moment)
        print(line_of(moment), flush=True)


def carried_out(moment: Moment, given: argparse.Namespace) -> None:
    """Start a run on a disk of its own, fill it, and look at what is left, full and not full."""
    folder = given.store / f"{moment.number:04}"
    disk = folder / "disk"
    disk.mkdir(parents=True)
    kernel.mount("disk", str(disk), "tmpfs", kernel.MS_NOSUID, f"size={given.size}")
    try:
        on_disk(moment, folder, disk, given)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def on_disk(moment: Moment, folder: Path, disk: Path, given: argparse.Namespace) -> None:
    """The run, and the commands after it."""
    store = disk / "store"
    store.mkdir()
    traces = Traces(uuid.uuid4().hex, store)
    said, counted = folder / "said", folder / "counted"
    with said.open("wb") as words:
        front = subprocess.Popen(
            command(moment, store, given),
            env=environment(counted, **{TOKEN_VARIABLE: traces.token}),
            stdout=words,
            stderr=words,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    wait_for_moment(moment.phase, moment.delay_s, front, store)
    moment.in_phase = "over" if front.poll() is not None else phase_of(store)
    traces.run_dir = run_dir_in(store)
    with filled(moment, disk, traces):
        try:
            moment.exit = front.wait(END_S)
        except subprocess.TimeoutExpired:
            moment.failures.append(f"the run did not end in {END_S:g} s")
            front.kill()
            front.wait()
        traces.run_dir = run_dir_in(store)
        judge_end(moment, said.read_text("utf-8", errors="replace"), traces.run_dir)
        look_while_full(moment, traces.run_dir, store)
    look_after(moment, traces, store, counted)


def command(moment: Moment, store: Path, given: argparse.Namespace) -> list[str]:
    """``polygraph test``, short and under faults."""
    argv = [POLYGRAPH, "test", "etcd", "--provider", given.provider, "--workload", given.workload]
    argv += ["--nodes", str(given.nodes), "--rate", f"{given.rate:g}", "--store", str(store)]
    argv += ["--time-limit", f"{given.time_limit:g}", "--nemesis", given.nemesis, *FAULTS]
    return [*argv, "--recovery-timeout", "8", "--seed", str(moment.seed), *given.more]


# -- filling -----------------------------------------------------------------------------------


@contextlib.contextmanager
def filled(moment: Moment, disk: Path, traces: Traces):  # type: ignore[no-untyped-def]
    """Within, there is no room: on the disk, or for our own processes alone."""
    if moment.kind == "limit":
        for each in traces.processes():
            if each.role in ("front", "run process", "judge"):
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(each.pid, resource.RLIMIT_FSIZE, (ODD_BYTES, ODD_BYTES))
        yield
        return
    over = threading.Event()
    with (disk / "filling").open("wb", buffering=0) as file:
        fill(file.fileno())
        thread = threading.Thread(target=fill_again, args=(file.fileno(), over))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
    (disk / "filling").unlink()


def fill(file: int) -> None:
    """Take all that is free, to the last page."""
    with contextlib.suppress(OSError):
        while True:
            os.write(file, CHUNK)


def fill_again(file: int, over: threading.Event) -> None:
    """What is freed meanwhile is taken too."""
    while not over.wait(FILL_AGAIN_S):
        fill(file)


# -- what is expected --------------------------------------------------------------------------


def judge_end(moment: Moment, said: str, run_dir: Path | None) -> None:
    """The run's own exit code and words."""
    if TRACEBACK in said or "unexpected error" in said or "a defect of" in said:
        moment.failures.append(f"the run showed a defect: {said[-900:]}")
    verdict = read_json(run_dir / "verdict.json") if run_dir is not None else None
    moment.verdict = verdict["valid"] if verdict else None
    allowed = {None: (3,), True: (0,), "unknown": (2, 3)}.get(moment.verdict, ())
    if moment.exit not in allowed:
        what = f"exit {moment.exit}, verdict on the disk {moment.verdict}"
        moment.failures.append(f"{what}: {said[-900:]}")
    if moment.exit == 3 and not any(word in said.lower() for word in WORDS):
        moment.failures.append(f"exit 3 and not a word of the disk: {said[-900:]}")


WORDS = ("no space", "disk", "file too large", "room", "cannot write", "cannot make")


def look_while_full(moment: Moment, run_dir: Path | None, store: Path) -> None:
    """``check`` and ``report`` where nothing can be written."""
    if run_dir is None:
        return
    moment.checked_full, said = told([POLYGRAPH, "check", str(run_dir)], END_S)
    allowed = (0, 2, 3) if (run_dir / "scenario.toml").exists() else (3, 4)
    if moment.checked_full not in allowed or TRACEBACK in said:
        moment.failures.append(
            f"check on the full disk ended in {moment.checked_full}: {said[-900:]}"
        )
    code, said = told([POLYGRAPH, "report", str(run_dir)], END_S)
    if code not in (0, 3, 4) or TRACEBACK in said or "unexpected error" in said:
        moment.failures.append(f"report on the full disk ended in {code}: {said[-900:]}")
    code, said = told([POLYGRAPH, "heal", "--store", str(store)], END_S)
    if code not in (0, 3) or TRACEBACK in said or "unexpected error" in said:
        moment.failures.append(f"heal on the full disk ended in {code}: {said[-900:]}")


def look_after(moment: Moment, traces: Traces, store: Path, counted: Path) -> None:
    """When there is room again: heal, what is left, the history."""
    code, said = told([POLYGRAPH, "heal", "--store", str(store)], END_S)
    if code != 0:
        moment.failures.append(f"heal ended in {code}: {said[-900:]}")
    # The disk is a mount itself, and not of the run.
    left = [what for what in traces.left() if not what.startswith("mount ")]
    moment.failures += [f"left: {what}" for what in left]
    run_dir = traces.run_dir
    if run_dir is None:
        return
    moment.litter = len(litter(run_dir))
    lost = loss(run_dir, counted)
    if lost is not None:
        moment.lost = f"{lost.records} of {lost.taken}"
    is_named = (run_dir / "scenario.toml").exists()
    moment.checked, said = told([POLYGRAPH, "check", str(run_dir)], END_S)
    if moment.checked not in ((0, 2) if is_named else (4,)) or TRACEBACK in said:
        moment.failures.append(f"check ended in {moment.checked}: {said[-900:]}")


# -- what is said ------------------------------------------------------------------------------


def line_of(moment: Moment) -> str:
    """What came of one run."""
    text = (
        f"{moment.number:4} {moment.kind:5} full in {moment.in_phase:20} exit {moment.exit}  "
        f"verdict {moment.verdict!s:8} check while full {moment.checked_full}, "
        f"after {moment.checked}  lost {moment.lost}"
    )
    return "\n".join([text, *(f"     FAILED {what}" for what in moment.failures)])


def print_table(done: list[Moment], given: argparse.Namespace) -> None:
    """How they ended, and every failure with the command that repeats it."""
    failed = [moment for moment in done if moment.failures]
    print(f"\n{given.provider}: the disk was full at {len(done)} moments, seed {given.seed}")
    for title, counts in (
        ("kind", Counter(moment.kind for moment in done)),
        ("in phase", Counter(moment.in_phase for moment in done)),
        ("exit", Counter(moment.exit for moment in done)),
        ("verdict on the disk", Counter(moment.verdict for moment in done)),
        ("check while full", Counter(moment.checked_full for moment in done)),
        ("check afterwards", Counter(moment.checked for moment in done)),
    ):
        said = ", ".join(f"{name} {count}" for name, count in counts.most_common())
        print(f"  {title:20} {said}")
    print(f"  temporary files left in run folders: {sum(moment.litter for moment in done)}")
    for moment in failed:
        print(f"FAILED {moment.number}: {moment.failures[0][:300]}")
        again = f"--seed {given.seed} --skip {moment.number} --count 1 --parallel 1"
        print(f"  repeat: scripts/full_disk.py --provider {given.provider} {again}")
    print(f"{len(failed)} of {len(done)} failed")


if __name__ == "__main__":
    main()
