#!/usr/bin/env python3
"""Runs the commands of the workflows in docs/ci where nothing of this machine is at hand.

    python scripts/ci_commands.py docs/ci/github-nightly.yml docs/ci/gitlab-nightly.yml

For each file: a fresh clone of this repository's HEAD; a wheel of it for pip to find (the name
``polygraph-db`` in the workflow then means this commit); a container from a bare Debian with
nothing added but Python, venv and sudo; in it the very commands of the file, in order, with
``--duration`` made short. At the end what the workflow uploads must be there, and is listed.
What differs from a runner of GitHub or GitLab: Debian's Python in place of theirs, the network of
this machine (for the package index), steps of theirs (``uses:``) left out, and a line that this
kernel does not know (``sysctl`` of AppArmor) is told and passed over.

Exit codes: 0 all ran and the artifacts are there, 1 not so, 3 no Docker engine or image.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
IMAGE = "debian:bookworm-slim"
RIGHTS = (
    "--cap-add",
    "SYS_ADMIN",
    "--cap-add",
    "NET_ADMIN",
    "--security-opt",
    "seccomp=unconfined",
)
"""What docs/ci/gitlab-nightly.yml asks of a runner: root that may make namespaces."""
NEEDED = "python3 python3-venv sudo procps ca-certificates"


def steps(workflow: dict[str, Any]) -> list[str]:
    """The shell commands of a GitHub or GitLab workflow, a text for each step, in order."""
    found: list[str] = []
    for job in (workflow.get("jobs") or workflow).values():
        if isinstance(job, dict):
            found += [step["run"] for step in job.get("steps", ()) if "run" in step]
            found += list(job.get("script", ()))
    return found


def uploads(workflow: dict[str, Any]) -> list[str]:
    """The paths that a workflow keeps at its end."""
    found: list[str] = []
    for job in (workflow.get("jobs") or workflow).values():
        if not isinstance(job, dict):
            continue
        for step in job.get("steps", ()):
            if "upload-artifact" in str(step.get("uses", "")):
                found += step["with"]["path"].split()
        kept = job.get("artifacts") or {}
        found += list(kept.get("paths", ()))
        found += [path for path in (kept.get("reports") or {}).values() if isinstance(path, str)]
    return sorted(set(found))


def shortened(command: str, duration: str) -> str:
    """``command`` with its ``--duration`` replaced."""
    words = command.split(" ")
    for at, word in enumerate(words[:-1]):
        if word == "--duration":
            words[at + 1] = duration
    return " ".join(words)


def script(workflow: dict[str, Any], duration: str) -> str:
    """One shell script of all steps; the soak's own verdict does not end it."""
    lines = ["set -eu", "cd /clone"]
    for command in (shortened(step, duration) for step in steps(workflow)):
        lines.append(f"echo; echo {shlex.quote('$ ' + command.strip())}")
        if "sysctl" in command:
            key = command.split("-w ")[1].split("=")[0].strip()
            lines.append(f"if sysctl -n {key} >/dev/null 2>&1; then {command.strip()}")
            lines.append("else echo 'passed over: this kernel has no such setting'; fi")
        else:
            lines.append(f"code=0; bash -e <<'STEP' || code=$?\n{command.rstrip()}\nSTEP")
            lines.append('case $code in 0) ;; 1|2) echo "ended in $code";; *) exit $code;; esac')
    return "\n".join(lines) + "\n"


def run(file: Path, duration: str, image: str) -> int:
    """One workflow from clone to artifacts."""
    workflow = yaml.safe_load(file.read_text("utf-8"))
    folder = Path(tempfile.mkdtemp(prefix="polygraph-ci-"))
    try:
        clone = ["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder / "clone")]
        subprocess.run(clone, check=True)
        wheel = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
        wheel += [str(folder / "dist"), str(folder / "clone")]
        subprocess.run(wheel, check=True, stdout=subprocess.DEVNULL)
        (folder / "commands.sh").write_text(script(workflow, duration), "utf-8")
        code = contained(folder, image)
        missing = [path for path in uploads(workflow) if not (folder / "clone" / path).exists()]
        show(folder / "clone", uploads(workflow))
        print(f"{file}: ended in {code}; not there: {', '.join(missing) or 'nothing'}", flush=True)
        return 0 if code == 0 and not missing else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def contained(folder: Path, image: str) -> int:
    """Run the script in a container of ``image``, its exit code."""
    certificates = "/etc/ssl/certs/ca-certificates.crt"
    setup = (
        f"apt-get update -qq && apt-get install -y -qq --no-install-recommends {NEEDED} >/dev/null"
        " && exec sh /commands.sh"
    )
    argv = ["docker", "run", "--rm", "--network", "host", *RIGHTS]
    for source, target in (
        (folder / "clone", "/clone"),
        (folder / "dist", "/dist"),
        (folder / "commands.sh", "/commands.sh"),
        (Path(certificates), "/host-certificates.crt:ro"),
    ):
        argv += ["--volume", f"{source}:{target}"]
    argv += ["--env", "PIP_FIND_LINKS=/dist", "--env", "PIP_CONSTRAINT=/clone/constraints.txt"]
    argv += ["--env", "PIP_CERT=/host-certificates.crt", "--env", "DEBIAN_FRONTEND=noninteractive"]
    return subprocess.run([*argv, image, "sh", "-c", setup], check=False).returncode


def show(clone: Path, paths: list[str]) -> None:
    """What would be uploaded, in a few lines."""
    for path in paths:
        place = clone / path
        files = [each for each in place.rglob("*") if each.is_file()] if place.is_dir() else [place]
        size = sum(each.stat().st_size for each in files if each.is_file())
        print(f"upload  {path}: {len(files)} files, {size / 1e6:.1f} MB")


def main() -> int:
    """Run every workflow that is named."""
    parser = argparse.ArgumentParser(description="The workflows' commands in clean containers.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--duration", default="60s", help="in place of each --duration")
    parser.add_argument("--image", default=IMAGE)
    arguments = parser.parse_args()
    there = subprocess.run(
        ["docker", "image", "inspect", arguments.image], capture_output=True, check=False
    )
    if there.returncode != 0:
        print(f"no Docker engine, or no image {arguments.image} (images/base.sh makes it)")
        return 3
    return max(run(file, arguments.duration, arguments.image) for file in arguments.files)


if __name__ == "__main__":
    sys.exit(main())
