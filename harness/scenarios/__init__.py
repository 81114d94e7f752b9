"""The scenarios that we ship: named on the command line like a file, without path or suffix."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable


def shipped() -> Mapping[str, Traversable]:
    """Every shipped scenario by its name."""
    found = (each for each in files(__name__).iterdir() if each.name.endswith(".toml"))
    return {each.name.removesuffix(".toml"): each for each in found}
