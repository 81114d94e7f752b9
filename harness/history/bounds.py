"""How much is read of a file that may be anybody's.

A small file may hold a history without an end: compressed data that is fifty gigabytes, a device,
a line that never stops. So nothing is taken in before its size is known to be within bounds, and
what is beyond them is refused with the bound and the flag that raises it.

========================  =======================================================================
all of it, unpacked       :data:`MOST_BYTES`: large histories of transactions are scanned block by
                          block, so they are never in memory as a whole
as Python objects         :data:`MOST_OBJECT_BYTES`: every other history of one record a line; it
                          takes about ten times the room
in one piece              :data:`MOST_WHOLE_BYTES`: an array or a vector around all records
one line                  :data:`MOST_LINE_BYTES`, where a record is a line
the ledger of faults      :data:`MOST_LEDGER_BYTES`
unpacked against packed   :data:`EXPANSION`, from :data:`EXPANDED_BYTES` on; of what becomes objects
                          :data:`OBJECT_EXPANSION`, from :data:`EXPANDED_OBJECT_BYTES` on
========================  =======================================================================

Who names a bound (``--max-bytes``) means it: then it is the only one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from harness.errors import HistoryError

MOST_BYTES: Final = 4 << 30
MOST_OBJECT_BYTES: Final = 512 << 20
MOST_WHOLE_BYTES: Final = 384 << 20
MOST_LINE_BYTES: Final = 64 << 20
MOST_LEDGER_BYTES: Final = 32 << 20
"""As objects it may take twenty times the room."""
EXPANSION: Final = 200
EXPANDED_BYTES: Final = 256 << 20
OBJECT_EXPANSION: Final = 100
EXPANDED_OBJECT_BYTES: Final = 64 << 20
MOST_MEMORY_BYTES: Final = 768 << 20
MEMORY_A_BYTE: Final = 12
"""What histories that are no trap take at the most, where each byte becomes Python objects."""
MEMORY_A_PACKED_BYTE: Final = 256
FLAG: Final = "--max-bytes"
_UNITS: Final = ("", "KiB", "MiB", "GiB")


@dataclass(frozen=True)
class Bounds:
    """What may be read of a file; ``most_bytes`` is the user's own word, in place of all others."""

    most_bytes: int | None = None

    @property
    def total(self) -> int:
        """Bytes of all of it, when it is unpacked."""
        return MOST_BYTES if self.most_bytes is None else self.most_bytes

    @property
    def line(self) -> int:
        """Bytes of one record, where a record is a line."""
        return MOST_LINE_BYTES if self.most_bytes is None else self.most_bytes

    @property
    def ledger(self) -> int:
        """Bytes of a ledger of faults."""
        return MOST_LEDGER_BYTES if self.most_bytes is None else self.most_bytes

    def held(self, *, is_whole: bool) -> int:
        """Bytes of what becomes Python objects, in one piece or line by line."""
        if self.most_bytes is not None:
            return self.most_bytes
        return MOST_WHOLE_BYTES if is_whole else MOST_OBJECT_BYTES

    def memory(self, size: int, packed: int) -> int | None:
        """Bytes that the objects of ``size`` bytes, ``packed`` in the file, may take."""
        if self.most_bytes is not None:
            return None
        return max(MOST_MEMORY_BYTES, min(MEMORY_A_BYTE * size, MEMORY_A_PACKED_BYTE * packed))

    def refuse_total(self, size: int, name: str, *, packed: int | None = None) -> None:
        """``HistoryError`` if ``size`` bytes, of which ``packed`` were read, are too many."""
        if size > self.total:
            raise beyond(name, "more", self.total)
        if packed is not None and size > max(EXPANDED_BYTES, EXPANSION * packed):
            self._refuse_trap(size, name, EXPANSION)

    def refuse_objects(self, size: int, name: str, *, packed: int | None) -> None:
        """:meth:`refuse_total`, of what is about to become Python objects, ten times as large."""
        if packed is not None and size > max(EXPANDED_OBJECT_BYTES, OBJECT_EXPANSION * packed):
            self._refuse_trap(size, name, OBJECT_EXPANSION)

    def _refuse_trap(self, size: int, name: str, times: int) -> None:
        if self.most_bytes is None:
            raise HistoryError(
                f"{name}: the compressed data grows to more than {times} times its size"
                f" ({size >> 20} MiB so far), so it is taken for a trap",
                f"{FLAG} {in_units(MOST_BYTES)} if you trust it",
            )


USUAL: Final = Bounds()
UNBOUNDED: Final = Bounds(1 << 62)
"""For what this very run has written."""


def beyond(name: str, what: str, most: int) -> HistoryError:
    """What is said of a file with ``what`` ("a line of more") than ``most`` bytes."""
    return HistoryError(
        f"{name}: holds {what} than {in_units(most)}, the most that is read without {FLAG}",
        f"{FLAG} {in_units(2 * most)} if you trust it and this machine has the memory",
    )


def beyond_memory(name: str, size: int, most: int) -> HistoryError:
    """What is said of a file of ``size`` bytes that wants more than ``most`` of memory."""
    enough = in_units((size >> 20) + 1 << 20)
    return HistoryError(
        f"{name}: takes more than {in_units(most >> 20 << 20)} of memory to read, the most that it"
        f" may without {FLAG}",
        f"{FLAG} {enough} if you trust it and this machine has the memory",
    )


def in_units(size: int) -> str:
    """A number of bytes as people write it."""
    power = 0
    while size >= 1024 and size % 1024 == 0 and power < len(_UNITS) - 1:
        size, power = size // 1024, power + 1
    return f"{size}{_UNITS[power]}" if power else f"{size} bytes"
