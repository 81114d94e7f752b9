"""Writes what help, completion and documents tell of verbs and parts, out of their declarations.

``python -m harness.cli.pages`` (``make pages``) writes docs/verbs.md, the manual page
docs/polygraph.1, and the table of :mod:`.parts`. A test holds all three equal to what would be
written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from harness.cli.page import as_markdown
from harness.cli.parts import FILE, written
from harness.cli.table import VERBS
from harness.cli.verb_pages import manual, page_of

ROOT: Final = Path(__file__).parents[2]
HEAD: Final = """\
# The verbs

Made by `make pages` from the verbs' own declarations: `polygraph help VERB` shows each page, and
`polygraph help --man | man -l -` all of them. Every flag has a twin in the environment:
`--time-limit` is `POLYGRAPH_TIME_LIMIT`. Times are written `90`, `90s`, `1m` or `8h`, sizes `8GiB`.
"""


def verbs_page() -> str:
    """All verbs as one page in Markdown."""
    return "\n".join([HEAD, *(as_markdown(page_of(name)) for name in VERBS)])


def parts_table() -> str:
    """What :mod:`.parts` reads, asked of the parts themselves."""
    from harness.cluster import providers
    from harness.plugins import BUILT_IN, KINDS, Registry
    from harness.plugins.lines import line_of
    from harness.scenarios import shipped

    registry = Registry()
    table: dict[str, dict[str, Any]] = {
        kind: {
            name: _said(line_of(found.factory), found.factory)
            for name, found in sorted(registry.usable(kind, BUILT_IN).items())
        }
        for kind in KINDS
    }
    table["providers"] = {
        name: _said(providers.LINES[name], providers.of(name)) for name in providers.NAMES
    }
    table["scenarios"] = {
        name: {"line": scenario_line(file.read_text("utf-8"))}
        for name, file in sorted(shipped().items())
    }
    for kind, key in (("anomaly", "anomalies"), ("model", "models")):
        table[key] = _explained(registry, kind)
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


def scenario_line(text: str) -> str:
    """What a scenario is, by the comment that it begins with."""
    first = text.partition("\n")[0]
    return first.lstrip("# ").removesuffix(".") if first.startswith("#") else ""


def _explained(registry: Any, kind: str) -> dict[str, Any]:
    from harness.cli.explain import entries
    from harness.plugins.lines import first_sentence

    found = [entry for entry in entries(registry) if entry.kind == kind]
    return {name: {"line": first_sentence(entry.text)} for entry in found for name in entry.names}


def _said(line: str, part: Any) -> dict[str, Any]:
    options = [written(option) for option in getattr(part, "options", ())]
    return {"line": line, "options": options} if options else {"line": line}


FILES: Final[Mapping[Path, Callable[[], str]]] = {
    ROOT / "harness" / "cli" / FILE: parts_table,
    ROOT / "docs" / "verbs.md": verbs_page,
    ROOT / "docs" / "polygraph.1": manual,
}
"""What is written, in this order: the pages tell what the table says."""


def main() -> None:
    """Write them all."""
    from harness.cli.parts import parts

    for path, text in FILES.items():
        path.write_text(text(), "utf-8")
        parts.cache_clear()


if __name__ == "__main__":
    main()
