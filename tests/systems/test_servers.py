"""The servers of databases that tests start are here, of versions that can be told.

Where no package of one is installed, its own tests could only fail in words of their own.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.left_out import DATABASE_SERVERS, server_path


@pytest.mark.database
@pytest.mark.parametrize("server", DATABASE_SERVERS)
def test_a_server_is_installed_and_tells_its_version(server: str) -> None:
    program = shutil.which(server, path=server_path())
    assert program is not None, f"{server} is missing: run scripts/setup.sh test as root"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert re.search(r"\d+\.\d+", done.stdout)
