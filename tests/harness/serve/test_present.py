"""What a run under way said of itself, cut to the shape that the live page draws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.serve.present import MOST_BUCKETS, present_of
from harness.store.untrusted import Folder

PACE = {
    "width_s": 0.5, "ok": [1, 2], "fail": [0, 0], "info": [0, 1],
    "p50_ms": [1.5, None], "p99_ms": [2, None],
}  # fmt: skip


def present(tmp_path: Path, **said: Any) -> dict[str, Any]:
    (tmp_path / "evidence").mkdir(exist_ok=True)
    (tmp_path / "evidence" / "progress.json").write_text(json.dumps(said))
    return present_of(Folder(tmp_path))


def test_the_buckets_are_taken_as_they_are(tmp_path: Path) -> None:
    assert present(tmp_path, pace=PACE)["pace"] == PACE


def test_buckets_of_other_shapes_are_cut_to_what_all_have(tmp_path: Path) -> None:
    odd = {**PACE, "ok": [1, "x", 3], "fail": [-5, 0, 0], "p50_ms": [0, True, 1]}
    taken = present(tmp_path, pace=odd)["pace"]
    assert (taken["ok"], taken["fail"], taken["p50_ms"]) == ([1, 0], [0, 0], [None, None])
    assert "pace" not in present(tmp_path, pace={**PACE, "info": 5})
    assert "pace" not in present(tmp_path, pace={**PACE, "width_s": -1})


def test_there_are_never_too_many_buckets(tmp_path: Path) -> None:
    many = {name: [1] * 5000 for name in PACE if name != "width_s"}
    assert len(present(tmp_path, pace={"width_s": 1, **many})["pace"]["p99_ms"]) == MOST_BUCKETS


def test_faults_and_the_first_anomaly_are_shown_with_what_cannot_be_seen(tmp_path: Path) -> None:
    band = {"fault": "kill\x00", "targets": ["n1", 5], "start_s": 1, "end_s": "x", "bit": True}
    seen = {"kind": "stale-read", "time_s": 2.5, "message": "a\x1b", "index": 3}
    found = present(tmp_path, bands=[band, {"fault": "pause"}], anomaly=seen, watched=["bank"])
    assert found["bands"] == [
        {"fault": "kill\u2400", "targets": ["n1"], "start_s": 1, "end_s": None}
    ]
    assert found["anomaly"] == {"kind": "stale-read", "time_s": 2.5, "message": "a\u241b"}
    assert found["watched"] == ["bank"]
