"""Scans and deletes in etcd transactions: one snapshot, and safe from rows that come or go.

The first test is over the wire's words, the others run against a real member.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest

from harness.contract.client import Failed
from systems.etcd.client import EtcdClient
from tests.systems.etcd.test_client import HEADER, coded, pair, ranges, says, told
from tests.systems.etcd.test_cluster import bring_up
from tests.toys.loopback_cluster import Running, tear_down


def test_a_scan_compares_its_range_and_each_row_that_it_found() -> None:
    async def work(client: EtcdClient) -> Any:
        transaction = await client.begin()
        found = await transaction.scan("row-")
        await transaction.put("row-2", 9)
        await transaction.delete("row-1")
        again = await transaction.get("row-1")
        await transaction.commit()
        return [dict(found), again]

    script = [
        says(ranges([pair("row-1", 5, 3)])),
        says({"header": HEADER, "succeeded": True}),
    ]
    gave, [(_, scan), (_, commit)] = told(script, work)
    assert gave == [{"row-1": 5}, None]
    request = scan["success"][0]["request_range"]
    assert b64decode(request["key"]) == b'"row-'
    assert b64decode(request["range_end"]) == b'"row.'
    row, whole = commit["compare"]
    assert (row["key"], row["mod_revision"]) == (coded("row-1"), "3")
    assert (whole["key"], whole["range_end"]) == (request["key"], request["range_end"])
    assert (whole["result"], whole["mod_revision"]) == ("LESS", str(int(HEADER["revision"]) + 1))
    assert commit["success"] == [
        {"request_put": {"key": coded("row-2"), "value": coded(9)}},
        {"request_delete_range": {"key": coded("row-1")}},
    ]


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    member = bring_up(tmp_path_factory.mktemp("scans"), 1, {})
    yield member
    tear_down(member)


@pytest.mark.cluster
def test_a_scan_finds_the_rows_of_its_prefix_at_one_moment(single: Running) -> None:
    async def work(client: EtcdClient) -> Any:
        for name in ("s-1", "s-2", "t-1"):
            await client.write(name, name)
        transaction = await client.begin()
        first = await transaction.scan("s-")
        await client.write("s-3", 1)
        await transaction.put("s-4", 4)
        await transaction.delete("s-1")
        again = await transaction.scan("s-")
        await transaction.abort()
        return [dict(first), dict(again)]

    assert single.do(work) == [{"s-1": "s-1", "s-2": "s-2"}, {"s-2": "s-2", "s-4": 4}]


@pytest.mark.cluster
@pytest.mark.parametrize("change", ["comes", "goes", "changes"])
def test_a_commit_fails_if_a_row_comes_goes_or_changes(single: Running, change: str) -> None:
    prefix = f"{change}-"

    async def work(client: EtcdClient) -> Any:
        await client.write(f"{prefix}1", 1)
        transaction = await client.begin()
        await transaction.scan(prefix)
        other = await client.begin()
        if change == "goes":
            await other.delete(f"{prefix}1")
        else:
            await other.put(f"{prefix}{2 if change == 'comes' else 1}", 2)
        await other.commit()
        await transaction.put("elsewhere", change)
        with pytest.raises(Failed, match="conflict"):
            await transaction.commit()
        return await client.read("elsewhere")

    assert single.do(work) is None


@pytest.mark.cluster
def test_a_commit_succeeds_if_nothing_in_the_range_changed(single: Running) -> None:
    async def work(client: EtcdClient) -> Any:
        transaction = await client.begin()
        await transaction.scan("quiet-")
        await client.write("loud", 1)
        await transaction.put("quiet-1", 1)
        await transaction.commit()
        return await client.read("quiet-1")

    assert single.do(work) == 1
