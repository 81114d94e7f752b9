"""What others wrote is said, and drives neither the terminal nor the script that reads it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.failure import exit_code_of
from harness.cli.main import run
from harness.cli.session import Session
from harness.cli.speech import on_one_line, printable, say
from harness.errors import SetupError

ROOT = Path(__file__).parents[3]
HOSTILE = "\x1b]0;owned\x07\x9b31m\x7f\ud800\u202e\r"
SPELLED = r"\x1b]0;owned\x07\x9b31m\x7f\ud800\u202e\x0d"
SPEAKERS = {
    "speech.py": "it is the one way",
    "progress.py": "draws on a stream that it was given, after spelling out",
    "demo.py": "tells what it does in words of its own",
    "guard.py": "says numbers, where nothing of ours may be imported any more",
}
"""Files of the command line that may print, and why."""


def history(path: Path, **header: object) -> Path:
    lines = [{"polygraph": 1, "model": "register", **header}]
    for index, (kind, f, value) in enumerate(
        [("invoke", "write", 1), ("ok", "write", 1), ("invoke", "read", None), ("ok", "read", 1)]
    ):
        lines.append({"index": index, "time": index, "process": 0, "type": kind, "f": f}
                     | {"value": value})  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_what_cannot_be_seen_is_spelled_out() -> None:
    assert printable(f"a{HOSTILE}b\n\tc") == f"a{SPELLED}b\n\tc"
    assert on_one_line("a\tb\nc") == r"a\x09b\x0ac"
    assert printable("plain text, Grüße, 漢字") == "plain text, Grüße, 漢字"


@pytest.mark.parametrize("path", sorted((ROOT / "harness/cli").glob("*.py")), ids=lambda p: p.name)
def test_verbs_speak_by_say_alone(path: Path) -> None:
    if path.name in SPEAKERS:
        return
    spoken = [
        f"line {node.lineno}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "click.echo", "click.secho", "traceback.print_exc")
    ]
    assert spoken == []


@pytest.mark.parametrize(
    "error", [SetupError(f"n1 said {HOSTILE}", f"try {HOSTILE}"), ValueError(HOSTILE)]
)
def test_messages_of_errors_are_spelled_out(
    error: Exception, capfd: pytest.CaptureFixture[str]
) -> None:
    exit_code_of(error, Session(run_dir=Path("/runs") / HOSTILE, traceback=True))
    said = capfd.readouterr().err
    assert SPELLED in said
    assert all(letter.isprintable() or letter in "\n\t" for letter in said)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a\tvalid\nb", r"a\x09valid\x0ab"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        (os.fsdecode(b"a\xffb"), r"a\udcffb"),
    ],
)
def test_a_name_of_a_file_is_one_field_of_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, told: str
) -> None:
    path = history(tmp_path / name)
    assert run(("check", str(path))) == 0
    assert capfd.readouterr().out == f"{tmp_path}/{told}\ttrue\n"
    assert run(("check", "--json", str(path))) == 0
    assert json.loads(capfd.readouterr().out)["file"] == str(path)
    assert run(("check", str(path), str(path))) == 0
    assert capfd.readouterr().out.count("\n") == 2


def test_a_missing_file_is_named_without_driving_anything(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(("check", str(tmp_path / HOSTILE))) == 4
    assert SPELLED in capfd.readouterr().err


@pytest.mark.slow
def test_what_a_stream_cannot_write_is_spelled_out(tmp_path: Path) -> None:
    path = history(tmp_path / "größe.jsonl", claims=["stärker"])
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli.main", "check", str(path)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        cwd=ROOT,
        timeout=60,
    )
    assert done.returncode == 4
    assert b"gr\\xf6\\xdfe.jsonl" in done.stderr
    assert b"unexpected" not in done.stderr


def test_words_of_ours_may_be_coloured(capfd: pytest.CaptureFixture[str]) -> None:
    say(f" {HOSTILE}", head="\x1b[1mINVALID\x1b[0m")
    assert capfd.readouterr().out == f"\x1b[1mINVALID\x1b[0m {SPELLED}\n"
