#!/usr/bin/env python3
"""kill -9 at random moments of runs, and what is left of each: nothing, and a readable history.

    python scripts/kill_runs.py --provider local:root --count 100 --parallel 2
    python scripts/kill_runs.py --provider ssh --count 100           # hosts of its own
    scripts/engine.sh python scripts/kill_runs.py --provider docker --count 100
    python scripts/kill_runs.py --provider ssh --nodes-file HOSTS -- --ssh-config FILE

Each kill has a run of its own: short, under faults, ended in a phase of its life that is chosen
in turn (start of the command, set-up, operations, healing, sealing, judging, report, teardown), a
random while after the phase began. Killed are the front, the run process, both (at once, or one
while it clears up behind the other), all processes of ours, or a helper (guard, launcher, reaper,
agent, link proxies, judge, clock tracer, keeper, side-car program); never the database, which is
no death of ours. What is not killed may end by itself; then ``polygraph heal`` is run once (every
fourth time after one that was killed in its middle). It must say that nothing is left, and nothing
may be: processes, namespaces, mounts, links, containers, folders and rules of hosts, data,
registration, faults that are not noted as healed. ``polygraph check`` must read the history and
accuse nobody: the database keeps its promises, and only we were killed.

What was lost is measured, not deduced: every record is counted, as the journal takes it, in a page
of memory that outlives the process (``counting/sitecustomize.py``), and the history must hold as
many. Lost time is from the first record that is lost to the last that was taken.

Needs root (it looks into every process). Hosts for ssh are made as the tests make them. Exit codes:
0 nothing was left or lost out of reach, 1 something was; each failure says how to repeat it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.left_behind import TOKEN_VARIABLE, Process, Traces, hosts_left, litter  # noqa: E402
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
    *("run", BEFORE, "run", "begin", "run", "cluster", "start", "run", "ready"),
    *("setup", "run", "heal", "recovery", "run", "final", "seal", "judge", "judge", "report"),
    *("teardown",),
)
"""The phases to kill in: operations under faults are the most of a run."""
ONE_BY_ONE = "one after the other"
"""The run process, and the front while it clears up behind it; or the other way round."""
TARGETS = ("front", "run process", "both", "helper", ONE_BY_ONE, "front", "both", "helper", "all")
LONGEST_BETWEEN_S = 1.5
OTHERS = ("front", "run process", "database", "fork")
FAULTS = ("--nemesis-interval", "0.5", "--nemesis-duration", "0.3")
MOST_TRIES = 5
END_S = 150.0


@dataclass
class Kill:
    """One kill: what is to be done, and what came of it."""

    number: int
    phase: str
    delay_s: float
    target: str
    journal: str
    guarded: bool
    seed: int
    heal_dies_s: float | None = None
    attempt: int = 0
    hit: list[str] = field(default_factory=list)
    in_phase: str = ""
    exit: int | None = None
    checked: int | str | None = None
    healed_s: float = 0.0
    lost: int | None = None
    lost_ok: int = 0
    lost_ms: float = 0.0
    litter: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    run_dir: Path | None = None


def main() -> None:
    """Kill them all, print a line for each and the tables at the end."""
    given = arguments()
    if os.geteuid() != 0:
        sys.exit("kill_runs.py needs root: it looks into every process")
    given.store.mkdir(parents=True, exist_ok=True)
    given.store = given.store.resolve()
    (given.store / "plug-in.py").write_text('"""A plug-in that adds nothing: it has a guard."""\n')
    numbers = range(given.skip, given.skip + given.count)
    waiting: queue.Queue[Kill] = queue.Queue()
    for number in numbers:
        waiting.put(planned(number, given))
    done: list[Kill] = []
    lanes = [
        threading.Thread(target=lane, args=(number, waiting, done, given))
        for number in range(given.parallel)
    ]
    began = time.monotonic()
    for each in lanes:
        each.start()
    for each in lanes:
        each.join()
    print_tables(done, given, time.monotonic() - began)
    sys.exit(len(done) < given.count or any(kill.failures for kill in done))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--provider", default="local:root")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--skip", type=int, default=0, help="begin with the kill of this number")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--rate", type=float, default=300.0)
    parser.add_argument("--workload", default="register")
    parser.add_argument("--nemesis", default="partition,kill,pause,clock")
    parser.add_argument("--time-limit", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phase", choices=PHASES, help="kill in this phase alone")
    parser.add_argument("--target", choices=sorted(set(TARGETS)), help="kill these alone")
    parser.add_argument("--nodes-file", help="hosts for ssh, instead of those it makes")
    parser.add_argument("--store", type=Path, default=Path("store-kills"))
    parser.add_argument("more", nargs="*", help="further flags of polygraph test, after --")
    return parser.parse_args()


def planned(number: int, given: argparse.Namespace, earlier: int = 0) -> Kill:
    """When and whom: by the number and the seed alone. Each time ``earlier`` halves the delay."""
    rng = random.Random(f"{given.seed}-{number}")
    phase = given.phase or IN_TURN[number % len(IN_TURN)]
    target = given.target or rng.choice(TARGETS)
    return Kill(
        number=number,
        phase=phase,
        delay_s=rng.uniform(0.0, LONGEST_S[phase]) / 2**earlier,
        attempt=earlier,
        target=target,
        journal=rng.choice(("buffered", "buffered", "sync")),
        guarded=rng.random() < 0.3,
        seed=given.seed * 100_000 + number,
        heal_dies_s=rng.uniform(0.2, 1.5) if rng.random() < 0.25 else None,
    )


def lane(
    number: int, waiting: queue.Queue[Kill], done: list[Kill], given: argparse.Namespace
) -> None:
    """Kill one run after the other, on hosts of its own where there must be some."""
    with contextlib.ExitStack() as stack:
        options, lab = [], None
        if given.provider == "ssh" and not given.nodes_file:
            from tests.harness.cluster.ssh.lab import standing

            folder = given.store / f"lab-{os.getpid()}-{number}"
            names = tuple(f"n{i}" for i in range(1, given.nodes + 1))
            for name, value in stack.enter_context(standing(folder, names)).items():
                options += [f"--{name.replace('_', '-')}", value]
            lab = folder / "lab"
        elif given.nodes_file:
            options = ["--nodes-file", given.nodes_file]
        while True:
            try:
                kill = waiting.get_nowait()
            except queue.Empty:
                return
            for attempt in range(MOST_TRIES):
                try:
                    carried_out(kill, options, lab, given)
                except Exception as error:
                    kill.failures.append(f"this script failed: {error!r}")
                if kill.hit or kill.failures:
                    break
                # The run was over before: earlier, then.
                kill = planned(kill.number, given, attempt + 1)
            done.append(kill)
            print(line_of(kill), flush=True)


# -- one kill ----------------------------------------------------------------------------------


def carried_out(kill: Kill, more: list[str], lab: Path | None, given: argparse.Namespace) -> None:
    """Start a run, kill, heal, look for what is left, and read the history."""
    store = given.store / f"{given.provider.replace(':', '-')}-{kill.number:04}-{kill.attempt}"
    store.mkdir()
    traces = Traces(uuid.uuid4().hex, store)
    counted = store / "counted"
    said = store / "said"
    with said.open("wb") as words:
        front = subprocess.Popen(
            command(kill, store, more, given),
            env=environment(counted, **{TOKEN_VARIABLE: traces.token}),
            stdout=words,
            stderr=words,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    wait_for_moment(kill.phase, kill.delay_s, front, store)
    strike(kill, front, traces, store)
    try:
        kill.exit = front.wait(END_S)
    except subprocess.TimeoutExpired:
        kill.failures.append(f"the front still ran {END_S:g} s after the kill")
        front.kill()
        front.wait()
    kill.run_dir = traces.run_dir = traces.run_dir or run_dir_in(store)
    text = said.read_text("utf-8", errors="replace")
    if TRACEBACK in text:
        kill.failures.append(f"the command showed a traceback: {text[-600:]}")
    if kill.exit == 1:
        kill.failures.append(f"the run accused the database: {text[-600:]}")
    heal(kill, store, [*more, *given.more])
    kill.failures += [f"left: {what}" for what in traces.left()]
    if lab is not None:
        kill.failures += [f"left: {what}" for what in hosts_left(lab)]
    kill.litter = litter(kill.run_dir)
    measure(kill, counted)
    check(kill, store)


def command(kill: Kill, store: Path, more: list[str], given: argparse.Namespace) -> list[str]:
    """``polygraph test``, short and under faults."""
    argv = [POLYGRAPH, "test", "etcd", "--provider", given.provider, "--workload", given.workload]
    argv += ["--nodes", str(given.nodes), "--rate", f"{given.rate:g}", "--store", str(store)]
    argv += ["--time-limit", f"{given.time_limit:g}", "--nemesis", given.nemesis, *FAULTS]
    argv += ["--journal", kill.journal, "--seed", str(kill.seed), *more, *given.more]
    argv += ["--recovery-timeout", "15"]
    return [*argv, "--plugin", str(given.store / "plug-in.py")] if kill.guarded else argv


def strike(kill: Kill, front: subprocess.Popen[bytes], traces: Traces, store: Path) -> None:
    """Kill whom the plan names; the front where there is nobody else."""
    traces.run_dir = run_dir_in(store)
    processes = traces.processes()
    traces.remember(processes)
    held = list(hold(chosen(kill, front.pid, processes)))
    kill.in_phase = "over" if front.poll() is not None else phase_of(store)
    rng = random.Random(f"{kill.seed}-between")
    for position, (pidfd, role) in enumerate(held):
        if position and kill.target == ONE_BY_ONE:
            with contextlib.suppress(subprocess.TimeoutExpired):
                front.wait(rng.uniform(0.0, LONGEST_BETWEEN_S))
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            kill.hit.append(role)
        os.close(pidfd)


def hold(victims: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Each as a descriptor of the process, which stays that of this very one."""
    for pid, role in victims:
        with contextlib.suppress(ProcessLookupError):
            yield os.pidfd_open(pid), role


