"""What axe-core finds wrong with a page for people who cannot see it well or have no pointer.

Deque's axe-core, as data out of the package ``axe-playwright-python``, runs in the page itself.
Faults that it calls serious or critical are defects; what is less is left to eyes.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

_RUN = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"], iframes: false });
  return found.violations
    .filter((fault) => ["serious", "critical"].includes(fault.impact))
    .map((fault) => `${fault.id}: ${fault.nodes.length} x ${fault.nodes[0].html.slice(0, 200)}: `
      + (fault.nodes[0].failureSummary ?? fault.help));
}"""

_FOCUSED = """() => {
  const at = document.activeElement, style = getComputedStyle(at);
  const all = [...document.querySelectorAll("*")];
  const name = `${all.indexOf(at)} ${at.outerHTML.slice(0, 120)}`;
  const isOutlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  return [name, at !== document.body && isOutlined];
}"""


@cache
def _axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def serious_faults(page: Page) -> list[str]:
    """One line for each rule that the page breaks seriously, with the first place."""
    page.evaluate(_axe())
    found: list[str] = page.evaluate(_RUN)
    return found


def without_visible_focus(page: Page, presses: int) -> list[str]:
    """What the first ``presses`` of the Tab key come to without showing where they are.

    They must come to many different things, or the keyboard is caught somewhere. (A field for a
    date takes four: its three parts and its calendar, whose focus is the browser's to show.)
    """
    seen: dict[str, bool] = {}
    for _ in range(presses):
        page.keyboard.press("Tab")
        name, is_visible = page.evaluate(_FOCUSED)
        seen[name] = is_visible or seen.get(name, False)
    assert len(seen) > presses / 2, seen
    return [name for name, is_visible in seen.items() if not is_visible]
