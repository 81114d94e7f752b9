"""Plots: right figures, names that are no formulas, SVG fit for the page."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.history.history import History
from harness.history.operation import Operation
from harness.report.axes import Scale, logarithmic_marks, round_marks
from harness.report.bands import Band
from harness.report.drawing import Drawing, Marks, Words
from harness.report.drawing import Path as Curve
from harness.report.intervals import pair_calls
from harness.report.plots import draw_plots, window_quantiles, write_pictures
from harness.report.svg import svg_of
from harness.store.untrusted import Folder


def test_quantiles_are_those_of_each_window() -> None:
    start = np.array([0, 1, 2, 3, 39 * 25])
    latency = np.array([1, 2, 3, 4, 100])
    centres, found = window_quantiles(start, latency, 1000)
    assert len(centres) == len(found)
    assert found[0, 0] == 2.5
    assert found[0, 3] == 4
    assert found[-1].tolist() == [100, 100, 100, 100]


def test_a_window_without_an_operation_breaks_the_line() -> None:
    _, found = window_quantiles(np.array([0, 999]), np.array([1, 1]), 1000)
    assert np.isnan(found[1:-1]).all()


def test_no_completed_operation_gives_no_plot() -> None:
    calls = pair_calls(History([Operation(0, 0, 0, "invoke", "read", None)]))
    assert draw_plots(calls, []) == []


def test_names_that_look_like_formulas_or_markup_are_drawn_as_they_are(tmp_path: Path) -> None:
    name = r"$\frac{$ <script> \U0001f600"
    operations = [
        Operation(0, 0, 0, "invoke", name, None),
        Operation(1, 1_000_000_000, 0, "ok", name, None),
    ]
    bands = [Band(fault=name, start=0, end=900_000_000)]
    plots = draw_plots(pair_calls(History(operations)), bands)
    assert [plot.slug for plot in plots] == ["latency-raw", "latency-quantiles", "rate"]
    assert all("<script" not in plot.svg for plot in plots)
    assert any(r"$\frac{$ &lt;script&gt;" in plot.svg for plot in plots)
    write_pictures(plots, Folder(tmp_path))
    for plot in plots:
        assert Image.open(tmp_path / f"{plot.slug}.png").size == (
            round(plot.drawing.width * 110 / 72),
            round(plot.drawing.height * 110 / 72),
        )


@pytest.mark.parametrize("latency_ns", [0, 1, 10**9, 10**18])
@pytest.mark.parametrize("duration_ns", [0, 1, 10**13])
def test_the_oddest_run_is_drawn(latency_ns: int, duration_ns: int) -> None:
    operations = [
        Operation(0, duration_ns, 0, "invoke", "read", None),
        Operation(1, duration_ns + latency_ns, 0, "ok", "read", None),
        Operation(2, duration_ns + latency_ns, 1, "invoke", "write", 1),
    ]
    bands = [Band(fault="late", start=duration_ns * 2 + 10**10, end=duration_ns)]
    for plot in draw_plots(pair_calls(History(operations)), bands):
        numbers = re.findall(r'\b(?:[xy]|c[xy]|width|height)="([^"]*)"', plot.svg)
        assert all(-40 < float(number) < 1000 for number in numbers)


def test_svg_for_the_page_has_no_address_and_ids_and_colours_of_the_page() -> None:
    words = Words(x=1, y=2, text="<a>", size=9, colour="ink", upright=True)
    line = Curve(places=[(0, 0), (5, 5)], colour="q99", width=1, dash=(2, 1), dots=1)
    marks = Marks(x=np.array([3.0]), y=np.array([4.0]), kind="dot", colour="ok", alpha=0.7)
    svg = svg_of(Drawing(width=10, height=5, shapes=[words, line], marks=[marks]), "rate")
    assert svg.startswith('<svg viewBox="0 0 10 5">')
    assert "://" not in svg
    assert re.findall(r'\bid="([^"]*)"', svg) == ["rate-shapes", "rate-marks"]
    assert set(re.findall(r'(?:fill|stroke)="([^"]*)"', svg)) == {
        "var(--ink)", "var(--q99)", "none",
    }  # fmt: skip
    assert "&lt;a&gt;</text>" in svg
    assert ElementTree.fromstring(svg).tag == "svg"


def test_round_marks_stand_where_they_say() -> None:
    assert round_marks(0, 10, 5) == [0, 2, 4, 6, 8, 10]
    assert round_marks(0, 0.31, 5) == [0, 0.1, 0.2, 0.3]
    assert logarithmic_marks(0.9, 30) == [1, 2, 5, 10, 20]
    assert logarithmic_marks(0.5, 30_000) == [1, 10, 100, 1000, 10_000]


@given(st.lists(st.floats(1e-3, 1e12), min_size=1), st.booleans())
def test_every_value_is_on_its_scale_between_its_marks(found: list[float], is_log: bool) -> None:
    values = np.array(found)
    scale = Scale.of(values, is_logarithmic=is_log)
    assert scale.part(values).min() >= 0
    assert scale.part(values).max() <= 1
    assert 1 <= len(scale.marks()) <= 20
    assert all(scale.low <= mark <= scale.high for mark in scale.marks())
