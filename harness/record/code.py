"""Which code it was: results of another state of it are other results."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Final

from harness import __version__

_ROOT: Final = Path(__file__).parents[2]


def state_of(root: Path = _ROOT) -> str:
    """The commit of a checkout, with a digest of what was changed since; else our version."""
    commit = _git(root, "rev-parse", "--short=10", "HEAD")
    if commit is None or _git(root, "rev-parse", "--show-toplevel") != str(root):
        return f"v{__version__}"
    changed = _git(root, "status", "--porcelain", "--", "*.py", "*.toml")
    if not changed:
        return commit
    difference = f"{changed}\n{_git(root, 'diff', 'HEAD', '--', '*.py', '*.toml')}"
    return f"{commit}+{hashlib.sha256(difference.encode()).hexdigest()[:6]}"


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
