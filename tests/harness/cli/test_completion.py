"""Tab in real shells: what can be named is completed, and nobody's plug-in is run for it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.cli.completing import SHELLS, VARIABLE, answer
from harness.cli.completion import SCRIPTS
from harness.cli.main import _polygraph
from tests.harness.cli.conftest import SCRIPT

Fixture = Any

pytestmark = pytest.mark.slow

TRAP = """
import pathlib
pathlib.Path({mark!r}).write_text("was run")
SYSTEMS = {{"trapped": None}}
"""


def completed(line: str, capsys: pytest.CaptureFixture[str], shell: str = "bash") -> list[str]:
    """The values that a shell is told for ``polygraph LINE``."""
    *words, current = ["polygraph", *line.split(" ")]
    asked = {"bash": f"polygraph {line}", "zsh": "\n".join([*words, current])}
    environment = {VARIABLE: shell, "COMP_WORDS": asked.get(shell, "\n".join(words))}
    assert answer(_polygraph(), {**environment, "COMP_CURRENT": current}) == 0
    return [told.partition("\t")[0] for told in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("tes", ["test"]),
        ("test et", ["etcd"]),
        ("test etcd --workload reg", ["register"]),
        ("test etcd --nemesis partition,k", ["partition,kill"]),
        ("test etcd --nemesis ra", ["random"]),
        ("test etcd --serial", ["--serializable-reads"]),
        ("test etcd --nemesis kill --kill", ["--kill-targets"]),
        ("test etcd --workload bank --acc", ["--accounts"]),
        ("test etcd --provider ssh --nodes-f", ["--nodes-file"]),
        ("test etcd --journal s", ["sync"]),
        ("soak --scenario etcd-s", ["etcd-stale", "file"]),
        ("check -m cas", ["cas-register"]),
        ("check -c strict-s", ["strict-serializable"]),
        ("check hist", ["file"]),
        ("explain G-sin", ["G-single", "G-single-item", "G-single-item-process"]),
        ("help va", ["validate"]),
        ("validate etcd-q", ["etcd-quick", "file"]),
        ("completion z", ["zsh"]),
        ("test etcd --nemesis kill --kill-targets one,m", ["one,minority", "one,majority"]),
        ("test etcd --nemesis clock --clock-method m", ["machine"]),
        ("test etcd --nemesis partition --partition-targets h", ["halves"]),
        ("no-such-verb x", []),
    ],
)
def test_what_can_be_named_is_completed(
    shell: str, line: str, told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(told) <= set(found := completed(line, capsys, shell))
    assert found == [] or len(found) < 12


def test_bash_is_told_what_comes_after_its_ends_of_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert completed("test etcd --provider local:ro", capsys) == ["root"]
    assert completed("test etcd --provider local:ro", capsys, "zsh") == ["local:root"]


def test_a_plug_ins_names_are_read_and_it_is_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark, plugin = tmp_path / "mark", tmp_path / "plug_in.py"
    plugin.write_text(TRAP.format(mark=str(mark)), "utf-8")
    assert completed(f"test --plugin {plugin} tra", capsys) == ["trapped"]
    assert completed(f"test --plugin {plugin} trapped --work", capsys) == ["--workload"]
    assert not mark.exists()


def test_the_last_runs_of_the_store_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("20260101T000000-aaaaaa", "20260102T000000-bbbbbb"):
        (tmp_path / "etcd/register" / name).mkdir(parents=True)
    told = completed(f"report --store {tmp_path} 2026", capsys)
    assert told == ["20260102T000000-bbbbbb", "20260101T000000-aaaaaa", "dir"]


def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLYGRAPH")}
    return kept | {
        "PATH": f"{SCRIPT.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TERM": "dumb",
        "PS1": "$ ",
    }


START: Mapping[str, list[str]] = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
BEGIN: Mapping[str, str] = {
    "bash": 'eval "$(polygraph completion bash)"',
    "zsh": 'bindkey -e; autoload -U compinit; compinit -u; eval "$(polygraph completion zsh)"',
}


def typed(shell: str, tmp_path: Path, text: str) -> str:
    """What an interactive shell makes of ``text``, which has tabs: the line that it has then.

    It completes before it takes the next key, so all may be typed ahead.
    """
    main, side = pty.openpty()
    process = subprocess.Popen(
        START[shell],
        stdin=side,
        stdout=side,
        stderr=side,
        cwd=tmp_path,
        env=environment(tmp_path),
        start_new_session=True,
    )
    os.close(side)
    try:
        os.write(main, f"{BEGIN[shell]}; echo REA''DY\n".encode())
        until(main, "READY")
        os.write(main, text.encode() + b"\x01echo @\x05@; echo OV''ER\n")
        heard = until(main, "OVER").replace("\r", "")
    finally:
        process.kill()
        process.wait()
        os.close(main)
    line = next(line for line in heard.splitlines() if line.startswith("@polygraph"))
    return " ".join(line.removeprefix("@").removesuffix("@").split())


def until(main: int, wanted: str) -> str:
    """What comes until ``wanted`` does."""
    heard, limit = "", time.monotonic() + 20
    while wanted not in heard:
        ready, _, _ = select.select([main], [], [], max(0.0, limit - time.monotonic()))
        assert ready, f"the shell said {heard!r} and not {wanted!r}"
        heard += os.read(main, 4096).decode(errors="replace")
    return heard


INTERACTIVE = [
    pytest.param("bash", id="bash"),
    pytest.param("zsh", id="zsh", marks=pytest.mark.shells),
]


@pytest.mark.parametrize("shell", INTERACTIVE)
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("polygraph vali\tetcd-qui\t", "polygraph validate etcd-quick"),
        ("polygraph test --provider local:ro\t", "polygraph test --provider local:root"),
        ("polygraph soak --nemesis pause,ki\t", "polygraph soak --nemesis pause,kill"),
        ("polygraph check a_lon\t", "polygraph check a_long_name.jsonl"),
        ("polygraph report --store a_fol\t", "polygraph report --store a_folder"),
    ],
)
def test_tab_completes_in_an_interactive_shell(
    shell: str, text: str, line: str, tmp_path: Path
) -> None:
    (tmp_path / "a_long_name.jsonl").touch()
    (tmp_path / "a_folder").mkdir()
    assert typed(shell, tmp_path, text).rstrip("/") == line


@pytest.mark.shells
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("polygraph vali", "validate\tWould this scenario run? Nothing is started."),
        ("polygraph test et", "etcd\t"),
        ("polygraph test etcd --provider local:ro", "local:root\t"),
        ("polygraph check a_lon", "a_long_name.jsonl"),
    ],
)
def test_fish_completes(line: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "a_long_name.jsonl").touch()
    asked = f"polygraph completion fish | source; complete -C '{line}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", asked],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert told in done.stdout


@pytest.mark.shells
@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_finds_no_fault_in_its_script(shell: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(SCRIPTS[shell], "utf-8")
    assert subprocess.run([shell, "-n", str(script)], capture_output=True).stderr == b""
