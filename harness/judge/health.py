"""Did enough happen for a verdict to mean anything?

A run in which nothing was read, or whose faults never bit, passes every checker; it must not be
called valid. Each rule here looks at the record and answers with a :class:`HealthFinding` where the
run is too weak (``unknown``) or worth a remark (``warning``), together with what would settle
it. The rules judge runs only; a bare history file has no faults and no machine to look at.
(etcd's robustness tests ask for a least rate of operations for the same reason.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from harness.history.faults import RecordedFault, recorded_faults
from harness.judge.facts import UNREADABLE
from harness.judge.final_reads import is_final_read, read_key
from harness.verdict.record import Record
from harness.verdict.steps import LOOK_AT_LEDGER, RUN_AGAIN, Settle, of_more, words_of
from harness.verdict.verdict_file import Health
from harness.wording import shown

if TYPE_CHECKING:
    from harness.judge.activity import Activity
    from harness.verdict.evidence import Sighted

    Rule = Callable[[], Iterator["HealthFinding"]]
    from harness.verdict.verdict import Verdict

LEAST_OK_OF_A_KIND = 10
LAG_WARNING_MS = 20.0
LAG_STALL_MS = 1000.0
SUSPENDED_MS = 500.0
INTERRUPTED: Final = "interrupted"
"""The check that finds a run ended by its user."""


@dataclass(frozen=True, kw_only=True)
class HealthFinding:
    """One weakness of a run: which rule, how grave, what was seen, and what would settle it."""

    check: str
    level: Literal["unknown", "warning"]
    message: str
    settle: Settle

    def as_json(self) -> Health:
        """An entry of ``health`` in ``verdict.json``."""
        return {
            "check": self.check,
            "level": self.level,
            "message": self.message,
            "settle": words_of(self.settle),
        }


def examine(record: Record, requested_faults: Sequence[str]) -> list[HealthFinding]:
    """Every finding of the run, the gravest first."""
    from harness.judge.activity import activity_of

    did = activity_of(record.history)
    enough: Sequence[Rule] = (
        lambda: _too_little_happened(record, did),
        lambda: _ok_around_faults(record, did),
        lambda: _reads_that_saw_nothing(record, did),
        lambda: _faults_that_never_bit(record, requested_faults),
        lambda: _faults_without_operations(record, requested_faults, did),
    )
    if seen := (record.run or {}).get("stopped_at"):  # on purpose: one finding instead
        enough = (lambda: _stopped_at_anomaly(record, seen),)
    rules: Sequence[Rule] = (
        *enough,
        lambda: _unread_after_recovery(record, did),
        lambda: _keys_beyond_the_bound(record),
        lambda: _faults_never_healed(record),
        lambda: _unfinished_run(record),
        lambda: _stalls(record),
        lambda: _machine_trouble(record),
        lambda: _of_others(record),
    )
    return sorted((each for rule in rules for each in rule()), key=lambda f: f.level != "unknown")


def missing_evidence(
    record: Record, requested: Sequence[str], left_out: Sequence[str]
) -> list[HealthFinding]:
    """What a run must hold and does not: a verdict must not get better by losing files."""
    missing = []
    if requested and record.faults is None:
        missing.append("the ledger faults.jsonl, though faults were asked for")
    if record.run is None:
        missing.append("the run's facts evidence/run.json")
    elif record.run.get(UNREADABLE):
        odd = ", ".join(map(str, record.run[UNREADABLE]))
        missing.append(f"facts that can be understood in evidence/run.json: {odd} cannot")
    known = (record.run or {}).get("checker_options") or {}
    if (known.get("crash_patterns") or known.get("log_patterns")) and not record.logs:
        missing.append("the logs of the nodes")
    if left_out:
        missing.append(f"what the checkers {', '.join(left_out)} read")
    return [
        HealthFinding(
            check="evidence",
            level="unknown",
            message=f"the run's folder lacks {what}",
            settle="look for it in a copy of the folder, or run again",
        )
        for what in missing
    ]


def told_by_checkers(verdicts: Mapping[str, Verdict]) -> list[HealthFinding]:
    """What checkers found worth a look, though it breaks nothing."""
    return [
        HealthFinding(check=name, level="warning", message=message, settle="")
        for name, verdict in verdicts.items()
        for message in verdict.warnings
    ]


def _more(record: Record, option: str, factor: float, wish: str) -> str:
    """``--time-limit 40 (it was 20)`` where the run's own flags are known, else ``wish``."""
    was = record.header.options.get(option)
    if isinstance(was, bool) or not isinstance(was, int | float) or was <= 0:
        return wish
    return f"--{option.replace('_', '-')} {math.ceil(was * factor):g} (it was {was:g})"


