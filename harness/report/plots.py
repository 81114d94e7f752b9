"""The three plots of a run: latency of every call, latency quantiles, rates; faults as bands.

The same pictures as Jepsen's ``perf`` (latency-raw, latency-quantiles, rate), drawn by matplotlib
without its global state. Each comes out twice: as PNG for the run's ``plots`` folder, and as SVG
to stand in the page, where the few fixed colours below are exchanged for the page's CSS variables
so that one drawing serves light and dark. Thousands of points are rasterised inside the SVG.
matplotlib is an optional dependency and is imported only here, only when a page is made.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from harness.linux.surroundings import stand_elsewhere
from harness.report.bands import Band
from harness.report.display import visible
from harness.report.intervals import Calls
from harness.store.untrusted import Folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUANTILES: Final = (0.5, 0.95, 0.99, 1.0)
_WINDOWS: Final = 40
_MOST_PANELS: Final = 4
_WIDTH: Final = 10.2

INK, FAINT, SHADE = "#22262b", "#8a9099", "#7b6f9c"
_TYPES: Final = (
    (1, "ok", "#2b6cb0", ".", "-"),
    (3, "info", "#b7791f", "^", "--"),
    (2, "fail", "#b83280", "x", ":"),
)
_QUANTILE_STYLES: Final = (("#2b6cb1", "-"), ("#2f855a", "--"), ("#b7791e", "-."), ("#c53030", ":"))
_VARIABLES: Final = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    SHADE: "var(--fault)",
    "#2b6cb0": "var(--ok)",
    "#b7791f": "var(--info)",
    "#b83280": "var(--fail)",
    "#2b6cb1": "var(--q50)",
    "#2f855a": "var(--q95)",
    "#b7791e": "var(--q99)",
    "#c53030": "var(--q100)",
}


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One plot: a slug (also its file name), what it shows in words, and SVG to inline."""

    slug: str
    title: str
    caption: str
    svg: str


def draw_plots(calls: Calls, bands: Sequence[Band], folder: Folder | None) -> list[Plot]:
    """All plots, also as PNG files in ``folder`` if it is given; none where no call completed.

    Raises ``ImportError`` where matplotlib is not installed.
    """
    done = calls.complete >= 0
    if not done.any():
        return []
    drawn = (
        (
            "latency-raw",
            "Latency of every operation",
            "Each mark is one operation at the time it began; the scale is logarithmic.",
            _scatter,
        ),
        (
            "latency-quantiles",
            "Latency quantiles over time",
            "Of operations that ended ok: half were faster than the lowest line; the top line "
            "is the slowest.",
            _quantiles,
        ),
        (
            "rate",
            "Completions a second",
            "By what came of them, a panel for each kind of operation.",
            _rates,
        ),
    )
    with _quiet_style():
        return [
            Plot(
                slug=slug, title=title, caption=caption, svg=_save(plot(calls, bands), slug, folder)
            )
            for slug, title, caption, plot in drawn
        ]


@contextmanager
def _quiet_style() -> Iterator[None]:
    """Settings for all plots: names are never formulas, text stays text, odd glyphs are no news."""
    # Where the home folder cannot be written matplotlib warns about its cache; nobody need know.
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with stand_elsewhere():  # it takes settings, and what they run, from the working directory
        from matplotlib import rc_context

    settings: dict[Any, Any] = {
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "polygraph",
        "font.family": "sans-serif",
    }
    with rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            yield
        finally:
            logger.setLevel(level)


def _scatter(calls: Calls, bands: Sequence[Band]) -> Figure:
    figure, (axes,) = _figure(1, calls, bands)
    done = calls.complete >= 0
    for code, name, colour, marker, _ in _TYPES:
        mask = done & (calls.type == code)
        x, y = calls.start[mask] / 1e9, np.maximum(calls.latency[mask], 1000) / 1e6
        size = {".": 5.0, "x": 14.0, "^": 16.0}[marker]
        if mask.any():
            axes.scatter(
                x,
                y,
                s=size,
                c=colour,
                marker=marker,
                linewidths=0.8,
                alpha=0.7,
                label=name,
                rasterized=True,
            )
    _finish(axes, "latency (ms)")
    _logarithmic(axes)
    return figure


def _quantiles(calls: Calls, bands: Sequence[Band]) -> Figure:
    names = _panels(calls)
    figure, panels = _figure(len(names), calls, bands)
    for axes, (title, mask) in zip(panels, names, strict=True):
        ok = mask & (calls.type == 1) & (calls.complete >= 0)
        centres, found = window_quantiles(calls.start[ok], calls.latency[ok], _last(calls))
        for at, quantile in enumerate(QUANTILES):
            colour, style = _QUANTILE_STYLES[at]
            axes.plot(
                centres,
                found[:, at] / 1e6,
                color=colour,
                linestyle=style,
                linewidth=1.5,
                marker="o",
                markersize=2.2,
                label=f"{quantile:g}",
            )
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        _finish(axes, "latency (ms)")
        if ok.any():
            _logarithmic(axes)
    return figure


