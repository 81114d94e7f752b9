"""What the pages for contributors hold: files to copy, and commands with what they print.

A fenced block ```` ```python ticker.py ```` is the file ``ticker.py``. A block ```` ```console ````
holds commands, each after ``$``, with its exit code at the end of the line (``# exit 1``; 0 if none
is said) and after it lines that must be among what it prints. A line ``...`` stands for any others.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = Path(sys.executable).with_name("polygraph")
FENCED = re.compile(r"^```(?P<said>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"\s+# exit (\d+)$")


@dataclass(frozen=True)
class Command:
    """A command of a page: its arguments, how it must end, and what it must print."""

    argv: tuple[str, ...]
    exit_code: int
    printed: tuple[str, ...]


def text_of(page: str) -> str:
    """The text of a page, named from the root."""
    return (ROOT / page).read_text("utf-8")


def files(page: str) -> dict[str, str]:
    """The files that a page shows, by name."""
    found = {}
    for block in FENCED.finditer(text_of(page)):
        _, _, name = block["said"].partition(" ")
        if name:
            found[name] = block["text"]
    return found


def commands(page: str) -> list[Command]:
    """The commands that a page tells to run, in order."""
    found: list[Command] = []
    for block in FENCED.finditer(text_of(page)):
        if block["said"] == "console":
            found += _commands_in(block["text"].replace("\\\n", ""))
    return found


def _commands_in(text: str) -> list[Command]:
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
    found = []
    for part in parts:
        line, *printed = part.splitlines()
        said = EXIT.search(line)
        found.append(
            Command(
                tuple(shlex.split(EXIT.sub("", line))),
                int(said[1]) if said else 0,
                tuple(each for each in printed if each.strip() not in ("", "...")),
            )
        )
    return found


def lay_out(page: str, folder: Path) -> None:
    """Write a page's files into ``folder``, with the tests of the checkout beside them."""
    for name, text in files(page).items():
        (folder / name).write_text(text, "utf-8")
    (folder / "tests").symlink_to(ROOT / "tests")


def run(command: Command, folder: Path) -> str:
    """What the command prints, on both outputs, in ``folder``; it must end and say as told."""
    assert command.argv[0] == SCRIPT.name, "only polygraph can be tried"
    done = subprocess.run(
        [SCRIPT, *command.argv[1:]],
        cwd=folder,
        env={name: text for name, text in os.environ.items() if not name.startswith("POLYGRAPH_")},
        capture_output=True,
        text=True,
        timeout=250,
    )
    said = done.stdout + done.stderr
    assert done.returncode == command.exit_code, f"{shlex.join(command.argv)}\n{said}"
    missing = [line for line in command.printed if line.strip() not in said]
    assert missing == [], f"{shlex.join(command.argv)}\n{said}"
    return said
