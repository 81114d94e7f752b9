"""A store of strangers: each odd run has a row that says why, and none hides or harms another."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from harness.serve.app import application

pytestmark = pytest.mark.slow


GOOD = "20261120T100000-aaaaaa"
ODD = "20261121T100000-bbbbbb"
AT = f"etcd/register/{ODD}"
HUGE = "9" * 4200
DEEP = "[" * 100_000 + "]" * 100_000
SECRET = "root:x:0:0: not yours"
Make = Callable[..., Path]

VERDICTS = {
    "a list": "[]",
    "a number": "5",
    "null": "null",
    "nothing": "",
    "torn": '{"valid": tr',
    "deep": DEEP,
    "deep inside": f'{{"valid": true, "x": {DEEP}}}',
    "too many digits": f'{{"valid": true, "x": {"9" * 5000}}}',
    "valid is a list": '{"valid": [1]}',
    "valid is an object": '{"valid": {"a": 1}}',
    "valid is one": '{"valid": 1}',
    "valid is a word": '{"valid": "true"}',
    "valid is missing": '{"why": "x"}',
}
"""What makes the row say ``unreadable``."""
SHAPES = {
    "why is an object": '{"valid": false, "why": {"a": []}}',
    "why is a half letter": '{"valid": false, "why": "\\ud800"}',
    "operations are a list": '{"valid": true, "operations": [1]}',
    "operations are numbers": '{"valid": true, "operations": {"read": 5}}',
    "operations are huge": f'{{"valid": true, "operations": {{"read": {{"ok": {HUGE}}}}}}}',
    "operations are endless": '{"valid": true, "operations": {"read": {"ok": 1e400}}}',
}
"""What a row can be made of all the same."""
FACTS = {
    "a list": "[1]",
    "phases are a list": '{"phases": [1]}',
    "phases are endless": '{"phases": {"run": [0, 1e400]}}',
    "phases are no numbers": '{"phases": {"run": [0, NaN]}}',
    "phases are huge": f'{{"phases": {{"run": [0, {HUGE}]}}}}',
    "phases are words": '{"phases": {"run": [0, "long"]}}',
    "phases are empty": '{"phases": {"run": []}}',
    "phases are objects": '{"phases": {"run": [[{}]]}}',
    "provider is a list": '{"provider": [[1]]}',
    "provider is a half letter": '{"provider": "\\udfff"}',
    "deep": DEEP,
}
SCENARIOS = {
    "no TOML": "= = =",
    "deep": f"x = {DEEP}",
    "seed beyond 64 bits": f"seed = {1 << 70}",
    "seed beyond printing": f"seed = 0x{'f' * 5000}",
    "seed is a word": 'seed = "five"',
    "seed is a time": "seed = 2026-11-30T00:00:00Z",
    "nemesis is a list": "nemesis = [1, 2]",
    "nemesis is endless": "nemesis = inf",
    "no UTF-8": b"system = '\xff'",
}
PROGRESS = {
    "a list": "[1]",
    "endless": '{"time_s": 1e400, "limit_s": NaN}',
    "huge": f'{{"time_s": {HUGE}, "operations": {{"read": {{"ok": {HUGE}}}}}}}',
    "half letters": '{"phase": "\\ud800", "nodes": {"\\ud800": "\\udfff"}, "faults": ["\\ud800"]}',
    "odd kinds": '{"phase": [1], "time_s": "x", "operations": [1], "faults": 5, "nodes": [1]}',
    "odd inside": '{"operations": {"read": [1]}, "faults": [[1]], "nodes": {"n1": {"a": 1}}}',
    "odd pace": '{"pace": {"width_s": 0, "ok": []}, "bands": [[1]], "anomaly": [1], "watched": 5}',
    "odd buckets": '{"pace": {"width_s": 1, "ok": ["x"], "fail": [-1], "info": [null],'
    ' "p50_ms": [0], "p99_ms": [1e400]}, "bands": [{"start_s": 1, "fault": 5, "targets": 5}],'
    ' "anomaly": {"time_s": 1, "kind": [1]}, "watched": [1]}',
    "deep": DEEP,
}
SUMMARIES = {
    "a list": "[]",
    "no counts": '{"runs": 5}',
    "counts are a list": '{"counts": [1], "runs": 1}',
    "counts are empty": '{"counts": {}, "runs": 1}',
    "counts are odd": '{"counts": {"violation": {"a": 1}, "passed": []}, "runs": [[]]}',
    "huge": f'{{"counts": {{"violation": {HUGE}}}, "runs": {HUGE}}}',
    "half letters": '{"counts": {"violation": "\\ud800"}, "runs": "\\udfff"}',
    "deep": DEEP,
    "torn": '{"counts"',
}


@pytest.fixture
def odd(make: Make) -> Path:
    """A run beside a good one, to be spoiled."""
    make(GOOD)
    run = make(ODD)
    (run / "report.html").unlink()
    return run


@pytest.fixture
def patient(store: Path) -> TestClient:
    """A visitor who is told of a defect of the server's, as a browser is."""
    return TestClient(
        application(store, None), follow_redirects=False, raise_server_exceptions=False
    )


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def row_of(client: TestClient, name: str = ODD) -> dict[str, Any]:
    """The row of a run, seen on the page and in the list; the good one is there as ever."""
    page = client.get("/")
    assert page.status_code == 200
    assert GOOD in page.text
    answer = client.get("/runs.json")
    assert answer.status_code == 200
    rows = {row["path"].split("/")[-1]: row for row in answer.json()}
    assert rows[GOOD]["verdict"] == "valid"
    found: dict[str, Any] = rows[name]
    return found


