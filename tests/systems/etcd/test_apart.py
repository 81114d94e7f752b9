"""Keys of a run's own: every key on the way out, every key on the way in, and nothing else."""

from __future__ import annotations

from systems.etcd import gateway
from systems.etcd.apart import behind, within, without

OWN = b"polygraph-1/"


def test_every_key_and_end_of_a_request_lies_under_the_prefix() -> None:
    txn = {
        "compare": [gateway.value_is(b"k", b"v"), gateway.none_changed_since(b"a", b"b", 3)],
        "success": [{"request_put": gateway.put_of(b"k", b"v")}],
        "failure": [{"request_range": gateway.range_under(b"p/")}],
    }
    moved = within(OWN, txn)
    assert moved["compare"][0] == gateway.value_is(OWN + b"k", b"v")
    assert moved["compare"][1] == gateway.none_changed_since(OWN + b"a", OWN + b"b", 3)
    assert moved["success"] == [{"request_put": gateway.put_of(OWN + b"k", b"v")}]
    assert moved["failure"] == [{"request_range": gateway.range_under(OWN + b"p/")}]
    assert within(b"", txn) is txn


def test_all_keys_are_all_keys_of_the_run() -> None:
    moved = within(OWN, gateway.range_of_all(serializable=True))
    assert (moved["key"], moved["range_end"]) == (OWN, b"polygraph-10")
    assert behind(OWN) == b"polygraph-10"


def test_keys_of_an_answer_lose_the_prefix_and_strange_ones_stay_strange() -> None:
    header = gateway.Header(revision=1)
    pairs = [gateway.KeyValue(OWN + b"k", b"v", 7), gateway.KeyValue(b"theirs", b"v", 8)]
    bare = [gateway.KeyValue(b"k", b"v", 7), gateway.KeyValue(b"theirs", b"v", 8)]
    answer = gateway.RangeAnswer(header=header, kvs=pairs)
    assert without(OWN, answer) == gateway.RangeAnswer(header=header, kvs=bare)
    parts = [gateway.TxnPart(response_range=gateway.InnerRange(kvs=pairs)), gateway.TxnPart()]
    txn = without(OWN, gateway.TxnAnswer(header=header, succeeded=True, responses=parts))
    assert txn.responses[0].response_range == gateway.InnerRange(kvs=bare)
    assert txn.responses[1].response_range is None
