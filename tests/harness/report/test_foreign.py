"""A run folder of a stranger: nothing outside it is shown or written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.report import page, render

pytestmark = pytest.mark.slow


HUGE = 10**400


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take most of the time, and none of these tests looks at one."""
    monkeypatch.setattr(page, "draw_plots", lambda *_: [])


def page_of(run: Path) -> str:
    """The page as it is written."""
    return render(run).read_text("utf-8")


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("phases", {"set-up": [HUGE, 1], "run": [1, HUGE]}),
        ("lag_ms", {"p50": HUGE, "p99": float("nan")}),
        ("exits", 5),
        ("exits", [5, None, {"time": HUGE}]),
        ("suspended_ms", HUGE),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_evidence_of_odd_shape_spoils_no_page(
    make_run: Callable[..., Path], name: str, value: Any
) -> None:
    run = make_run(count=60)
    (run / "evidence" / "run.json").write_text(json.dumps({name: value}))
    assert "<title>unjudged" not in page_of(run)


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize("odd", ["link", "pipe", "folder"])
@pytest.mark.parametrize(
    "name",
    ["verdict.json", "scenario.toml", "faults.jsonl", "evidence/run.json", "history.jsonl"],
)
def test_what_is_no_plain_file_is_named_and_not_read(
    make_run: Callable[..., Path], tmp_path: Path, name: str, odd: str
) -> None:
    run = make_run(count=60)
    name = next(run.glob(f"{name}*")).relative_to(run).as_posix()  # a history is compressed
    secret = tmp_path / "secret"
    shutil.move(run / name, secret)
    if odd == "link":
        (run / name).symlink_to(secret)
    elif odd == "pipe":
        os.mkfifo(run / name)
    else:
        (run / name).mkdir()
    shown = page_of(run)
    kind = {"link": "is a link, which is not followed", "pipe": "is a pipe", "folder": "folder"}
    assert kind[odd] in shown
    assert ("<title>unjudged" in shown) == (name == "verdict.json")


@pytest.mark.usefixtures("no_plots")
def test_logs_that_are_links_or_lie_behind_one_are_not_shown(
    make_run: Callable[..., Path], tmp_path: Path
) -> None:
    run = make_run(count=60)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.log").write_text("not yours")
    (run / "nodes" / "n1" / "linked.log").symlink_to(tmp_path / "outside" / "secret.log")
    (run / "nodes" / "n1" / "behind").symlink_to(tmp_path / "outside")
    (run / "nodes" / "n9").symlink_to(tmp_path / "outside")
    os.mkfifo(run / "nodes" / "n1" / "pipe.log")
    shown = page_of(run)
    assert "not yours" not in shown
    assert "etcd.log" in shown


@pytest.mark.slow
@pytest.mark.parametrize("place", ["plots", "plots/rate.png", "report.html"])
def test_a_page_is_written_over_no_link(
    make_run: Callable[..., Path], tmp_path: Path, place: str
) -> None:
    run = make_run(count=60)
    outside = tmp_path / "outside"
    (outside / "plots").mkdir(parents=True)
    (outside / "file").write_text("not yours")
    if place != "plots":
        (run / "plots").mkdir(exist_ok=True)
    (run / place).symlink_to(outside / ("plots" if place == "plots" else "file"))
    assert ("plots/ are not written" in page_of(run)) == (place == "plots")
    assert (outside / "file").read_text() == "not yours"
    assert list((outside / "plots").iterdir()) == []
