"""Hostile run folders: a real run with one attack in it, and what must not happen around it.

Run folders are passed around, so a stranger's may hold anything. Every verb that reads one is put
to all of these (``test_verbs.py``), and whoever mends a verb can take what fits::

    for hostile in hostile_runs(tmp_path, attacks("link")):
        ...  # read hostile.run, in the store hostile.store
        hostile.assert_harmless(all_that_was_said)

What lies outside the run is the canary: files with a secret in them that links lead to, a place
where code leaves its mark if it is run, and on demand a process of another. It is known exactly
before, so that whatever is read, written, run or ended is seen.
"""

from __future__ import annotations

import atexit
import fnmatch
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tests.hostile.real_run import write_run

SECRET = "swordfish-7c1f0d"
"""Stands in every file outside; never in anything that a verb says, writes or serves."""
SYSTEM, WORKLOAD, RUN = "etcd", "register", "20261120T100000-abcdef"


@dataclass(frozen=True)
class Attack:
    """One thing that is wrong with a run folder.

    ``lay`` does it to a whole run. ``derived``: what is attacked is derived from the rest or no
    part of what is judged, so the verdict must be that of the whole run, or unknown. ``place``
    are system, workload and run as folders, where their names are the attack.
    """

    name: str
    lay: Callable[[Hostile], None]
    derived: bool = False
    place: tuple[str | bytes, str | bytes, str | bytes] = (SYSTEM, WORKLOAD, RUN)


@dataclass
class Hostile:
    """One laid attack: the folder ``run`` in the ``store``, and the canary ``outside`` of it."""

    root: Path
    attack: Attack
    valid: bool
    run: Path = field(init=False)
    victim: subprocess.Popen[bytes] | None = None
    _before: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.run = self.store.joinpath(*map(os.fsdecode, self.attack.place))

    @property
    def name(self) -> str:
        """The attack's name."""
        return self.attack.name

    @property
    def store(self) -> Path:
        """The store that holds this one run."""
        return self.root / "store"

    @property
    def outside(self) -> Path:
        """Where links lead: a copy of the run with the secret in each of its files."""
        return self.root / "outside"

    @property
    def marker(self) -> Path:
        """A file that exists once something of the folder was run as code."""
        return self.root / "marker"

    def start_victim(self) -> subprocess.Popen[bytes]:
        """A process that has nothing to do with the run, for attacks that name it."""
        if self.victim is None:
            self.victim = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
        return self.victim

    def assert_harmless(self, *said: str | bytes) -> None:
        """Nothing outside was changed or run or ended, and the secret is nowhere."""
        changed = _differences(self._before, self._look())
        assert changed == [], f"{self.name}: outside of the run was changed: {changed}"
        assert not self.marker.exists(), f"{self.name}: code of the run was run"
        if self.victim is not None:
            assert self.victim.poll() is None, f"{self.name}: another's process was ended"
        for text in said:
            held = text.encode(errors="replace") if isinstance(text, str) else text
            assert SECRET.encode() not in held, f"{self.name}: the secret was told"
        for path in plain_files(self.run):
            held = path.read_bytes() if path.stat().st_size < 1 << 26 else b""
            assert SECRET.encode() not in held, f"{self.name}: the secret was written to {path}"

    def end(self) -> None:
        """End what was started, and let everything be removed again."""
        if self.victim is not None:
            self.victim.kill()
            self.victim.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def begin(self) -> None:
        """Everything is laid: remember what is outside."""
        self._before = self._look()

    def _look(self) -> dict[str, object]:
        """All there is around the run; of the store only what is in it beside the run."""
        found: dict[str, object] = {}
        for folder, folders, files in os.walk(self.root):
            inside = Path(folder)
            folders[:] = [name for name in folders if inside / name != self.run]
            for name in (*folders, *files):
                found[str(inside / name)] = self._state(inside / name)
        return found

    def _state(self, path: Path) -> object:
        """Kind, size and times of what is there, and what it holds."""
        seen = path.lstat()
        if path in self.run.parents:  # that somebody writes there is seen by what is then there
            return seen.st_mode
        held = path.read_bytes() if stat.S_ISREG(seen.st_mode) else b""
        return seen.st_mode, seen.st_size, seen.st_mtime_ns, held


