"""Exit codes of whole runs on real clusters, from the real console script."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from harness.history.traces import index_of, span_id_of
from harness.store.untrusted import Folder
from harness.verdict.spans import read_spans
from tests.disturbance import undisturbed

Fixture = Any

pytestmark = [pytest.mark.cluster, pytest.mark.userns]

SHORT = ("--nodes", "3", "--time-limit", "2", "--store", "store")
ETCDS = ("--plugin", str(Path(__file__).parents[2] / "toys/broken_etcds.py"))


def settled(polygraph: Fixture, store: Path, *argv: str) -> Any:
    """What a run ends in that the machine did not hold up."""
    return undisturbed(lambda: polygraph(*argv), store)


def test_an_honest_run_ends_in_0_and_is_judged_again_alike(
    polygraph: Fixture, tmp_path: Path
) -> None:
    done = settled(polygraph, tmp_path / "store", "test", "etcd", *SHORT, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["valid"] is True
    assert (tmp_path / "store/latest/report.html").exists()
    assert polygraph("check", "latest").stdout == "latest\ttrue\n"
    assert polygraph("heal").returncode == 0


def test_real_logs_raise_no_alarm_and_a_planted_line_does(
    polygraph: Fixture, tmp_path: Path
) -> None:
    faults = ("--nemesis", "kill,pause", "--nemesis-interval", "3", "--time-limit", "9")
    faults += ("--traces",)
    done = polygraph("test", "etcd", "--nodes", "3", "--store", "store", *faults, "--json")
    assert done.returncode in (0, 2), done.stderr
    found = json.loads(done.stdout)["checkers"]
    assert found["logs"]["stats"] == {"files": 3, "lines": {}}
    assert found["logs"]["valid"] is True
    assert found["metrics"]["valid"] is not False
    assert found["metrics"]["stats"]["series"] == 3 * 12  # nodes, figures
    run_dir = (tmp_path / "store/latest").resolve()
    spans = list(read_spans(Folder(run_dir)))
    ours = [span for span in spans if index_of(run_dir.name, span.trace) is not None]
    assert any(span.parent == span_id_of(span.trace) for span in ours)
    told = polygraph("trace", "latest", str(index_of(run_dir.name, ours[-1].trace))).stdout
    assert f"  ({ours[-1].service} {ours[-1].node})" in told
    with (tmp_path / "store/latest/nodes/n2/etcd.log").open("a") as log:
        log.write("panic: assertion failed: planted\n")
    again = polygraph("check", "latest", "-v")
    assert again.stdout == "latest\tfalse\n"
    assert "logs: assertion-failure" in again.stderr
    assert "of n2 says in line" in again.stderr


def test_plain_processes_take_cuts_and_wrong_clocks_with_proof(
    polygraph: Fixture, tmp_path: Path
) -> None:
    faults = ("--nemesis", "partition,clock", "--nemesis-interval", "6", "--time-limit", "15")
    sized = ("--nodes", "3", "--provider", "local:plain", "--store", "store", "--seed", "1")
    done = settled(polygraph, tmp_path / "store", "test", "etcd", *faults, *sized, "--json")
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    proved = {"injected": 1, "bit": 1, "healed": 1}
    assert verdict["faults"] == {"partition": proved, "clock": proved}


def test_a_run_whose_reads_are_wrong_ends_in_1_with_the_proof(
    polygraph: Fixture, tmp_path: Path
) -> None:
    done = settled(polygraph, tmp_path / "store", "test", "forgetful-etcd", *ETCDS, *SHORT)
    assert done.returncode == 1, done.stderr
    assert "INVALID  The claim strict-serializable is broken" in done.stdout
    assert "repeat  polygraph test forgetful-etcd" in done.stdout


def test_a_run_in_which_too_little_happened_ends_in_2(polygraph: Fixture) -> None:
    done = polygraph("test", "etcd", *SHORT, "--rate", "1", "--seed", "1")
    assert done.returncode == 2, done.stderr
    assert "UNKNOWN" in done.stdout


def test_a_system_that_raises_ends_in_3_and_says_where_the_run_is(polygraph: Fixture) -> None:
    done = polygraph("test", "broken-etcd", *ETCDS, *SHORT)
    assert done.returncode == 3
    assert "the adapter divides by zero" in done.stderr
    assert "run     " in done.stdout


def test_an_impossible_combination_is_refused_before_anything_is_made(
    polygraph: Fixture, tmp_path: Path
) -> None:
    done = polygraph("test", "etcd", "--nemesis", "kill,pause", "--time-limit", "5")
    assert done.returncode == 4
    assert "try: --time-limit 22, or --nemesis-interval 1.5" in done.stderr
    assert not (tmp_path / "store").exists()


LONG = ("test", "etcd", "--nodes", "3", "--time-limit", "60")


def test_ctrl_c_before_the_first_operation_ends_in_130_and_leaves_nothing(
    started: Fixture, polygraph: Fixture
) -> None:
    process = started(*LONG, stderr=subprocess.PIPE)
    assert process.stderr.readline().startswith("run: ")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=250)
    assert process.returncode == 130
    assert "interrupted" in told
    assert polygraph("heal").returncode == 0


def test_ctrl_c_under_way_ends_in_130_and_keeps_the_history(
    started: Fixture, polygraph: Fixture, tmp_path: Path
) -> None:
    process = started(*LONG, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    run_dir = tmp_path / Path(process.stderr.readline().removeprefix("run: ").strip())
    wait_for_operations(run_dir / "history.jsonl", process)
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=250)
    assert process.returncode == 130
    assert f"run     {run_dir}" in told
    assert polygraph("check", "latest").stdout == "latest\tunknown\n"
    assert polygraph("heal").returncode == 0


def wait_for_operations(history: Path, process: subprocess.Popen[str]) -> None:
    """Return once a history has some lines, or its run has ended."""
    while process.poll() is None:
        if history.exists() and history.read_bytes().count(b"\n") > 20:
            return
        threading.Event().wait(0.02)
