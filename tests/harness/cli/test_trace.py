"""``polygraph trace`` on a run whose system sent spans."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from harness.cli.main import run
from harness.history.traces import span_id_of, trace_id_of
from harness.verdict.spans import Span, SpanEvent

RUN = "20260101T000000-abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three transactions: of key x, of key x later, of key y. The second is known by its time."""
    found = tmp_path / RUN
    (found / "evidence").mkdir(parents=True)
    lines: list[dict[str, object]] = [{"polygraph": 1, "run": RUN, "start_wall_ns": 10**18}]
    for at, key in enumerate(("x", "x", "y")):
        begun = {"index": 2 * at, "time": at * 1000, "process": at, "type": "invoke", "f": "txn"}
        begun["value"] = [["append", key, at]]
        ended = {**begun, "index": 2 * at + 1, "time": at * 1000 + 500, "type": "ok"}
        ended["timestamps"] = {"start": 100 + at}
        lines += [begun, ended]
    (found / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (found / "scenario.toml").write_text('system = "etcd"\n')
    trace = trace_id_of(RUN, 0)
    done = [SpanEvent(250, "done")]
    alpha = ("n2", "alpha", 1100, 1200)
    spans = [
        Span(trace, "aa" * 8, span_id_of(trace), "KV/Txn", "n1", "etcd", 100, 400),
        Span(trace, "bb" * 8, "aa" * 8, "apply", "n1", "etcd", 200, 300, events=done),
        Span("cc" * 16, "cc" * 8, "", "processTask", *alpha, attributes={"startTs": 101}),
        Span("dd" * 16, "dd" * 8, "", "noise", *alpha),
    ]
    data = b"".join(msgspec.json.encode(span) + b"\n" for span in spans)
    (found / "evidence/spans.jsonl").write_bytes(data)
    return found


def test_the_spans_of_an_operation_and_of_others_with_its_keys_are_printed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["trace", str(folder), "1"]) == 0
    said = capsys.readouterr().out
    assert said.index("operation 0: txn") < said.index("KV/Txn") < said.index("apply")
    assert "    0.000000 s  0.000 ms  apply  (etcd n1)" in said  # below its parent
    assert said.index("Others that touched x") < said.index("operation 2: txn")
    assert "startTs=101" in said
    assert "operation 4" not in said
    assert "noise" not in said


def test_json_has_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trace", str(folder), "0", "--json", "--others", "1"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert [span["name"] for span in first["spans"]] == ["KV/Txn", "apply"]
    assert (second["operation"], len(second["spans"])) == (2, 1)


def test_what_cannot_be_found_is_a_usage_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["trace", str(folder), "77"]) == 4
    assert "no operation of a client has a record 77" in capsys.readouterr().err
    assert run(["trace", str(folder)]) == 4
    assert run(["trace", str(folder), "0", "--send", "ftp://x"]) == 4