def look_at_all(client: TestClient, path: str = AT) -> None:
    """Every page of the run answers, and none with a defect of ours."""
    for verb in ("run", "live", "progress", "zip"):
        assert client.get(f"/{verb}/{path}/").status_code < 500


@pytest.mark.parametrize("content", VERDICTS.values(), ids=VERDICTS)
def test_a_verdict_that_is_none_is_unreadable(patient: TestClient, odd: Path, content: str) -> None:
    write(odd / "verdict.json", content)
    row = row_of(patient)
    assert row["verdict"] == "unreadable"
    assert "verdict.json" in row["trouble"]
    assert "unreadable: verdict.json" in patient.get("/").text
    assert patient.get(f"/progress/{AT}").json()["verdict"] == "unreadable"


@pytest.mark.parametrize("content", SHAPES.values(), ids=SHAPES)
def test_a_verdict_of_odd_shape_keeps_its_word(
    patient: TestClient, odd: Path, content: str
) -> None:
    write(odd / "verdict.json", content)
    assert row_of(patient)["verdict"] == ("valid" if "true" in content else "invalid")


@pytest.mark.parametrize("content", FACTS.values(), ids=FACTS)
def test_facts_of_odd_shape_spoil_no_row(patient: TestClient, odd: Path, content: str) -> None:
    write(odd / "evidence" / "run.json", content)
    assert row_of(patient)["verdict"] == "valid"


@pytest.mark.parametrize("content", SCENARIOS.values(), ids=SCENARIOS)
def test_a_scenario_of_odd_shape_spoils_no_row(
    patient: TestClient, odd: Path, content: str | bytes
) -> None:
    write(odd / "scenario.toml", content)
    row = row_of(patient)
    assert row["verdict"] == "valid"
    assert row["trouble"] or row["seed"] == 1 << 70
    (odd / "verdict.json").unlink()
    unreadable = "scenario.toml" in row["trouble"]
    assert row_of(patient)["verdict"] == ("unreadable" if unreadable else "none")


@pytest.mark.parametrize("content", PROGRESS.values(), ids=PROGRESS)
def test_progress_of_odd_shape_is_followed(patient: TestClient, odd: Path, content: str) -> None:
    (odd / "verdict.json").unlink()
    write(odd / "evidence" / "progress.json", content)
    assert row_of(patient)["verdict"] == "none"
    answer = patient.get(f"/progress/{AT}")
    assert answer.status_code == 200
    assert isinstance(answer.json(), dict)
    assert "NaN" not in answer.text
    assert "Infinity" not in answer.text


@pytest.mark.parametrize("content", SUMMARIES.values(), ids=SUMMARIES)
def test_a_broken_summary_of_a_soak_spoils_no_index(
    patient: TestClient, odd: Path, store: Path, content: str
) -> None:
    write(store / "soaks" / "one" / "summary.json", content)
    row_of(patient)
    assert "/soak/one/" in patient.get("/").text
    answer = patient.get("/soak/one/")
    assert answer.status_code == 422
    assert "cannot be drawn" in answer.text


