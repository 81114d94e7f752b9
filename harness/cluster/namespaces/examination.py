"""What ``polygraph doctor`` says of the modes with namespaces: rehearsed, with nothing left."""

from __future__ import annotations

from harness.cluster.namespaces import reasons
from harness.cluster.namespaces.enter import MODES, Mode, refusal_of
from harness.contract.finding import Finding


def examine_local() -> list[Finding]:
    """Both modes with namespaces, and each thing that they stand on."""
    refusals = {mode: refusal_of(mode) for mode in MODES}
    return [
        *(_local(mode, refusal) for mode, refusal in refusals.items()),
        *_user_namespaces(),
        _nf_tables(list(refusals.values())),
        _pyroute2(),
    ]


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
