"""A soak on the workers of a real scheduler, with runs that are small scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.errors import SetupError, UsageError
from harness.soak import scheduled
from harness.soak.book import Book, Settings, ended, read, seed_of
from harness.soak.cells import Cell
from harness.soak.loop import Loop
from harness.soak.scheduled import Scheduled, resource_of
from harness.soak.summary import summarize
from harness.soak.task import packed_run, unpack_run
from harness.soak.worker import resources

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
RUN = """
import json, os, sys, time
from pathlib import Path
table = json.load(open(sys.argv[1])); seed = int(sys.argv[2])
run = Path(sys.argv[3]) / "toy" / "register" / f"run-{seed}"
(run / "evidence").mkdir(parents=True)
(run / "history.jsonl").write_text(f"seed {seed}\\n" * 100)
(run / "evidence" / "run.json").write_text("{}")
with open(table["began"], "a") as began:
    began.write(f"{seed} {os.getpid()}\\n")
time.sleep(table.get("takes", 0))
while table.get("waits_for") and not os.path.exists(table["waits_for"]):
    time.sleep(0.02)
code = 1 if seed % 4 == 0 else 0
verdict = {"why": "stale", "checkers": {"l": {"valid": False, "anomalies": {"stale": []}}}}
told = {"exit": code, "run_dir": str(run), "verdict": verdict if code else {}, "reproduce": "x"}
json.dump(told, open(sys.argv[4], "w"))
sys.exit(code)
"""


def settings(tmp_path: Path, **changed: Any) -> Settings:
    scenario = {"began": str(tmp_path / "began"), "takes": 0.0, "provider": "local:plain"}
    plain: dict[str, Any] = {
        "scenario": {**scenario, **changed.pop("scenario", {})},
        "seed": 7,
        "runs": 6,
        "duration_s": None,
        "until_failure": False,
        "parallel": 100,
        "confidence": 0.95,
        "at_most": 0.05,
        "hard_limit_s": 60.0,
        "start_wall_ns": 0,
    }
    return Settings(**{**plain, **changed})


@dataclass
class Farm:
    """A scheduler and its workers, each a process of its own."""

    address: str
    workers: list[subprocess.Popen[str]] = field(default_factory=list)

    def hire(self, slots: int, *providers: str) -> subprocess.Popen[str]:
        code = (
            "from harness.soak.worker import serve;"
            f"serve({self.address!r}, {slots}, {providers!r}, lambda line: print(line, flush=True))"
        )
        argv = [sys.executable, "-c", code]
        worker = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.workers.append(worker)
        assert worker.stdout is not None
        assert "run(s) at once" in worker.stdout.readline()
        return worker

    def dismiss(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.communicate()
        self.workers.clear()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    where = tmp_path_factory.mktemp("scheduler") / "scheduler.json"
    flags = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(where)]
    argv = [sys.executable, "-m", "distributed.cli.dask_scheduler", *flags]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (where.is_file() and where.read_text().strip().endswith("}")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        yield json.loads(where.read_text())["address"]
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def farm(scheduler: str) -> Iterator[Farm]:
    made = Farm(scheduler)
    yield made
    made.dismiss()


def place(book: Book, store: Path, address: str, **more: Any) -> Scheduled:
    script = book.path.parent.parent / "run.py"
    script.write_text(RUN)
    made = Scheduled(book, store, address, [str(script)], **more)
    made.connect()
    return made


def began(tmp_path: Path) -> list[str]:
    return (tmp_path / "began").read_text().split("\n")[:-1]


def files_of(store: Path) -> Mapping[str, bytes]:
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in store.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


@pytest.mark.cluster
@pytest.mark.parametrize("goes_by_a_store", [False, True])
def test_a_lost_worker_loses_and_doubles_no_run(
    tmp_path: Path, farm: Farm, goes_by_a_store: bool
) -> None:
    victim, _ = farm.hire(2, "local:plain"), farm.hire(2, "local:plain")
    go = tmp_path / "go"
    book = Book.create(tmp_path / "soak", settings(tmp_path, scenario={"waits_for": str(go)}))
    results = f"file://{tmp_path / 'results'}" if goes_by_a_store else ""

    def tick() -> None:
        """Lose a worker while each has two runs under way, and let all others end."""
        if not go.exists() and (tmp_path / "began").is_file() and len(began(tmp_path)) == 4:
            victim.kill()
            victim.wait()
            go.touch()

    store = tmp_path / "store"
    there = place(book, store, farm.address, results=results)
    Loop(book, there, lambda entry: None, tick=tick).run()
    book.close()
    settings_, entries, _ = read(tmp_path / "soak")
    done = ended(entries)
    assert [entry.number for entry in done] == list(range(1, 7))
    assert [entry.seed for entry in done] == [seed_of(7, number) for number in range(1, 7)]
    assert [entry.exit for entry in done] == [int(entry.seed % 4 == 0) for entry in done]
    folders = [Path(entry.run_dir or "") for entry in done]
    assert sorted(path for path in store.glob("toy/register/*")) == sorted(set(folders))
    for entry, folder in zip(done, folders, strict=True):
        assert (folder / "history.jsonl").read_text() == f"seed {entry.seed}\n" * 100
    again = [entry for entry in entries if entry.event == "half-done"]
    assert len(began(tmp_path)) == 6 + 2
    assert ["was lost" in entry.why for entry in again] == [True, True]
    summary = summarize(settings_, entries, interrupted=False)
    assert (summary["runs"], sum(summary["counts"].values())) == (6, 6)


@pytest.mark.cluster
def test_a_soak_that_is_stopped_ends_its_runs_and_goes_on_later(tmp_path: Path, farm: Farm) -> None:
    farm.hire(2, "local:plain")
    asked = settings(tmp_path, runs=2, scenario={"takes": 300})
    book = Book.create(tmp_path / "soak", asked)
    made = place(book, tmp_path / "store", farm.address)

    def tick() -> None:
        if (tmp_path / "began").is_file() and len(began(tmp_path)) == 2:
            loop.stop()

    loop = Loop(book, made, lambda entry: None, tick=tick)
    loop.run()
    book.close()
    assert [entry.event for entry in book.entries] == ["begun", "begun", "half-done", "half-done"]
    pids = [int(line.split()[1]) for line in began(tmp_path)]
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "a run that nobody waits for goes on"
        time.sleep(0.05)


@pytest.mark.cluster
def test_a_run_goes_only_where_its_provider_works_and_waits_no_longer_than_said(
    tmp_path: Path, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduled, "WORKERS_S", 1.0)
    monkeypatch.setattr(scheduled, "SAY_S", 0.2)
    farm.hire(1, "local:plain")
    asked = settings(tmp_path, runs=1, scenario={"provider": "docker"})
    book = Book.create(tmp_path / "soak", asked)
    said: list[str] = []
    made = place(book, tmp_path / "store", farm.address, say=said.append)
    with pytest.raises(SetupError, match="offers polygraph docker"):
        Loop(book, made, lambda entry: None).run()
    book.close()
    assert "waiting for a worker" in said[0]
    assert not (tmp_path / "began").exists()


@pytest.mark.cluster
def test_cells_go_each_to_a_worker_that_can(tmp_path: Path, farm: Farm) -> None:
    farm.hire(1, "local:plain"), farm.hire(1, "docker")
    common = settings(tmp_path).scenario
    cells = [Cell(f"p={p}", {**common, "provider": p}) for p in ("docker", "local:plain")]
    book = Book.create(tmp_path / "soak", settings(tmp_path, cells=cells, runs=2))
    Loop(book, place(book, tmp_path / "store", farm.address), lambda entry: None).run()
    book.close()
    made_at = {(entry.cell, entry.worker) for entry in book.ended()}
    assert len(book.ended()) == 4
    assert len(made_at) == 2 == len({worker for _, worker in made_at})


@pytest.mark.cluster
def test_a_run_over_its_hard_limit_is_killed_on_its_worker(tmp_path: Path, farm: Farm) -> None:
    farm.hire(1, "local:plain")
    asked = settings(tmp_path, runs=1, hard_limit_s=3.0, scenario={"takes": 300})
    book = Book.create(tmp_path / "soak", asked)
    Loop(book, place(book, tmp_path / "store", farm.address), lambda entry: None).run()
    book.close()
    (run,) = book.ended()
    assert (run.outcome, run.exit) == ("infrastructure", 3)
    assert "hard limit of 3 s" in run.why
    if (tmp_path / "began").is_file():  # else it was killed before it came so far
        assert not Path(f"/proc/{began(tmp_path)[0].split()[1]}").exists()


def test_no_scheduler_is_said_with_what_to_do(tmp_path: Path) -> None:
    book = Book.create(tmp_path / "soak", settings(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduled, "CONNECT_S", 0.5)
        with pytest.raises(SetupError, match="no scheduler answers at tcp://127") as raised:
            place(book, tmp_path / "store", "tcp://127.0.0.1:1")
    book.close()
    assert "dask scheduler" in str(raised.value.hint)


def test_a_packed_run_is_the_same_run_elsewhere(tmp_path: Path) -> None:
    run = tmp_path / "a" / "toy" / "register" / "run-1"
    (run / "evidence").mkdir(parents=True)
    (run / "evidence" / "big").write_bytes(os.urandom(100_000))
    (run / "empty").touch()
    (run / "link").symlink_to("/etc/passwd")
    data = packed_run(tmp_path / "a", "toy/register/run-1")
    unpack_run(data, "toy/register/run-1", tmp_path / "b")
    (run / "link").unlink()
    assert files_of(tmp_path / "b") == files_of(tmp_path / "a")


@pytest.mark.parametrize(
    "run", ["../x/y", "/etc/x/y", "toy/register", "toy/../x", "toy/other/run-1"]
)
def test_what_a_worker_sends_lands_nowhere_else(tmp_path: Path, run: str) -> None:
    source = tmp_path / "a" / "toy" / "register" / "run-1"
    source.mkdir(parents=True)
    (source / "file").touch()
    data = packed_run(tmp_path / "a", "toy/register/run-1")
    with pytest.raises(UsageError, match="a worker sent"):
        unpack_run(data, run, tmp_path / "b" / "store")
    assert files_of(tmp_path / "b") == {}


def test_a_worker_offers_what_it_can_do() -> None:
    offered = resources(3, ["local:plain", "docker"])
    assert offered.pop("cores") == len(os.sched_getaffinity(0))
    assert offered == {"polygraph": 3, "polygraph local:plain": 3, "polygraph docker": 3}
    assert resource_of("docker:attach") == resource_of("docker")
