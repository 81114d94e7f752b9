"""The served index in a real browser: filter, open, follow a run, download; a clean console."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from harness.serve.app import application

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or "chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


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


@pytest.fixture
def page(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page whose console must stay clean."""
    from playwright.sync_api import sync_playwright

    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        made = browser.new_page(color_scheme=getattr(request, "param", "light"))
        made.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        made.on("pageerror", lambda error: said.append(str(error)))
        yield made
        browser.close()
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


def test_a_run_is_downloaded_as_a_zip(page: Any, address: str, tmp_path: Path) -> None:
    page.goto(f"{address}?verdict=valid")
    with page.expect_download() as download:
        page.click("text=zip")
    path = tmp_path / "run.zip"
    download.value.save_as(path)
    assert "20261120T100000-aaaaaa/verdict.json" in zipfile.ZipFile(path).namelist()