def _rates(calls: Calls, bands: Sequence[Band]) -> Figure:
    names = _panels(calls)
    figure, panels = _figure(len(names), calls, bands)
    last = _last(calls)
    edges = np.linspace(0, max(last, 1), _WINDOWS + 1)
    width_s = float(edges[1] - edges[0]) / 1e9
    for axes, (title, mask) in zip(panels, names, strict=True):
        for code, name, colour, _, style in _TYPES:
            chosen = mask & (calls.type == code) & (calls.complete >= 0)
            if chosen.any():
                counts, _ = np.histogram(calls.end[chosen], bins=edges)
                axes.plot(
                    (edges[:-1] + edges[1:]) / 2e9,
                    counts / width_s,
                    color=colour,
                    linestyle=style,
                    linewidth=1.6,
                    label=name,
                )
        axes.set_ylim(bottom=0)
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        _finish(axes, "operations / s")
    return figure


def window_quantiles(start: Any, latency: Any, last_ns: int) -> tuple[Any, Any]:
    """Centres (s) of all windows and ``QUANTILES`` of the latencies in each.

    A window without a call is not a number, so that its line breaks instead of lying.
    """
    edges = np.linspace(0, max(last_ns, 1), _WINDOWS + 1)
    window = np.clip(np.searchsorted(edges, start, side="right") - 1, 0, _WINDOWS - 1)
    found = np.full((_WINDOWS, len(QUANTILES)), np.nan)
    for at in np.unique(window).tolist():
        found[at] = np.quantile(latency[window == at], QUANTILES)
    return (edges[:-1] + edges[1:]) / 2e9, found


def _last(calls: Calls) -> int:
    return int(calls.end.max()) if len(calls) else 0


def _panels(calls: Calls) -> list[tuple[str, Any]]:
    """A panel for each f, the commonest first; the rest of many f's share the last one."""
    counts = np.bincount(calls.f, minlength=len(calls.f_names))
    order = np.argsort(-counts, kind="stable").tolist()
    alone = order if len(order) <= _MOST_PANELS else order[: _MOST_PANELS - 1]
    panels = [(visible(calls.f_names[code], 40), calls.f == code) for code in alone]
    if len(alone) < len(order):
        panels.append(("all others", ~np.isin(calls.f, alone)))
    return panels


def _figure(count: int, calls: Calls, bands: Sequence[Band]) -> tuple[Figure, list[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = 3.5 if count == 1 else 2.05 * count + 0.7
    figure = Figure(figsize=(_WIDTH, height))
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])
    # Fixed margins (inches): asking every text for its size would double the cost of a plot.
    figure.subplots_adjust(
        left=0.72 / _WIDTH,
        right=1 - 0.85 / _WIDTH,
        bottom=0.5 / height,
        top=1 - 0.38 / height,
        hspace=0.32,
    )
    last_s = max(_last(calls) / 1e9, 0.001)
    for at, axes in enumerate(panels):
        axes.set_xlim(0, last_s)
        for band in bands:
            if band.was_injected:
                _shade(axes, band, last_s, with_label=at == 0)
    panels[-1].set_xlabel("seconds since the start of the run", fontsize=9, color=INK)
    return figure, panels


def _shade(axes: Axes, band: Band, last_s: float, *, with_label: bool) -> None:
    start, end = band.start / 1e9, min(band.end / 1e9, last_s)
    axes.axvspan(start, end, color=SHADE, alpha=0.16, linewidth=0)
    axes.axvline(start, color=SHADE, linewidth=0.8, alpha=0.7)
    if with_label and (band.is_moment or end - start > last_s * 0.03):
        axes.annotate(
            visible(band.fault, 24), (start, 1.0), xycoords=("data", "axes fraction"),
            xytext=(3, 3), textcoords="offset points", fontsize=7.5, color=SHADE,
            annotation_clip=False,
        )  # fmt: skip


def _finish(axes: Axes, label: str) -> None:
    axes.set_ylabel(label, fontsize=9, color=INK)
    axes.tick_params(colors=INK, labelsize=8.5, length=3)
    axes.grid(True, axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(FAINT)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8.5,
            labelcolor=INK,
        )  # fmt: skip


def _logarithmic(axes: Axes) -> None:
    """A logarithmic scale whose few marks are plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    steps = (1.0, 2.0, 5.0) if high < low * 50 else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _save(figure: Figure, slug: str, folder: Folder | None) -> str:
    drawn = io.BytesIO()
    if folder is not None:
        figure.savefig(drawn, format="png", dpi=110, facecolor="white")
        folder.write(f"{slug}.png", drawn.getvalue())
        drawn = io.BytesIO()
    figure.savefig(drawn, format="svg", dpi=150, transparent=True, metadata={"Date": None})
    return page_svg(drawn.getvalue().decode("utf-8"), slug)


def page_svg(svg: str, slug: str) -> str:
    """matplotlib's SVG made fit to stand in the page: no prologue, no address, own ids, themed."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\s(?:xmlns(?::\w+)?|version)="[^"]*"', "", body)
    body = body.replace("xlink:href", "href")
    body = re.sub(r'\bid="([^"]+)"', rf'id="{slug}-\1"', body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{slug}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{slug}-\1)", body)
    body = re.sub(r'<svg ([^>]*?)\b(?:width|height)="[^"]*pt"\s*', r"<svg \1", body)
    body = re.sub(r'<svg ([^>]*?)\b(?:width|height)="[^"]*pt"\s*', r"<svg \1", body)
    body = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", body)
    return re.sub(r"#[0-9a-fA-F]{6}\b", _themed, body)


def _themed(colour: re.Match[str]) -> str:
    return _VARIABLES.get(colour[0].lower(), colour[0])