def _longer_fault(record: Record) -> str:
    """A longer fault needs a longer interval, of which it takes half unless it is said."""
    if record.header.options.get("nemesis_duration"):
        return _more(record, "nemesis_duration", 2, "a longer --nemesis-duration")
    wish = "a longer --nemesis-duration or --nemesis-interval"
    return _more(record, "nemesis_interval", 2, wish)


def _lighter(record: Record) -> str:
    rate = _more(record, "rate", 0.5, "a lower --rate")
    return f"a quieter machine, {rate} or fewer --concurrency; in a soak a smaller --parallel"


def _too_little_happened(record: Record, did: Activity) -> Iterator[HealthFinding]:
    ok = did.ok_counts()
    if not ok:
        yield HealthFinding(
            check="operations",
            level="unknown",
            message="no client operation was invoked",
            settle=of_more(
                "look at the node logs and warnings: did the clients reach the nodes? then"
                " run again with " + _more(record, "time_limit", 2, "a longer --time-limit")
            ),
        )
    final = _only_in_the_end(record, did)
    for f, count in ok.items():
        if count < (1 if f in final else LEAST_OK_OF_A_KIND):
            yield HealthFinding(
                check="operations",
                level="unknown",
                message=f"only {count} operations {shown(f)} were ok; at least {LEAST_OK_OF_A_KIND}"
                " are needed before their silence means anything",
                settle=of_more(
                    _more(
                        record,
                        "time_limit",
                        max(2.0, LEAST_OK_OF_A_KIND / max(count, 1)),
                        "a longer --time-limit or a higher --rate",
                    )
                    + "; fewer or shorter faults; polygraph report RUN shows the errors"
                ),
            )


def _only_in_the_end(record: Record, did: Activity) -> set[str]:
    """The kinds of operations that belong to the final reads alone: a drain, a final poll."""
    final = ((record.run or {}).get("phases") or {}).get("final")
    return did.first_invoked_since(final[0]) if final else set()


def _ok_around_faults(record: Record, did: Activity) -> Iterator[HealthFinding]:
    faults = recorded_faults(record.faults or ())
    begun = [fault.injected_ns for fault in faults if fault.injected_ns is not None]
    ended = [fault.healed_ns for fault in faults if fault.healed_ns is not None]
    oks = did.ok
    if begun and not (len(oks) and int(oks[0]) < min(begun)):
        yield HealthFinding(
            check="before-faults",
            level="unknown",
            message="no operation was ok before the first fault: the system may never have worked",
            settle=of_more(
                _more(record, "nemesis_interval", 2, "a longer --nemesis-interval")
                + ", so that operations come first"
            ),
        )
    if begun and ended and not (len(oks) and int(oks[-1]) > max(ended)):
        yield HealthFinding(
            check="after-heal",
            level="unknown",
            message="no operation was ok after the last heal: what the faults left was never read",
            settle=of_more(
                _more(record, "recovery_timeout", 2, "a longer --recovery-timeout")
                + "; look at the node logs after the last heal"
            ),
        )


def _unread_after_recovery(record: Record, did: Activity) -> Iterator[HealthFinding]:
    """A final read (a kind, a key, a node) that was asked and never answered shows nothing.

    A node that answered no client in the whole run is no node of clients, and only told.
    """
    final = ((record.run or {}).get("phases") or {}).get("final")
    if not final:
        return
    asked: dict[str, dict[Any, None]] = {"kind": {}, "key": {}, "node": {}}
    answered: dict[str, set[Any]] = {what: set() for what in asked}
    for invocation, is_ok in did.calls_since(final[0]):
        if not is_final_read(invocation):
            continue
        f, value = read_key(invocation)
        for what, part in (("kind", f), ("key", f"{f} {value}"), ("node", invocation.node)):
            asked[what][part] = None
            if is_ok:
                answered[what].add(part)
    for what, parts in asked.items():
        lacking = [part for part in parts if part is not None and part not in answered[what]]
        silent = _silent_nodes(lacking, did) if what == "node" else []
        lacking = [part for part in lacking if part not in silent]
        if lacking:
            yield _unread(record, f"{_NEVER[what]} {_some(lacking)}")
        if silent:
            yield HealthFinding(
                check="silent-node",
                level="warning",
                message=f"no client operation was ever ok on {_some(silent)}, before or after the"
                " faults",
                settle="look at its log, or give clients only the nodes that serve them",
            )
        if lacking and what == "kind":
            return


_NEVER = {
    "kind": "no final read of this kind was ever answered:",
    "key": "these final reads were never answered:",
    "node": "no final read was ever answered by",
}


