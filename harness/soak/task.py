"""One run of a soak as a task of a scheduler: what is sent to a worker, and what comes back.

Only plain data travel. A worker makes the run in a folder of its own, packs what the run left and
removes the folder; the archive comes back with the answer, or goes to a store that both can reach
(anything that fsspec knows) under a name that the soak and the number of the run give: a task that
a scheduler repeats, because its worker was lost, replaces what the first left there.

A task nobody waits for any more (its soak was stopped or killed) ends its run: cleanly, and after
``STOP_S`` at once.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

import harness
from harness.errors import EXIT_INFRASTRUCTURE, UsageError
from harness.linux.surroundings import program
from harness.soak.here import result_in
from harness.soak.places import last_words

LOOK_S: Final = 0.25
STOP_S: Final = 60.0
TRIES: Final = "polygraph-tries"
"""The topic of a scheduler's events that tells which worker began which run."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is to be made.

    ``sitting`` tells it from an earlier try that was given up. ``command`` is what a run is made
    by, from Python's own arguments on; ``results`` is the address of a store that both can reach,
    empty where the answer brings all; ``soak`` names the soak among all that use the scheduler.
    """

    version: str
    soak: str
    number: int
    sitting: int
    seed: int
    scenario: dict[str, Any]
    command: list[str]
    hard_limit_s: float
    results: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it. ``run`` is the run's folder below its store, packed in ``archive``."""

    number: int
    status: int
    told: dict[str, Any]
    words: str
    seconds: float
    trouble: str
    worker: str
    run: str = ""
    archive: bytes = b""


def run_here(order: Order, worker: str, is_wanted: Callable[[], bool]) -> Answer:
    """Make the run of ``order`` on this machine; ``is_wanted`` says whether anybody still waits."""
    if order.version != harness.__version__:
        why = f"worker {worker} has Polygraph {harness.__version__}, the soak {order.version}"
        return _refused(order, worker, f"{why}: install the same on both")
    folder = Path(tempfile.mkdtemp(prefix="polygraph-run-"))
    try:
        return _made(order, worker, folder, is_wanted)
    except OSError as error:
        return _refused(order, worker, f"worker {worker} could not make the run: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _made(order: Order, worker: str, folder: Path, is_wanted: Callable[[], bool]) -> Answer:
    words, store = folder / "said" / "words.txt", folder / "store"
    words.parent.mkdir()
    store.mkdir(0o755)
    table = folder / "scenario.json"
    table.write_text(json.dumps(order.scenario), encoding="utf-8")
    result = words.with_suffix(".json")
    run = [sys.executable, *order.command, str(table), str(order.seed), str(store), str(result)]
    begun_s = time.monotonic()
    with words.open("wb") as output:
        process = subprocess.Popen(
            [*program("harness.soak.apart"), *run],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        is_over = _awaited(process, begun_s + order.hard_limit_s, is_wanted)
    trouble = "" if is_over else f"killed after its hard limit of {order.hard_limit_s:g} s"
    told = result_in(result)
    inside = _below(store, told.get("run_dir"))
    packed = packed_run(store, inside) if inside else b""
    if packed and order.results:
        put(order.results, archive_name(order.soak, order.number), packed)
        packed = b""
    return Answer(
        number=order.number,
        status=process.returncode,
        told=told,
        words=last_words(words.read_bytes()),
        seconds=time.monotonic() - begun_s,
        trouble=trouble,
        worker=worker,
        run=inside,
        archive=packed,
    )


def _awaited(
    process: subprocess.Popen[bytes], limit_s: float, is_wanted: Callable[[], bool]
) -> bool:
    """Wait for the run's end; whether it came by itself, and not by force."""
    assert process.stdin is not None
    asked_s = None
    with process.stdin:  # the end of which ends the run at once
        while True:
            try:
                process.wait(LOOK_S)
                return True
            except subprocess.TimeoutExpired:
                now_s = time.monotonic()
            if asked_s is None and not is_wanted():
                process.send_signal(signal.SIGINT)
                asked_s = now_s
            if now_s > limit_s or (asked_s is not None and now_s > asked_s + STOP_S):
                break
    process.wait()
    return False


def _refused(order: Order, worker: str, why: str) -> Answer:
    return Answer(
        number=order.number,
        status=EXIT_INFRASTRUCTURE,
        told={},
        words=why,
        seconds=0.0,
        trouble=why,
        worker=worker,
    )


# -- archives --------------------------------------------------------------------------------------


def _below(store: Path, run_dir: Any) -> str:
    """The run's folder as a path in its store; empty where there is none."""
    if not isinstance(run_dir, str):
        return ""
    path = Path(run_dir)
    return str(path.relative_to(store)) if path.is_dir() and path.is_relative_to(store) else ""


def packed_run(store: Path, run: str) -> bytes:
    """The plain files of a run as a zip."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted((store / run).rglob("*")):
            if path.is_file() and not path.is_symlink():
                archive.write(path, path.relative_to(store))
    return data.getvalue()


def unpack_run(data: bytes, run: str, store: Path) -> Path:
    """Unpack a run into ``store``, all of it or nothing; its folder there.

    ``UsageError`` where a file would lie outside of the run's folder.
    """
    parts = Path(run).parts
    if len(parts) != 3 or ".." in parts or Path(run).is_absolute():
        raise UsageError(f"a worker sent a run with the path {run}", "system/workload/name")
    target = store / run
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".incoming-", dir=target.parent))
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                inside = Path(name)
                if inside.parts[:3] != parts or ".." in inside.parts:
                    raise UsageError(f"a worker sent the file {name} in the run {run}")
                place = draft / inside.relative_to(run)
                place.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, place.open("xb") as out:
                    shutil.copyfileobj(source, out)
        draft.chmod(0o755)
        os.rename(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def archive_name(soak: str, number: int) -> str:
    """What a run's archive is called where results are kept."""
    return f"{soak}-{number}.zip"


def put(results: str, name: str, data: bytes) -> None:
    """Keep an archive, whole or not at all."""
    import fsspec

    system, root = fsspec.core.url_to_fs(results)
    system.makedirs(root, exist_ok=True)
    with system.transaction, system.open(f"{root}/{name}", "wb") as out:
        out.write(data)


def get(results: str, name: str) -> bytes:
    """An archive that was kept."""
    import fsspec

    system, root = fsspec.core.url_to_fs(results)
    data: bytes = system.cat_file(f"{root}/{name}")
    return data
