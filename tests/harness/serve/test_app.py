"""The served index: filters, no way out of the store, hostile text dead, a token elsewhere."""

from __future__ import annotations

import fcntl
import io
import json
import shutil
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from harness.serve.app import Index, application
from harness.serve.catalogue import Catalogue, State
from harness.serve.listening import is_loopback, listening
from harness.serve.rows import run_folders
from harness.store.untrusted import Folder

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[31m"
Make = Callable[..., Path]


def names(client: TestClient, query: str = "") -> list[str]:
    return [row["path"].split("/")[-1] for row in client.get(f"/runs.json{query}").json()]


def test_every_run_is_listed_newest_first_whatever_state_it_is_in(
    client: TestClient, make: Make
) -> None:
    make("20261120T100000-aaaaaa")
    make("20261121T100000-bbbbbb", False, why="stale")
    broken = make("20261122T100000-cccccc", None)
    (broken / "scenario.toml").write_text("not toml = = =")
    assert names(client) == [
        "20261122T100000-cccccc",
        "20261121T100000-bbbbbb",
        "20261120T100000-aaaaaa",
    ]
    page = client.get("/").text
    assert "no verdict" in page
    assert "stale" in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?verdict=invalid", ["20261121T100000-bbbbbb"]),
        ("?verdict=none", []),
        ("?fault=pause", ["20261121T100000-bbbbbb"]),
        ("?fault=pau", []),
        ("?system=other", ["20261119T100000-dddddd"]),
        ("?since=2026-11-21", ["20261121T100000-bbbbbb"]),
        ("?until=2026-11-19", ["20261119T100000-dddddd"]),
        ("?until=2026-11-20&system=etcd", ["20261120T100000-aaaaaa"]),
        ("?workload=' or 1=1 --", []),
    ],
)
def test_filters(client: TestClient, make: Make, query: str, expected: list[str]) -> None:
    make("20261119T100000-dddddd", system="other")
    make("20261120T100000-aaaaaa")
    make("20261121T100000-bbbbbb", False, nemesis="kill,pause")
    assert names(client, query) == expected


def test_what_changes_in_the_store_changes_in_the_list(client: TestClient, make: Make) -> None:
    run = make("20261120T100000-aaaaaa", None)
    assert client.get("/runs.json").json()[0]["verdict"] == "none"
    (run / "verdict.json").write_text(json.dumps({"valid": False, "why": "late"}))
    assert client.get("/runs.json").json()[0]["verdict"] == "invalid"
    for path in sorted(run.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    run.rmdir()
    assert names(client) == []


def test_folders_that_are_removed_while_they_are_looked_at_are_passed_over(
    store: Path, make: Make
) -> None:
    runs = {make("20261120T100000-aaaaaa", system=name) for name in ("a", "b")}
    troubles: list[str] = []
    found = run_folders(store, troubles)
    first, _ = next(found)
    (other,) = runs - {store / first}
    shutil.rmtree(other.parents[1])
    assert list(found) == troubles == []


def test_requests_that_come_at_once_share_one_look_through_the_store(
    store: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("20261120T100000-aaaaaa")
    looks, refresh = [], Catalogue.refresh
    began, go_on = threading.Event(), threading.Event()

    def watched(catalogue: Catalogue) -> State:
        looks.append(threading.get_ident())
        began.set()
        assert go_on.wait(10)
        return refresh(catalogue)

    monkeypatch.setattr(Catalogue, "refresh", watched)
    index = Index(store)
    first = index.look.ask()
    assert began.wait(10)
    make("20261121T100000-bbbbbb")
    # They came after that look began, so it is the next one that may answer them: one for all.
    others = [index.look.ask() for _ in range(8)]
    go_on.set()
    assert {len(other.result(10).all_rows) for other in others} == {2}
    assert first.result(10).all_rows
    assert len(looks) == 2


def test_a_file_that_is_gone_when_it_is_its_turn_spoils_no_zip(
    client: TestClient, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make("20261120T100000-aaaaaa")
    files = Folder.files

    def with_one_gone(folder: Folder, *asked: Any, **named: Any) -> Any:
        yield "evidence/.progress.json.1a2b3c4d"
        yield from files(folder, *asked, **named)

    monkeypatch.setattr(Folder, "files", with_one_gone)
    answer = client.get("/zip/etcd/register/20261120T100000-aaaaaa")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert f"{run.name}/verdict.json" in archive.namelist()


def test_a_report_opens_and_a_run_under_way_is_followed(client: TestClient, make: Make) -> None:
    make("20261120T100000-aaaaaa")
    make("20261121T100000-bbbbbb", None)
    assert "report of" in client.get("/run/etcd/register/20261120T100000-aaaaaa/").text
    live = client.get("/run/etcd/register/20261121T100000-bbbbbb/")
    assert (live.status_code, live.headers["location"]) == (
        303,
        "/live/etcd/register/20261121T100000-bbbbbb/",
    )


def test_progress_is_what_the_run_last_said_and_then_its_verdict(
    client: TestClient, make: Make
) -> None:
    run = make("20261121T100000-bbbbbb", None)
    (run / "evidence" / "progress.json").write_text('{"phase": "run", "time_s": 3.0}')
    path = "/progress/etcd/register/20261121T100000-bbbbbb"
    assert client.get(path).json() == {"phase": "run", "time_s": 3.0}
    (run / "verdict.json").write_text('{"valid": true}')
    assert client.get(path).json()["verdict"] == "valid"


def test_a_zip_holds_the_run_without_links_and_node_data(
    client: TestClient, make: Make, tmp_path: Path
) -> None:
    run = make("20261120T100000-aaaaaa")
    (run / "nodes" / "n1" / "data").mkdir(parents=True)
    (run / "nodes" / "n1" / "data" / "wal").write_text("large")
    (run / "nodes" / "n1" / "etcd.log").write_text("a line\n" * 100_000)
    (run / "leak").symlink_to(tmp_path / "secret.txt")
    answer = client.get("/zip/etcd/register/20261120T100000-aaaaaa")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    inside = {name.split("/", 1)[1] for name in archive.namelist()}
    assert inside == {"scenario.toml", "verdict.json", "report.html", "nodes/n1/etcd.log"}


@pytest.mark.parametrize("verb", ["run", "zip", "live", "progress"])
@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "etcd/register/../../../secret.txt",
        "/etc/passwd",
        "%2fetc/passwd",
        "etcd/register/linked",
        "linked/register/20261120T100000-aaaaaa",
        "etcd/register",
        "etcd/register/20261120T100000-aaaaaa/evidence",
        "etcd/register/none%00",
        "",
    ],
)
def test_no_path_leads_out_of_the_store(
    client: TestClient, make: Make, store: Path, tmp_path: Path, verb: str, path: str
) -> None:
    make("20261120T100000-aaaaaa")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "scenario.toml").write_text("not yours")
    (store / "etcd" / "register" / "linked").symlink_to(outside)
    (store / "linked").symlink_to(store / "etcd")
    answer = client.get(f"/{verb}/{path}")
    assert answer.status_code == 404
    assert "not yours" not in answer.text


