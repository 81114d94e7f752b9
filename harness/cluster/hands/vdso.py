"""What to write into a process's private vDSO so that it reads another wall clock.

The kernel maps a small library, the vDSO, into every process; the C library, Go and all others
read the time through three of its functions, without a system call. The mapping is private: what
a tracer writes there is seen by this process (and what it forks) alone, and neither the machine's
clock nor any other process changes. Here is what to write, not how: pure functions of bytes.

The first five bytes of each function become a jump to a routine of ours, in the unused end of the
vDSO's last page. The old bodies stay whole, so a thread that stands inside one, or returns into
one from a signal handler, goes on in it unharmed; only four bytes behind each entry, and later our
own routines, must be empty of threads while they are written (``Layout.entries``,
``Layout.routines``).

The clock is a formula that the routines compute by themselves (``vdso_clock.s``): a bump, a drift
and a strobe need no visit after they were set, and a forked child inherits them.

x86-64 only; on others, and where the vDSO is not as expected, :class:`Unfit` says why.
"""

from __future__ import annotations

import platform
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Edit = tuple[int, bytes]
    Span = tuple[int, int]

CODE = bytes.fromhex(
    # clock_gettime, at 0x00
    "b8e40000000f0585c0752b83ff3f7726488b0d31010000480fa3f97319486906"
    "00ca9a3b48034608e8930000004889064889560831c0c3660f1f840000000000"
    # gettimeofday, at 0x40
    "b8600000000f0585c075304885ff742b48694f08e803000048690700ca9a3b48"
    "01c8e85900000048890789d031d2b9e8030000f7f14889470831c0c30f1f4000"
    # time, at 0x80
    "4989fa4883ec10b8e4000000bf050000004889e60f054869042400ca9a3b4803"
    "4424084883c410e8140000004d85d27403498902c366662e0f1f840000000000"
    # skewed, at 0xc0
    "4989c14989c04c2b05530000004c030d540000004c89c048f72d52000000480f"
    "acd0204901c1488b0d4b0000004885c974134c89c0489948f7f9a80174074c03"
    "0d3b0000004c89c831d2b900ca9a3b48f7f1c366662e0f1f8400000000006690"
)
"""The routines of ``vdso_clock.s``, assembled; the words follow at 0x120."""

ROUTINES = {
    "__vdso_clock_gettime": 0x00,
    "__vdso_gettimeofday": 0x40,
    "__vdso_time": 0x80,
}
"""Which function of the vDSO becomes which routine."""

MAGIC = b"PGCLOCK1"
LIE_ABOUT = (1 << 0) | (1 << 5)
"""CLOCK_REALTIME and CLOCK_REALTIME_COARSE; monotonic clocks stay true."""

_WORDS = struct.Struct("<qqqqqQ8s")
SIZE = len(CODE) + _WORDS.size
_JUMP_BYTES = 5
_ALIGNMENT = 16
_DYNSYM = 11
_MOST_SHIFT_NS = 10**18
_TRUE = {"base_ns": 0, "shift_ns": 0, "rate": 0.0, "period_ns": 0, "delta_ns": 0}


class Unfit(Exception):
    """The clock of processes here cannot be changed; says why."""


class Layout:
    """Where things are in this machine's vDSO; offsets from its beginning.

    ``entries`` are the bytes behind each entry that the jump covers, ``routines`` where ours go:
    no thread may stand there, nor return there, while they are written.
    """

    def __init__(self, image: bytes) -> None:
        self.image = image
        self.functions = _functions(image)
        self.room = _room(image, self.functions)
        starts = [self.functions[name][0] for name in ROUTINES]
        self.entries: list[Span] = [(start + 1, start + _JUMP_BYTES) for start in starts]
        self.routines: Span = (self.room, self.room + SIZE)

    def edits(self, program: Mapping[str, Any]) -> list[Edit]:
        """What makes the clock of ``program``: the routines first, the jumps to them last."""
        edits = [(self.room, CODE + words(program))]
        for name, routine in ROUTINES.items():
            start = self.functions[name][0]
            jump = b"\xe9" + struct.pack("<i", self.room + routine - start - _JUMP_BYTES)
            edits.append((start, jump))
        return edits

    def pristine(self) -> list[Edit]:
        """What undoes it: the entries first, so that nobody enters the routines any more."""
        spans = [(self.functions[name][0], _JUMP_BYTES) for name in ROUTINES]
        spans.append((self.room, SIZE))
        return [(start, self.image[start : start + size]) for start, size in spans]