def _differences(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """The paths at which something is otherwise."""
    return [
        path for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)
    ]


def plain_files(folder: Path) -> Iterator[Path]:
    """Every regular file below ``folder``, no link followed."""
    for inside, _, files in os.walk(folder):
        for name in files:
            path = Path(inside) / name
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


@cache
def whole_run(valid: bool = True, sealed: bool = True) -> Path:
    """A run that nobody has touched. Made once; read only."""
    return write_run(_for_this_process("whole-run-") / "run", stale=not valid, sealed=sealed)


@cache
def poisoned_run() -> Path:
    """What links lead to: files as of a run, with the secret in each of them. Read only."""
    from tests.hostile.poison import poison

    return poison(write_run(_for_this_process("poisoned-") / "run", stale=True, count=60))


def _for_this_process(prefix: str) -> Path:
    """A folder that is gone when this process ends."""
    folder, maker = mkdtemp(prefix=prefix), os.getpid()

    def remove() -> None:
        if os.getpid() == maker:  # not at the end of a fork
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return Path(folder)


def files_of_a_run() -> list[str]:
    """The files of the run, by their names inside it."""
    run = whole_run()
    return sorted(str(path.relative_to(run)) for path in plain_files(run))


def folders_of_a_run() -> list[str]:
    """The folders of the run, by their names inside it."""
    run = whole_run()
    return sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_dir())


def attacks(*patterns: str) -> list[Attack]:
    """Every attack whose name fits one of ``patterns`` (``link:*``), all of them if none is said.

    A pattern without a colon is the first word of names.
    """
    from tests.hostile import on_contents, on_files, on_names, on_texts

    every = [*on_files.attacks(), *on_names.attacks(), *on_contents.attacks(), *on_texts.attacks()]
    wanted = [each if ":" in each else f"{each}:*" for each in patterns] or ["*"]
    return [each for each in every if any(fnmatch.fnmatchcase(each.name, w) for w in wanted)]


def lay(attack: Attack, root: Path, *, valid: bool = True, of: Path | None = None) -> Hostile:
    """A run with ``attack`` done to it, under a fresh folder in ``root``, with its canary.

    It is ``of`` a folder that is left as it is, else of the whole run that is ``valid`` or not.
    """
    hostile = Hostile(Path(mkdtemp(prefix="hostile-", dir=root)), attack, valid)
    shutil.copytree(of or whole_run(valid), hostile.run, symlinks=True)
    shutil.copytree(poisoned_run(), hostile.outside, symlinks=True)
    attack.lay(hostile)
    hostile.begin()
    return hostile


def hostile_runs(
    root: Path, wanted: Iterable[Attack] | None = None, *, valid: bool = True
) -> Iterator[Hostile]:
    """Each attack laid, one after the other; what it made is removed when the next is asked for."""
    for attack in attacks() if wanted is None else wanted:
        hostile = lay(attack, root, valid=valid)
        try:
            yield hostile
        finally:
            hostile.end()


def remove(path: Path) -> None:
    """Remove what is there, whatever it is; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_socket(path: Path) -> None:
    """A socket that nobody listens to. The way to it may be longer than an address can be."""
    place = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(f"/proc/self/fd/{place}/{path.name}")
    finally:
        listener.close()
        os.close(place)


def may_make_devices(folder: Path) -> bool:
    """Whether device nodes can be made there: only as root, and not in every container."""
    device = folder / "device"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 5))
        with device.open("rb") as opened:
            return opened.read(1) == b"\0"
    except OSError:
        return False
    finally:
        device.unlink(missing_ok=True)


def names_of(wanted: Sequence[Attack]) -> list[str]:
    """The names, for a test's parameters."""
    return [attack.name for attack in wanted]
