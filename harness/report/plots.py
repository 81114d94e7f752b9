"""The plots of a run: latency of every call, latency quantiles, rates, gauges; faults as bands.

The same pictures as Jepsen's ``perf`` (latency-raw, latency-quantiles, rate). Each comes out twice:
as SVG that stands in the page and takes its colours, and as PNG for the run's ``plots`` folder.
Both are drawn by hand (``drawing.py``), since a run makes them each time: with a library for plots
that took as long as all else that a short run computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from harness.report.axes import BETWEEN, BOTTOM, TOP, WIDTH, Floats, Panel, Scale
from harness.report.bands import Band
from harness.report.display import visible
from harness.report.drawing import Drawing, Kind
from harness.report.intervals import Calls
from harness.report.svg import svg_of
from harness.store.untrusted import Folder
from harness.verdict.metrics import Metrics, Series

QUANTILES: Final = (0.5, 0.95, 0.99, 1.0)
_WINDOWS: Final = 40
_MOST_PANELS: Final = 4
_MOST_GAUGES: Final = 6
_MOST_NODES_NAMED: Final = 6
_ALONE, _SHARED = 189.0, 112.0
"""How high a panel is, the only one and one of several."""

_DASHED, _DOTTED, _MIXED = (3.7, 1.6), (1.0, 1.65), (6.4, 1.6, 1.0, 1.6)
_TYPES: Final[Sequence[tuple[int, str, Kind, tuple[float, ...]]]] = (
    (1, "ok", "dot", ()),
    (3, "info", "triangle", _DASHED),
    (2, "fail", "cross", _DOTTED),
)
"""Code, name (of the colour too), mark and dash."""
_QUANTILE_STYLES: Final = (("q50", ()), ("q95", _DASHED), ("q99", _MIXED), ("q100", _DOTTED))


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One plot: a slug (also its file name), what it shows in words, and SVG to inline."""

    slug: str
    title: str
    caption: str
    drawing: Drawing

    @property
    def svg(self) -> str:
        """The drawing, to stand in the page."""
        return svg_of(self.drawing, self.slug)


def draw_plots(calls: Calls, bands: Sequence[Band]) -> list[Plot]:
    """All plots; none where no call completed."""
    if not (calls.complete >= 0).any():
        return []
    return [
        Plot(
            slug="latency-raw",
            title="Latency of every operation",
            caption="Each mark is one operation at the time it began; the scale is logarithmic.",
            drawing=_scatter(calls, bands),
        ),
        Plot(
            slug="latency-quantiles",
            title="Latency quantiles over time",
            caption="Of operations that ended ok: half were faster than the lowest line; the top "
            "line is the slowest.",
            drawing=_quantiles(calls, bands),
        ),
        Plot(
            slug="rate",
            title="Completions a second",
            caption="By what came of them, a panel for each kind of operation.",
            drawing=_rates(calls, bands),
        ),
    ]


def draw_gauges(
    metrics: Metrics, gauges: Sequence[Mapping[str, Any]], calls: Calls, bands: Sequence[Band]
) -> list[Plot]:
    """A plot of the gauges that tell most: those that promise something, then those that move.

    A panel each, a line a node (the highest of its series); none where nothing was sampled.
    """
    series: dict[str, list[Series]] = {}
    for each in metrics.series:
        series.setdefault(each.name, []).append(each)
    chosen = [gauge for gauge in gauges if gauge["name"] in series]
    chosen.sort(key=lambda gauge: (not _promises(gauge), not _moves(series[gauge["name"]])))
    chosen = chosen[:_MOST_GAUGES]
    if not chosen:
        return []
    last_s = max(float(each.time[-1]) for group in series.values() for each in group) / 1e9
    drawing = _paper(len(chosen))
    for at, gauge in enumerate(chosen):
        _gauge(drawing, at, len(chosen), gauge, series[gauge["name"]], bands, last_s, calls)
    caption = (
        "Figures that the nodes told; the darker part is the quiet after the load."
        " Everything that was sampled is in evidence/metrics.jsonl."
    )
    return [Plot(slug="gauges", title="Gauges", caption=caption, drawing=drawing)]


def _promises(gauge: Mapping[str, Any]) -> bool:
    named = (gauge.get("returns_to"), gauge.get("at_most"))
    return any(each is not None for each in named) or bool(gauge.get("same_everywhere"))


def _moves(series: Sequence[Series]) -> bool:
    return any(len(each) and each.value.max() > each.value.min() for each in series)


