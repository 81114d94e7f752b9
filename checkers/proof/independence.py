"""Whether values are ``[key, value]`` of independent keys, where nobody says so.

A header, a flag or Jepsen's tuples say it. Else it must follow from the history, for pairs may as
well be the values of one object, and a wrong guess accuses or clears falsely:

- *certain*: every value asked is a pair (whose first is a key: neither nil nor a list), and what
  asks for an answer asks ``[key, nil]``, is answered for that key, and is there at all. A read of
  one object is invoked with nil, or with no pair whose second is nil;
- *certainly not*: some value asked is no pair, a compare-and-set is ``[old, new]``, or nothing asks
  for an answer;
- else it cannot be told (a read is invoked with ``[a, b]``, which may carry its own answer).
"""

from __future__ import annotations

from typing import Final

from checkers.proof.shapes import is_pair
from harness.history.history import History
from harness.history.operation import INVOKE, OK, Header
from harness.verdict.verdict import UNKNOWN, Verdict

MAKERS: Final = frozenset(
    {"write", "add", "remove", "enqueue", "push", "put", "append", "cas", "insert", "send"}
)
"""Operations that bring a value with them, which may be nil."""
LOOKS: Final = frozenset({"read", "get", "dequeue", "pop"})
"""Operations that are answered with a value."""
HINT: Final = "if they are keys, say --independent; if not, give the history a header"


def independence(history: History) -> bool | None:
    """Whether keys are independent; ``None`` where that cannot be told."""
    if history.header.independent:
        return True
    return looks_independent(history) if _says_nothing(history.header) else False


def _says_nothing(header: Header) -> bool:
    return header.model is None and header.workload is None


def looks_independent(history: History) -> bool | None:
    """As :func:`independence`, by the operations alone."""
    asks: set[str] = set()
    tells: set[str] = set()
    odd = False
    for position, operation in enumerate(history.operations):
        if not operation.is_client or operation.type != INVOKE:
            continue
        value = operation.value
        if not is_pair(value) or value[0] is None or isinstance(value[0], list | tuple | dict):
            return False
        if operation.f == "cas" and not is_pair(value[1]):
            return False  # it is [old, new]
        if operation.f in MAKERS:
            continue
        (tells if value[1] is not None else asks).add(operation.f)
        pair = history.pairs[position]
        if pair >= 0 and history.operations[pair].type == OK:
            answer = history.operations[pair].value
            odd = odd or (answer is not None and not (is_pair(answer) and answer[0] == value[0]))
    if asks and not asks & tells and not odd:
        return True
    return None if asks or tells & LOOKS else False


def agreed(whole: Verdict, by_key: Verdict) -> Verdict:
    """The verdict where it cannot be told whether pairs are keyed: what both readings say."""
    if whole.valid == by_key.valid:
        return whole
    return Verdict(
        valid=UNKNOWN,
        why="whether the pairs that are asked and answered are [key, value] of independent keys"
        f" cannot be told; as values of one object: {_answer(whole)}; by key: {_answer(by_key)}",
        settle=HINT,
    )


def undeclared(by_key: Verdict) -> Verdict:
    """The verdict by keys that nobody declared: what is not valid is not decided."""
    if by_key.valid is True or by_key.valid == UNKNOWN:
        return by_key
    return Verdict(
        valid=UNKNOWN,
        why=f"values look like [key, value] of independent keys, which nobody says; by key:"
        f" {_answer(by_key)}",
        settle=HINT,
    )


def _answer(verdict: Verdict) -> str:
    return "valid" if verdict.valid is True else verdict.why.rstrip(".")
