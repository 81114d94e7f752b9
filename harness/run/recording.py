"""Recording both ends of an operation, whatever a generator or a client gave.

An invocation that cannot be recorded ends the run, for nobody could judge its answer; of a
completion that cannot be recorded, that much is recorded.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from harness.confidential import cleared
from harness.errors import StoreError
from harness.generator.transform import GeneratorError
from harness.history.operation import Operation
from harness.run.completions import not_recorded, shown


class Recorder(Protocol):
    """What the dispatcher needs of the journal (:class:`harness.history.journal.Journal`)."""

    def append(self, operation: Operation) -> Operation:
        """Give index and time, record, and return what was recorded."""
        ...

    def now(self) -> int:
        """Nanoseconds since the start, on the records' clock."""
        ...


def record_invocation(journal: Recorder, operation: Operation) -> Operation:
    """Record an invocation; ``GeneratorError`` for a value that is not JSON."""
    try:
        return journal.append(operation)
    except StoreError:
        raise
    except Exception as error:  # nobody could judge the answer
        raise GeneratorError(
            f"the generator gave an operation that cannot be recorded: {shown(error, str)}:"
            f" {shown(operation)}",
            "give values made of JSON types, with finite numbers and no deep nesting",
        ) from error


def record_completion(journal: Recorder, invocation: Operation, completion: Operation) -> Operation:
    """Record a completion, or that it cannot be told: whatever it is, the thread goes on.

    What a driver says of an error may quote a password; the history has none.
    """
    if completion.error is not None:
        completion = msgspec.structs.replace(completion, error=cleared(completion.error))
    try:
        return journal.append(completion)
    except StoreError:
        raise
    except Exception as error:  # a value that is not JSON
        told, without_value = not_recorded(invocation, error)
    try:
        return journal.append(told)
    except StoreError:
        raise
    except Exception:
        return journal.append(without_value)
