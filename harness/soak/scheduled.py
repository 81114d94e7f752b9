"""Runs on the workers of a scheduler (``dask.distributed``), each as one task.

Every worker says what it can do by *resources* (https://distributed.dask.org, "Worker Resources"):
``polygraph`` is how many runs it takes at once, ``polygraph PROVIDER`` that it has what a provider
needs. A run goes only where both are there. A worker that is lost has its runs made again
elsewhere by the scheduler; the answer comes once, and the book tells of each try. A run that cost
several workers their life is an infrastructure result, not tried for ever.

A soak that is killed leaves no run behind: a worker ends what nobody waits for.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import harness
from harness.errors import EXIT_INFRASTRUCTURE, EXIT_INTERRUPTED, NeedsError, SetupError
from harness.soak.book import Book, Entry
from harness.soak.places import Ending
from harness.soak.task import TRIES, Answer, Order, archive_name, get, run_here, unpack_run
from harness.store.runs import LATEST, link

SLOTS: Final = "polygraph"
CONNECT_S: Final = 10.0
SAY_S: Final = 5.0
WORKERS_S: Final = 120.0
"""How long a soak waits for a worker that can do what it needs."""
GRACE_S: Final = 120.0
"""What a task may take beyond its hard limit, and beyond that of each try, to be called lost."""
TRIES_MOST: Final = 4
"""How often a scheduler tries, unless it is told otherwise (``allowed-failures`` and one)."""
NEED_NOTHING: Final = ("none",)


def resource_of(provider: str) -> str:
    """The resource that a worker offers where a provider works: ``polygraph docker``."""
    return f"{SLOTS} {provider.removesuffix(':attach')}"


@dataclass
class Scheduled:
    """Makes the runs of ``book`` on the workers of the scheduler at ``address``.

    ``command`` is what makes one run, from Python's arguments on; ``results`` the address of a
    store that all can reach, if answers are not to bring the runs themselves. Runs end up in
    ``store`` as if they had been made here. ``say`` gets a line where something is waited for.
    """

    book: Book
    store: Path
    address: str
    command: Sequence[str]
    results: str = ""
    say: Callable[[str], None] = lambda line: None
    clock: Callable[[], float] = time.monotonic
    _client: Any = None
    _tasks: dict[int, Any] = field(default_factory=dict)
    _since: dict[int, float] = field(default_factory=dict)
    _tries: dict[int, int] = field(default_factory=dict)
    _done: queue.SimpleQueue[int] = field(default_factory=queue.SimpleQueue)
    _waiting_since: float | None = None
    _is_said: bool = False

    def connect(self) -> str:
        """Reach the scheduler; the address of its page. ``SetupError`` where there is none."""
        import distributed

        client: Any = distributed.Client  # none of it is typed
        try:
            self._client = client(
                self.address, timeout=CONNECT_S, set_as_default=False, name=f"soak-{self._soak}"
            )
        except (OSError, ValueError) as error:
            raise SetupError(
                f"no scheduler answers at {self.address}: {error}",
                "dask scheduler, and polygraph worker ADDRESS on every machine",
            ) from error
        return str(self._client.dashboard_link)

    def room(self) -> int:
        """As many as its workers take at once, now."""
        return sum(self._offers(worker).get(SLOTS, 0) for worker in self._workers().values())

    def start(self, begun: Entry, scenario: Mapping[str, Any]) -> None:
        """Hand a run to the scheduler."""
        order = Order(
            version=harness.__version__,
            soak=self._soak,
            number=begun.number,
            sitting=begun.wall_ns,
            seed=begun.seed,
            scenario=dict(scenario),
            command=list(self.command),
            hard_limit_s=self.book.settings.hard_limit_s,
            results=self.results,
        )
        cell = f" {begun.cell}" if begun.cell else ""
        try:
            future = self._client.submit(
                as_task,
                order,
                key=f"run {begun.number}{cell} of {self._soak}-{begun.wall_ns}",
                pure=False,
                resources=self._needs(scenario),
            )
        except (OSError, RuntimeError) as error:
            raise self._gone(error) from error
        number = begun.number
        self._tasks[number] = future
        self._tries[number] = begun.wall_ns
        self._since[number] = self.clock()
        future.add_done_callback(lambda _: self._done.put(number))

    def ended(self, wait_s: float) -> Sequence[Ending]:
        """Those that ended. ``SetupError`` where no worker could ever make what is left."""
        self._refuse_to_wait_for_ever()
        found = []
        try:
            found.append(self._ending(self._done.get(timeout=wait_s)))
            while True:
                found.append(self._ending(self._done.get_nowait()))
        except queue.Empty:
            pass
        return [*filter(None, found), *self._overdue()]

    def stop(self) -> None:
        """Take the tasks back: a worker stops the run of a task that nobody waits for."""
        for number, future in list(self._tasks.items()):
            if not future.done():
                future.cancel(reason="stopped")
                self._done.put(number)

    def close(self) -> None:
        """Leave the scheduler, and with it what is still under way."""
        if self._client is not None:
            client, self._client = self._client, None
            client.cancel(list(self._tasks.values()))
            client.close()

    # -- what the scheduler tells ------------------------------------------------------------------

    @property
    def _soak(self) -> str:
        return self.book.path.parent.name

    def _workers(self) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        except (OSError, RuntimeError) as error:
            raise self._gone(error) from error
        return found

    def _gone(self, error: Exception) -> SetupError:
        again = f"polygraph soak --resume {self.book.path.parent}, once it is back"
        return SetupError(f"the scheduler at {self.address} is gone: {error}", again)

    @staticmethod
    def _offers(worker: Mapping[str, Any]) -> Mapping[str, int]:
        return {name: int(count) for name, count in worker.get("resources", {}).items()}

    @staticmethod
    def _needs(scenario: Mapping[str, Any]) -> dict[str, int]:
        provider = str(scenario.get("provider", "none"))
        return {SLOTS: 1} if provider in NEED_NOTHING else {SLOTS: 1, resource_of(provider): 1}

    def _refuse_to_wait_for_ever(self) -> None:
        """Where nobody can make some run that is wanted, say so, and after a while give up."""
        cells = self.book.settings.all_cells
        offers = [self._offers(worker) for worker in self._workers().values()]
        lacking = [
            name
            for cell in cells
            for name in self._needs(cell.scenario)
            if not any(offer.get(SLOTS, 0) and offer.get(name, 0) for offer in offers)
        ]
        if not lacking:
            self._waiting_since = None
            return
        now_s = self.clock()
        why = f"none of the {len(offers)} workers at {self.address} offers {lacking[0]}"
        if self._waiting_since is None:
            self._waiting_since, self._is_said = now_s, False
        if now_s - self._waiting_since > SAY_S and not self._is_said:
            self.say(f"waiting for a worker: {why}")
            self._is_said = True
        if now_s - self._waiting_since > WORKERS_S:
            raise NeedsError(why, f"polygraph worker {self.address}, where that works")

    # -- endings -----------------------------------------------------------------------------------

    def _ending(self, number: int) -> Ending | None:
        future = self._tasks.pop(number, None)
        if future is None:
            return None
        del self._since[number]
        lost = self._lost(number)
        if future.status == "finished":
            return self._kept(future.result(), lost[:-1])
        if future.status in ("cancelled", "lost"):
            return _taken_back(number)
        why = f"its workers were lost ({', '.join(lost) or 'unknown'}): {future.exception()}"
        return _infrastructure(number, why, lost)

    def _kept(self, answer: Answer, lost: Sequence[str]) -> Ending:
        """The ending, once the run lies in the store."""
        told, trouble = dict(answer.told), answer.trouble
        if answer.run:
            try:
                data = answer.archive or get(self.results, archive_name(self._soak, answer.number))
                target = unpack_run(data, answer.run, self.store)
                link(self.store, LATEST, target)
                told["run_dir"] = str(target)
            except (OSError, ValueError) as error:
                trouble = f"its results did not come back from worker {answer.worker}: {error}"
        return Ending(
            number=answer.number,
            status=answer.status,
            told=told,
            words=answer.words,
            seconds=answer.seconds,
            trouble=trouble,
            worker=answer.worker,
            lost=lost,
        )

    def _lost(self, number: int) -> list[str]:
        """The workers that began a run since it was handed out, in order."""
        mine = (self._soak, number, self._tries[number])
        try:
            told = self._client.get_events(TRIES)
        except (OSError, RuntimeError):
            return []
        return [
            str(event["worker"])
            for _, event in told
            if (event["soak"], event["number"], event["sitting"]) == mine
        ]

    def _overdue(self) -> list[Ending]:
        """Those of which nothing was heard for longer than all their tries may take."""
        limit_s = TRIES_MOST * (self.book.settings.hard_limit_s + GRACE_S)
        late = [n for n, since_s in self._since.items() if self.clock() - since_s > limit_s]
        found = []
        for number in late:
            self._tasks.pop(number).cancel()
            del self._since[number]
            why = f"nothing was heard of it for {limit_s:.0f} s"
            found.append(_infrastructure(number, why, self._lost(number)))
        return found


def as_task(order: Order) -> Answer:
    """The task: runs on a worker of the scheduler."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    name = str(worker.name)
    told = {"soak": order.soak, "number": order.number, "sitting": order.sitting, "worker": name}
    worker.log_event(TRIES, told)

    def is_wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing" and not _is_closing(worker)

    return run_here(order, name, is_wanted)


def _is_closing(worker: Any) -> bool:
    return str(worker.status) not in ("Status.running", "Status.paused")


def _taken_back(number: int) -> Ending:
    return Ending(
        number=number,
        status=EXIT_INTERRUPTED,
        told={},
        words="taken back",
        seconds=0.0,
        is_taken_back=True,
    )


def _infrastructure(number: int, why: str, lost: Sequence[str]) -> Ending:
    return Ending(
        number=number,
        status=EXIT_INFRASTRUCTURE,
        told={},
        words=why,
        seconds=0.0,
        trouble=why,
        lost=lost[:-1],
    )
