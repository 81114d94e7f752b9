"""What can be wrong with logs of messages, and with a run as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from checkers.explained.entries import anomaly, run, script, table
from checkers.explained.notation import scripted
from checkers.linearizable import Linearizable
from checkers.log import Log
from checkers.run.agreement import Agreement
from checkers.run.crash import Crash
from checkers.run.logs import Logs
from checkers.run.metrics import Metrics
from checkers.run.no_recovery import NoRecovery
from harness.history.history import History
from harness.verdict.metrics import metrics_in
from harness.verdict.record import LedgerEntry, LogFile, Record

_ONE: Final = '0 send [["send", "x", 1]] = [["send", "x", [0, 1]]]\n'
_TWO: Final = _ONE + '0 send [["send", "x", 2]] = [["send", "x", [1, 2]]]\n'
_THREE: Final = _TWO + '0 send [["send", "x", 3]] = [["send", "x", [2, 3]]]\n'
_ALL: Final = '2 poll [["poll"]] = [["poll", {"x": [[0, 1], [1, 2], [2, 3]]}]]\n'


def _poll(messages: str, process: int = 2, f: str = "poll") -> str:
    return f'{process} {f} [["poll"]] = [["poll", {{"x": [{messages}]}}]]\n'


LOG_ENTRIES: Final = table(
    anomaly(
        "inconsistent-offsets",
        "One offset of a log holds two messages.",
        script(
            Log,
            _ONE + '1 send [["send", "x", 2]] = [["send", "x", [0, 2]]]\n' + _poll("[0, 1]"),
            "inconsistent-offsets",
        ),
        papers="kingsbury",
    ),
    anomaly(
        "duplicate",
        "One message stands at more offsets than it was sent times.",
        script(Log, _TWO + _poll("[0, 1], [1, 2], [2, 2]"), "duplicate"),
        papers="kingsbury",
    ),
    anomaly(
        "lost-write",
        """Something acknowledged is gone: a message that was never polled, although polls went past
        its place; in a run, a write to a register, after which the last read on every node after
        recovery shows only what had been there before. Every system claims that what it
        acknowledged lasts, unless an option that the user set disclaims it.""",
        script(Log, _TWO + _poll("[1, 2]"), "lost-write"),
        run(
            Linearizable,
            """
            in a run 1 and then 2 are written to a register and acknowledged, and the last read
            after recovery shows 1
            """,
            lambda folder: Record(
                history=scripted("0 write 1\n0 write 2\n1 read = 1", claims=["serializable"]),
                run={"phases": {"final": [4_000_000, 9_000_000]}},
            ),
            "lost-write",
            "stale-read",
        ),
        papers="kingsbury",
    ),
    anomaly(
        "unseen",
        "A final poll that read the log to its end lacks an acknowledged message.",
        script(Log, _ONE + _poll("", f="final-poll"), "unseen"),
        papers="kingsbury",
    ),
    anomaly(
        "int-poll-skip",
        "Within one poll, messages that stand in between were left out.",
        script(Log, _THREE + _ALL + _poll("[0, 1], [2, 3]", 3), "int-poll-skip"),
        papers="kingsbury",
    ),
    anomaly(
        "poll-skip",
        "From one poll of a process to its next, messages were left out.",
        script(Log, _THREE + _ALL + _poll("[0, 1]", 3) + _poll("[2, 3]", 3), "poll-skip"),
        papers="kingsbury",
    ),
    anomaly(
        "int-nonmonotonic-poll",
        "Within one poll the log went back.",
        script(Log, _TWO + _poll("[0, 1], [1, 2], [0, 1]"), "int-nonmonotonic-poll"),
        papers="kingsbury",
    ),
    anomaly(
        "nonmonotonic-poll",
        "From one poll of a process to its next the log went back.",
        script(Log, _TWO + _poll("[0, 1], [1, 2]") + _poll("[0, 1]"), "nonmonotonic-poll"),
        papers="kingsbury",
    ),
    anomaly(
        "int-nonmonotonic-send",
        "Two messages of one transaction stand in the log in the opposite order.",
        script(
            Log,
            '0 txn [["send", "x", 1], ["send", "x", 2]]'
            ' = [["send", "x", [1, 1]], ["send", "x", [0, 2]]]\n' + _poll("[0, 2], [1, 1]"),
            "int-nonmonotonic-send",
        ),
        papers="kingsbury",
    ),
    anomaly(
        "nonmonotonic-send",
        "Two messages that one process sent one after the other stand in the opposite order.",
        script(
            Log,
            '0 send [["send", "x", 1]] = [["send", "x", [1, 1]]]\n'
            '0 send [["send", "x", 2]] = [["send", "x", [0, 2]]]\n' + _poll("[0, 2], [1, 1]"),
            "nonmonotonic-send",
        ),
        papers="kingsbury",
    ),
    anomaly(
        "precommitted-read",
        "A transaction polled a message that it sent itself and had not committed yet.",
        script(
            Log,
            '0 txn [["send", "x", 1], ["poll"]]'
            ' = [["send", "x", [0, 1]], ["poll", {"x": [[0, 1]]}]]',
            "precommitted-read",
        ),
        papers="kingsbury",
    ),
)


def _nothing(**parts: Any) -> Record:
    return Record(history=History(()), **parts)


def _unready(folder: Path) -> Record:
    return _nothing(
        faults=[
            LedgerEntry(id=1, fault="kill", targets=["n1"], event=event, time=time)
            for time, event in enumerate(("intend", "injected", "bit", "heal", "healed"))
        ],
        run={"recovery": {"ready": False, "seconds": 60.0, "why": "no leader"}},
    )


def _ended(folder: Path) -> Record:
    end = {"node": "n1", "daemon": "etcd", "time": 3_000_000_000, "status": 2, "killed_by": None}
    return _nothing(run={"exits": [end]}, logs=[])


def _apart(folder: Path) -> Record:
    held = {"n1": {"x": {"value": "1"}}, "n2": {"x": {"value": "2"}}}
    return _nothing(states={"states": held, "unread": {}, "waited_s": 10.0})


_PENDING: Final = {"name": "pending", "within_s": 1.0}


def _sampled(
    promise: Mapping[str, Any], *samples: tuple[str, float, float]
) -> Callable[[Path], Record]:
    """A run whose load lasts for two seconds, with samples of a gauge: node, second, value."""

    def record(folder: Path) -> Record:
        lines = (
            f'{{"time": {int(at * 1e9)}, "node": "{node}", "name": "pending", "labels": {{}},'
            f' "value": {value}, "life": 0}}\n'
            for node, at, value in samples
        )
        phases = {"run": [0, 2_000_000_000], "quiet": [3_000_000_000, 5_000_000_000]}
        return _nothing(
            run={"phases": phases, "gauges": [{**_PENDING, **promise}]},
            metrics=metrics_in("".join(lines).encode()),
        )

    return record


def _logged(*lines: str) -> Callable[[Path], Record]:
    def record(folder: Path) -> Record:
        path = folder / "etcd.log"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return _nothing(logs=[LogFile(node="n1", path=path)])

    return record


_FINE: Final = '{"level":"info","ts":"2026-01-01T00:00:03.0Z","msg":"became leader"}'
_PATTERNS: Final = {
    "assertion-failure": ["^panic: assertion failed"],
    "data-race": ["^WARNING: DATA RACE"],
    "panic": ["^panic: "],
    "fatal-error": ['"level":"fatal"'],
    "corruption": ["^SQLITE_CORRUPT"],
    "out-of-memory": ["Out Of Memory allocating"],
    "cannot-persist": ["^Can't recover from AOF write error"],
}
_SAID: Final = (
    (
        "panic",
        "A process panicked: it met a state that its own code holds for impossible.",
        "panic: runtime error: index out of range [3] with length 3",
    ),
    (
        "fatal-error",
        "A process wrote a fatal line, with which it gives up.",
        '{"level":"fatal","ts":"2026-01-01T00:00:04.0Z","msg":"failed to commit tx"}',
    ),
    (
        "data-race",
        """The race detector, with which the system was built, saw two threads touch one place of
        memory without a lock, one of them writing.""",
        "WARNING: DATA RACE",
    ),
    (
        "assertion-failure",
        "An assertion in the system's own code failed.",
        "panic: assertion failed: Page expected to be: 7, but self identifies as 0",
    ),
    (
        "corruption",
        "A database found a file of its own that is not as it may be: it was written in part.",
        "SQLITE_CORRUPT: database disk image is malformed",
    ),
    (
        "out-of-memory",
        "A server was refused memory and gave up. Where the machine had none, it is to blame.",
        "Out Of Memory allocating 16384 bytes!",
    ),
    (
        "cannot-persist",
        "A server could not keep on disk what it had to, and gave up.",
        "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...",
    ),
)

RUN_ENTRIES: Final = table(
    *(
        anomaly(
            kind,
            f"""{text} Told of a line of a node's log that no fault in force at that time
            explains.""",
            run(
                Logs,
                f"the log of n1:\n{_FINE}\n{line}",
                _logged(_FINE, line),
                kind,
                log_patterns=_PATTERNS,
            ),
            papers="kingsbury",
        )
        for kind, text, line in _SAID
    ),
    anomaly(
        "crash",
        """A process of the system ended by itself, with no fault of the run to explain it.""",
        run(
            Crash,
            "n1: etcd ended at 3.0 s with exit status 2; no fault of the run killed it",
            _ended,
            "crash",
        ),
        papers="kingsbury",
    ),
    anomaly(
        "no-recovery",
        """Every fault was proved healed, and the cluster was still not ready when the recovery
        time-out was over.""",
        run(
            NoRecovery,
            "kill of n1: injected, seen to bite, proved healed\nafter 60 s: not ready, no leader",
            _unready,
            "no-recovery",
        ),
        papers="kingsbury",
    ),
    anomaly(
        "replica-divergence",
        """After the last heal two nodes hold different values for a key, and go on doing so.""",
        run(Agreement, "n1 holds x = 1\nn2 holds x = 2", _apart, "replica-divergence"),
        papers="kingsbury",
    ),
    anomaly(
        "gauge-not-returned",
        """A figure that comes back to its floor when nothing is left to be done did not, though the
        load was over and every fault healed: something is leaked, or was forgotten.""",
        run(
            Metrics,
            "pending of n1, promised to be 0 within 1 s: 0, 9 and 7 under load,\n"
            "2 and 2 in the two seconds after it",
            _sampled(
                {"returns_to": 0.0},
                *(("n1", at, value) for at, value in ((0, 0), (1, 9), (2, 7), (3, 2), (5, 2))),
            ),
            "gauge-not-returned",
        ),
        papers="basiri",
    ),
    anomaly(
        "gauge-over-bound",
        "A figure was higher than the system says that it ever is.",
        run(
            Metrics,
            "pending of n1, promised to be 8 at most: 0, 9 and 7",
            _sampled({"at_most": 8.0}, *(("n1", at, value) for at, value in enumerate((0, 9, 7)))),
            "gauge-over-bound",
        ),
        papers="basiri",
    ),
    anomaly(
        "gauge-fell",
        "A figure that only rises (a term, an applied index) was lower than before.",
        run(
            Metrics,
            "pending of n1, promised never to fall: 3, 4 and 2",
            _sampled(
                {"never_falls": True}, *(("n1", at, value) for at, value in enumerate((3, 4, 2)))
            ),
            "gauge-fell",
        ),
        papers="basiri",
    ),
    anomaly(
        "gauge-unequal",
        """A figure that all nodes come to agree on was another on some of them, when the load was
        over and every fault healed.""",
        run(
            Metrics,
            "pending, promised to be the same everywhere within 1 s:\n"
            "2 on n1 and 3 on n2, two seconds after the load",
            _sampled(
                {"same_everywhere": True},
                *(("n1", at, 2) for at in (0, 3, 5)),
                *(("n2", at, 3) for at in (0, 3, 5)),
            ),
            "gauge-unequal",
        ),
        papers="basiri",
    ),
)
