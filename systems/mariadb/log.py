"""What a server's log tells: what must not stand there, and milestones."""

from __future__ import annotations

from typing import Final

from harness.history.effects import FAILS_DISK

LOG_PATTERNS: Final = {
    "assertion-failure": (r"InnoDB: Assertion failure", r"Assertion `.*' failed"),
    "panic": (r"mysqld got signal (4|6|7|8|11)\b", r"mariadbd got signal (4|6|7|8|11)\b"),
    "corruption": (r"\[ERROR\] InnoDB: .*(corrupt|page number mismatch)",),
}
"""What MariaDB prints when it dies by itself or finds its data broken, by kind."""

EXPECTED_LINES: Final = {
    # It ends itself rather than go on without what it could not write.
    FAILS_DISK: (
        r"No space left on device|Read-only file system|Input/output error",
        r"got signal 6\b",
    ),
}

MILESTONES: Final = {
    "ready": (r"(mysqld|mariadbd): ready for connections",),
    "recovery": (r"InnoDB: Starting crash recovery",),
    "replicating": (r"Slave I/O thread: connected to master",),
}
"""What a server logs of what it went through."""
