"""The matrix of links: what is there counts, however late the one who looks is."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest

from harness.cluster.namespaces import reachability
from harness.cluster.namespaces.reachability import Prober


def test_probes_that_arrived_while_the_prober_got_no_time_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = {"n1": "127.77.0.1", "n2": "127.77.0.2", "n3": "127.77.0.3"}
    prober = Prober(names)
    for name in names:
        prober.open_socket(name)
    # A second passes between any two looks at the clock: every round is over before it began.
    clock = itertools.count()
    monkeypatch.setattr(reachability, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert prober.reachable() == {(a, b) for a in names for b in names if a != b}
    prober.close()