NAMES = ("verdict.json", "scenario.toml", "evidence/run.json", "report.html")


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", [*NAMES, "evidence/progress.json", "history.jsonl"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "device"])
def test_what_is_no_plain_file_is_neither_read_nor_waited_for(
    patient: TestClient, odd: Path, tmp_path: Path, name: str, kind: str
) -> None:
    write(tmp_path / "secret.txt", SECRET)
    (odd / name).unlink(missing_ok=True)
    if kind == "link":
        (odd / name).symlink_to(tmp_path / "secret.txt")
    elif kind == "pipe":
        os.mkfifo(odd / name)
    elif kind == "folder":
        (odd / name).mkdir()
    else:
        (odd / name).symlink_to("/dev/zero")
    row = row_of(patient)
    assert row["verdict"] == ("unreadable" if name == "verdict.json" else "valid")
    assert (name in row["trouble"]) == (name in NAMES[:3])
    for verb in ("run", "progress", "zip"):
        answer = patient.get(f"/{verb}/{AT}/")
        assert answer.status_code == 200
        assert SECRET.encode() not in answer.content
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert f"{ODD}/{name}" not in archive.namelist()


@pytest.mark.slow
@pytest.mark.parametrize("place", ["evidence", "nodes", "run", "workload", "system", "soak"])
def test_no_link_on_the_way_is_passed(
    patient: TestClient, odd: Path, store: Path, tmp_path: Path, place: str
) -> None:
    outside = tmp_path / "outside"
    write(outside / "run.json", json.dumps({"provider": SECRET}))
    write(outside / "n1" / "db.log", SECRET)
    write(outside / "summary.json", SECRET)
    write(outside / "index.html", SECRET)
    if place in ("evidence", "nodes"):
        shutil.rmtree(odd / place, ignore_errors=True)
        (odd / place).symlink_to(outside)
    elif place == "soak":
        (store / "soaks").mkdir()
        (store / "soaks" / "one").symlink_to(outside)
    else:
        moved = {"run": odd, "workload": odd.parent, "system": odd.parents[1]}[place]
        shutil.copytree(moved, tmp_path / "moved")
        moved.with_name("linked").symlink_to(tmp_path / "moved")
    paths = [AT, AT.replace("etcd", "linked"), AT.replace("register", "linked")]
    for path in [*paths, AT.replace(ODD, "linked")]:
        for verb in ("run", "progress", "zip", "live"):
            answer = patient.get(f"/{verb}/{path}/")
            assert answer.status_code == (404 if "linked" in path else 200)
            assert SECRET.encode() not in answer.content
    assert patient.get("/soak/one/").status_code == 404
    assert SECRET not in patient.get("/").text
    assert len(patient.get("/runs.json").json()) == 2


BYTES = [b"\xff", b"caf\xe9", b"%ff", b"a b?c#d", b"line\nend", b"<b>&amp;", b"\x1b[31m", b"'\""]


@pytest.mark.slow
@pytest.mark.parametrize("name", BYTES)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_name_of_any_bytes_leads_to_its_run_and_back(
    patient: TestClient, odd: Path, store: Path, name: bytes, depth: int
) -> None:
    parts = [b"etcd", b"register", ODD.encode()]
    parts[depth] = name
    run = os.path.join(os.fsencode(store), *parts)
    shutil.copytree(os.fsencode(odd), run)
    write(Path(os.fsdecode(run)) / "report.html", "the very one")
    write(Path(os.fsdecode(run)) / "n\udcff.log", "a log")
    page = patient.get("/")
    assert page.status_code == 200
    links = [line.split('"')[1] for line in page.text.split("<a href=")[1:] if "/run/" in line]
    found = [link for link in links if patient.get(link).text == "the very one"]
    assert len(found) == 1
    archive = patient.get(found[0].replace("/run/", "/zip/"))
    assert any(
        "%FF.log" in name for name in zipfile.ZipFile(io.BytesIO(archive.content)).namelist()
    )
    assert len(patient.get("/runs.json").json()) == 3
    assert patient.get(found[0].replace("/run/", "/live/")).status_code == 200


@pytest.mark.parametrize("year", [-(10**12), -(10**10), 10**12])
def test_a_folder_from_no_year_has_a_row(patient: TestClient, odd: Path, year: int) -> None:
    run = odd.rename(odd.with_name("nameless"))
    try:
        os.utime(run, (year, year))
    except OSError:
        os.utime(run, (2**33, 2**33))  # as far as this file system goes
    assert row_of(patient, "nameless")["verdict"] == "valid"


