"""The checker ``log``: append-only logs read by position, after Jepsen's Kafka tests.

Operations hold micro-operations, alone (``send``, ``poll``) or several in a transaction
(``txn``): ``["send", key, value]`` is answered ``["send", key, [offset, value]]`` (the offset may
be nil), ``["poll"]`` is answered ``["poll", {key: [[offset, value], …]}]``. ``assign`` and
``subscribe`` choose a process's keys; ``final-poll`` reads keys from the first message to the
last, after everything else. Values are unique within a key.

Offsets have gaps, so messages are compared by their *index*: their rank among all offsets of the
key that any poll or acknowledged send has shown.

- :mod:`evidence`  what every operation says of every log
- :mod:`contents`  errors of the log itself: ``inconsistent-offsets``, ``duplicate``, ``G1a``,
  ``unexpected``, ``lost-write``, ``unseen``, ``precommitted-read``
- :mod:`order`     errors of order, of one operation (``int-``) or one process: ``poll-skip``,
  ``nonmonotonic-poll``, ``nonmonotonic-send``; and the real-time lag
- :mod:`cycles`    ``G1c``: transactions that read from each other in a circle
- :mod:`checker`   the checker itself

``int-send-skip`` (others' messages between two of one transaction) and ``G0`` are normal for
such logs: they are counted, and no errors. Cost: n log n.
"""

from __future__ import annotations

from checkers.log.checker import Log

CHECKERS = {"log": Log, "kafka": Log}

__all__ = ["CHECKERS", "Log"]
