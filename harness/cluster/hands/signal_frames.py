"""Where the signal handlers that a thread is in will return to, read from its stack.

At a signal the kernel pushes a frame with every register, ``rt_sigframe``; the handler's return
takes them back. Once it has, the frame stays in memory until something is written over it. A
program whose handlers have a stack of their own (``sigaltstack``; every thread of Go) keeps the
last one for as long as no other signal comes to that thread, and Go allots that stack just above
the thread's first, so it lies within what is read here of an idle thread that is in no handler.

Such a remnant is told by itself: the kernel writes into a frame which alternate stack the thread
has. A frame that lies on that stack is in use only by a thread that stands on it too.

A remnant on the very stack that a thread stands on counts as in use: nothing tells it.
"""

from __future__ import annotations

import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_STACK_BYTES = 1 << 15
_SEGMENTS = struct.pack("<3H", 0x33, 0, 0)
"""``cs``, ``gs`` and ``fs`` of a 64-bit program, as every frame holds them."""
_SEGMENTS_AT = 192
_LEAST = 312
_ALTERNATE = struct.Struct("<Q8xQ")
_ALTERNATE_AT = 24
_STACK_AND_PLACE = struct.Struct("<QQ")
_STACK_AND_PLACE_AT = 168


def return_places(pid: int, stack: int) -> set[int]:
    """Every place where a thread whose stack pointer is ``stack`` will return to from a signal.

    Also of handlers that another signal interrupted, whatever stacks they are on.
    """
    places: set[int] = set()
    seen: set[int] = set()
    new = [stack]
    while new:
        here = new.pop()
        if here not in seen:
            seen.add(here)
            for interrupted, place in _frames(here, _memory(pid, here, _STACK_BYTES)):
                places.add(place)
                new.append(interrupted)
    return places


def _frames(stack: int, saved: bytes) -> Iterator[tuple[int, int]]:
    """The stack pointer and the place in each frame that may be in use."""
    at = saved.find(_SEGMENTS)
    while at >= 0:
        begin = at - _SEGMENTS_AT
        if begin >= 0 and begin + _LEAST <= len(saved):
            lowest, size = _ALTERNATE.unpack_from(saved, begin + _ALTERNATE_AT)
            on_alternate = lowest <= stack + begin < lowest + size
            if not on_alternate or lowest <= stack:
                yield _STACK_AND_PLACE.unpack_from(saved, begin + _STACK_AND_PLACE_AT)
        at = saved.find(_SEGMENTS, at + 1)


def _memory(pid: int, address: int, size: int) -> bytes:
    """What is there, as far as it is mapped."""
    fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(fd, size, address)
    except (OSError, OverflowError):
        return b""
    finally:
        os.close(fd)
