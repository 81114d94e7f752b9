"""The doctor: each thing that it looks at, found good and found wanting."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from harness.cluster import doctor
from harness.cluster.docker.examination import examine as of_docker
from harness.cluster.doctor import any_provider_works, examine
from harness.cluster.namespaces import examination
from harness.cluster.namespaces.examination import examine_local
from harness.contract.finding import Finding


@pytest.mark.userns
def test_a_machine_that_can_says_so() -> None:
    findings = {finding.name: finding for finding in examine()}
    assert findings["local:userns"].ok
    assert findings["local:root"].ok == (os.geteuid() == 0)
    assert findings["nf_tables"].ok
    assert findings["pyroute2"].ok
    assert findings["python"].ok
    assert any_provider_works(list(findings.values()))


def test_a_machine_that_cannot_says_why_and_what_would_change_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(examination, "refusal_of", lambda mode: "firewall table: Not supported")
    findings = {finding.name: finding for finding in examine_local()}
    assert not any_provider_works(list(findings.values()))
    for name in ("local:root", "local:userns", "nf_tables"):
        assert findings[name].detail == "firewall table: Not supported"
        assert findings[name].would_change
    assert "to change that" in str(findings["nf_tables"])


def test_without_pyroute2_no_mode_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "refusal_of", lambda mode: None)
    monkeypatch.setattr("harness.cluster.namespaces.reasons.has_pyroute2", lambda: False)
    findings = examine_local()
    assert not any_provider_works(findings)
    assert "pip install" in next(f for f in findings if f.name == "local:root").would_change


def test_closed_locks_are_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "refusal_of", lambda mode: None)
    monkeypatch.setattr(
        "harness.cluster.namespaces.reasons.closed_locks", lambda: [("a.b = 0", "sysctl -w a.b=1")]
    )
    monkeypatch.setattr("harness.cluster.namespaces.reasons.seccomp_filtered", lambda: True)
    names = [finding.name for finding in examine() if not finding.ok]
    assert "user namespaces" in names
    assert "seccomp" in names


def test_without_an_engine_docker_is_refused_with_what_would_start_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    finding = {finding.name: finding for finding in of_docker()}["docker"]
    assert not finding.ok
    assert "none.sock" in finding.detail
    assert "start Docker" in finding.would_change


def test_without_the_sdk_docker_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    finding = {finding.name: finding for finding in of_docker()}["docker"]
    assert "pip install" in finding.would_change


@pytest.mark.docker
def test_an_engine_that_answers_is_named_with_its_image() -> None:
    findings = {finding.name: finding for finding in of_docker()}
    assert findings["docker"].ok
    assert "answers at" in findings["docker"].detail
    assert "polygraph-node:" in findings["docker image"].detail


def test_too_little_disk_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(examination, "refusal_of", lambda mode: None)
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 1 << 62)
    finding = {finding.name: finding for finding in examine(tmp_path)}["disk space"]
    assert finding == Finding("disk space", False, finding.detail, finding.would_change)
    assert "--store" in finding.would_change
