"""Finds the dgraph program, and which release it is.

A build of one's own is given by ``--binary``; without that it is the ``dgraph`` on the PATH of the
nodes, which is what Dgraph's images have. Official builds say their version, others do not: then
``--release`` must.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from harness.contract.node import Node
from harness.errors import NeedsError
from systems.dgraph.places import PORTS
from systems.dgraph.release import Release, release_of

HINT: Final = (
    "--binary PATH of a build of Dgraph, or --provider docker --docker-image dgraph/dgraph:v25.4.0"
)
_SAID: Final = re.compile(r"Dgraph version\s*:\s*(v?\d+\.\d+\.\d+)")


def program_on(node: Node, binary: str | None) -> str:
    """What to start on a node."""
    return "dgraph" if binary is None else node.bring(Path(binary))


def said_here(binary: str | None) -> Release | None:
    """What the program on this machine says that it is; ``None`` if it says nothing or is none.

    ``NeedsError`` if a program was named that is none.
    """
    if binary is not None and not Path(binary).is_file():
        raise NeedsError(f"--binary {binary} is not a file", HINT)
    found = binary or shutil.which("dgraph")
    if found is None:
        return None
    try:
        done = subprocess.run([found, "version"], capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        if binary is None:
            return None
        raise NeedsError(f"{binary} version does not run: {error}", HINT) from error
    return _release_in(done.stdout)


def said_on(node: Node, binary: str | None) -> Release | None:
    """What the program on ``node`` says; ``NeedsError`` if it is missing, or its ports are."""
    _refuse_other_ports(node)
    argv: Sequence[str] = [program_on(node, binary), "version"]
    done = node.run(argv, check=False)
    if done.exit_code != 0:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()[-200:]
        raise NeedsError(f"{node.name}: {' '.join(argv)} does not run there: {said}", HINT)
    return _release_in(done.stdout)


def number_in(said: str) -> Release | None:
    """The first release that a text names; ``None`` if it names none."""
    found = re.search(r"v?\d+\.\d+\.\d+", said)
    return release_of(found[0]) if found else None


def _release_in(output: bytes) -> Release | None:
    said = _SAID.search(output.decode("utf-8", "replace"))
    return release_of(said[1]) if said else None


def _refuse_other_ports(node: Node) -> None:
    """Dgraph shifts all of its ports by one offset, and cannot be given each of them."""
    for port in PORTS:
        if int(node.listen(port.number).rpartition(":")[2]) != port.number:
            raise NeedsError(
                f"{node.name}: Dgraph cannot be given port numbers one by one, which nodes that"
                " share an address need",
                "--provider local, docker or ssh, where each node has an address of its own",
            )