@pytest.mark.parametrize("what", ["file", "run", "workload"])
def test_what_may_not_be_read_says_so(what: str) -> None:
    """By an ordinary user: to root everything can be read."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        for name in (GOOD, ODD):
            write(store / "etcd" / "register" / name / "scenario.toml", 'system = "etcd"')
            write(store / "etcd" / "register" / name / "verdict.json", '{"valid": true}')
        write(store / "other" / "bank" / GOOD / "scenario.toml", "")
        closed = {"file": f"etcd/register/{ODD}/verdict.json", "run": f"etcd/register/{ODD}"}
        (store / closed.get(what, "other/bank")).chmod(0)
        Path(folder).chmod(0o755)
        seen = json.loads(as_an_ordinary_user(store))
        (store / closed.get(what, "other/bank")).chmod(0o755)
    good = f"etcd/register/{GOOD}"
    assert seen["rows"][good] == ["valid", ""]
    if what == "workload":
        assert seen["troubles"] == ["other/bank cannot be looked into: Permission denied"]
    else:
        verdict, trouble = seen["rows"][f"etcd/register/{ODD}"]
        assert verdict == "unreadable"
        assert "verdict.json cannot be read: Permission denied" in trouble


def as_an_ordinary_user(store: Path) -> str:
    """What a look through the store finds, by somebody who is not root."""
    program = textwrap.dedent(
        """
        import json, os, sys
        sys.path[:] = json.loads(sys.argv[2])
        from pathlib import Path
        from harness.serve.catalogue import Catalogue
        from harness.serve.kept import Kept
        store = Path(sys.argv[1])
        Catalogue(store, Kept(store, None)).refresh()  # so that all is imported
        catalogue = Catalogue(store, Kept(store, None))
        if os.geteuid() == 0:
            os.setgroups([]), os.setgid(65534), os.setuid(65534)
        state = catalogue.refresh()
        rows = {row.path: [row.verdict, row.trouble] for row in state.all_rows}
        print(json.dumps({"rows": rows, "troubles": state.troubles}))
        """
    )
    argv = [sys.executable, "-c", program, str(store), json.dumps(sys.path)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def planted(odd: Path, store: Path) -> Iterator[sqlite3.Connection]:
    """An index that somebody else has put into the store, in the old form."""
    database = sqlite3.connect(store / ".catalogue.sqlite")
    columns = (
        "path, system, workload, nemesis, verdict, why, seed, provider, began, seconds, operations"
    )
    database.execute(f"create table runs ({columns}, stamp, primary key (path))")
    database.execute("pragma user_version = 1")
    yield database
    database.close()


def test_an_index_of_somebody_else_is_not_believed(
    planted: sqlite3.Connection, patient: TestClient, store: Path
) -> None:
    lie = ("../../../etc", "lie", "lie", "", "valid", "lie", 0, "", "2026", 0, 0, "lie")
    planted.execute(f"insert into runs values ({', '.join('?' * 12)})", lie)
    planted.execute("create trigger t after delete on runs begin select raise(abort, 'no'); end")
    planted.commit()
    before = (store / ".catalogue.sqlite").read_bytes()
    row_of(patient)
    assert "lie" not in patient.get("/").text
    assert (store / ".catalogue.sqlite").read_bytes() == before


def test_a_locked_index_of_somebody_else_holds_nobody_up(
    planted: sqlite3.Connection, patient: TestClient
) -> None:
    planted.execute("begin exclusive")
    assert row_of(patient)["verdict"] == "valid"


def test_an_index_that_is_a_link_is_not_followed(
    patient: TestClient, odd: Path, store: Path, tmp_path: Path
) -> None:
    (store / ".catalogue.sqlite").symlink_to(tmp_path / "made")
    row_of(patient)
    assert not (tmp_path / "made").exists()


def test_nothing_is_written_into_the_store(patient: TestClient, odd: Path, store: Path) -> None:
    def seen() -> dict[str, int]:
        return {str(path): path.lstat().st_mtime_ns for path in [store, *store.rglob("*")]}

    before = seen()
    look_at_all(patient)
    assert patient.get("/").status_code == 200
    assert seen() == before
