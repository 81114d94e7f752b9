"""How long a report takes to make and to open, and how large it is, at 100,000 operations.

    python benchmarks/report.py [--operations 100000]

Makes a synthetic run folder (the generator of the report's own tests), renders it, and opens the
page in headless Chromium from the disk with the network off: ``open_s`` is the time until the
timeline is painted, ``repaint_ms`` that of one zoom by key. The last line is JSON.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from harness.report import render

GENERATOR = Path(__file__).parents[1] / "tests" / "harness" / "report" / "conftest.py"
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="time the making and opening of a report")
    parser.add_argument("--operations", type=int, default=100_000)
    operations: int = parser.parse_args().operations
    with tempfile.TemporaryDirectory() as folder:
        run = synthetic_run(Path(folder) / "run", operations)
        begin = time.perf_counter()
        page = render(run)
        figures: dict[str, Any] = {
            "operations": operations,
            "render_s": round(time.perf_counter() - begin, 2),
            "page_bytes": page.stat().st_size,
            **opened(page),
        }
    print(json.dumps(figures))


def synthetic_run(folder: Path, operations: int) -> Path:
    """An invalid run of that many operations over five minutes."""
    spec = importlib.util.spec_from_file_location("report_runs", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    made: Path = generator.write_run(folder, count=operations, length_s=300.0)
    return made


def opened(page: Path) -> dict[str, Any]:
    """Seconds until the page is painted and milliseconds of one repaint; empty without Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((path for name in names if (path := shutil.which(name))), None)
    if program is None:
        return {}
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_offline(True)
        tab = context.new_page()
        begin = time.perf_counter()
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-ready=yes]")
        tab.evaluate(TWO_FRAMES)
        open_s = time.perf_counter() - begin
        tab.focus("#lanes")
        begin = time.perf_counter()
        tab.keyboard.press("+")
        tab.evaluate(TWO_FRAMES)
        repaint_ms = (time.perf_counter() - begin) * 1000
        browser.close()
    return {"open_s": round(open_s, 2), "repaint_ms": round(repaint_ms, 1)}


if __name__ == "__main__":
    main()
