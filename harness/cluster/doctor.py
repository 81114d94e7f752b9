"""What this machine can do, what not, why, and what would change that.

Nothing is inferred that can be tried: each mode of the local provider is rehearsed (see
:mod:`harness.cluster.namespaces.rehearsal`), the others are asked whether they answer
(``Provider.examine``). Cost: about 0.2 s.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.cluster import providers
from harness.contract.finding import Finding

LEAST_FREE_BYTES = 1 << 30

_LEAST_PYTHON = (3, 11)


def examine(folder: Path = Path()) -> list[Finding]:
    """Look at everything; ``folder`` is where runs would be kept."""
    of_providers = [provider.examine(folder) for provider in providers.every()]
    return [*(finding for some in of_providers for finding in some), _python(), _disk(folder)]


def any_provider_works(findings: Sequence[Finding]) -> bool:
    """Whether a run is possible at all on this machine."""
    return any(finding.ok for finding in findings if finding.name in providers.NAMES)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= _LEAST_PYTHON:
        return Finding("python", True, version)
    return Finding("python", False, version, "install Python 3.11 or newer")


def _disk(folder: Path) -> Finding:
    free_bytes = shutil.disk_usage(folder).free
    detail = f"{free_bytes / 1e9:.1f} GB free at {folder.resolve()}"
    if free_bytes >= LEAST_FREE_BYTES:
        return Finding("disk space", True, detail)
    return Finding("disk space", False, detail, "free space, or --store on another disk")
