"""Trying something out in a container of ours before any cluster is made."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from harness.cluster import hands
from harness.cluster.docker.engine import complaints
from harness.cluster.docker.layout import TOOLS_DIR, Layout
from harness.cluster.docker.node import packed

FOLDER = TOOLS_DIR.rpartition("/")[2]
_TIMEOUT_S = 30


def tools() -> io.BytesIO:
    """An archive of the package ``hands``."""
    package = Path(hands.__file__).parent
    return packed({f"{FOLDER}/hands/{path.name}": path for path in sorted(package.glob("*.py"))})


def tried(client: Any, layout: Layout, program: str, capability: str) -> str | None:
    """What the program, which may import ``hands``, says against it; ``None`` if nothing.

    In a container with that capability and without a network. Cost: 1 s.
    """
    words = f"import sys; sys.path.insert(0, '/{FOLDER}'); {program}"
    with complaints("a first try of a fault"):
        made = client.create_container(
            layout.image,
            ["python3", "-c", words],
            labels=layout.labels(),
            host_config=client.create_host_config(cap_add=[capability], network_mode="none"),
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
