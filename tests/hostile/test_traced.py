"""Nothing outside of a hostile folder is read, written, run or reached: watched by the kernel.

``strace`` sees what no assertion about results can: that a file of somebody else was opened at
all. What a verb may touch is the folder, what it was told to write to, the installation, the
user's caches, and what every Python process reads.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.hostile.run_folders import SECRET, Hostile, attacks, lay
from tests.hostile.tracing import SIGNALLING, STRACE, Seen, pids, seen

ROOT = Path(__file__).parents[2]
POLYGRAPH = str(Path(sys.executable).with_name("polygraph"))
LAID = (
    "link:verdict.json", "link:nodes/n1/etcd.log", "relative-link:evidence/metrics.jsonl",
    "link:evidence/progress.json", "link:report.html", "link:plots/", "link:run.log",
    "link:evidence/final_states.json", "registered:another process as reaper, of ssh",
    "plugin:scenario names an absolute path", "plugin:beside *",
)  # fmt: skip
"""Attacks that fit into one folder, which can still be judged."""
INSTALLED = tuple(
    {
        *map(os.path.realpath, sysconfig.get_paths().values()),
        *(os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, str(ROOT))),
    }
)
READ = (*INSTALLED, "/usr", "/lib", "/lib64", "/proc", "/sys/devices/system", "/sys/fs/cgroup",
        "/dev/null", "/dev/urandom", "/dev/shm", "/etc/", "/var/cache/fontconfig")  # fmt: skip
"""Where Python and its libraries read; nobody's runs or secrets are there, see :data:`NEVER`."""
NEVER = ("/etc/shadow", "/etc/ssh", os.path.expanduser("~/.ssh"), "/etc/gshadow", "/proc/1/")
WRITTEN = ("/dev/null", "/dev/shm", *(f"{place}/" for place in INSTALLED if "/lib" not in place))
PROGRAMS = ("/usr/bin/fc-list", "/sbin/ldconfig", "/usr/sbin/ldconfig", "/usr/bin/ldconfig")
"""Of the system: what fonts there are, for matplotlib; where libraries lie, for ctypes."""
ENGINES = re.compile(r"docker\.sock|nscd|podman")

pytestmark = pytest.mark.strace


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Hostile]:
    """All of :data:`LAID` in one folder."""
    first, *others = attacks(*LAID)
    assert len(others) > 20
    laid = lay(first, tmp_path)
    for attack in others:
        attack.lay(laid)
    laid.begin()
    for name in ("caches", "spool", "target", "home"):
        (tmp_path / name).mkdir()
    yield laid
    laid.end()


def environment(tmp_path: Path) -> dict[str, str]:
    """A user of whom nothing is known, with caches and a spool of their own."""
    return {
        **os.environ,
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "caches"),
        "XDG_CONFIG_HOME": str(tmp_path / "home" / ".config"),
        "TMPDIR": str(tmp_path / "spool"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def outside(hostile: Hostile, tmp_path: Path, log: Path) -> list[str]:
    """The calls that went where they had no business."""
    mine = tuple(str(tmp_path / name) for name in ("caches", "spool", "target", "home"))
    own = pids(log)
    return [
        f"{each.call} {each.path}: {each.line[:200]}"
        for each in seen(log, hostile.run)
        if not (each.path in own if each.call in SIGNALLING else _is_allowed(each, hostile, mine))
    ]


def _is_allowed(each: Seen, hostile: Hostile, mine: tuple[str, ...]) -> bool:
    path = each.path
    if each.call == "connect":
        return bool(ENGINES.search(each.line)) or "AF_UNIX" not in each.line
    if _is_below(path, (str(hostile.run), *mine)):
        return not each.call.startswith("exec")
    if path.startswith(NEVER):
        return False
    if each.call.startswith("exec"):
        return os.path.realpath(path).startswith(INSTALLED) or path in PROGRAMS
    if each.writes:
        return _is_below(path, WRITTEN) or "__pycache__" in path
    return path in map(str, hostile.run.parents) or _is_below(path, (str(hostile.store), *READ))


def _is_below(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place.rstrip('/')}/") for place in places)


@pytest.mark.parametrize(
    "argv",
    [
        ("check", "{run}"),
        ("check", "-m", "cas-register", "-v", "{run}"),
        ("report", "{run}"),
        ("export", "-f", "edn", "-o", "{target}/history.edn", "{run}"),
        ("heal", "--store", "{store}"),
        ("down", "--store", "{store}", "{run}"),
    ],
    ids=lambda argv: " ".join(argv[:2]),
)
def test_a_verb_touches_nothing_outside(
    hostile: Hostile, tmp_path: Path, argv: tuple[str, ...]
) -> None:
    places = {"run": hostile.run, "store": hostile.store, "target": tmp_path / "target"}
    told = [word.format(**places) for word in argv]
    log = tmp_path / "calls"
    done = subprocess.run(
        [*STRACE, "-o", str(log), POLYGRAPH, *told],
        env=environment(tmp_path),
        cwd=hostile.run,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=200,
    )
    assert done.returncode in (0, 2, 3), done.stderr
    assert outside(hostile, tmp_path, log) == []
    hostile.assert_harmless(done.stdout, done.stderr)
    assert any(_is_below(each.path, (str(hostile.run),)) for each in seen(log, hostile.run))


def test_a_server_touches_nothing_outside(hostile: Hostile, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    argv = [*STRACE, "-o", str(log), POLYGRAPH, "serve", "--port", "0"]
    with subprocess.Popen(
        [*argv, "--store", str(hostile.store)],
        env=environment(tmp_path),
        cwd=hostile.run,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as traced:
        try:
            assert traced.stdout is not None
            said = traced.stdout.readline().decode()
            address = re.search(r"http://\S+/", said)
            assert address is not None, said
            run = quote(str(hostile.run.relative_to(hostile.store)))
            for page in ("", "runs.json", f"run/{run}/", f"live/{run}/", f"progress/{run}",
                         f"zip/{run}", "soak/none/", "run/../outside/"):  # fmt: skip
                assert SECRET.encode() not in _asked(address[0] + page)
        finally:
            for child in Path(f"/proc/{traced.pid}/task/{traced.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGINT)
            traced.communicate(timeout=60)
    assert outside(hostile, tmp_path, log) == []
    hostile.assert_harmless()


def _asked(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=200) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        return error.read() if error.code < 500 else SECRET.encode()


def test_what_is_opened_outside_is_seen(hostile: Hostile, tmp_path: Path) -> None:
    """The watch itself: reading through a link, and writing beside the folder."""
    log = tmp_path / "calls"
    program = "open('verdict.json').read(); open('../beside', 'w'); import os; os.mkdir('../more')"
    subprocess.run(
        [*STRACE, "-o", str(log), sys.executable, "-c", program],
        cwd=hostile.run,
        env=environment(tmp_path),
        check=True,
        timeout=100,
    )
    found = "\n".join(outside(hostile, tmp_path, log))
    for path in (hostile.outside / "verdict.json", hostile.run.parent / "beside"):
        assert str(path) in found
    assert f"mkdir {hostile.run.parent / 'more'}" in found
