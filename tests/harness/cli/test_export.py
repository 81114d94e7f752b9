"""``polygraph export``: another tool's notation, to a file or to standard output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.cli.options import FORMATS, READABLE
from harness.history.formats import known as formats

pytestmark = pytest.mark.slow


Fixture = Any


def test_every_notation_can_be_asked_for() -> None:
    assert set(FORMATS) == set(formats.FORMATS)
    assert set(READABLE) == set(formats.READERS)


def test_edn_goes_to_standard_output(polygraph: Fixture, history: str) -> None:
    done = polygraph("export", history, "--format", "edn")
    assert done.returncode == 0
    assert done.stdout.count(":type :invoke") == 1
    assert done.stdout.count(":type :ok") == 1


def test_an_export_is_read_back_with_the_same_answer(
    polygraph: Fixture, history: str, toys: Fixture, tmp_path: Path
) -> None:
    done = polygraph("export", history, "--format", "json", "-o", "out.json")
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "out.json").read_text("utf-8").startswith("[")
    assert polygraph("check", *toys, "-m", "fine", "out.json").stdout == "out.json\ttrue\n"


def test_what_json_cannot_say_is_refused_and_not_half_written(
    polygraph: Fixture, tmp_path: Path
) -> None:
    source, target = tmp_path / "history.edn", tmp_path / "out.json"
    source.write_text(
        "{:index 0, :time 0, :process 0, :type :invoke, :f :write, :value :a}\n"
        "{:index 1, :time 1, :process 0, :type :ok, :f :write, :value :a}\n"
    )
    done = polygraph("export", str(source), "-f", "json", "-o", "out.json")
    assert done.returncode == 4
    assert "operation 0 (write) has the value :a" in done.stderr
    assert not target.exists()
    done = polygraph("export", str(source), "-f", "jsonl", "-o", "out.json")
    assert done.returncode == 0
    assert '{"#edn":":a"}' in target.read_text()


def test_a_file_that_cannot_be_written_ends_in_3(polygraph: Fixture, history: str) -> None:
    done = polygraph("export", history, "--format", "edn", "-o", "no/such/folder/out.edn")
    assert done.returncode == 3
    assert "cannot write no/such/folder/out.edn" in done.stderr
