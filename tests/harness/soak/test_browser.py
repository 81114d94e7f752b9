"""The page of a soak in a real browser, from the disk with the network off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from harness.soak.book import Entry, Settings
from harness.soak.page import write_page
from harness.soak.summary import summarize
from tests.browsing import running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
WHY = "reads: all 12 ok reads saw nothing, so no write was ever observed"


def entry(store: Path, number: int, exit: int, why: str = "", *signatures: str) -> Entry:
    run = store / "etcd" / "register" / f"run {number} & more"
    run.mkdir(parents=True)
    if exit != 3:
        (run / "report.html").write_text(f"<title>{number}</title><h1>report of run {number}</h1>")
    return Entry(
        number=number,
        event="ended",
        seed=1000 + number,
        wall_ns=number,
        exit=exit,
        run_dir=str(run),
        seconds=20.25,
        why=why,
        settle=["--time-limit 40 (it was 20)"] if exit == 2 else [],
        reproduce=f"polygraph test etcd --workload register --nemesis kill --seed {1000 + number}",
        signatures=list(signatures),
        faults={"kill": {"injected": 2, "bit": 2, "healed": 2}},
        operations=1234,
    )


@pytest.fixture
def address(tmp_path: Path) -> str:
    """A soak of eight runs, two of them violations, written as a page."""
    stale = ("the claim is broken: stale-read", "linearizable: stale-read")
    codes: list[tuple[Any, ...]] = [(0,), (1, *stale), (2, WHY), (0,), (3, "no etcd"), (1, *stale)]
    entries = [entry(tmp_path, number, *told) for number, told in enumerate(codes, 1)]
    settings = Settings(
        scenario={"system": "etcd", "workload": "register", "nemesis": "kill", "time_limit": 20.0},
        seed=7,
        runs=6,
        duration_s=None,
        until_failure=False,
        parallel=2,
        confidence=0.95,
        at_most=0.05,
        hard_limit_s=60.0,
        start_wall_ns=0,
    )
    folder = tmp_path / "soaks" / "one"
    folder.mkdir(parents=True)
    summary = summarize(settings, entries, interrupted=False)
    assert msgspec.json.decode(msgspec.json.encode(summary)) == summary
    return write_page(folder, summary).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running() as browser:
        yield browser


def opened(browser: Browser, address: str, **wishes: Any) -> tuple[Any, list[str]]:
    """A page with the network off, and whatever its console says that it should not."""
    context = browser.new_context(offline=True, **wishes)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.goto(address)
    return page, complaints


def test_runs_are_filtered_and_their_reports_opened_with_a_clean_console(
    browser: Browser, address: str
) -> None:
    page, complaints = opened(browser, address)
    rows = page.locator("tbody tr:visible")
    assert rows.count() == 6
    assert page.locator("#tally").text_content() == "6 of 6 runs"
    page.get_by_label("passed").uncheck()
    page.get_by_label("infrastructure").uncheck()
    assert rows.count() == 3
    page.locator("#search").fill("STALE-read 1006")
    assert rows.count() == 1
    assert page.locator("#tally").text_content() == "1 of 6 runs"
    page.locator("#search").fill("saw nothing")
    assert "To settle it: --time-limit 40 (it was 20)" in (rows.first.text_content() or "")
    rows.first.get_by_role("link", name="open").click()
    page.get_by_role("heading", name="report of run 3").wait_for()
    page.go_back()
    assert page.locator("a[href]").count() == 5
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(
    browser: Browser, address: str, scheme: str, width: int
) -> None:
    size = {"width": width, "height": 900}
    page, complaints = opened(browser, address, color_scheme=scheme, viewport=size)
    wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    assert wide is False
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    levels = [int(part) for part in background[background.index("(") + 1 : -1].split(",")[:3]]
    assert (sum(levels) > 380) is (scheme == "light")
    assert complaints == []
