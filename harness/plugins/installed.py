"""Plug-ins that are installed: an entry point names one factory, loaded when it is used."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.plugins.files import loading, tell_version
from harness.plugins.old_names import used_in
from harness.plugins.tables import overridden_in
from harness.wording import shown


@dataclass(frozen=True)
class Entry:
    """One entry point of the group of ``kind``."""

    kind: str
    point: EntryPoint

    @property
    def origin(self) -> str:
        """The distribution that it came with."""
        return self.point.dist.name if self.point.dist is not None else "an entry point"

    def factory(self) -> Any:
        """What it names; ``UsageError`` says why that cannot be loaded."""
        what = f"the entry point {self.point.name} of {self.origin}"
        with loading(what):
            factory = self.point.load()
        if not callable(factory):
            raise UsageError(f"{what} is {shown(factory)}, no factory")
        self._tell_version()
        return factory

    def overrides(self) -> bool:
        """Whether its module says that it replaces what else has its name; loads the module."""
        try:
            self.factory()
            module = sys.modules[self.point.module]
            return self.point.name in overridden_in(module, self.kind, self.origin)
        except UsageError:
            return False  # whoever asks for the name is told why

    def _tell_version(self) -> None:
        module = sys.modules[self.point.module]
        source = Path(getattr(module, "__file__", None) or "")
        text = source.read_bytes() if source.suffix == ".py" and source.is_file() else b""
        tell_version(f"{self.origin} ({self.point.module})", module, used_in(text))
