"""What the checker ``watch`` promises, by definition: every pair is looked at."""

from __future__ import annotations

from typing import Any

from harness.history.calls import Call
from harness.verdict.record import Record
from tests.checkers.objects.object_oracles import Facts, Options, Said, is_foreign, same


def judge_watch(record: Record, options: Options) -> Said:
    """Every watch shows every change of its range, once, in the one order."""
    facts = Facts(record)
    writes = [c for c in facts.found if c.f == "write"]
    values = [_value(c) for c in writes] + ([] if facts.initial is None else [facts.initial])
    answered = [c for c in facts.found if c.f in ("watch", "final-watch") and c.ok]
    good = [c for c in answered if _is_readable(c.answer)]
    good = [c for c in good if not is_foreign([v for _, v in c.answer["events"]], values)]
    nameless = [c for c in writes if _value(c) is None and not c.failed]
    told = [(_revision(c), _value(c)) for c in writes if _revision(c) is not None]
    seen = [(revision, value) for c in good for revision, value in c.answer["events"]]
    wrong = any(not _is_in_order(c.answer) for c in good)
    known = [*told, *seen]
    for revision, value in known:
        wrong = wrong or any(r == revision and not same(v, value) for r, v in known)
        for call in good:
            after, to = _bounds(call.answer)
            shown = [r for r, _ in call.answer["events"]]
            wrong = wrong or (after < revision <= to and revision not in shown)
    for call in good if not nameless else ():
        for _, value in call.answer["events"]:
            sources = [w for w in writes if same(_value(w), value) and not w.failed]
            is_initial = facts.initial is not None and same(value, facts.initial)
            wrong = wrong or not (is_initial or any(w.start < call.end for w in sources))
    wrong = wrong or _is_misplaced(writes, known, {})
    doubt = len(good) < len(answered) or bool(nameless)
    return Said(wrong, wrong, doubt or not seen)


def _value(write: Call) -> Any:
    return write.answer[0] if _revision(write) is not None else write.value


def _revision(write: Call) -> int | None:
    answer = write.answer
    if not write.ok or not isinstance(answer, list) or len(answer) != 2:
        return None
    if type(answer[1]) is not int:
        return None
    if write.asked is not None and (answer == write.asked or not same(answer[0], write.asked)):
        return None
    return answer[1]


def _is_readable(answer: Any) -> bool:
    if not isinstance(answer, dict) or not isinstance(answer.get("events"), list):
        return False
    events = answer["events"]
    if not all(isinstance(e, list) and len(e) == 2 and type(e[0]) is int for e in events):
        return False
    return all(type(bound) is int for bound in _bounds(answer))


def _bounds(answer: Any) -> tuple[Any, Any]:
    after, to = answer.get("after", 0), answer.get("to")
    return after, max((r for r, _ in answer["events"]), default=after) if to is None else to


def _is_in_order(answer: Any) -> bool:
    after, to = _bounds(answer)
    shown = [revision for revision, _ in answer["events"]]
    return shown == sorted(set(shown)) and all(after < revision <= to for revision in shown)


def _is_misplaced(writes: list[Call], known: list[Any], _: Any) -> bool:
    """Whether a write that ended before another began has the higher revision."""
    placed = []
    for write in writes:
        if write.failed:
            continue
        revision = _revision(write)
        if revision is None:
            twins = [w for w in writes if same(_value(w), _value(write))]
            found = {r for r, v in known if same(v, _value(write))}
            revision = found.pop() if len(twins) == 1 and len(found) == 1 else None
        if revision is not None:
            placed.append((write, revision))
    return any(a.ok and a.end < b.start and high > low for a, high in placed for b, low in placed)
