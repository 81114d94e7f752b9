"""What is said where a name is not known."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def unknown_name(what: str, name: str, names: Sequence[str], errors: Sequence[str] = ()) -> str:
    """A sentence that says that ``name`` is not known, with the nearest names."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    guess = f"; did you mean {' or '.join(near)}?" if near else ""
    known = f" (known: {', '.join(names)})" if names else ""
    broken = f"; not loaded: {'; '.join(errors)}" if errors else ""
    return f"there is no {what} called {name!r}{guess}{known}{broken}"
