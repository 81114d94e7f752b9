"""What one command line knows beyond its flags: held by click's context, read at the very end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass
class Session:
    """``traceback``: show where unexpected errors came from; ``run_dir``: the run under way."""

    traceback: bool = False
    run_dir: Path | None = None
