"""Gets the images that a docker cluster needs, building what is missing and saying so.

The node image is built from the assets that lie beside this package (in the wheel) or in the
checkout, and is tagged with their digest, so that a new version builds a new one. Its base,
``debian:bookworm-slim``, is pulled; where no registry is reachable, a script makes it from
Debian's packages. Cost: nothing where the image is there, else about a minute, once.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.cluster.docker.engine import complaints
from harness.cluster.docker.layout import NODE_IMAGE
from harness.errors import NeedsError, SetupError

BASE_IMAGE = "debian:bookworm-slim"
DOCKERFILE = "node.Dockerfile"

Tell = Callable[[str], None]


def assets() -> Path:
    """The folder with ``docker-compose.yml`` and ``images/``: in the wheel, or the checkout."""
    packaged = Path(__file__).parents[1] / "assets"
    return packaged if (packaged / "images").is_dir() else Path(__file__).parents[3]


def node_image() -> str:
    """The node image's name and tag, which depends on what it is built from."""
    digest = hashlib.sha256()
    for path in sorted((assets() / "images").iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"{NODE_IMAGE}:{digest.hexdigest()[:12]}"


def is_there(client: Any, image: str) -> bool:
    """Whether the engine has the image."""
    from docker.errors import ImageNotFound

    with complaints(f"the image {image}"):
        try:
            client.inspect_image(image)
        except ImageNotFound:
            return False
    return True


def ensure_node_image(client: Any, tell: Tell) -> str:
    """The node image's name once the engine has it; ``NeedsError`` where it cannot be had."""
    image = node_image()
    if not is_there(client, image):
        _ensure_base(client, tell)
        tell(f"building the node image {image} (once, about a minute)")
        _build(client, image, tell)
    return image


def ensure_database_image(client: Any, image: str, tell: Tell) -> None:
    """See that the engine has the database's image, pulling it if need be."""
    if not is_there(client, image):
        tell(f"pulling {image}")
        refusal = _pull(client, image, tell)
        if refusal:
            raise NeedsError(
                f"the image {image} is missing and cannot be pulled: {refusal}",
                f"docker pull {image} where a registry is reachable, or docker load",
            )


def _ensure_base(client: Any, tell: Tell) -> None:
    if is_there(client, BASE_IMAGE):
        return
    tell(f"pulling {BASE_IMAGE}")
    refusal = _pull(client, BASE_IMAGE, tell)
    if refusal:
        tell(f"no registry ({refusal}); making {BASE_IMAGE} from Debian's packages")
        _make_base(client, refusal)


def _pull(client: Any, image: str, tell: Tell) -> str:
    """Pull; why it was refused, empty if it was not."""
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(image)
    try:
        for line in client.pull(repository, tag=tag or "latest", stream=True, decode=True):
            if "error" in line:
                return _first_line(line["error"])
    except Exception as error:
        return _first_line(str(getattr(error, "explanation", None) or error))
    return ""


def _make_base(client: Any, refusal: str) -> None:
    """Run ``images/base.sh`` and import what it writes."""
    script = assets() / "images" / "base.sh"
    process = subprocess.Popen(
        ["sh", str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ}
    )
    archive, complaint = process.communicate()
    if process.returncode != 0:
        raise NeedsError(
            f"{BASE_IMAGE} is missing, cannot be pulled ({refusal}) and cannot be made here: "
            f"{_last_line(complaint.decode(errors='replace'))}",
            "apt-get install mmdebstrap, a reachable mirror of Debian, or docker load of an image",
        )
    repository, _, tag = BASE_IMAGE.partition(":")
    with complaints(f"import of {BASE_IMAGE}"):
        client.import_image_from_data(
            io.BytesIO(archive), repository=repository, tag=tag, changes=['CMD ["bash"]']
        )


def _build(client: Any, image: str, tell: Tell) -> None:
    with complaints(f"build of {image}"):
        stream = client.build(
            fileobj=_context(),
            custom_context=True,
            dockerfile=DOCKERFILE,
            tag=image,
            rm=True,
            forcerm=True,
            decode=True,
        )
        said: list[str] = []
        for line in _texts(stream):
            said.append(line)
            if line.startswith("Step "):
                tell(line)
            if line.startswith("error: "):
                raise _build_failed(image, said)


def _build_failed(image: str, said: list[str]) -> SetupError:
    text = "\n".join(said[-12:])
    if "no space left" in text.lower():
        return SetupError(
            f"build of {image}: the engine's disk is full",
            "docker system df shows what fills it; docker system prune removes what is unused",
        )
    return NeedsError(
        f"the image {image} cannot be built: {said[-1].removeprefix('error: ')}; before that: "
        f"{' | '.join(said[-4:-1])}",
        "a mirror of Debian that the engine's builds can reach",
    )


def _texts(stream: Iterator[dict[str, Any]]) -> Iterator[str]:
    """The lines that a build says."""
    for piece in stream:
        if "error" in piece:
            yield f"error: {_first_line(piece['error'])}"
        for line in str(piece.get("stream", "")).splitlines():
            if line.strip():
                yield line.strip()


def _context() -> io.BytesIO:
    """The folder ``images/`` as a build context."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in sorted((assets() / "images").iterdir()):
            tar.add(path, arcname=path.name)
    archive.seek(0)
    return archive


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[0][:200]


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1][:200]