def test_hostile_text_is_dead(client: TestClient, make: Make, store: Path) -> None:
    make("20261120T100000-aaaaaa", False, why=HOSTILE, nemesis="<b>kill</b>")
    evil = store / "<img src=x>" / "register" / "20261121T100000-bbbbbb"
    evil.mkdir(parents=True)
    (evil / "scenario.toml").write_text("system = 'x'")
    answer = client.get("/?verdict=<script>alert(1)</script>")
    assert "<script>alert" not in answer.text
    page = client.get("/").text
    assert "<img" not in page
    assert "<b>" not in page
    assert "\x1b" not in page
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_token_is_asked_for_and_then_remembered(store: Path, make: Make) -> None:
    make("20261120T100000-aaaaaa")
    client = TestClient(application(store, "s3cret"), follow_redirects=False)
    for path in ("/", "/runs.json", "/zip/etcd/register/20261120T100000-aaaaaa", "/style.css"):
        assert client.get(path).status_code == 401
    assert client.get("/?token=wrong").status_code == 401
    entered = client.get("/?token=s3cret")
    assert entered.status_code == 303
    assert "s3cret" not in entered.headers["location"]
    assert client.get("/").status_code == 200
    bearer = TestClient(application(store, "s3cret"))
    headers = {"Authorization": "Bearer s3cret"}
    assert bearer.get("/runs.json", headers=headers).status_code == 200


def test_only_reading_is_possible(client: TestClient, make: Make) -> None:
    make("20261120T100000-aaaaaa")
    for method in ("post", "put", "delete", "patch"):
        assert getattr(client, method)("/").status_code == 405


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    sockets = listening(host, 0)
    assert is_loopback(sockets)
    for each in sockets:
        each.close()


def test_every_other_address_needs_one() -> None:
    (every,) = listening("0.0.0.0", 0)
    assert not is_loopback([every])
    every.close()


def test_a_run_that_died_is_told_from_one_that_lives(client: TestClient, make: Make) -> None:
    died = make("20261120T100000-aaaaaa", None)
    (died / "run.log").write_text("the last thing it did")
    living = make("20261121T100000-bbbbbb", None)
    with (living / "run.log").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        newest, oldest = client.get("/runs.json").json()
        assert (newest["state"], newest["why"]) == ("under way", "")
        assert oldest["state"] == "over"
        assert oldest["why"].startswith("it died")
        assert client.get("/run/etcd/register/20261121T100000-bbbbbb/").status_code == 303
        assert names(client, "?verdict=running") == ["20261121T100000-bbbbbb"]
        assert names(client, "?verdict=none") == ["20261120T100000-aaaaaa"]
        listed = client.get("/").text
        assert "1 running" in listed
        assert "1 ended, no verdict" in listed
    page = client.get("/run/etcd/register/20261120T100000-aaaaaa/")
    assert "it died" in page.text
    # Nothing in the folder has changed since, but nobody holds it any more.
    assert client.get("/runs.json").json()[0]["state"] == "over"


def test_a_rate_has_an_interval_only_among_runs_that_differ_in_nothing_but_their_seeds(
    client: TestClient, make: Make
) -> None:
    for number, valid in enumerate((True, False, True)):
        run = make(f"2026112{number}T100000-aaaaa{number}", valid)
        scenario = (run / "scenario.toml").read_text()
        (run / "scenario.toml").write_text(scenario.replace("seed = 5", f"seed = {number}"))
    assert "1 of 3 decided runs is invalid, all of one kind: between" in client.get("/").text
    make("20261124T100000-bbbbbb", False, nemesis="pause")
    page = client.get("/").text
    assert "2 of 4 decided runs are invalid, of 2 kinds." in page
    assert "Clopper" not in page
    (kind,) = {row["kind"] for row in client.get("/runs.json?fault=kill").json()}
    assert page.count(f'href="/?kind={kind}"') == 3
    alike = client.get(f"/?kind={kind}").text
    assert "1 of 3 decided runs is invalid, all of one kind: between" in alike
