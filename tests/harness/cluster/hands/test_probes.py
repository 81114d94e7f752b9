"""A node's end of the matrix: what has come counts, however late the one who looks is."""

from __future__ import annotations

import itertools
import threading
from types import SimpleNamespace

import pytest

from harness.cluster.hands import probes
from harness.cluster.hands.cuts import PROBE_PORT
from harness.cluster.hands.probes import Probes


def test_a_probe_that_came_while_the_listener_got_no_time_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    near, far = Probes("127.77.1.1", PROBE_PORT), Probes("127.77.1.2", PROBE_PORT)
    # A second passes between any two looks at the clock: the time is over before it began.
    clock = itertools.count()
    monkeypatch.setattr(probes, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    far.send(5, ["127.77.1.1"])
    assert near.heard(4, {"127.77.1.2"}, 0.1) == []
    far.send(6, ["127.77.1.1"])
    assert near.heard(6, {"127.77.1.2"}, 0.1) == ["127.77.1.2"]
    near.close()
    far.close()


def test_a_probe_is_waited_for_and_one_from_another_port_is_none() -> None:
    near, far = Probes("127.77.1.1", PROBE_PORT), Probes("127.77.1.2", PROBE_PORT)
    stray = Probes("127.77.1.3", PROBE_PORT + 1)
    stray._socket.sendto(probes._PROBE.pack(7), ("127.77.1.1", PROBE_PORT))
    late = threading.Timer(0.05, far.send, [7, ["127.77.1.1"]])
    late.start()
    assert near.heard(7, {"127.77.1.2"}, 30.0) == ["127.77.1.2"]
    late.join()
    for each in (near, far, stray):
        each.close()
