"""A full disk under the store: the history ends in a readable prefix, for good.

On a real tmpfs of 1 MB, mounted in a mount namespace of a process of its own (as an ordinary
user, in a user namespace), so that the machine's own mounts are not touched.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.history.reader import read_history

ROOT = Path(__file__).parents[3]
FILL = """
import ctypes, json, os, shutil, sys
from pathlib import Path

sync, mount_point, kept = sys.argv[1] == "sync", Path(sys.argv[2]), Path(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)
NEW_NAMESPACE, NEW_USER, PRIVATE = 0x20000, 0x10000000, 0x44000  # mounts; users; rec | private

def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        sys.exit(f"{name}: {os.strerror(error)}")

user, group = os.geteuid(), os.getegid()
call("unshare", NEW_NAMESPACE if user == 0 else NEW_NAMESPACE | NEW_USER)
if user != 0:
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
call("mount", b"none", b"/", None, PRIVATE, None)
call("mount", b"tmpfs", os.fsencode(mount_point), b"tmpfs", 0, b"size=1m")

from harness.errors import StoreError
from harness.history.journal import Journal
from harness.history.operation import Header, Operation

ballast = mount_point / "ballast"
ballast.write_bytes(bytes(512 * 1024))
path = mount_point / "history.jsonl"
journal = Journal(path, Header(system="full"), sync=sync)
recorded, failures = 0, []
template = Operation(-1, -1, 0, "info", "write", "v" * 101)
try:
    while recorded < 100_000:
        template = Operation(-1, -1, "nemesis", "info", "write", "v" * 101)
        journal.append(template)
        recorded += 1
        if recorded % 100 == 0:
            journal.flush()
except StoreError as error:
    failures.append(error.message)
at_failure = path.stat().st_size
ballast.unlink()  # room again: still nothing may be appended
for attempt in (lambda: journal.append(template), journal.flush):
    try:
        attempt()
    except StoreError as error:
        failures.append(error.message)
journal.close()
print(json.dumps({"recorded": recorded, "failures": failures, "at_failure": at_failure,
                  "at_end": path.stat().st_size}))
shutil.copyfile(path, kept)
"""


@pytest.mark.userns
@pytest.mark.parametrize("mode", ["buffered", "sync"])
def test_a_full_disk_ends_the_history_in_a_readable_prefix(tmp_path: Path, mode: str) -> None:
    mount_point, kept = tmp_path / "full", tmp_path / "kept.jsonl"
    mount_point.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", FILL, mode, str(mount_point), str(kept)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    assert len(told["failures"]) == 3
    assert "cannot be written any more" in told["failures"][0]
    assert told["at_end"] == told["at_failure"] == kept.stat().st_size
    history = read_history(kept)
    assert 1000 < len(history) <= told["recorded"]
    assert [operation.index for operation in history] == list(range(len(history)))
    ends_torn = not kept.read_bytes().endswith(b"\n")
    assert history.partial == ends_torn
    if mode == "sync":
        assert len(history) == told["recorded"]
    assert not any(mount_point.iterdir())  # nothing was mounted outside