def _silent_nodes(nodes: Sequence[str], did: Activity) -> list[str]:
    """Those of ``nodes`` that answered no client in the whole run."""
    ever = did.nodes_that_answered(nodes)
    return [node for node in nodes if node not in ever]


def _unread(record: Record, what: str) -> HealthFinding:
    return HealthFinding(
        check="final-reads",
        level="unknown",
        message=f"after recovery {what}; what the faults left there was never seen",
        settle=of_more(
            "look at the errors of the last operations and at the node's log; then run again"
            " with " + _more(record, "recovery_timeout", 2, "a longer --recovery-timeout")
        ),
    )


def _some(parts: Sequence[Any], most: int = 5) -> str:
    shown = ", ".join(str(part) for part in parts[:most])
    return shown if len(parts) <= most else f"{shown} and {len(parts) - most} more"


def _keys_beyond_the_bound(record: Record) -> Iterator[HealthFinding]:
    keys = (record.run or {}).get("final_keys") or {}
    if keys.get("read", 0) < keys.get("open_under_faults", 0):
        yield HealthFinding(
            check="final-keys",
            level="warning",
            message=f"the final reads took {keys['read']} of the {keys['open_under_faults']} keys"
            " that were open under a fault or an action; what the others lost afterwards was not"
            " looked for",
            settle="a larger --key-operations, where the workload has it, or "
            + _more(record, "time_limit", 0.5, "a shorter --time-limit"),
        )


def _reads_that_saw_nothing(record: Record, did: Activity) -> Iterator[HealthFinding]:
    reads = did.reads_that_saw_nothing()
    if reads:
        yield HealthFinding(
            check="reads",
            level="unknown",
            message=f"all {reads} ok reads saw nothing, so no write was ever observed",
            settle=of_more(
                _more(record, "time_limit", 2, "a longer --time-limit")
                + "; check that readers and writers use the same keys"
            ),
        )


def _faults_that_never_bit(record: Record, requested: Sequence[str]) -> Iterator[HealthFinding]:
    if record.faults is None:
        return
    faults = recorded_faults(record.faults)
    met = {fault.fault for fault in faults if fault.bit_ns is not None or fault.done_ns is not None}
    for fault in requested:
        if fault in met:
            continue
        mine = [each for each in faults if each.fault == fault]
        why = _why_harmless(mine)
        was = "seen to bite" if not any(each.is_action for each in mine) else "seen to be done"
        if why is not None:
            yield HealthFinding(
                check="fault-bit",
                level="warning",
                message=f"of {shown(fault)} nothing came about: {why}",
                settle=of_more(_more(record, "time_limit", 2, "a longer --time-limit")),
            )
        else:
            yield HealthFinding(
                check="fault-bit",
                level="unknown",
                message=f"the fault {shown(fault)} was asked for but never {was}"
                + _last_word(faults, fault),
                settle=of_more(_longer_fault(record) + "; faults.jsonl says what was measured"),
            )


def _why_harmless(mine: Sequence[RecordedFault]) -> str | None:
    """Why it is no missing bite that none of these faults or actions came about, if it is none.

    What it waited for never came, or the system refused, as it may.
    """
    tried = [fault for fault in mine if fault.disarmed_ns is None or fault.has_fired]
    if any(fault.refused_ns is None for fault in tried):
        return None
    told = [entry.detail for fault in tried or mine for entry in fault.entries]
    why = [each.get("what") or each.get("why") for each in told[-1:]]
    reason = f" ({why[0]})" if why and why[0] else ""
    if tried:
        return f"it was refused each time{reason}"
    return f"it was never fired{reason}" if mine else None


def _last_word(faults: Sequence[RecordedFault], name: str) -> str:
    mine = [fault for fault in faults if fault.fault == name]
    if not mine:
        return ": it was never begun"
    said = [reason for fault in mine for reason in fault.failures if reason]
    return f" ({said[-1]})" if said else ""


def _faults_without_operations(
    record: Record, requested: Sequence[str], did: Activity
) -> Iterator[HealthFinding]:
    if record.faults is None:
        return
    faults = recorded_faults(record.faults)
    for fault in requested:
        spans = [each.proved_span_ns for each in faults if each.fault == fault]
        mine = [span for span in spans if span is not None]
        if mine and not any(did.is_under_way_in(start, end) for start, end in mine):
            yield HealthFinding(
                check="fault-overlap",
                level="unknown",
                message=f"no operation was under way while the fault {shown(fault)} was in force",
                settle=of_more(_longer_fault(record) + ", or a higher --rate"),
            )


