"""What ``polygraph check -d DIR`` keeps of a file: verdict, proofs, and a page with pictures.

Each file has a folder of its own under DIR, named after it (and numbered where two have the same
name). The page is written where there is an anomaly to draw, and the history is small enough to
be drawn in a page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from harness.history.history import History

MOST_DRAWN: Final = 200_000
"""Records of a history that a page can hold."""


def folders(names: Sequence[str], directory: Path) -> dict[str, Path]:
    """A folder under ``directory`` for each name: the end of its path, ``stdin`` for ``-``."""
    found: dict[str, Path] = {}
    taken: dict[str, int] = {}
    for name in names:
        if name in found:
            continue
        word = Path(name).name if name != "-" else "stdin"
        taken[word] = taken.get(word, 0) + 1
        found[name] = directory / (word if taken[word] == 1 else f"{word}-{taken[word]}")
    return found


def keep(folder: Path, history: History, verdict: Mapping[str, Any]) -> None:
    """Write what there is to keep into ``folder``."""
    from harness.store.runs import write_json

    write_json(folder / "verdict.json", dict(verdict))
    proofs = list(_proofs(verdict))
    for kind, texts in proofs:
        (folder / f"{kind}.txt").write_text("\n\n".join(texts) + "\n", "utf-8")
    if proofs and len(history) <= MOST_DRAWN:
        _draw(folder, history)


def _draw(folder: Path, history: History) -> None:
    from harness.history.formats.known import export
    from harness.report import render

    with (folder / "history.jsonl").open("wb") as out:
        export(history, out, "jsonl")
    render(folder, history=history)


def _proofs(verdict: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[str]]]:
    for part in verdict["checkers"].values():
        for kind, cases in part["anomalies"].items():
            yield kind.replace("/", "-"), [case["message"] for case in cases]