def chosen(kill: Kill, front: int, processes: list[Process]) -> list[tuple[int, str]]:
    """Whom to kill, in this order."""
    rng = random.Random(f"{kill.seed}-who")
    guarded = [each.pid for each in processes if each.parent == front and each.role == "front"]
    fronts = [(front, "guard" if guarded else "front")]
    if guarded and rng.random() < 0.5:
        fronts = [(guarded[0], "front")]
    runs = [(each.pid, each.role) for each in processes if each.role == "run process"]
    helpers = [(each.pid, each.role) for each in processes if each.role not in OTHERS]
    victims = {
        "front": fronts,
        "run process": runs,
        "both": [*fronts, *runs],
        ONE_BY_ONE: [*fronts, *runs],
        "helper": [rng.choice(helpers)] if helpers else [],
        "all": [*fronts, *runs, *helpers],
    }[kill.target]
    rng.shuffle(victims)
    return victims or fronts


def heal(kill: Kill, store: Path, flags: list[str]) -> None:
    """``polygraph heal``, once, told of the user's ssh configuration as the run was."""
    began = time.monotonic()
    argv = [POLYGRAPH, "heal", "--store", str(store)]
    if "--ssh-config" in flags:
        argv += ["--ssh-config", flags[flags.index("--ssh-config") + 1]]
    if kill.heal_dies_s is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(argv, timeout=kill.heal_dies_s, check=False, capture_output=True)
    code, said = told(argv, END_S)
    kill.healed_s = time.monotonic() - began
    if code != 0 or TRACEBACK in said:
        kill.failures.append(f"heal ended in {code}: {said[-800:]}")


