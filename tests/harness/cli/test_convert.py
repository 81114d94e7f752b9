"""``polygraph convert``: from any notation into any that can say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import run
from harness.cli.options import READABLE, WRITTEN
from harness.history.formats import conversion
from harness.history.formats import known as formats
from tests.harness.history import peers

TEXT = peers.plume(peers.SESSIONS)


def test_the_flag_offers_what_can_be_written() -> None:
    assert set(WRITTEN) == set(conversion.WRITTEN)
    assert set(READABLE) == set(formats.READERS)


@pytest.mark.parametrize("format", ["dbcop", "dbcop-json", "cobra", "edn", "json", "jsonl"])
def test_a_text_goes_there_and_back(
    format: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    source, other = tmp_path / "text", tmp_path / "other"
    source.write_bytes(TEXT)
    assert run(("convert", str(source), "--to", format, "-o", str(other))) == 0
    capfdbinary.readouterr()
    assert run(("convert", str(other), "--to", "plume")) == 0
    told = capfdbinary.readouterr()
    assert told.out == TEXT
    assert run(("check", "-m", "rw-register", "-c", "serializable", str(other))) == 0
    assert capfdbinary.readouterr().out == f"{other}\ttrue\n".encode()


def test_what_cannot_be_said_leaves_no_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, other = tmp_path / "text", tmp_path / "other"
    source.write_bytes(b"w(1,12,0,-1)\nw(1,13,0,0)\n")
    assert run(("convert", str(source), "--to", "awdit", "-o", str(other))) == 4
    assert "awdit cannot say an aborted transaction" in capfd.readouterr().err
    assert not other.exists()
    assert run(("convert", str(source), "--to", "awdit", "-o", str(other), "--lossy")) == 0
    assert "an aborted transaction (1 of them)" in capfd.readouterr().err
    assert other.read_bytes() == b"w 1 13\n-----\n"


def test_a_folder_needs_a_place_where_nothing_is(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "text"
    source.write_bytes(TEXT)
    assert run(("convert", str(source), "--to", "cobra")) == 4
    assert "-o FOLDER" in capfd.readouterr().err
    assert run(("convert", str(source), "--to", "cobra", "-o", str(tmp_path))) == 4
    assert "holds other files" in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text"]