def _faults_never_healed(record: Record) -> Iterator[HealthFinding]:
    for fault in recorded_faults(record.faults or ()):
        if fault.injected_ns is not None and fault.is_open:
            yield HealthFinding(
                check="fault-heal",
                level="unknown",
                message=f"the fault {shown(fault.fault)} of {fault.injected_ns / 1e9:.1f} s was"
                " never proved healed, so what came after it was no healthy system",
                settle=LOOK_AT_LEDGER,
            )


def _unfinished_run(record: Record) -> Iterator[HealthFinding]:
    run = record.run or {}
    if record.history.partial or run.get("partial"):
        yield HealthFinding(
            check="partial",
            level="unknown",
            message="the run ended before its history was sealed: this judges what there is",
            settle=RUN_AGAIN,
        )
    elif run.get("interrupted"):
        yield HealthFinding(
            check=INTERRUPTED,
            level="unknown",
            message=f"the run was interrupted {_when(record)}",
            settle=RUN_AGAIN,
        )
    if run.get("ended_early"):
        yield HealthFinding(
            check="ended-early",
            level="unknown",
            message=f"the run ended early: {run['ended_early']}",
            settle="see the message; the history up to there was judged",
        )


def _stopped_at_anomaly(record: Record, seen: Sighted) -> Iterator[HealthFinding]:
    """Of no matter where a checker says invalid; without that, the run was too short to say."""
    yield HealthFinding(
        check="fail-fast",
        level="unknown",
        message=f"--fail-fast ended the run {_when(record)}, at the anomaly {seen['kind']}",
        settle="run it again without --fail-fast",
    )


def _when(record: Record) -> str:
    """``at 9 s of 20 s``, where that is known."""
    span = ((record.run or {}).get("phases") or {}).get("run")
    limit_s = record.header.options.get("time_limit")
    if not span or isinstance(limit_s, bool) or not isinstance(limit_s, int | float):
        return "before its time limit"
    return f"at {max(span[1], 0) / 1e9:.0f} s of {limit_s:g} s"


def _stalls(record: Record) -> Iterator[HealthFinding]:
    run = record.run or {}
    lag = run.get("lag_ms") or {}
    p99, longest = float(lag.get("p99", 0)), float(lag.get("max", 0))
    if longest >= LAG_STALL_MS:
        yield HealthFinding(
            check="loop-stall",
            level="unknown",
            message=f"the client loop stood still for {longest:.0f} ms: completions were recorded"
            " late, which widens intervals and hides violations",
            settle=_lighter(record),
        )
    elif p99 > LAG_WARNING_MS:
        yield HealthFinding(
            check="loop-lag",
            level="warning",
            message=f"the client loop was late by {p99:.1f} ms at the 99th percentile",
            settle=_lighter(record),
        )
    yield from _blocking_calls(run)
    if float(run.get("suspended_ms", 0)) > SUSPENDED_MS:
        yield HealthFinding(
            check="suspended",
            level="unknown",
            message=f"the machine was suspended for {run['suspended_ms']:.0f} ms during the run",
            settle="run it again on a machine that stays awake",
        )


def _blocking_calls(run: Mapping[str, Any]) -> Iterator[HealthFinding]:
    """Drivers that block: in an async client they hold up all, in threads they may hang."""
    calls = run.get("blocking_calls") or []
    if calls:
        worst = "; ".join(f"{call['by']} ({call['at']})" for call in calls[:3])
        yield HealthFinding(
            check="blocking-calls",
            level="warning",
            message=f"an async client makes blocking calls, which hold up all clients: {worst}",
            settle="await in it what blocks, or give the driver to"
            " harness.contract.blocking.BlockingClient, which calls it in a thread",
        )
    if int(run.get("stuck_threads") or 0):
        places = ", ".join(f"{n} in {place}" for place, n in (run.get("stuck_in") or {}).items())
        yield HealthFinding(
            check="stuck-clients",
            level="warning",
            message=f"{run['stuck_threads']} blocking calls of clients never came back and were"
            f" left behind{f': {places}' if places else ''}",
            settle="the driver's own time-out must be shorter than --op-timeout",
        )


def _of_others(record: Record) -> Iterator[HealthFinding]:
    if (record.run or {}).get("provider") == "none":
        yield HealthFinding(
            check="provider",
            level="warning",
            message="what was tested ran already: no fault was done to it, and no log of it was"
            " read, so that no crash was seen",
            settle="run the same on a cluster of its own: another --provider, with --nemesis",
        )


def _machine_trouble(record: Record) -> Iterator[HealthFinding]:
    trouble = (record.run or {}).get("machine_trouble") or []
    if trouble:
        yield HealthFinding(
            check="machine",
            level="warning",
            message=_some(trouble, 3).replace("\n", " ") + ": what that may explain is no finding",
            settle=_lighter(record),
        )