def check(kill: Kill, store: Path) -> None:
    """``polygraph check``: a verdict that accuses nobody, or a plain word why there is none."""
    if kill.run_dir is None:
        return
    argv = [POLYGRAPH, "check", str(kill.run_dir), "--store", str(store)]
    kill.checked, said = told(argv, END_S)
    is_whole = any(kill.run_dir.glob("history.jsonl*"))
    is_named = (kill.run_dir / "scenario.toml").exists()
    allowed = (0, 2) if is_whole else (2,) if is_named else (2, 4)
    if kill.checked not in allowed or TRACEBACK in said:
        kill.failures.append(f"check ended in {kill.checked}: {said[-800:]}")
    if not is_whole and "no history" not in said and "no run" not in said:
        kill.failures.append(f"check does not say that there is no history: {said[-800:]}")


def measure(kill: Kill, counted: Path) -> None:
    """What was lost of what the journal had taken, where it had taken anything."""
    lost = loss(kill.run_dir, counted) if kill.run_dir is not None else None
    if lost is None:
        return
    if lost.records < -1:
        kill.failures.append(f"the history has {-lost.records} records that nobody appended")
    kill.lost, kill.lost_ok, kill.lost_ms = max(lost.records, 0), lost.oks, lost.milliseconds
    if kill.journal == "sync" and kill.lost:
        kill.failures.append(f"{kill.lost} records lost with --journal sync")


