"""Installing a package: what is run, and that no service is started by it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import NeedsError
from systems.drivers import debian

SCRIPT = """#!/bin/sh
echo "$@ policy=$(cat "$POLICY" 2>/dev/null | tail -1)" >> "$SAID"
[ "$1" != install ] || exit "${CODE:-0}"
"""


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt-get that notes what it was asked for, on a machine where we are root."""
    program = tmp_path / "apt-get"
    program.write_text(SCRIPT)
    program.chmod(0o755)
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SAID", str(tmp_path / "said"))
    monkeypatch.setenv("POLICY", str(policy))
    monkeypatch.setattr(debian, "_POLICY", policy)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path / "said"


def test_a_package_is_installed_with_a_word_and_starts_no_service(
    said: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debian.install("PostgreSQL", "postgresql", "by hand")
    assert said.read_text().splitlines() == [
        "update -qq policy=exit 101",
        "install -y -qq --no-install-recommends postgresql policy=exit 101",
    ]
    assert not (said.parent / "policy-rc.d").exists()
    assert "installing Debian's package postgresql" in capsys.readouterr().err


def test_a_policy_of_the_machine_stays(said: Path) -> None:
    (said.parent / "policy-rc.d").write_text("mine")
    debian.install("PostgreSQL", "postgresql", "by hand")
    assert (said.parent / "policy-rc.d").read_text() == "mine"


def test_what_cannot_be_installed_says_what_to_do(
    said: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE", "100")
    with pytest.raises(NeedsError, match="could not install") as refused:
        debian.install("PostgreSQL", "postgresql", "by hand")
    assert refused.value.hint == "by hand"
    assert not (said.parent / "policy-rc.d").exists()


def test_nobody_but_root_installs(said: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NeedsError, match="there is no PostgreSQL"):
        debian.install("PostgreSQL", "postgresql", "by hand")
    assert not said.exists()
