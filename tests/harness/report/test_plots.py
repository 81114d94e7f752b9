"""Plots: right figures, names that are no formulas, SVG fit for the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.history.history import History
from harness.history.operation import Operation
from harness.report.bands import Band
from harness.report.intervals import pair_calls
from harness.report.plots import draw_plots, page_svg, window_quantiles
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


def test_no_completed_operation_gives_no_plot(tmp_path: Path) -> None:
    calls = pair_calls(History([Operation(0, 0, 0, "invoke", "read", None)]))
    assert draw_plots(calls, [], Folder(tmp_path).below("plots")) == []
    assert not (tmp_path / "plots").exists()


def test_names_that_look_like_formulas_or_markup_are_drawn_as_they_are(tmp_path: Path) -> None:
    name = r"$\frac{$ <script> \U0001f600"
    operations = [
        Operation(0, 0, 0, "invoke", name, None),
        Operation(1, 1_000_000_000, 0, "ok", name, None),
    ]
    bands = [Band(fault=name, start=0, end=900_000_000)]
    plots = draw_plots(pair_calls(History(operations)), bands, Folder(tmp_path))
    assert [plot.slug for plot in plots] == ["latency-raw", "latency-quantiles", "rate"]
    assert all("<script" not in plot.svg for plot in plots)
    assert any(r"$\frac{$ &lt;script&gt;" in plot.svg for plot in plots)


def test_svg_for_the_page_has_no_address_and_ids_of_its_own() -> None:
    svg = (
        '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x" "y"><svg xmlns="namespace" width="10pt" '
        'height="5pt" viewBox="0 0 10 5" version="1.1"><metadata>m</metadata>'
        '<path id="a" style="fill: #22262b"/><use xlink:href="#a" clip-path="url(#b)"/></svg>'
    )
    assert page_svg(svg, "rate") == (
        '<svg viewBox="0 0 10 5"><path id="rate-a" style="fill: var(--ink)"/>'
        '<use href="#rate-a" clip-path="url(#rate-b)"/></svg>'
    )