# -- what is said ------------------------------------------------------------------------------


def line_of(kill: Kill) -> str:
    """What came of one kill."""
    hit = ", ".join(f"{n} {role}" if n > 1 else role for role, n in Counter(kill.hit).items())
    lost = "-" if kill.lost is None else f"{kill.lost}/{kill.lost_ms:.1f} ms"
    text = (
        f"{kill.number:4} {kill.in_phase:20} {kill.journal:8} exit {kill.exit}  lost {lost:12} "
        f"heal {kill.healed_s:4.1f} s  check {kill.checked}  killed {hit or 'nobody'}"
    )
    return "\n".join([text, *(f"     FAILED {what}" for what in kill.failures)])


def print_tables(done: list[Kill], given: argparse.Namespace, took_s: float) -> None:
    """Kills by target and phase, what was left, and what was lost by journal mode."""
    failed = [kill for kill in done if kill.failures]
    left = sum(any(what.startswith(("left", "heal")) for what in k.failures) for k in done)
    unread = sum(any(what.startswith("check") for what in k.failures) for k in done)
    print(f"\n{given.provider}: {len(done)} kills in {took_s:.0f} s, seed {given.seed}")
    print("  killed    " + said_of(Counter(role for kill in done for role in set(kill.hit))))
    deaths = sum(kill.heal_dies_s is not None for kill in done)
    print(f"  heal itself was killed before it was run to its end: {deaths}")
    print("  aimed at  " + said_of(Counter(kill.target for kill in done)))
    phases = Counter(kill.in_phase for kill in done)
    print("  in phase  " + said_of({name: phases[name] for name in PHASES if phases[name]}))
    print(f"  something left behind: {left}; unreadable or accused: {unread}")
    none = sum(kill.run_dir is None for kill in done)
    empty = sum(kill.lost is None for kill in done) - none
    print(f"  before there was a run folder: {none}; before the first operation: {empty}")
    print("  temporary files left in run folders: " + str(sum(len(k.litter) for k in done)))
    for journal in ("buffered", "sync"):
        for title, hit_run in (("run process lived", False), ("run process killed", True)):
            print_losses(
                journal,
                title,
                [
                    kill
                    for kill in done
                    if kill.journal == journal
                    and kill.lost is not None
                    and is_deadly(kill) == hit_run
                ],
            )
    for kill in failed:
        print(f"FAILED {kill.number}: {kill.failures[0][:300]}")
        print(f"  repeat: {repeat(kill, given)}")
    print(f"{len(failed)} of {len(done)} failed")


def is_deadly(kill: Kill) -> bool:
    """Whether the run process could not do anything any more."""
    return bool({"run process", "launcher", "reaper"} & set(kill.hit))


def print_losses(journal: str, title: str, kills: list[Kill]) -> None:
    """Median, p99 and worst of what these lost."""
    if not kills:
        return
    during = [kill for kill in kills if kill.in_phase in ("run", "final", "heal", "recovery")]
    for where, of in (("in all", kills), ("during operations", during)):
        records = sorted(kill.lost or 0 for kill in of)
        millis = sorted(kill.lost_ms for kill in of)
        oks = sorted(kill.lost_ok for kill in of)
        if of:
            print(
                f"  lost, {journal}, {title}, {where} ({len(of)}): "
                f"records median {at(records, 0.5):g} p99 {at(records, 0.99):g} max {records[-1]}; "
                f"acknowledged (ok) max {oks[-1]}; "
                f"ms median {at(millis, 0.5):.1f} p99 {at(millis, 0.99):.1f} max {millis[-1]:.1f}"
            )


def at(values: list[int] | list[float], share: float) -> float:
    """The value below which that share of them lies."""
    return values[min(len(values) - 1, int(share * len(values)))]


def said_of(counts: Mapping[str, int]) -> str:
    """Counts on one line."""
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def repeat(kill: Kill, given: argparse.Namespace) -> str:
    """The command that makes this kill again."""
    argv = f"scripts/kill_runs.py --provider {given.provider} --seed {given.seed}"
    argv += f" --skip {kill.number} --count 1 --parallel 1"
    argv += f" --phase '{given.phase}'" if given.phase else ""
    return argv + (f" --target '{given.target}'" if given.target else "")


if __name__ == "__main__":
    main()
