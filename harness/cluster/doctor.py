"""What this machine can do, what not, why, and what would change that.

Nothing is inferred that can be tried: each mode of the local provider is rehearsed (see
:mod:`harness.cluster.namespaces.rehearsal`), the others are asked whether they answer
(``Provider.examine``). Cost: about 0.2 s.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.cluster import providers
from harness.cluster.namespaces import reasons
from harness.cluster.namespaces.enter import MODES, Mode, refusal_of

LEAST_FREE_BYTES = 1 << 30

_LEAST_PYTHON = (3, 11)


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``would_change`` says what would make it work; empty where it does."""

    name: str
    ok: bool
    detail: str
    would_change: str = ""

    def __str__(self) -> str:
        line = f"{'yes' if self.ok else 'no ':3} {self.name}: {self.detail}"
        return f"{line}\n      to change that: {self.would_change}" if self.would_change else line


def examine(folder: Path = Path()) -> list[Finding]:
    """Look at everything; ``folder`` is where runs would be kept."""
    of_providers = [provider.examine(folder) for provider in providers.every()]
    return [*(finding for some in of_providers for finding in some), _python(), _disk(folder)]


def examine_local() -> list[Finding]:
    """Both modes with namespaces, and each thing that they stand on."""
    refusals = {mode: refusal_of(mode) for mode in MODES}
    return [
        *(_local(mode, refusal) for mode, refusal in refusals.items()),
        *_user_namespaces(),
        _nf_tables(list(refusals.values())),
        _pyroute2(),
    ]


def any_provider_works(findings: Sequence[Finding]) -> bool:
    """Whether a run is possible at all on this machine."""
    return any(finding.ok for finding in findings if finding.name in providers.NAMES)


def _local(mode: Mode, refusal: str | None) -> Finding:
    name = f"local:{mode}"
    if not reasons.has_pyroute2():
        return Finding(name, False, "pyroute2 is missing", reasons.PYROUTE2_HINT)
    if refusal is not None:
        return Finding(name, False, refusal, reasons.hint_for(mode, refusal))
    return Finding(name, True, "a bridge, a veth pair, a firewall table and a node were made")


def _user_namespaces() -> list[Finding]:
    """The locks that are closed; they matter to ordinary users, root may not feel them."""
    findings = [
        Finding("user namespaces", False, setting, f"as root: {command}")
        for setting, command in reasons.closed_locks()
    ]
    if reasons.seccomp_filtered():
        detail = "a seccomp filter stands over this process (usual in containers)"
        hint = "start the container with --security-opt seccomp=unconfined"
        findings.append(Finding("seccomp", False, detail, hint))
    return findings


def _nf_tables(refusals: list[str | None]) -> Finding:
    if None in refusals:
        return Finding("nf_tables", True, "a table was made")
    refused = [refusal for refusal in refusals if refusal and refusal.startswith("firewall")]
    if refused:
        hint = "a kernel with CONFIG_NF_TABLES and CONFIG_NF_TABLES_IPV4"
        return Finding("nf_tables", False, refused[0], hint)
    return Finding("nf_tables", False, "could not be tried without namespaces", "see local:userns")


def _pyroute2() -> Finding:
    if reasons.has_pyroute2():
        return Finding("pyroute2", True, "installed")
    return Finding("pyroute2", False, "not installed", reasons.PYROUTE2_HINT)


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
