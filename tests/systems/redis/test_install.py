"""Where the server program comes from: the machine, or Debian's package of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import NeedsError
from systems.redis import install
from systems.redis.install import REDIS, VALKEY, find_binary


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Packages that were installed, on a machine that has no server; each brings a program."""
    monkeypatch.setattr(install, "_WHERE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    packages: list[str] = []

    def installed(product: str, package: str, hint: str) -> None:
        packages.append(package)
        program = tmp_path / product
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)

    monkeypatch.setattr(install, "install", installed)
    return packages


def test_redis_is_installed_where_it_is_missing_and_only_then(asked: list[str]) -> None:
    found = find_binary(REDIS)
    assert Path(found).name == "redis-server"
    assert find_binary(REDIS) == found
    assert asked == ["redis-server"]


def test_valkey_has_no_package_and_says_what_to_do(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_in_wheel", lambda product: None)
    with pytest.raises(NeedsError) as refused:
        find_binary(VALKEY)
    assert refused.value.hint == VALKEY.hint
    assert asked == []
