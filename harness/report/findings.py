"""What the verdict says, in the shape the page needs: tolerant of files that others wrote.

``verdict.json`` follows design section 6, but a report must also come out of a file from another
version or of a half-written one, so nothing here trusts a type. The first case of each anomaly
type comes first; past a cap the rest is only counted (the page says how many and where they are).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.display import shown, visible
from harness.verdict.verdict_file import told_counts

MOST_FINDINGS = 200
"""Anomalies that the page holds."""
MOST_DRAWN = 40
"""Anomalies with their pictures, of which all but the first of each type are folded away."""
MOST_WITNESSES = 60
"""Operations of one witness that are listed."""
MOST_NAMED = 16
"""Operations that a proof names before the early ones of them are folded."""
LATE_NAMED = 6
_PROOF_LIMIT = 20_000
_NAMED = (
    re.compile(r"^\W*(T\d{1,3}) = .*?(?:#|\bindex )(\d{1,12})\b", re.MULTILINE),
    re.compile(r"\((T\d{1,3})\) was answered at index (\d{1,12})\b"),
)
_INDEX = re.compile(r"#(\d{1,12})\b|\b(?:operation|op|index) #?(\d{1,12})\b")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One anomaly of one checker; ``proof`` is prose in pieces, some pointing at an operation.

    Of a proof with very many operations the ``early`` ones stand apart, which need not be read to
    see what is wrong: they come between ``proof`` and ``rest``. Of a long witness the last
    operations are kept, where the contradiction is. ``names`` are the names that the proof gives to
    operations, by an index of theirs.
    """

    number: int
    checker: str
    kind: str
    proof: list[tuple[str, int | None]]
    early: list[tuple[str, int | None]]
    rest: list[tuple[str, int | None]]
    witness: tuple[int, ...]
    witness_left_out: int
    key: str | None
    data: list[tuple[str, str]]
    names: dict[int, str]

    @property
    def headline(self) -> str:
        """The first line of the proof."""
        return "".join(text for text, _ in self.proof).strip().split("\n", 1)[0]


@dataclass(frozen=True, kw_only=True)
class Part:
    """The answer of one checker."""

    name: str
    word: str
    why: str
    kinds: list[tuple[str, int]]
    no_fault: dict[str, int]
    ruled_out: list[str]
    also_ruled_out: list[str]
    stats: list[tuple[str, str]]


def word_of(valid: Any) -> str:
    """``valid``, ``invalid``, ``unknown``, or ``unjudged`` where there is no such field."""
    if valid is True:
        return "valid"
    if valid is False:
        return "invalid"
    return "unjudged" if valid is None else "unknown"


@dataclass(frozen=True, kw_only=True)
class Issue:
    """One weakness of a run: ``level`` is ``unknown`` or ``warning``, ``settle`` what to do."""

    level: str
    check: str
    message: str
    settle: str


def issues(value: Any) -> list[Issue]:
    """The health issues of a verdict, whatever their shape."""
    found = []
    for item in value if isinstance(value, list) else []:
        entry = item if isinstance(item, Mapping) else {"message": item}
        level, check, settle = (
            shown(entry.get(k) or "", 2000) for k in ("level", "check", "settle")
        )
        message = shown(entry.get("message") or dict(entry), 2000)
        found.append(Issue(level=level, check=check, message=message, settle=settle))
    return found


def steps_beside(value: Any, health: Any) -> list[Issue]:
    """What would settle the reasons of a verdict that are no health issues, which say so too."""
    known = {issue.message for issue in issues(health)}
    found = []
    for item in value if isinstance(value, list) else []:
        entry = mapping(item)
        about, todo = (shown(entry.get(key) or "", 2000) for key in ("about", "do"))
        if todo and about not in known:
            found.append(Issue(level="unknown", check="undecided", message=about, settle=todo))
    return found


def fault_counts(value: Any) -> list[tuple[str, str]]:
    """Of each fault how often it was injected, bit and healed (or done and refused), in words."""
    found = []
    for name, counts in mapping(value).items():
        known = told_counts(mapping(counts))
        words = [f"{word} {shown(count, 20)}" for word, count in known.items()]
        found.append((visible(str(name), 60), " · ".join(words)))
    return found


def texts(value: Any) -> list[str]:
    """A list of sentences out of whatever stands in a field meant for them."""
    if value is None or value == "":
        return []
    items = value if isinstance(value, list | tuple) else [value]
    return [shown(item, 2000) for item in items]


