"""What may be read of a file is bounded: a trap is refused with the flag, in little memory.

Each trap is given to the real command, and the memory of its processes is what the kernel says they
had at most.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import resource
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
import zstandard

from harness.cli.main import run
from harness.errors import HistoryError
from harness.history import bounds
from harness.history.bounds import Bounds
from harness.history.reader import read_history
from harness.history.seal import JEPSEN, PLAIN

SCRIPT: Final = Path(sys.executable).with_name("polygraph")
MOST_MIB: Final = 1000
LINE: Final = b'{"index":0,"time":0,"process":0,"type":"invoke","f":"read","value":null}\n'
EDN: Final = b"{:index 0, :time 0, :process 0, :type :invoke, :f :read, :value nil}\n"
LOG: Final = b"0 :invoke :read nil\n"
MEASURED: Final = """
import resource, subprocess, sys
feed = open(sys.argv[1], "rb") if sys.argv[1] else subprocess.DEVNULL
done = subprocess.run(sys.argv[2:], stdin=feed, stdout=sys.stderr)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(done.returncode, peak // 1024)
"""


def checked(*argv: str, feed: Path | None = None) -> tuple[int, int, str]:
    """Exit code, MiB of the largest process, and what was said by ``polygraph check``."""
    kept = {name: value for name, value in os.environ.items() if name != "POLYGRAPH_MAX_BYTES"}
    command = [str(SCRIPT), "check", "-m", "cas-register", *argv]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(feed or ""), *command],
        env=kept,
        capture_output=True,
        text=True,
        timeout=250,
        check=True,
    )
    code, peak = map(int, done.stdout.split())
    return code, peak, done.stderr


def packed(path: Path, unit: bytes, total: int) -> Path:
    """So many bytes of ``unit`` again and again, by zstd."""
    with path.open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as out:
        for _ in range(total // len(unit) + 1):
            out.write(unit)
    return path


def zipped(path: Path, unit: bytes, total: int) -> Path:
    """So many bytes of ``unit`` by gzip: packed once, since it takes seconds for a gigabyte."""
    packer, check = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS), 0
    block = packer.compress(unit) + packer.flush(zlib.Z_FULL_FLUSH)  # stands alone, so repeats
    times = total // len(unit) + 1
    with path.open("wb") as out:
        out.write(b"\x1f\x8b\x08" + bytes(6) + b"\xff")
        for _ in range(times):
            out.write(block)
            check = zlib.crc32(unit, check)
        out.write(b"\x03\0" + struct.pack("<II", check, times * len(unit) % (1 << 32)))
    return path


def test_what_is_zipped_here_is_gzip(tmp_path: Path) -> None:
    path = zipped(tmp_path / "lines.gz", LINE * 3, 1000)
    assert gzip.decompress(path.read_bytes()) == LINE * 3 * (1000 // len(LINE * 3) + 1)


def nested(path: Path) -> Path:
    inner = packed(path.with_suffix(".inner"), LINE * 20_000, 1 << 30)
    path.write_bytes(gzip.compress(zstandard.compress(inner.read_bytes())))
    return path


def sparse(path: Path, head: bytes, size: int) -> Path:
    """A plain file of so many bytes that takes no room: a hole follows ``head``."""
    path.write_bytes(head)
    os.truncate(path, size)
    return path


def long_line(path: Path, size: int, head: bytes = b'{"index":0,"value":"') -> Path:
    with path.open("wb") as out:
        out.write(head)
        for _ in range(size >> 20):
            out.write(b"a" * (1 << 20))
    return path


TRAPS: Final[dict[str, Callable[[Path], Path]]] = {
    "zeros.zst": lambda path: packed(path, bytes(1 << 24), 2 << 30),
    "lines.zst": lambda path: packed(path, LINE * 20_000, 2 << 30),
    "lines.gz": lambda path: zipped(path, LINE * 20_000, 1 << 30),
    "one line.zst": lambda path: packed(path, b"[1," + b"a" * (1 << 24), 2 << 30),
    "edn.zst": lambda path: packed(path, EDN * 20_000, 2 << 30),
    "log.zst": lambda path: packed(path, LOG * 50_000, 2 << 30),
    "small lines.zst": lambda path: packed(path, LINE * 20_000, 250 << 20),
    "one array.zst": lambda path: packed(path, b"[" + b"[]," * 100_000, 250 << 20),
    "nested.gz": nested,
    "fifty gigabytes.jsonl": lambda path: sparse(path, LINE * 1000, 50 << 30),
    "fifty gigabytes.edn": lambda path: sparse(path, EDN * 1000, 50 << 30),
    "fifty gigabytes.json": lambda path: sparse(path, b"[" + LINE, 50 << 30),
    "fifty gigabytes.txt": lambda path: sparse(path, LOG * 100, 50 << 30),
    "too large for objects.jsonl": lambda path: sparse(path, LINE * 1000, 3 << 30),
    "a long line.jsonl": lambda path: long_line(path, 400 << 20),
    "a vector without end.edn": lambda path: long_line(path, 500 << 20, EDN[:0] + b'[{:a "'),
}


@pytest.mark.slow
@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_refused_in_little_memory(trap: str, tmp_path: Path) -> None:
    path = TRAPS[trap](tmp_path / trap)
    code, peak, said = checked(str(path))
    assert code == 4, said
    assert peak < MOST_MIB
    assert "--max-bytes" in said or "expected a history" in said
    assert "unexpected error" not in said


@pytest.mark.slow
@pytest.mark.parametrize("format", ["", "jsonl", "json", "edn", "jepsen-log", "plume", "awdit"])
def test_a_device_without_end_is_refused(format: str) -> None:
    code, peak, said = checked(*(("-f", format) if format else ()), "/dev/zero")
    assert code == 4, said
    assert peak < MOST_MIB
    assert "--max-bytes" in said or "expected a history" in said


@contextlib.contextmanager
def endless(tmp_path: Path, unit: bytes) -> Iterator[Path]:
    """A pipe that somebody writes to as long as anybody reads."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), pipe.open("wb", buffering=0) as out:
            while True:
                out.write(unit)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    yield pipe
    writer.join(60)
    assert not writer.is_alive()


@pytest.mark.slow
def test_a_pipe_without_end_is_refused(tmp_path: Path) -> None:
    with endless(tmp_path, LINE * 5000) as pipe:
        code, peak, said = checked("--max-bytes", "600MiB", str(pipe))
    assert code == 4
    assert peak < MOST_MIB
    assert "holds more than 600MiB" in said
    assert "--max-bytes 1200MiB" in said


@pytest.mark.slow
def test_standard_input_without_end_is_refused() -> None:
    code, peak, said = checked("-f", "jsonl", "-", feed=Path("/dev/zero"))
    assert code == 4
    assert peak < MOST_MIB
    assert "standard input: holds a line of more than" in said


def test_the_flag_and_its_twin_raise_and_lower_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bounds, "EXPANDED_BYTES", 10_000)
    path = tmp_path / "history.jsonl.zst"
    record = {"index": 0, "time": 0, "process": 0, "type": "invoke", "f": "write", "value": 1}
    done = {**record, "index": 1, "type": "ok", "error": "x" * 100_000}
    text = "".join(json.dumps(line) + "\n" for line in (record, done)).encode()
    path.write_bytes(zstandard.compress(text))
    check = ("check", "-m", "cas-register", str(path))
    assert run(check) == 4
    assert "taken for a trap" in capfd.readouterr().err
    assert run((*check, "--max-bytes", "1MB")) in (0, 2)
    assert run((*check, "--max-bytes", "50kB")) == 4
    assert "holds more than 50000 bytes" in capfd.readouterr().err
    monkeypatch.setenv("POLYGRAPH_MAX_BYTES", "1MiB")
    assert run(check) in (0, 2)
    assert run(("export", str(path), "-f", "edn", "-o", str(tmp_path / "out.edn"))) == 0
    assert run((*check, "--max-bytes", "many")) == 4
    assert "is not a size" in capfd.readouterr().err