def _gauge(
    drawing: Drawing,
    at: int,
    of: int,
    gauge: Mapping[str, Any],
    series: Sequence[Series],
    bands: Sequence[Band],
    last_s: float,
    calls: Calls,
) -> None:
    by_node: dict[str, list[Series]] = {}
    for each in series:
        by_node.setdefault(each.node, []).append(each)
    most = np.array([float(each.value.max(initial=0.0)) for each in series])
    panel = _panel(
        drawing, at, of, Scale.of(most, is_logarithmic=False), calls, bands, last_s=last_s
    )
    load_s = _last(calls) / 1e9
    if load_s < last_s:
        panel.shade(load_s, last_s, "", colour="faint")
    unit = visible(str(gauge.get("unit") or ""), 20)
    title = visible(str(gauge["name"]), 60)
    panel.frame(unit or "value", title=title, with_seconds=at == of - 1)
    for number, (node, group) in enumerate(by_node.items()):
        colour, dash = _QUANTILE_STYLES[number % len(_QUANTILE_STYLES)]
        highest = max(group, key=lambda each: float(each.value.max(initial=0.0)))
        name = visible(node, 12) if number < _MOST_NODES_NAMED else ""
        panel.curve(highest.time / 1e9, np.maximum(highest.value, 0), colour, name, dash)


def write_pictures(plots: Sequence[Plot], folder: Folder) -> None:
    """Each plot as a PNG file. Raises ``ImportError`` where Pillow is not installed."""
    from harness.report.png import png_file

    for plot in plots:
        folder.write(f"{plot.slug}.png", png_file(plot.drawing))


def _scatter(calls: Calls, bands: Sequence[Band]) -> Drawing:
    done = calls.complete >= 0
    latency_ms = np.maximum(calls.latency, 1000) / 1e6
    drawing = _paper(1)
    scale = Scale.of(latency_ms[done], is_logarithmic=True)
    panel = _panel(drawing, 0, 1, scale, calls, bands)
    panel.frame("latency (ms)", with_seconds=True)
    for code, name, kind, _ in _TYPES:
        mask = done & (calls.type == code)
        if mask.any():
            panel.scatter(calls.start[mask] / 1e9, latency_ms[mask], name, name, kind)
    return drawing


def _quantiles(calls: Calls, bands: Sequence[Band]) -> Drawing:
    names = _panels(calls)
    drawing = _paper(len(names))
    for at, (title, mask) in enumerate(names):
        ok = mask & (calls.type == 1) & (calls.complete >= 0)
        latency_ns = np.maximum(calls.latency[ok], 1000)
        centres_s, found = window_quantiles(calls.start[ok], latency_ns, _last(calls))
        scale = Scale.of(latency_ns / 1e6, is_logarithmic=bool(ok.any()))
        panel = _panel(drawing, at, len(names), scale, calls, bands)
        panel.frame("latency (ms)", title=title, with_seconds=at == len(names) - 1)
        for quantile, (colour, dash), values in zip(
            QUANTILES, _QUANTILE_STYLES, found.T / 1e6, strict=True
        ):
            panel.curve(centres_s, values, colour, f"{quantile:g}", dash, dots=1.3)
    return drawing


def _rates(calls: Calls, bands: Sequence[Band]) -> Drawing:
    names = _panels(calls)
    drawing = _paper(len(names))
    edges = np.linspace(0, max(_last(calls), 1), _WINDOWS + 1)
    width_s = float(edges[1] - edges[0]) / 1e9
    for at, (title, mask) in enumerate(names):
        rates: dict[int, Floats] = {}
        for code, *_ in _TYPES:
            chosen = mask & (calls.type == code) & (calls.complete >= 0)
            if chosen.any():
                rates[code] = np.histogram(calls.end[chosen], bins=edges)[0] / width_s
        highest = np.concatenate([*rates.values(), np.zeros(1)])
        scale = Scale.of(highest, is_logarithmic=False)
        panel = _panel(drawing, at, len(names), scale, calls, bands)
        panel.frame("operations / s", title=title, with_seconds=at == len(names) - 1)
        for code, name, _, dash in _TYPES:
            if code in rates:
                panel.curve((edges[:-1] + edges[1:]) / 2e9, rates[code], name, name, dash)
    return drawing


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


def _paper(panels: int) -> Drawing:
    high = _ALONE if panels == 1 else panels * _SHARED + (panels - 1) * BETWEEN
    return Drawing(width=WIDTH, height=TOP + high + BOTTOM)


def _panel(
    drawing: Drawing,
    at: int,
    of: int,
    scale: Scale,
    calls: Calls,
    bands: Sequence[Band],
    last_s: float = 0.0,
) -> Panel:
    """The panel ``at`` of so many, with the faults that were in force; the first names them."""
    panel = Panel(
        drawing=drawing,
        top=TOP + at * (_SHARED + BETWEEN),
        height=_ALONE if of == 1 else _SHARED,
        last_s=max(_last(calls) / 1e9, last_s, 0.001),
        scale=scale,
    )
    for band in bands:
        if band.was_injected:
            start_s, end_s = band.start / 1e9, band.end / 1e9
            is_broad = band.is_moment or min(end_s, panel.last_s) - start_s > panel.last_s * 0.03
            name = visible(band.fault, 24) if at == 0 and is_broad else ""
            panel.shade(start_s, end_s, name)
    return panel