def mapping(value: Any) -> Mapping[str, Any]:
    """``value`` if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def parts(verdict: Mapping[str, Any]) -> list[Part]:
    """One entry for each checker, the failed ones first."""
    order = {"invalid": 0, "unknown": 1, "unjudged": 2, "valid": 3}
    found = [
        _part(name, mapping(answer)) for name, answer in mapping(verdict.get("checkers")).items()
    ]
    return sorted(found, key=lambda part: order[part.word])


def _part(name: str, answer: Mapping[str, Any]) -> Part:
    return Part(
        name=visible(name, 80),
        word=word_of(answer.get("valid")),
        why=shown(answer.get("why") or "", 2000),
        kinds=[(visible(kind, 80), len(_cases(cases))) for kind, cases in _kinds(answer)],
        no_fault=_no_fault(answer.get("no_fault")),
        ruled_out=texts(answer.get("not")),
        also_ruled_out=texts(answer.get("also_not")),
        stats=rows(answer.get("stats")),
    )


def _no_fault(value: Any) -> dict[str, int]:
    """Of each type of anomaly, how many of the cases had no fault in force."""
    return {
        visible(str(kind), 80): counts[0]
        for kind, counts in mapping(value).items()
        if isinstance(counts, list) and counts and isinstance(counts[0], int)
    }


def rows(value: Any, limit: int = 400) -> list[tuple[str, str]]:
    """The entries of an object as text, for a two-column table."""
    return [(visible(str(key), 80), shown(entry, limit)) for key, entry in mapping(value).items()]


def findings(verdict: Mapping[str, Any], known: Iterable[int]) -> tuple[list[Finding], int]:
    """The anomalies to draw and how many more there are; ``known`` are the indices that exist."""
    ordered = _ordered(verdict)
    indices = set(known)
    drawn = [
        _finding(number, checker, kind, case, indices)
        for number, (checker, kind, case) in enumerate(ordered[:MOST_FINDINGS], 1)
    ]
    return drawn, max(len(ordered) - MOST_FINDINGS, 0)


def _ordered(verdict: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """All cases: round after round, so that every type is seen before any type's second case."""
    ranked: list[tuple[int, str, str, Mapping[str, Any]]] = []
    for checker, answer in mapping(verdict.get("checkers")).items():
        for kind, cases in _kinds(mapping(answer)):
            for round_number, case in enumerate(_cases(cases)):
                ranked.append((round_number, str(checker), kind, case))
    ranked.sort(key=lambda row: row[0])
    return [row[1:] for row in ranked]


def _kinds(answer: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(str(kind), cases) for kind, cases in mapping(answer.get("anomalies")).items()]


def _cases(value: Any) -> list[Mapping[str, Any]]:
    items = value if isinstance(value, list) else [value]
    return [item if isinstance(item, Mapping) else {"message": item} for item in items]


def _finding(
    number: int, checker: str, kind: str, case: Mapping[str, Any], known: set[int]
) -> Finding:
    witness = witness_of(case)
    message = shown(case.get("message") or "The checker gave no words.", _PROOF_LIMIT)
    first, early, rest = in_parts(message)
    return Finding(
        number=number,
        checker=visible(checker, 80),
        kind=visible(kind, 80),
        proof=linked(first, known),
        early=linked(early, known),
        rest=linked(rest, known),
        witness=witness[-MOST_WITNESSES:],
        witness_left_out=max(len(witness) - MOST_WITNESSES, 0),
        key=None if case.get("key") is None else shown(case["key"]),
        data=rows(case.get("data")),
        names={int(match[2]): match[1] for named in _NAMED for match in named.finditer(message)},
    )


def witness_of(case: Mapping[str, Any]) -> tuple[int, ...]:
    """The witness's operation indices, whatever else stands among them left out."""
    value = case.get("witness")
    items: Sequence[Any] = value if isinstance(value, list) else []
    return tuple(item for item in items if isinstance(item, int) and not isinstance(item, bool))


def in_parts(message: str) -> tuple[str, str, str]:
    """A proof up to its operations, the early ones of many, and the rest with its steps."""
    lines = message.splitlines(keepends=True)
    marks = [line.strip() for line in lines]
    if "Let:" not in marks or "Then:" not in marks[marks.index("Let:") :]:
        return message, "", ""
    first = marks.index("Let:") + 1
    last = marks.index("Then:", first)
    if last - first <= MOST_NAMED:
        return message, "", ""
    cut = last - LATE_NAMED
    return "".join(lines[:first]), "".join(lines[first:cut]), "".join(lines[cut:])


def linked(text: str, known: set[int]) -> list[tuple[str, int | None]]:
    """``text`` in pieces; a piece that names an existing operation carries its index."""
    pieces: list[tuple[str, int | None]] = []
    done = 0
    for match in _INDEX.finditer(text):
        index = int(match[1] or match[2])
        if index in known:
            pieces.append((text[done : match.start()], None))
            pieces.append((match.group(), index))
            done = match.end()
    pieces.append((text[done:], None))
    return [piece for piece in pieces if piece[0]]
