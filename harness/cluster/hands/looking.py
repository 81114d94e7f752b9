"""Looks for the process that is meant on a host, and makes nothing there.

Executed like :mod:`harness.cluster.hands.arrival`. Settings, one line of JSON: ``wanted``, a list
of (how, what), and ``files``, the sources of what this stands on, which are loaded from there. The
answer is one line of JSON: ``found``, for each the process's ``pid`` and ``command``, or why not.
"""

from __future__ import annotations

import json
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

NEEDED = ("refused", "family", "found")
"""In the order in which they import each other."""


def look(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Do what the settings say."""
    settings = json.loads(stdin.readline())
    loaded = load(settings["files"])
    answer = [_one(loaded, how, what) for how, what in settings["wanted"]]
    stdout.write(json.dumps({"found": answer}).encode() + b"\n")
    stdout.flush()


def load(files: dict[str, str]) -> dict[str, Any]:
    """Modules out of their sources, as those of a package."""
    package = types.ModuleType("hands")
    package.__path__ = []
    sys.modules["hands"] = package
    loaded: dict[str, Any] = {}
    for name in NEEDED:
        module = types.ModuleType(f"hands.{name}")
        module.__package__ = "hands"
        sys.modules[module.__name__] = module
        setattr(package, name, module)
        exec(compile(files[f"{name}.py"], f"{name}.py", "exec"), module.__dict__)
        loaded[name] = module
    return loaded


def _one(loaded: dict[str, Any], how: str, what: str) -> dict[str, Any]:
    try:
        return dict(loaded["found"].described(loaded["found"].leader(how, what)))
    except loaded["refused"].Refused as refusal:
        return {"refused": str(refusal)}


if __name__ == "__main__":
    look(sys.stdin.buffer, sys.stdout.buffer)
