"""What ``polygraph doctor`` says of docker: asked, not inferred; nothing is started or built."""

from __future__ import annotations

from typing import Any

from harness.cluster.docker import engine, images
from harness.contract.finding import Finding
from harness.errors import PolygraphError

_TIMEOUT_S = 5


def examine() -> list[Finding]:
    """Whether an engine answers, and whether the images are there."""
    try:
        client = engine.connect(timeout_s=_TIMEOUT_S)
    except PolygraphError as error:
        return [Finding("docker", False, error.message, error.hint or "")]
    try:
        version = client.version()
        kernel = f"{version.get('Os', '')}/{version.get('Arch', '')}".strip("/")
        detail = f"the engine {version.get('Version', '?')} ({kernel}) answers at {engine.find()}"
        return [Finding("docker", True, detail), _node_image(client)]
    except Exception as error:
        return [Finding("docker", False, f"the engine refuses: {error}", engine.START_HINT)]
    finally:
        client.close()


def _node_image(client: Any) -> Finding:
    image = images.node_image()
    if images.is_there(client, image):
        return Finding("docker image", True, f"{image} is there")
    base = images.is_there(client, images.BASE_IMAGE)
    what = "will be built by the first run" + ("" if base else f", and {images.BASE_IMAGE} got")
    return Finding("docker image", True, f"{image} {what}")