def words(program: Mapping[str, Any]) -> bytes:
    """The data behind the routines. ``ValueError`` for a shift that leaves the calendar."""
    given = {**_TRUE, **program}
    if max(abs(given["shift_ns"]), abs(given["delta_ns"])) > _MOST_SHIFT_NS:
        raise ValueError("a clock cannot be moved by more than thirty years")
    if not -1 <= given["rate"] <= 1 or given["period_ns"] < 0:
        raise ValueError("a clock's rate is within one second a second, its period not negative")
    return _WORDS.pack(
        given["base_ns"],
        given["shift_ns"],
        _fixed(given["rate"]),
        given["period_ns"],
        given["delta_ns"],
        LIE_ABOUT,
        MAGIC,
    )


def offset_ns(program: Mapping[str, Any], true_ns: int) -> int:
    """How far ahead of the truth the clock of ``program`` is at ``true_ns`` of wall time."""
    given = {**_TRUE, **program}
    elapsed_ns = true_ns - given["base_ns"]
    offset = given["shift_ns"] + (elapsed_ns * _fixed(given["rate"]) >> 32)
    if given["period_ns"] and abs(elapsed_ns) // given["period_ns"] % 2:
        offset += given["delta_ns"]
    return int(offset)


def _fixed(rate: float) -> int:
    return round(rate * (1 << 32))


def own_range(maps: str) -> Span:
    """(begin, end) of the vDSO in the text of a ``/proc/PID/maps``."""
    for line in maps.splitlines():
        if line.endswith("[vdso]"):
            begin, _, end = line.split()[0].partition("-")
            return int(begin, 16), int(end, 16)
    raise Unfit("it has no vDSO (a kernel started with vdso=0?)")


def refuse_other_processors() -> None:
    """:class:`Unfit` on anything but x86-64."""
    if platform.machine() not in ("x86_64", "AMD64"):
        raise Unfit(
            f"a process's clock is changed by machine code, of which there is a version for "
            f"x86-64 alone; this is {platform.machine()}"
        )


def _functions(image: bytes) -> dict[str, Span]:
    """(offset, size) of each function that the library exports, from its ELF symbol table."""
    if image[:5] != b"\x7fELF\x02":
        raise Unfit("its vDSO is not that of a 64-bit process")
    sections = _sections(image)
    symbols = next((section for section in sections if section[1] == _DYNSYM), None)
    if symbols is None:
        raise Unfit("its vDSO has no table of symbols")
    strings = sections[symbols[6]][4]
    found = {}
    for at in range(symbols[4], symbols[4] + symbols[5], 24):
        name, _, _, section, value, size = struct.unpack_from("<IBBHQQ", image, at)
        if section and value:
            end = image.index(b"\0", strings + name)
            found[image[strings + name : end].decode()] = (value, size)
    missing = [name for name in ROUTINES if found.get(name, (0, 0))[1] < _JUMP_BYTES]
    if missing:
        raise Unfit(f"its vDSO lacks {', '.join(missing)}")
    return found


def _sections(image: bytes) -> list[tuple[int, ...]]:
    (table,) = struct.unpack_from("<Q", image, 0x28)
    size, count = struct.unpack_from("<HH", image, 0x3A)
    return [struct.unpack_from("<IIQQQQIIQQ", image, table + n * size) for n in range(count)]


def _room(image: bytes, functions: Mapping[str, Span]) -> int:
    """Where the routines go: the zeroes behind the library, which nothing uses."""
    room = _aligned(len(image.rstrip(b"\0")) + _ALIGNMENT)
    if len(image) - room < SIZE:
        raise Unfit(f"its vDSO leaves {len(image) - room} bytes free, {SIZE} are needed")
    return room


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT
