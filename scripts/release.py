"""Builds a release: the wheel and the source archive in ``dist/``, and the changelog's date.

    python scripts/release.py [--lend]

The version is the one of ``harness/__init__.py``, the only place that has it. What stands in
``CHANGELOG.md`` under *Unreleased* becomes that version's section, with today's date. The archives
are proved before they count: the source archive builds the same wheel, and the wheel, installed
into an empty environment outside of the checkout, names its version, lists what it has and judges
a small history. Whatever fails leaves everything as it was.

Nothing is committed, tagged or uploaded. With ``--lend`` the empty environment borrows the
packages of this interpreter, and no package index is asked.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UNRELEASED = "## Unreleased\n"
HISTORY = """\
{"index": 0, "time": 10, "process": 0, "type": "invoke", "f": "write", "value": 1}
{"index": 1, "time": 20, "process": 0, "type": "ok", "f": "write", "value": 1}
{"index": 2, "time": 30, "process": 1, "type": "invoke", "f": "read", "value": null}
{"index": 3, "time": 40, "process": 1, "type": "ok", "f": "read", "value": %d}
"""
"""A register; right if what was written is read."""


class Refused(Exception):
    """This tree cannot be released, and why."""


def version() -> str:
    """The version that would be released."""
    found = re.search(r'^__version__ = "([^"]+)"$', _text("harness/__init__.py"), re.MULTILINE)
    if not found:
        raise Refused("harness/__init__.py names no __version__")
    return found[1]


def dated(changelog: str, version: str, date: str) -> str:
    """The changelog, with all that was unreleased under the version and date."""
    if changelog.count(UNRELEASED) != 1:
        raise Refused("CHANGELOG.md needs exactly one section '## Unreleased'")
    if re.search(rf"^## {re.escape(version)}\b", changelog, re.MULTILINE):
        raise Refused(f"CHANGELOG.md has a section of {version} already: set the next version")
    section = changelog.partition(UNRELEASED)[2].partition("\n## ")[0]
    if not section.strip():
        raise Refused("CHANGELOG.md tells nothing that is unreleased")
    return changelog.replace(UNRELEASED, f"{UNRELEASED}\n## {version} - {date}\n")


def refuse_changes() -> None:
    """Only what is committed is released."""
    changed = _run(["git", "status", "--porcelain"], ROOT)
    if changed.strip():
        raise Refused(f"there are changes that are not committed:\n{changed.rstrip()}")


def built(tree: Path, kind: str, out: Path) -> Path:
    """The archive of a kind (``wheel`` or ``sdist``) that a tree gives."""
    build = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", str(out)]
    _run([*build, str(tree)], out)
    [made] = out.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


def prove_source(source: Path, wheel: Path, folder: Path) -> None:
    """The source archive builds the same wheel, file by file."""
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    [tree] = folder.iterdir()
    out = folder / "wheel"
    out.mkdir()
    again = built(tree, "wheel", out)
    if _contents(again) != _contents(wheel):
        differ = sorted({name for name, _ in _contents(again) ^ _contents(wheel)})
        raise Refused(f"the source archive builds another wheel; otherwise are {differ}")


def prove_wheel(wheel: Path, version: str, folder: Path, lend: bool) -> None:
    """The wheel works in an empty environment, where nothing of the checkout is in reach."""
    place = folder / "environment"
    venv.create(place, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin/python"), "install", "-q"]
    if lend:
        _run([*pip, "--no-deps", "--no-index", str(wheel)], folder)
        [site] = place.glob("lib/python*/site-packages")
        (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    else:
        _run([*pip, "-c", str(ROOT / "constraints.txt"), str(wheel)], folder)
    work = folder / "work"
    work.mkdir()
    polygraph = str(place / "bin/polygraph")
    where = "import harness; print(harness.__file__)"
    _expect(str(place), _run([str(place / "bin/python"), "-P", "-c", where], work))
    _expect(f"polygraph {version}\n", _run([polygraph, "--version"], work))
    if "etcd" not in json.loads(_run([polygraph, "list", "--json"], work))["systems"]:
        raise Refused("the installed wheel lists no etcd")
    for value, code, answer in ((1, 0, "true"), (2, 1, "false")):
        (work / "register.jsonl").write_text(HISTORY % value, "utf-8")
        check = [polygraph, "check", "-m", "register", "register.jsonl"]
        _expect(f"register.jsonl\t{answer}\n", _run(check, work, code))


def release(lend: bool) -> str:
    """Do it all; returns what to say at the end."""
    refuse_changes()
    number, changelog = version(), _text("CHANGELOG.md")
    new = dated(changelog, number, datetime.now(UTC).date().isoformat())
    with tempfile.TemporaryDirectory(prefix="polygraph-release-") as name:
        folder = Path(name)
        places = {kind: folder / kind for kind in ("wheel", "sdist", "unpacked", "installed")}
        for place in places.values():
            place.mkdir()
        (ROOT / "CHANGELOG.md").write_text(new, "utf-8")
        try:
            wheel = built(ROOT, "wheel", places["wheel"])
            source = built(ROOT, "sdist", places["sdist"])
            prove_source(source, wheel, places["unpacked"])
            prove_wheel(wheel, number, places["installed"], lend)
        except BaseException:
            (ROOT / "CHANGELOG.md").write_text(changelog, "utf-8")
            raise
        (ROOT / "dist").mkdir(exist_ok=True)
        made = [shutil.copy(archive, ROOT / "dist") for archive in (wheel, source)]
    names = "\n".join(f"  dist/{Path(each).name}" for each in made)
    return (
        f"{names}\nCHANGELOG.md now has the date. Next: git commit -am 'Release {number}', "
        f"git tag v{number}, upload what is in dist, and set the next version."
    )


def _run(argv: list[str], folder: Path, code: int = 0) -> str:
    """What a command says, run without anything of the caller's Python or flags."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "POLYGRAPH"))}
    done = subprocess.run(argv, cwd=folder, env=clean, capture_output=True, text=True, check=False)
    if done.returncode != code:
        words = f"{' '.join(argv)} ended with {done.returncode}"
        raise Refused(f"{words}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _expect(start: str, said: str) -> None:
    if not said.startswith(start):
        raise Refused(f"the installed wheel says {said!r}, not {start!r}")


def _contents(wheel: Path) -> set[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        return {(name, archive.read(name)) for name in archive.namelist()}


def _text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def main() -> int:
    """0 if released, 1 if refused."""
    parser = argparse.ArgumentParser(description="Build and prove a release.")
    parser.add_argument("--lend", action="store_true", help="ask no package index")
    try:
        print(release(parser.parse_args().lend))
    except Refused as refusal:
        print(f"release: {refusal}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