def test_bounds_hold_for_folders_and_their_ledgers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "scenario.toml").write_text('system = "etcd"\n')
    (folder / PLAIN).write_bytes(LINE)
    sparse(folder / "faults.jsonl", b"", 10 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert run(("check", str(folder))) == 4
    told = capfd.readouterr().err
    assert "faults.jsonl: holds more than 32MiB" in told
    assert "--max-bytes" in told
    (folder / "faults.jsonl").unlink()
    sparse(folder / PLAIN, LINE, 50 << 30)
    assert run(("check", str(folder))) == 4
    assert "holds more than 4GiB" in capfd.readouterr().err
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@pytest.mark.parametrize("name", [PLAIN, "history.jsonl.zst", "history.jsonl.gz", *JEPSEN])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_plain_file_in_a_folder_is_refused(name: str, kind: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(LINE)
    folder = tmp_path / "run"
    folder.mkdir()
    if kind == "link":
        (folder / name).symlink_to(secret)
    elif kind == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).mkdir()
    with pytest.raises(HistoryError, match=f"{name}: is a {kind}"):
        read_history(folder)


def test_a_file_that_the_user_names_may_be_a_link_or_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(LINE)
    (tmp_path / "link").symlink_to("file")
    assert len(read_history(tmp_path / "link")) == 1
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(LINE,))
    writer.start()
    assert len(read_history(tmp_path / "pipe")) == 1
    writer.join()


