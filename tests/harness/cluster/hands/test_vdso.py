"""What is written into a vDSO: the assembled bytes, the words, and who is refused."""

from __future__ import annotations

import ctypes
import platform
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cluster.hands import node_clock, vdso

SOURCE = Path(vdso.__file__).with_name("vdso_clock.s")
WALL_NS = 1_800_000_000 * 10**9
PROGRAMS = st.fixed_dictionaries(
    {"base_ns": st.integers(WALL_NS - 10**12, WALL_NS + 10**12)},
    optional={
        "shift_ns": st.integers(-(10**17), 10**17),
        "rate": st.floats(-0.9, 0.9),
        "period_ns": st.integers(0, 10**10),
        "delta_ns": st.integers(-(10**15), 10**15),
    },
)


@pytest.mark.skipif(shutil.which("as") is None, reason="no assembler here")
def test_the_table_of_bytes_is_the_assembled_source(tmp_path: Path) -> None:
    made, raw = tmp_path / "clock.o", tmp_path / "clock.bin"
    subprocess.run(["as", str(SOURCE), "-o", str(made)], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", str(made), str(raw)], check=True)
    assembled = raw.read_bytes()
    words = vdso.words({})
    assert assembled[: len(vdso.CODE)] == vdso.CODE
    assert len(assembled) == vdso.SIZE == len(vdso.CODE) + len(words)
    assert assembled.endswith(vdso.MAGIC)


def test_the_source_names_every_routine_in_order() -> None:
    labels = re.findall(r"^([a-z]\w*):", SOURCE.read_text(), re.MULTILINE)
    assert labels[:4] == ["clock_gettime", "gettimeofday", "time", "skewed"]
    assert labels[4:] == ["base", "shift", "rate", "period", "delta", "mask", "magic"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="machine code for x86-64")
@given(program=PROGRAMS, elapsed_ns=st.integers(-(10**15), 10**15))
def test_the_machine_code_computes_the_formula(program: dict[str, Any], elapsed_ns: int) -> None:
    true_ns = program["base_ns"] + elapsed_ns
    shown_ns = run_skewed(program, true_ns)
    assert shown_ns == true_ns + vdso.offset_ns(program, true_ns)


def run_skewed(program: dict[str, Any], true_ns: int) -> int:
    """What the routine ``skewed`` makes of a true time, executed here."""
    # Called as a C function: the argument to where the routine wants it, its two results joined.
    call = bytes.fromhex("4889f8e8") + struct.pack("<i", 0)
    join = bytes.fromhex("4869c000ca9a3b4801d0c3")
    code = vdso.CODE + vdso.words(program)
    start = len(code) + 8
    call = call[:4] + struct.pack("<i", 0xC0 - (start + len(call)))
    whole = code + b"\x90" * 8 + call + join
    memory = executable(whole)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(memory + start)
    return int(function(true_ns))


def executable(code: bytes) -> int:
    """The address of a fresh page with this code."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    page: int | None = PAGES.get("page")
    if page is None:
        page = PAGES["page"] = libc.mmap(None, 4096, 7, 0x22, -1, 0)
    ctypes.memmove(page, code, len(code))
    return page


PAGES: dict[str, int] = {}


@given(program=PROGRAMS)
def test_words_are_those_that_the_routines_read(program: dict[str, Any]) -> None:
    words = struct.unpack("<qqqqqQ8s", vdso.words(program))
    assert words[0] == program["base_ns"]
    assert words[1] == program.get("shift_ns", 0)
    assert words[2] == round(program.get("rate", 0) * 2**32)
    assert words[5] == 0b100001
    assert words[6] == vdso.MAGIC


@pytest.mark.parametrize(
    "program",
    [{"shift_ns": 2 * 10**18}, {"delta_ns": -2 * 10**18}, {"rate": 1.5}, {"period_ns": -1}],
)
def test_a_clock_beyond_reason_is_refused(program: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="clock"):
        vdso.words(program)


def test_edits_and_pristine_bytes_cover_the_same_places_and_jumps_lead_to_routines() -> None:
    layout = node_clock.own_layout()
    edits, pristine = layout.edits({}), layout.pristine()
    places = {(at, len(data)) for at, data in edits}
    assert places == {(at, len(data)) for at, data in pristine}
    for at, data in edits[1:]:
        assert data[:1] == b"\xe9"
        target = at + 5 + struct.unpack("<i", data[1:])[0]
        assert target - layout.room in vdso.ROUTINES.values()
    assert layout.image[layout.room : layout.room + vdso.SIZE] == bytes(vdso.SIZE)


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (b"", "64-bit"),
        (b"\x7fELF\x01" + bytes(200), "64-bit"),
        (b"\x7fELF\x02" + bytes(200), "no table of symbols"),
    ],
)
def test_an_image_that_is_no_vdso_of_ours_is_unfit(image: bytes, why: str) -> None:
    with pytest.raises(vdso.Unfit, match=why):
        vdso.Layout(image)


def test_a_full_vdso_is_unfit() -> None:
    image = node_clock.own_layout().image
    with pytest.raises(vdso.Unfit, match="bytes free"):
        vdso.Layout(image[:-1] + b"\x01")


def test_a_process_without_vdso_is_unfit() -> None:
    with pytest.raises(vdso.Unfit, match="no vDSO"):
        vdso.own_range("00400000-00401000 r-xp 00000000 00:00 0 /bin/true\n")


def test_other_processors_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(vdso.Unfit, match="x86-64 alone; this is aarch64"):
        vdso.refuse_other_processors()
