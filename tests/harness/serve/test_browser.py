"""The served index in a real browser: filter, open, follow a run, download; a clean console."""

from __future__ import annotations

import json
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from harness.serve.app import application
from tests.accessibility import serious_faults, without_visible_focus
from tests.browsing import running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


def put_run(store: Path, name: str, valid: Any, nemesis: str) -> Path:
    run = store / "etcd" / "register" / name
    (run / "evidence").mkdir(parents=True)
    (run / "scenario.toml").write_text(f'system = "etcd"\nnemesis = "{nemesis}"\nseed = 5\n')
    if valid is not None:
        (run / "verdict.json").write_text(json.dumps({"valid": valid, "why": f"why of {name}"}))
        (run / "report.html").write_text(f"<title>{name}</title><h1>report of {name}</h1>")
    return run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    put_run(tmp_path, "20261120T100000-aaaaaa", True, "kill")
    put_run(tmp_path, "20261121T100000-bbbbbb", False, "pause")
    put_run(tmp_path, "20261122T100000-cccccc", None, "kill")
    return tmp_path


@pytest.fixture
def address(store: Path) -> Iterator[str]:
    """A server on a free port of loopback, in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application(store, None), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running() as browser:
        yield browser


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    """A page whose console must stay clean.

    It is closed before the server of ``address`` ends: one that still follows a run would complain,
    rightly, that nobody answers.
    """
    said: list[str] = []
    made = browser.new_page(color_scheme=getattr(request, "param", "light"))
    made.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    made.on("pageerror", lambda error: said.append(str(error)))
    yield made
    made.close()
    assert said == []


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_runs_are_filtered_and_opened(page: Any, address: str) -> None:
    page.goto(address)
    assert page.locator("tbody tr").count() == 3
    page.select_option("select[name=verdict]", "invalid")
    with page.expect_navigation():
        page.click("button[type=submit]")
    assert page.locator("tbody tr").count() == 1
    assert "why of 20261121T100000-bbbbbb" in page.inner_text("tbody")
    with page.expect_navigation():
        page.click("tbody tr a")
    assert page.inner_text("h1") == "report of 20261121T100000-bbbbbb"


def test_a_run_under_way_is_followed_to_its_report(page: Any, address: str, store: Path) -> None:
    run = store / "etcd" / "register" / "20261122T100000-cccccc"
    progress = {
        "phase": "run",
        "time_s": 3.2,
        "limit_s": 60,
        "operations": {"<b>read</b>": {"ok": 7, "fail": 1, "info": 0}},
        "faults": ["partition"],
        "nodes": {"n1": "paused"},
        "last_error": "<img src=x onerror=alert(1)>",
    }
    (run / "evidence" / "progress.json").write_text(json.dumps(progress))
    page.goto(address)
    with page.expect_navigation():
        page.click("text=live")
    page.wait_for_selector("text=<b>read</b>")
    assert "Faults in force: partition" in page.inner_text(".live")
    assert "n1 paused" in page.inner_text(".live")
    assert page.locator(".live img").count() == 0
    (run / "report.html").write_text("<h1>it is over</h1>")
    (run / "verdict.json").write_text('{"valid": true}')
    page.wait_for_selector("text=it is over")


PACE = {
    "width_s": 0.5,
    "ok": [50, 60, 5, 40],
    "fail": [1, 1, 9, 1],
    "info": [0, 0, 4, 0],
    "p50_ms": [1.5, 1.5, None, 2],
    "p99_ms": [12, 14, None, 900],
}
BAND = {"fault": "<b>kill</b>", "targets": ["n1"], "start_s": 0.9, "end_s": None, "bit": True}


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_rate_and_latency_of_a_run_under_way_are_drawn_and_read_by_keyboard(
    page: Any, address: str, store: Path
) -> None:
    path = "etcd/register/20261122T100000-cccccc"
    said = {"phase": "run", "time_s": 2.1, "limit_s": 60, "pace": PACE, "bands": [BAND]}
    seen = {"kind": "stale-read", "time_s": 1.2, "message": "read found 1"}
    progress = store / path / "evidence" / "progress.json"
    progress.write_text(json.dumps({**said, "watched": ["linearizable"]}))
    page.set_viewport_size({"width": 700, "height": 800})
    page.goto(f"{address}live/{path}/")
    page.wait_for_selector("#rate svg")
    assert "No anomaly that linearizable can tell at once" in page.inner_text("#anomaly")
    assert page.locator("#rate .band").count() == 1
    assert page.locator("#rate polyline").count() == 3
    assert page.locator("#latency polyline.p99").count() == 1  # a gap, and one bucket alone
    assert page.locator("#latency circle.p99").count() == 1
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(wide)
    page.focus("#latency .picture")
    page.keyboard.press("Home")
    assert page.inner_text("#read-out").startswith("0.0 to 0.5 s: 100.0 ok, 2.0 fail, 0.0 info")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#read-out").endswith("p50 unknown, p99 unknown; <b>kill</b> in force")
    progress.write_text(json.dumps({**said, "anomaly": seen}))
    page.wait_for_selector("text=First anomaly so far: stale-read at 1.2 s: read found 1")
    assert page.locator("#rate .mark").count() == 1


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_the_live_page_works_by_keyboard_alone(page: Any, address: str, store: Path) -> None:
    path = "etcd/register/20261122T100000-cccccc"
    progress = store / path / "evidence" / "progress.json"
    seen = {"kind": "stale-read", "time_s": 1.2, "message": "read found 1"}
    said = {"phase": "run", "time_s": 2.1, "limit_s": 60, "pace": PACE, "bands": [BAND]}
    progress.write_text(json.dumps({**said, "anomaly": seen, "nodes": {"n1": "up"}}))
    page.goto(f"{address}live/{path}/")
    page.wait_for_selector("#rate svg")
    assert without_visible_focus(page, presses=6) == []
    page.reload()
    page.wait_for_selector("#rate svg")

    def focused() -> str:
        page.keyboard.press("Tab")
        name = "e => e.id || e.getAttribute('aria-label') || e.textContent"
        return str(page.evaluate(f"({name})(document.activeElement)"))

    order = [focused() for _ in range(6)]
    assert [word.split()[0] for word in order] == [
        *("To", "All", "hold", "Completions", "Latency", "Operations"),
    ]
    assert serious_faults(page) == []
    page.focus(".skip")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "run"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.get_attribute("#hold", "aria-pressed") == "true"
    progress.write_text(json.dumps({**said, "phase": "judge"}))
    page.wait_for_timeout(1200)
    assert page.inner_text("h1") == "run"
    assert serious_faults(page) == []
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:text('judge')")
    assert page.get_attribute("#hold", "aria-pressed") == "false"


def test_a_run_is_downloaded_as_a_zip(page: Any, address: str, tmp_path: Path) -> None:
    page.goto(f"{address}?verdict=valid")
    with page.expect_download() as download:
        page.click("text=zip")
    path = tmp_path / "run.zip"
    download.value.save_as(path)
    assert "20261120T100000-aaaaaa/verdict.json" in zipfile.ZipFile(path).namelist()


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_no_served_page_has_a_serious_fault_of_accessibility(
    page: Any, address: str, store: Path
) -> None:
    run = "etcd/register/20261122T100000-cccccc"
    progress = store / run / "evidence" / "progress.json"
    counts = {"read": {"ok": 7, "fail": 1, "info": 0}}
    said = {"phase": "run", "time_s": 2.1, "limit_s": 60, "pace": PACE, "bands": [BAND]}
    progress.write_text(json.dumps({**said, "operations": counts, "nodes": {"n1": "up"}}))
    for width in (1400, 700):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(address)
        assert page.evaluate("() => innerWidth") == width
        assert serious_faults(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        page.goto(f"{address}live/{run}/")
        page.wait_for_selector("#rate svg")
        assert page.inner_text("#operations th") == "read"
        assert serious_faults(page) == []


def test_the_index_works_by_keyboard(page: Any, address: str) -> None:
    page.goto(address)
    assert without_visible_focus(page, presses=14) == []
    page.focus("select[name=verdict]")
    for _ in range(5):  # a list forgets what is typed slowly, so arrows
        if page.input_value("select[name=verdict]") != "invalid":
            page.keyboard.press("ArrowDown")
    assert page.input_value("select[name=verdict]") == "invalid"
    with page.expect_navigation():
        page.focus("button[type=submit]")
        page.keyboard.press("Enter")
    page.focus("tbody a")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.inner_text("h1") == "report of 20261121T100000-bbbbbb"
