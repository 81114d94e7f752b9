"""The page in a real browser with the network off: it opens, tells, and stays usable when large."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.accessibility import serious_faults, without_visible_focus
from tests.browsing import running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

PAINTED = """() => {
  const canvas = document.getElementById("lanes");
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(canvas, 0, 0);
  const { data } = pen.getImageData(0, 0, copy.width, copy.height);
  const colours = new Map();
  for (let at = 0; at < data.length; at += 4) {
    const colour = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
    colours.set(colour, (colours.get(colour) ?? 0) + 1);
  }
  return [...colours.values()].sort((a, b) => b - a);
}"""
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
IS_WIDE = "(width) => innerWidth === width && document.documentElement.scrollWidth <= width"
"""Whether the window has that width by now, which it gets in its own time, and holds the page."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running() as browser:
        yield browser


class Visit:
    """One page opened from a file; everything that it tried or complained about is kept."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        settings: dict[str, Any] = {"reduced_motion": "reduce", **options}
        self.context = browser.new_context(**settings)
        self.context.set_offline(True)
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, folder: Path, fragment: str = "") -> Page:
        self.page.goto((folder / "report.html").as_uri() + fragment)
        self.page.wait_for_selector("html[data-ready=yes]")
        self.page.evaluate(TWO_FRAMES)
        return self.page

    def is_clean(self, folder: Path) -> bool:
        """Whether nothing was complained about and nothing but the file itself was asked for."""
        address = (folder / "report.html").as_uri()
        outside = [url for url in self.asked if not url.startswith((address, "data:"))]
        assert (self.complaints, outside) == ([], [])
        return True


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    opened = Visit(browser, viewport={"width": 1280, "height": 900})
    yield opened
    opened.context.close()


def first_case(folder: Path) -> dict[str, Any]:
    verdict = json.loads((folder / "verdict.json").read_text())
    case: dict[str, Any] = verdict["checkers"]["linearizable"]["anomalies"]["stale-read"][0]
    return case


def painted(page: Page, before: list[int] | None = None) -> list[int]:
    """How often each colour is on the canvas, the commonest first; once that is not as ``before``.

    Neither a wheel nor a drag tells when the page has been told of it.
    """
    was = json.dumps(before, separators=(",", ":"))
    page.wait_for_function(f"(was) => JSON.stringify(({PAINTED})()) !== was", arg=was)
    page.evaluate(TWO_FRAMES)
    found: list[int] = page.evaluate(PAINTED)
    return found


def bar_at(page: Page, index: int) -> tuple[float, float]:
    """The middle of the pinned operation's bar on the canvas, found by what is painted there.

    The operation is pinned by its address first, so the view has it at its centre.
    """
    box = page.locator("#lanes").bounding_box()
    assert box is not None
    page.evaluate(f"() => {{ location.hash = '#op-{index}'; }}")
    page.wait_for_function(
        f"() => document.querySelector('#details h3')?.textContent.startsWith('#{index} ')"
    )
    page.evaluate(TWO_FRAMES)
    lane, lanes = page.evaluate(
        """(index) => {
          const data = JSON.parse(document.getElementById("timeline-data").textContent);
          const at = data.index.indexOf(index);
          return [data.process[at] % data.threads, data.threads];
        }""",
        index,
    )
    assert lanes == 20
    return 104 + (box["width"] - 104) / 2, 44 + lane * 24 + 12


def test_the_page_opens_without_the_network_and_without_a_complaint(
    visit: Visit, invalid_run: Path
) -> None:
    page = visit.open(invalid_run)
    assert page.inner_text("#verdict-word") == "invalid"
    assert page.title() == "invalid: etcd · register"
    assert visit.is_clean(invalid_run)


def test_a_witness_clicked_in_an_anomaly_is_told_in_the_timeline(
    visit: Visit, invalid_run: Path
) -> None:
    case = first_case(invalid_run)
    page = visit.open(invalid_run)
    read = case["witness"][2]
    page.click(f"#anomaly-1 table a[href='#op-{read}']")
    page.wait_for_selector("#details h3")
    told = page.inner_text("#details")
    assert told.startswith(f"#{read} read k{case['key']} →")
    assert "anomaly 1 (stale-read)" in told
    assert "partition (minority)" in told
    assert visit.is_clean(invalid_run)


def test_an_anomaly_is_shown_in_the_timeline_with_its_operations(
    visit: Visit, invalid_run: Path
) -> None:
    case = first_case(invalid_run)
    page = visit.open(invalid_run)
    page.click("[data-show-anomaly='1']")
    assert "stale-read · 1 of" in page.inner_text("#anomaly-count")
    told = page.inner_text("#details")
    assert told.startswith("Anomaly 1: stale-read")
    assert f"#{case['witness'][2]} read" in told
    page.keyboard.press("n")
    assert "stale-read · 2 of" in page.inner_text("#anomaly-count")


def test_next_and_previous_lead_from_anomaly_to_anomaly(visit: Visit, invalid_run: Path) -> None:
    page = visit.open(invalid_run)
    page.click("#anomaly-1 [data-anomaly-step='1']")
    assert page.evaluate("() => document.activeElement.parentElement.id") == "anomaly-2"
    assert page.is_visible("#anomaly-2 .proof"), "what was folded is open"
    page.click("#anomaly-2 [data-anomaly-step='-1']")
    assert page.evaluate("() => document.activeElement.id") == "anomaly-1"
    assert page.is_disabled("#anomaly-1 [data-anomaly-step='-1']")


def test_an_address_leads_to_its_operation(visit: Visit, invalid_run: Path) -> None:
    index = first_case(invalid_run)["witness"][1]
    page = visit.open(invalid_run, f"#op-{index}")
    assert f"and {index}" in page.inner_text("#details")
    page.evaluate("() => { location.hash = '#op-99999999'; }")
    page.wait_for_function(
        "() => document.getElementById('details').textContent.includes('holds no')"
    )


def test_a_hundred_thousand_operations_are_painted_hovered_pinned_and_found(
    visit: Visit, big_run: Path
) -> None:
    assert (big_run / "report.html").stat().st_size < 12_000_000
    page = visit.open(big_run)
    painted = page.evaluate(PAINTED)
    assert len(painted) > 20
    assert sum(painted[1:]) > painted[0] / 10, "the canvas is (nearly) blank"

    index = first_case(big_run)["witness"][2]
    x, y = bar_at(page, index)
    page.keyboard.press("Escape")
    page.hover("#lanes", position={"x": x, "y": y})
    page.wait_for_selector("#tooltip:not([hidden])")
    assert page.inner_text("#tooltip").startswith(f"#{index} read k")
    page.evaluate("() => { history.replaceState(null, '', '#'); }")
    page.click("#lanes", position={"x": x, "y": y})
    assert page.evaluate("() => location.hash") == f"#op-{index}"
    assert page.inner_text("#details").startswith(f"#{index} read k")
    assert visit.is_clean(big_run)


def test_search_finds_by_key_by_outcome_and_by_index(visit: Visit, big_run: Path) -> None:
    page = visit.open(big_run)
    page.fill("#search", "key:7 type:fail")
    page.keyboard.press("Enter")
    page.wait_for_selector("#details h3")
    assert page.inner_text("#match-count").startswith("1 of ")
    told = page.inner_text("#details")
    assert "cas k7" in told
    assert "compare failed" in told
    page.keyboard.press("Enter")
    assert page.inner_text("#match-count").startswith("2 of ")
    page.fill("#search", "4321")
    page.keyboard.press("Enter")
    page.wait_for_function("() => / 4321|4321 /.test(document.querySelector('#details').innerText)")
    page.fill("#search", "no such thing")
    page.keyboard.press("Enter")
    assert page.inner_text("#match-count") == "no match"


def test_wheel_drag_and_keys_move_the_view(visit: Visit, big_run: Path) -> None:
    page = visit.open(big_run)
    page.locator("#lanes").scroll_into_view_if_needed()
    page.click("#lanes", position={"x": 600, "y": 10})
    whole = painted(page)
    page.mouse.wheel(0, -800)
    closer = painted(page, before=whole)
    page.keyboard.press("ArrowRight")
    later = painted(page, before=closer)
    page.drag_and_drop(
        "#lanes",
        "#lanes",
        source_position={"x": 700, "y": 200},
        target_position={"x": 400, "y": 200},
    )
    dragged = painted(page, before=later)
    page.keyboard.press("0")
    painted(page, before=dragged)
    assert visit.is_clean(big_run)


def test_lanes_by_process_show_every_process(visit: Visit, invalid_run: Path) -> None:
    page = visit.open(invalid_run)
    before = page.locator("#lanes").bounding_box()
    page.select_option("#lane-by", "process")
    page.evaluate(TWO_FRAMES)
    after = page.locator("#lanes").bounding_box()
    assert before is not None
    assert after is not None
    assert after["height"] > before["height"]


def test_the_log_viewer_filters(visit: Visit, invalid_run: Path) -> None:
    page = visit.open(invalid_run)
    whole = page.locator("#log-lines li").count()
    page.fill("#log-filter", "lost TCP")
    page.wait_for_function(f"() => document.querySelectorAll('#log-lines li').length < {whole}")
    lines = page.locator("#log-lines li").all_inner_texts()
    assert lines
    assert all("lost TCP" in line for line in lines)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_in_both_themes(
    browser: Browser, invalid_run: Path, scheme: str
) -> None:
    visit = Visit(browser, viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page = visit.open(invalid_run)
    ratios = page.evaluate(
        """() => {
          const light = (text) => {
            const probe = document.createElement("canvas").getContext("2d");
            probe.fillStyle = text;
            probe.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3).map((c) => {
              const s = c / 255;
              return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const style = getComputedStyle(document.documentElement);
          const of = (name) => light(style.getPropertyValue(`--${name}`).trim());
          const ratio = (a, b) => (Math.max(of(a), of(b)) + 0.05) / (Math.min(of(a), of(b)) + 0.05);
          const pairs = [["ink", "card"], ["ink", "page"], ["soft-ink", "card"],
            ["soft-ink", "page"], ["accent", "card"], ["invalid", "invalid-soft"],
            ["valid", "valid-soft"], ["unknown", "unknown-soft"], ["on-ok", "ok"],
            ["fault", "fault-soft"],
            ["ink", "fail-soft"], ["ink", "info-soft"], ["ink", "ok-soft"]];
          return Object.fromEntries(pairs.map(([a, b]) => [`${a} on ${b}`, ratio(a, b)]));
        }"""
    )
    assert {pair: ratio for pair, ratio in ratios.items() if ratio < 4.5} == {}
    visit.context.close()


def test_a_narrow_screen_scrolls_only_downwards(browser: Browser, invalid_run: Path) -> None:
    visit = Visit(browser, viewport={"width": 360, "height": 740})
    page = visit.open(invalid_run)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    assert visit.is_clean(invalid_run)
    visit.context.close()


def test_an_empty_run_opens_without_a_complaint(visit: Visit, tmp_path: Path) -> None:
    from harness.report import render

    render(tmp_path)
    page = visit.open(tmp_path)
    assert page.inner_text("#verdict-word") == "unjudged"
    assert "no client operations" in page.inner_text("#timeline-note")
    page.focus("#lanes")
    for key in ("n", "p", ".", ",", "+", "ArrowDown", "0"):
        page.keyboard.press(key)
    page.evaluate(TWO_FRAMES)
    assert visit.is_clean(tmp_path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_report_has_a_serious_fault_of_accessibility(
    browser: Browser, invalid_run: Path, scheme: str
) -> None:
    visit = Visit(browser, viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page = visit.open(invalid_run)
    page.click("[data-show-anomaly='1']")
    page.evaluate(
        "() => document.querySelectorAll('details').forEach((fold) => { fold.open = true; })"
    )
    assert serious_faults(page) == []
    page.set_viewport_size({"width": 700, "height": 900})
    page.wait_for_function(IS_WIDE, arg=700)
    assert serious_faults(page) == []
    visit.context.close()


def test_a_report_is_read_by_keyboard_alone(visit: Visit, invalid_run: Path) -> None:
    page = visit.open(invalid_run)
    assert without_visible_focus(page, presses=40) == []
    page.focus("#anomaly-1 > .more > summary")
    page.keyboard.press("Enter")
    assert page.is_visible("#anomaly-2 > summary")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.is_visible("#anomaly-2 .proof")
    page.keyboard.press("Enter")
    assert not page.is_visible("#anomaly-2 .proof")
    page.focus("#anomaly-1 > .lanes .scroll")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the first bar of the drawing leads to its operation
    # The browser tells the page of its new address in a task of its own: not yet when `press` ends.
    page.locator("#details", has_text="Outcome").wait_for()


def test_a_drawing_without_room_begins_at_its_last_witness_and_says_that_it_scrolls(
    visit: Visit, invalid_run: Path
) -> None:
    page = visit.open(invalid_run)
    assert page.is_hidden("#anomaly-1 > .lanes .scrolls")
    page.set_viewport_size({"width": 420, "height": 900})
    page.evaluate(TWO_FRAMES)
    page.wait_for_selector("#anomaly-1 > .lanes .scrolls:not([hidden])")
    last, left, right = page.evaluate(
        """() => {
          const box = document.querySelector("#anomaly-1 > .lanes .scroll").getBoundingClientRect();
          const bars = [...document.querySelectorAll("#anomaly-1 > .lanes .is-witness rect")];
          const ends = bars.map((bar) => bar.getBoundingClientRect().right);
          return [Math.max(...ends), box.left, box.right];
        }"""
    )
    assert left < last <= right
    names = page.locator("#anomaly-1 > .lanes .row-name").first.bounding_box()
    assert names is not None
    assert names["x"] >= left - 2, "the names of the rows stay in view"