def test_where_there_is_no_room_to_unpack_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.gz"
    path.write_bytes(gzip.compress(LINE * 100))
    code = (
        "import resource; from pathlib import Path; from harness.errors import StoreError\n"
        "from harness.history.reader import read_history\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        f"try: read_history(Path({str(path)!r}))\n"
        "except StoreError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "there is no room for it" in done.stdout
    assert "TMPDIR=DIR" in done.stdout


def test_an_own_bound_is_the_only_one() -> None:
    assert Bounds(5).held(is_whole=True) == Bounds(5).held(is_whole=False) == Bounds(5).line == 5
    assert Bounds(5).ledger == Bounds(5).total == 5
    Bounds(1 << 40).refuse_total(1 << 39, "bomb", packed=1)
    with pytest.raises(HistoryError, match="taken for a trap"):
        Bounds().refuse_total(1 << 30, "bomb", packed=1000)


def test_a_report_tells_what_it_left_out_and_the_flag_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MOST_OBJECT_BYTES", 100)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "scenario.toml").write_text('system = "etcd"\n')
    (folder / PLAIN).write_bytes(LINE * 2)
    page = tmp_path / "page.html"
    assert run(("report", str(folder), "-o", str(page))) == 0
    assert "No operations can be shown" in page.read_text("utf-8")
    assert "without --max-bytes" in page.read_text("utf-8")
    (folder / PLAIN).write_bytes(LINE)
    assert run(("report", str(folder), "-o", str(page), "--max-bytes", "1MiB")) == 0
    assert "No operations can be shown" not in page.read_text("utf-8")


@pytest.mark.slow
def test_little_that_wants_gigabytes_as_objects_is_refused_within_the_bound(
    tmp_path: Path,
) -> None:
    """Sixty megabytes of empty objects, which is within every bound of size, take 1.6 GB."""
    path = tmp_path / "history.json"
    path.write_bytes(b"[" + b"{}," * (20 << 20) + b"{}]")
    code = (
        "import resource; from pathlib import Path; from harness.errors import HistoryError\n"
        "from harness.history.reader import read_history\n"
        f"try: read_history(Path({str(path)!r}))\n"
        "except HistoryError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        "print(resource.getrlimit(resource.RLIMIT_DATA) == (resource.RLIM_INFINITY,) * 2)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *said, peak_kib, is_as_before = done.stdout.splitlines()
    assert "takes more than 768MiB of memory to read" in said[0]
    assert "--max-bytes 61MiB" in said[1]
    assert int(peak_kib) < 1 << 20
    assert is_as_before == str(resource.getrlimit(resource.RLIMIT_DATA)[0] < 0)


def test_a_large_file_may_take_more_memory_than_a_small_one() -> None:
    size = 200 << 20
    assert Bounds().memory(1000, 1000) == bounds.MOST_MEMORY_BYTES
    assert Bounds().memory(size, 1 << 20) == bounds.MOST_MEMORY_BYTES
    assert Bounds().memory(size, size) == bounds.MEMORY_A_BYTE * size
    assert Bounds(5).memory(size, size) is None
