"""The soaks of a store, each with the headline of its summary, or why that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.report.display import visible
from harness.serve.rows import address, is_run
from harness.store.untrusted import Folder
from harness.wording import named

FOLDER: Final = "soaks"
MOST_SHOWN: Final = 20


@dataclass(frozen=True)
class Soak:
    """One soak: the name of its folder, what its summary says, and the stamp of that file."""

    name: str
    headline: str
    stamp: tuple[int, ...]


def soaks_of(inside: Folder, known: Sequence[Soak]) -> list[Soak]:
    """The newest soaks of the store; of ``known`` those whose summary is as it was are taken."""
    before = {soak.name: soak for soak in known}
    try:
        names = inside.below(FOLDER).folders()[::-1]
    except OSError:
        return []
    found: list[Soak] = []
    for name in names:
        soak = _soak(inside.below(f"{FOLDER}/{name}"), name, before.get(name))
        if soak is not None:
            found.append(soak)
        if len(found) == MOST_SHOWN:
            break
    return found


def _soak(folder: Folder, name: str, known: Soak | None) -> Soak | None:
    try:
        status = folder.stat("summary.json")
    except FileNotFoundError:
        return None
    except OSError as error:
        return Soak(name, f"unreadable: summary.json {error.strerror}", ())
    stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
    if known is not None and known.stamp == stamp:
        return known
    return Soak(name, _headline(folder), stamp)


def _headline(folder: Folder) -> str:
    from harness.soak.page import headline

    try:
        return visible(headline(folder.json("summary.json")))
    except OSError as error:
        return f"unreadable: summary.json {error.strerror or error}"
    except Exception as error:
        # A summary may be of any shape, and each gives another of Python's errors.
        return f"unreadable: summary.json is of another shape ({visible(named(error), 200)})"


def soak_page(inside: Folder, name: str) -> str:
    """The page of a soak, drawn from its summary; its links lead to this index's reports.

    Raises ``OSError`` where there is no summary, and anything at all where that is odd.
    """
    from harness.soak.page import page

    summary = inside.below(f"{FOLDER}/{name}").json("summary.json")
    links = {}
    for run in summary["results"]:
        path = run_at(inside, run["run_dir"])
        if path is not None:
            links[run["number"]] = f"/run/{address(path)}/"
    return page(inside.path / FOLDER / name, summary, links)


def run_at(inside: Folder, run_dir: Any) -> str | None:
    """The way in this store to the run that was at ``run_dir``, wherever the store then was."""
    path = "/".join(str(run_dir).rstrip("/").split("/")[-3:])
    return path if is_run(inside, path) else None
