"""What a side-car needs, and whether it can set its node's clock, tried in a container."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from harness.cluster import hands
from harness.cluster.docker.engine import complaints
from harness.cluster.docker.layout import TOOLS_DIR, Layout
from harness.cluster.docker.node import packed
from harness.cluster.hands.machine_clock import REFUSAL
from harness.contract.node import ClockMethod

FOLDER = TOOLS_DIR.rpartition("/")[2]
_PROBE = (
    f"import sys; sys.path.insert(0, '/{FOLDER}');from hands import clock_probe; clock_probe.main()"
)
_TIMEOUT_S = 30


def tools() -> io.BytesIO:
    """An archive of the package ``hands``."""
    package = Path(hands.__file__).parent
    return packed({f"{FOLDER}/hands/{path.name}": path for path in sorted(package.glob("*.py"))})


def refusal(client: Any, layout: Layout, method: ClockMethod) -> str | None:
    """Why the clock of processes in containers cannot be set here, or ``None``. Cost: 1 s."""
    if method == "machine":
        return REFUSAL
    with complaints("a first try of the clock fault"):
        made = client.create_container(
            layout.image,
            ["python3", "-c", _PROBE],
            labels=layout.labels(),
            host_config=client.create_host_config(cap_add=["SYS_PTRACE"], network_mode="none"),
        )
        try:
            client.put_archive(made["Id"], "/", tools())
            client.start(made["Id"])
            code = client.wait(made["Id"], timeout=_TIMEOUT_S)["StatusCode"]
            said = client.logs(made["Id"]).decode(errors="replace").strip()
        finally:
            with contextlib.suppress(Exception):
                client.remove_container(made["Id"], force=True, v=True)
    return f"the probe failed: {said[-300:]}" if code != 0 else said or None
