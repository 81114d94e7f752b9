"""Pages that are missing are drawn in memory: once for all who ask, and a broken run says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from harness.serve import drawn
from harness.serve.app import application
from harness.serve.drawn import Drawn, Undrawn
from harness.store.untrusted import Folder

pytestmark = pytest.mark.slow


NAME = "20261120T100000-aaaaaa"
AT = f"etcd/register/{NAME}"
Make = Callable[..., Path]


@pytest.fixture
def run(make: Make) -> Path:
    """A run without a page, of which a few operations are known."""
    folder = make(NAME, why="the very reason")
    (folder / "report.html").unlink()
    records = [
        {"type": "invoke", "f": "write", "value": 1, "process": 0, "time": 0, "index": 0},
        {"type": "ok", "f": "write", "value": 1, "process": 0, "time": 5, "index": 1},
    ]
    (folder / "history.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    return folder


@pytest.fixture
def pages(store: Path) -> Iterator[Drawn]:
    made = Drawn(store)
    yield made
    made.close()


@pytest.mark.slow
def test_a_missing_page_is_drawn_and_nothing_is_written(
    client: TestClient, run: Path, store: Path
) -> None:
    before = sorted(store.rglob("*"))
    page = client.get(f"/run/{AT}/")
    assert page.status_code == 200
    assert "the very reason" in page.text
    assert "sandbox allow-scripts" in page.headers["content-security-policy"]
    assert sorted(store.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["report.html", "plots"])
def test_no_page_is_written_through_a_link(
    client: TestClient, run: Path, tmp_path: Path, name: str
) -> None:
    target = tmp_path / "outside"
    target.mkdir()
    (target / "secret").write_text("not yours")
    (run / name).symlink_to(target if name == "plots" else target / "secret")
    page = client.get(f"/run/{AT}/")
    assert "the very reason" in page.text
    assert [path.name for path in target.iterdir()] == ["secret"]
    assert (target / "secret").read_text() == "not yours"


@pytest.mark.slow
def test_a_page_is_drawn_again_when_its_run_has_changed(client: TestClient, run: Path) -> None:
    assert "the very reason" in client.get(f"/run/{AT}/").text
    (run / "verdict.json").write_text('{"valid": false, "why": "another one"}')
    assert "another one" in client.get(f"/run/{AT}/").text


def counted(monkeypatch: pytest.MonkeyPatch, program: str) -> list[list[str]]:
    """Let the drawing process be ``program``; what was started is listed."""
    started: list[list[str]] = []
    popen = subprocess.Popen

    def start(argv: list[str], **options: object) -> subprocess.Popen[bytes]:
        started.append(argv)
        return popen([sys.executable, "-c", program], **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(drawn.subprocess, "Popen", start)
    return started


def test_who_asks_for_the_same_page_waits_for_one_drawing(
    pages: Drawn, run: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    started = counted(monkeypatch, f"open({str(gate)!r}).read(); print('drawn')")
    folder = Folder(store).below(AT)
    asked = [pages.page("report", AT, folder) for _ in range(20)]
    assert not any(each.done() for each in asked)
    gate.write_text("")  # opens once the one process reads
    assert {each.result(20) for each in asked} == {b"drawn\n"}
    assert pages.page("report", AT, folder).result(20) == b"drawn\n"
    assert len(started) == 1
    assert started[0][1] == "-P"  # a folder called harness, where the user stands, is not ours


def test_the_others_are_served_while_a_page_is_drawn(
    store: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    counted(monkeypatch, f"open({str(gate)!r}).read(); print('drawn')")
    with TestClient(application(store, None)) as client:
        found: list[str] = []
        slow = threading.Thread(target=lambda: found.append(client.get(f"/run/{AT}/").text))
        slow.start()
        assert NAME in client.get("/").text
        assert client.get("/runs.json").status_code == 200
        assert not found
        gate.write_text("")
        slow.join(20)
    assert found == ["drawn\n"]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise SystemExit('it is broken: \\x1b[31m')", "it is broken"),
        ("import os; os.kill(os.getpid(), 9)", "ended with -9"),
        ("import time; time.sleep(60)", "took longer than 1 s"),
        ("print('x' * 100)", "is larger than"),
    ],
)
def test_a_page_that_cannot_be_drawn_says_why_and_is_not_tried_again(
    run: Path, store: Path, monkeypatch: pytest.MonkeyPatch, program: str, said: str
) -> None:
    monkeypatch.setattr(drawn, "MOST_PAGE_BYTES", 50)
    started = counted(monkeypatch, program)
    pages = Drawn(store, timeout_s=1.0 if "sleep" in program else 60.0)
    for _ in range(2):
        with pytest.raises(Undrawn, match=said):
            pages.page("report", AT, Folder(store).below(AT)).result(90)
    assert len(started) == 1
    pages.close()


def test_a_broken_run_gives_a_page_that_says_why(
    client: TestClient, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted(monkeypatch, "raise SystemExit('<script>alert(1)</script> is broken')")
    page = client.get(f"/run/{AT}/")
    assert page.status_code == 422
    assert "is broken" in page.text
    assert "<script>alert" not in page.text


def test_what_is_being_drawn_ends_with_the_server(
    run: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted(monkeypatch, "import time; time.sleep(60)")
    pages = Drawn(store)
    asked = pages.page("report", AT, Folder(store).below(AT))
    begin = time.monotonic()
    pages.close()
    assert asked.cancelled() or asked.exception(20) is not None
    assert time.monotonic() - begin < 20
