"""Pages in Prometheus' text format."""

from __future__ import annotations

from harness.contract.metrics import Sample
from systems.drivers.prometheus import samples_in

PAGE = """\
# HELP etcd_debugging_mvcc_keys_total Total number of keys.
# TYPE etcd_debugging_mvcc_keys_total gauge
etcd_debugging_mvcc_keys_total 17
etcd_debugging_mvcc_keys_total_of_another 99
process_open_fds 1.2e+01 1700000000000
pending {to="n2",kind="a \\"b\\" c\\\\d"} 3
pending{to="n3"} NaN
broken{to="n3" 4
"""


def test_wanted_samples_are_taken_with_their_labels_and_no_others() -> None:
    wanted = {"etcd_debugging_mvcc_keys_total", "process_open_fds", "pending"}
    assert list(samples_in(PAGE, wanted)) == [
        Sample(name="etcd_debugging_mvcc_keys_total", value=17.0),
        Sample(name="process_open_fds", value=12.0),
        Sample(name="pending", value=3.0, labels={"to": "n2", "kind": 'a "b" c\\d'}),
    ]


def test_a_line_that_is_broken_or_no_number_is_no_sample() -> None:
    assert list(samples_in(PAGE, {"broken"})) == []
    assert [sample.labels["to"] for sample in samples_in(PAGE, {"pending"})] == ["n2"]
