"""The life of one run, from cluster up to teardown.

    up ─► install, start, form, ready ─► setup ─► operations beside faults ─► heal ─► recovery
       ─► final reads ─► seal ─► evidence ─► judge ─► report ─► teardown

Whatever goes wrong after the first operation, the history is kept, the faults are healed and
what there is gets judged; teardown comes last and can change no verdict. Blocking work (nodes,
faults, readiness) runs in threads: the loop serves the clients alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from harness.contract.node import Cluster, Losable, RunsAlready
from harness.contract.system import Forms, Stage
from harness.contract.theirs import MayHaveLogs
from harness.errors import NotReady, PolygraphError, StoreError
from harness.generator import Generator, clients, stagger, time_limit, until_told
from harness.history.journal import Journal
from harness.history.operation import Header, Operation
from harness.history.seal import seal
from harness.judge.apart import judge_apart
from harness.linux.stopping import how_stopped
from harness.run.afterwards import collect_logs, keep_states, signals_told
from harness.run.beside import Beside
from harness.run.dispatcher import Dispatcher
from harness.run.events import Events
from harness.run.facts import first_facts, log_options, node_states, not_running, summary
from harness.run.final_phase import FinalPhase
from harness.run.initial_state import make_initial_state, refuse_without_processes
from harness.run.injection import Limits
from harness.run.machine import MachineWatch
from harness.run.preparation import Parts
from harness.run.standstill import LoopWatch
from harness.run.start_up import (
    form,
    hold_running,
    install,
    keep_disks,
    provide_disks,
    refuse_faults,
    start,
    within,
)
from harness.run.targets import targets_of
from harness.run.tracing import Tracing
from harness.run.waits import unless_ended
from harness.run.watch import ExitWatch, SleepWatch
from harness.run.watchdog import stall_limit_s
from harness.store.runs import write_json
from harness.verdict.evidence import Recovery, RunFacts, Sighted
from harness.wording import named, placed

T = TypeVar("T")

PROGRESS_INTERVAL_S = 1.0
SETUP_PATIENCE_S = 30.0


class Interrupted(Exception):
    """The run was asked to stop before its first operation."""


@dataclass
class Life:
    """One run in its own process. ``run`` lives it; ``stop`` ends it early."""

    parts: Parts
    cluster: Cluster
    run_dir: Path
    events: Events
    started_ns: int = field(default_factory=time.monotonic_ns)
    facts: RunFacts = field(default_factory=RunFacts)
    interrupted: bool = False
    stopped_by: int = signal.SIGINT
    signalled: list[int] = field(default_factory=list)
    abandoned: bool = False
    defect: str | None = None
    unhealed: list[str] = field(default_factory=list)
    journal: Journal | None = None
    dispatcher: Dispatcher | None = None
    beside: Beside | None = None
    sleep: SleepWatch = field(default_factory=SleepWatch)
    limits: Limits = field(default_factory=Limits)
    give_up: Callable[[str], None] = lambda why: None
    _loop: asyncio.AbstractEventLoop | None = None
    _is_operating: bool = False
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    # -- the whole ---------------------------------------------------------------------------

    async def run(self) -> dict[str, Any] | None:
        """Live it. Returns the verdict, or ``None`` where it was stopped before it began.

        Raises :class:`SetupError` if the system never got ready; the caller tears down.
        """
        self._loop = asyncio.get_running_loop()
        if self.interrupted:
            self._stopped.set()
        self.facts = first_facts(self.parts, self.cluster, self.run_dir.name)
        self._tracing = Tracing(self.run_dir, self._warn)
        stage = Stage(self.cluster, self.parts.system, self.parts.roles)
        try:
            await self._bring_up(stage)
            initial = await self._unless_stopped(self._set_up(stage))
        except Interrupted:
            return None
        self._open_journal(initial)
        await self._operate(stage)
        await self._unless_abandoned()
        with self._phase("seal"):
            await asyncio.to_thread(self._seal)
        with self._phase("judge"):
            verdict = await asyncio.to_thread(
                judge_apart,
                self.run_dir,
                self._warn,
                plugins=self.parts.scenario.plugin,
                seconds=self.parts.scenario.budget,
            )
        self.events.emit("verdict", self.now(), verdict=summary(verdict))
        return verdict

    def stop(self, number: int = signal.SIGINT) -> None:
        """End soon, cleanly: no new operation, heal, seal, judge what there is. Any thread.

        ``number`` is the signal that asked for it.
        """
        self.interrupted, self.stopped_by = True, number
        self.events.note(f"{how_stopped(number)}: no new operation is begun")
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._begin_nothing()

    def abandon(self) -> None:
        """Somebody else ends this process now: judge nothing, tear nothing down. Any thread."""
        self.abandoned = True

    def fail_fast(self, anomaly: Sighted) -> None:
        """Begin nothing more, since ``anomaly`` was seen; heal, read and judge as ever. Any thread.

        Too late, once nothing more would be begun anyway.
        """
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._fail_fast, anomaly)

    def _fail_fast(self, anomaly: Sighted) -> None:
        if not self._is_operating or self.interrupted or self.facts.get("stopped_at"):
            return
        self.facts["stopped_at"] = anomaly
        self._warn(f"an anomaly, {anomaly['kind']}: no new operation is begun")
        if self.beside is not None:
            self.beside.halt()

    async def _unless_abandoned(self) -> None:
        if self.abandoned:
            await asyncio.Event().wait()

    def now(self) -> int:
        """Nanoseconds on the history's clock (negative before its start)."""
        base = self.started_ns if self.journal is None else self.journal.start_ns
        return time.monotonic_ns() - base

    # -- before the first operation ------------------------------------------------------------

    async def _bring_up(self, stage: Stage) -> None:
        limit_s = self.parts.scenario.recovery_timeout
        refuse_faults(self.parts, self.cluster)
        provide_disks(self.parts, self.cluster)
        with self._phase("cluster"):
            await self._unless_stopped(asyncio.to_thread(self.cluster.up))
        with self._phase("start"):
            if self.parts.scenario.traces:
                await asyncio.to_thread(self._tracing.open, stage)
            if isinstance(self.cluster, RunsAlready):
                adopted = await self._unless_stopped(asyncio.to_thread(self.cluster.adopt))
                self.facts["versions"] = {**self.facts["versions"], **adopted}
                if isinstance(self.cluster, MayHaveLogs) and self.cluster.has_logs():
                    self.facts["checker_options"] = log_options(self.parts.system)
                hold_running(stage)
            else:
                await self._unless_stopped(install(stage))
                await self._unless_stopped(unless_ended(stage, start(stage, self._tell_start)))
        refuse_without_processes(self.parts, stage)
        if isinstance(self.parts.system, Forms) and not isinstance(self.cluster, RunsAlready):
            with self._phase("form"):
                await self._unless_stopped(unless_ended(stage, form(stage, limit_s)))
        with self._phase("ready"):
            await unless_ended(stage, self._ready(stage, limit_s))

    async def _ready(self, stage: Stage, timeout_s: float) -> None:
        """The system's readiness; :class:`NotReady` also where asking for it never returns."""
        work = asyncio.to_thread(self.parts.system.ready, stage, timeout_s)
        what = f"asking {self.parts.system.name} whether it is ready"
        await self._unless_stopped(within(work, timeout_s, what))

    async def _unless_stopped(self, work: Awaitable[T]) -> T:
        """What ``work`` gives, or :class:`Interrupted` at once when the run is asked to stop.

        A thread behind ``work`` may go on for a while; the nodes that it talks to end first.
        """
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Interrupted
            return await task
        finally:
            task.cancel()
            stop.cancel()

    def _tell_start(self, what: str, node: str) -> None:
        self.events.note(what, node=node)

    async def _set_up(self, stage: Stage) -> Any:
        logs, first = self.run_dir / "nodes", targets_of(stage)[0]
        with self._phase("setup"):
            made = await make_initial_state(self.parts, first, logs, SETUP_PATIENCE_S)
            await asyncio.to_thread(keep_disks, self.parts, self.cluster)
            return made

    def _open_journal(self, initial: Any) -> None:
        scenario, workload = self.parts.scenario, self.parts.workload
        header = Header(
            run=self.run_dir.name,
            seed=scenario.seed,
            start_wall_ns=time.time_ns(),
            system=scenario.system,
            workload=scenario.workload,
            model=workload.model,
            initial=initial,
            claims=self.parts.claims,
            not_durable=self.parts.not_durable,
            independent=workload.independent,
            options={**scenario.flat(), **getattr(workload, "facts", {})},
        )
        before = self.now()
        self.journal = Journal(
            self.run_dir / "history.jsonl", header, sync=scenario.journal == "sync"
        )
        self.events.have_clock(self.now)
        self._tracing.begin(self.now)
        for span in self.facts["phases"].values():
            span[:] = [time_ns - before for time_ns in span]
        self.facts["start_wall_ns"] = header.start_wall_ns
        self._write_facts()

    # -- operations ----------------------------------------------------------------------------

    async def _operate(self, stage: Stage) -> None:
        assert self.journal is not None
        self.beside = self._beside(stage)
        watch = ExitWatch(stage, self.journal.now, self.beside.entries, tell=self._tell_exit)
        self.machine = MachineWatch(self.run_dir, self.journal.now)
        self._final = FinalPhase(self.parts)
        limit_s = stall_limit_s(self.parts.scenario.op_timeout)
        self._loop_watch = LoopWatch(limit_s, self._stalled)
        self.dispatcher = self._dispatcher(stage)
        if self.interrupted:
            self._begin_nothing()
        watch.start()
        self.sleep.start()
        self.machine.start()
        self._loop_watch.start()
        progress = asyncio.create_task(self._report_progress(stage))
        try:
            await asyncio.to_thread(self.beside.sample)
            with self._phase("run"):
                self.beside.start()
                self._is_operating = True
                await self._dispatch(self._main_generator())
                self._is_operating = False
                await self.beside.end_faults(self._stopped)
            await self._heal_and_read(stage, self.beside)
            await asyncio.to_thread(self.beside.close)
            await asyncio.to_thread(collect_logs, self.cluster, self.run_dir, self._warn)
        finally:
            progress.cancel()
            self._loop_watch.stop()
            await self.dispatcher.close()
            await self.beside.end_faults(self._stopped)
            await asyncio.to_thread(watch.stop)
            await asyncio.to_thread(self.machine.stop)
            if self.beside.nemesis.open_faults():  # whatever went wrong, no fault stays in force
                self.unhealed = await self.beside.heal_all()
            await asyncio.to_thread(self.beside.close)
            self._last_facts(watch)

    async def _heal_and_read(self, stage: Stage, beside: Beside) -> None:
        with self._phase("heal"):
            self.unhealed = await beside.heal_all()
        self._note_lost_nodes()
        if self.unhealed or self.interrupted or self.facts.get("ended_early"):
            return
        with self._phase("recovery"):
            recovery = self.facts["recovery"] = await self._recover(stage)
        if recovery["ready"]:
            assert self.dispatcher is not None
            self.dispatcher.renew(after_failures=True)
            with self._phase("final"):
                await self._dispatch(self._final.generator(beside.ledger.entries))
            self.facts["final_keys"] = self._final.facts
            with self._phase("states"), contextlib.suppress(Interrupted):
                await self._unless_stopped(asyncio.to_thread(keep_states, stage, self.run_dir))
            with self._phase("quiet"):
                await asyncio.to_thread(beside.settle, self._stopped.is_set)
                await asyncio.to_thread(self._tracing.close)

    async def _dispatch(self, generator: Generator) -> None:
        assert self.dispatcher is not None
        try:
            await self.dispatcher.run(generator)
        except StoreError as error:
            self.facts["ended_early"] = error.message
            self._warn(f"the run ends here: {error}")
        except Exception as error:
            self.events.note_error(error)
            self.facts["ended_early"] = placed(error)
            self._warn(f"the run ends here: {placed(error)}")
        if self.dispatcher.stuck:
            self.facts["ended_early"] = str(self.dispatcher.stuck)

    def _beside(self, stage: Stage) -> Beside:
        assert self.journal is not None
        now, folder = self.journal.now, self.run_dir
        return Beside(
            self.parts, stage, folder, self.limits, self.events, record=self._record, now=now
        )

    def _record(self, operation: Operation) -> Operation | None:
        return None if self.dispatcher is None else self.dispatcher.note(operation)

    def _dispatcher(self, stage: Stage) -> Dispatcher:
        assert self.journal is not None
        scenario = self.parts.scenario
        return Dispatcher(
            journal=self.journal,
            nodes=targets_of(stage),
            run=self.run_dir.name,
            concurrency=scenario.threads,
            open_client=lambda: self.parts.system.client(scenario.op_timeout),
            invoke=self._final.invoke(),
            seed=scenario.seed,
            op_timeout_s=scenario.op_timeout,
            watchdog=self._loop_watch.watchdog,
            on_defect=self._note_defect,
        )

    def _note_defect(self, what: str) -> None:
        """A slip in a client or workload: what it did is not known, so nothing more is asked."""
        self.defect = f"a defect of the client or the workload: {what}"
        self.facts["ended_early"] = self.facts["defect"] = self.defect
        self._warn(f"the run ends here: {self.defect}")
        self._begin_nothing()

    def _begin_nothing(self) -> None:
        """No new operation, no new fault. Any thread."""
        if self.dispatcher is not None:
            self.dispatcher.stop()
        if self.beside is not None:
            self.beside.halt()

    def _stalled(self, seconds: float) -> None:
        """The loop stands still, so nothing on it can end the run: keep what there is, give up.

        Called in the watchdog's own thread.
        """
        why = (
            f"a client blocks the loop that serves all of them: it has stood still for"
            f" {seconds:.0f} s{self._loop_watch.place()}"
        )
        self.facts["ended_early"] = why
        with contextlib.suppress(RuntimeError):  # the loop wakes up and changes them meanwhile
            self._write_facts()
        if self.journal is not None:
            with contextlib.suppress(StoreError):
                self.journal.flush()
        self.give_up(why)

    def _main_generator(self) -> Generator:
        scenario = self.parts.scenario
        work = clients(stagger(1 / scenario.rate, self.parts.workload.generator()))
        work = until_told(lambda: "stopped_at" in self.facts, work)
        return time_limit(scenario.time_limit, work)

    # -- after the faults ----------------------------------------------------------------------

    def _note_lost_nodes(self) -> None:
        """A node that the machines lost proves nothing against the system: no recovery is asked."""
        lost = list(self.cluster.lost()) if isinstance(self.cluster, Losable) else []
        if lost:
            self.facts["ended_early"] = "; ".join(lost)
            self.facts["lost_nodes"] = [sentence.partition(":")[0] for sentence in lost]
            self._warn(f"lost during the run: {'; '.join(lost)}")

    async def _recover(self, stage: Stage) -> Recovery:
        """Wait until every node agrees and serves again; never raises."""
        timeout_s, begun = self.parts.scenario.recovery_timeout, time.monotonic()
        stalls = len(self.machine.stalls)
        try:
            try:
                await self._ready(stage, timeout_s)
            except NotReady:
                if len(self.machine.stalls) == stalls:
                    raise
                await self._ready(stage, timeout_s)  # it stood still: give it the time it has
            ready, why = True, ""
        except Interrupted:
            ready, why = None, "interrupted"
        except NotReady as error:
            ready, why = False, "; ".join(filter(None, (str(error), not_running(stage))))
        except Exception as error:  # a defect of ours or of a plug-in is no fault of the database
            ready, why = None, f"could not be asked: {named(error)}"
            self._warn(f"whether the system recovered is not known: {named(error)}")
        seconds = time.monotonic() - begun
        self.events.note(f"recovery: {'ready' if ready else why} after {seconds:.1f} s")
        return {"ready": ready, "seconds": seconds, "why": why}

    def _seal(self) -> None:
        """Close and compress the history; one that lost records stays plain, which says so."""
        assert self.journal is not None
        with contextlib.suppress(StoreError):
            self.journal.close()
        try:
            if self.journal.failure is None:
                seal(self.run_dir)
        except (OSError, PolygraphError) as error:
            self._warn(f"the history could not be sealed and stays as it is: {error}")
        self._write_facts()

    # -- facts and events ----------------------------------------------------------------------

    def _last_facts(self, watch: ExitWatch) -> None:
        assert self.dispatcher is not None
        last: RunFacts = {
            "exits": watch.exits,
            "lag_ms": dict(self.dispatcher.lag),
            "stuck_threads": self.dispatcher.stuck_clients,
            "stuck_in": self.dispatcher.stuck_in,
            "blocking_calls": self._loop_watch.blocking_calls(),
            "suspended_ms": round(self.sleep.suspended_ms()),
            "machine_trouble": [*self.machine.trouble(), *signals_told(self.signalled)],
            "interrupted": self.interrupted,
            "unhealed": list(self.unhealed),
            "milestones": {} if self.beside is None else self.beside.milestones(),
            "partial": False,
        }
        self.facts.update(last)
        self._write_facts()

    def _tell_exit(self, gone: Mapping[str, Any]) -> None:
        by = "" if gone["killed_by"] is None else f", by fault {gone['killed_by']}"
        what = f"{gone['daemon']} (pid {gone['pid']}) ended with status {gone['status']}{by}"
        self.events.note(what, node=gone["node"])

    def _write_facts(self) -> None:
        try:
            write_json(self.run_dir / "evidence" / "run.json", self.facts)
        except StoreError as error:
            self._warn(str(error))

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        span = [self.now(), self.now()]
        self.facts["phases"][name] = span
        self.events.emit("phase", span[0], name=name)
        try:
            yield
        finally:
            span[1] = self.now()

    async def _report_progress(self, stage: Stage) -> None:
        assert self.dispatcher is not None
        assert self.beside is not None
        while True:
            await asyncio.sleep(PROGRESS_INTERVAL_S)
            self.events.emit(
                "progress",
                self.now(),
                limit_s=self.parts.scenario.time_limit,
                operations={f: dict(counts) for f, counts in self.dispatcher.counts.items()},
                faults=self.beside.nemesis.open_faults(),
                nodes=await asyncio.to_thread(node_states, stage),
                last_error=self.dispatcher.last_error,
            )

    def _warn(self, message: str) -> None:
        self.events.emit("warning", self.now(), message=message)
