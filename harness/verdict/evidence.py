"""What a run says of itself in ``evidence/``, by its keys (``docs/history.md`` explains them).

These are the shapes that a run writes. What is read may come from anybody and from any version:
:mod:`harness.judge.facts` takes of it what has its shape, and nothing here promises that a key is
there. Times are nanoseconds on the history's clock; phases before its start are negative.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

Scalar = str | int | float | bool | None


class Exit(TypedDict):
    """A daemon that ended: with which status (negative: by that signal), and by which fault.

    ``role`` is what it was there for, of a system that has several roles.
    """

    node: str
    daemon: str
    role: NotRequired[str]
    pid: int
    time: int
    status: int | None
    killed_by: int | None


class Recovery(TypedDict):
    """Whether the system was ready again after the last heal (``None``: not known), and when."""

    ready: bool | None
    seconds: float | None
    why: str


class _KeysUnderFaults(TypedDict):
    read: int
    open_under_faults: int


class FinalKeys(_KeysUnderFaults, total=False):
    """How many keys were open under a fault or an action, how many of these the final reads took.

    And how many there were in all, and how many of those were taken; runs of before lack that.
    """

    used: int
    read_of_all: int


class CheckerOptions(TypedDict, total=False):
    """What the checkers of logs must know of the system: regular expressions by kind and effect.

    Runs of earlier versions have ``crash_patterns`` and ``expected_exits`` beside or in place.
    """

    log_patterns: dict[str, list[str]]
    expected_lines: dict[str, list[str]]
    crash_patterns: list[str]
    expected_exits: dict[str, list[str]]


class GaugeFacts(TypedDict, total=False):
    """A figure that is sampled, and what it promises (:class:`harness.contract.metrics.Gauge`)."""

    name: str
    help: str
    unit: str
    returns_to: float | str | None
    slack: float
    within_s: float
    at_most: float | None
    never_falls: bool
    same_everywhere: bool
    restarts: bool
    grows: bool


class OtherClaim(TypedDict):
    """A claim that a run is not judged against, and by whom it is made."""

    by: str
    claims: list[str]
    not_durable: str | None
    source: str


class RunFacts(TypedDict, total=False):
    """``evidence/run.json``: written when the operations begin, and again when they are over.

    ``partial`` stays true where the run did not come to its end.
    """

    id: str
    provider: str
    versions: dict[str, str]
    phases: dict[str, list[int]]
    checkers: list[str]
    checker_origins: dict[str, str]
    claims: list[str]
    claims_of: list[str]
    claims_by: str
    other_claim: OtherClaim | None
    checker_options: CheckerOptions
    gauges: list[GaugeFacts]
    option_defaults: dict[str, Scalar]
    schedule: dict[str, Any] | None
    start_wall_ns: int | None
    partial: bool
    interrupted: bool
    stopped_at: Sighted | None
    ended_early: str | None
    defect: str | None
    lost_nodes: list[str]
    unhealed: list[str]
    recovery: Recovery | None
    exits: list[Exit]
    lag_ms: dict[str, float]
    stuck_threads: int
    stuck_in: dict[str, int]
    blocking_calls: list[BlockingCall]
    suspended_ms: float
    final_keys: FinalKeys | None
    machine_trouble: list[str]
    milestones: dict[str, int]


class BlockingCall(TypedDict):
    """A call that held up the loop of all clients: whose, in which file and line, how long."""

    by: str
    at: str
    seconds: float


class Held(TypedDict, total=False):
    """What a node holds for one key."""

    value: Any
    version: Any


class States(TypedDict):
    """``evidence/final_states.json``: what every node held in the end, by node and key."""

    states: dict[str, dict[str, Held | None]]
    unread: dict[str, str]
    waited_s: float


class Progress(TypedDict, total=False):
    """``evidence/progress.json``: what the run last said of itself."""

    phase: str
    time_s: float
    limit_s: float
    operations: dict[str, dict[str, int]]
    faults: list[str]
    nodes: dict[str, str]
    last_error: str | None
    pace: Pace
    bands: list[Band]
    watched: list[str]
    anomaly: Sighted | None


class Pace(TypedDict, total=False):
    """Rate and latency by buckets of ``width_s``, the first from the start of the run."""

    width_s: float
    ok: list[int]
    fail: list[int]
    info: list[int]
    p50_ms: list[float | None]
    p99_ms: list[float | None]


class Band(TypedDict):
    """A fault that was injected; ``end_s`` is none while it is in force."""

    fault: str
    targets: list[str]
    start_s: float
    end_s: float | None
    bit: bool


class Sighted(TypedDict):
    """The first anomaly that was told while the run went on."""

    checker: str
    kind: str
    time_s: float
    index: int
    message: str


class End(TypedDict):
    """``evidence/end.json``: the last word of a run that ended without a verdict."""

    exit: int
    message: str
    phase: str
