"""Whose a run's folder is: what stands in it is obeyed only where the user alone can have put it.

``heal`` and ``down`` end processes and remove things by what a folder says. So the folder, its
registration and its ledger must belong to who calls them, and nobody else may be able to write
there, nor put another folder in its place. Root is no exception: a run of another user is that
user's to heal, and what ``sudo polygraph test`` made is root's own.

That a folder is the user's does not make it his work: an archive from a stranger, unpacked, is
his too. What it says must therefore be proved by other things as well
(:mod:`harness.cluster.belonging`, each provider's ``believed``).
"""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from harness.errors import HealError
from harness.history.ledger import NAME as LEDGER

_FILES = ("cluster.json", LEDGER)
_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_LEVELS = 3
"""``store/system/workload/run``: as many folders are above a run up to its store."""


def check(run_dir: Path, store: Path | None = None) -> None:
    """``HealError`` unless the run in ``run_dir`` is the caller's own, and nobody else's to change.

    The folders above it are looked at up to ``store``, where it lies in that; else its parent.
    """
    open_to_others: list[Path] = []
    for place in (run_dir, *(run_dir / name for name in _FILES)):
        found = _looked_at(place)
        if found is None:
            continue
        if place != run_dir and not stat.S_ISREG(found.st_mode):
            raise HealError(
                f"{place.name} is no plain file, so nothing of this run is obeyed",
                "look at what it is, and move the run's folder out of the store",
            )
        if found.st_uid != os.geteuid():
            raise _of_another(place, found.st_uid)
        if found.st_mode & _BY_OTHERS:
            open_to_others.append(place)
    for place in _above(run_dir, store):
        above = os.stat(place)
        if above.st_uid not in (0, os.geteuid()):
            raise _of_another(place, above.st_uid)
        if above.st_mode & _BY_OTHERS and not above.st_mode & stat.S_ISVTX:
            open_to_others.append(place)
    if open_to_others:
        raise _open_to_others(open_to_others)


def _looked_at(place: Path) -> os.stat_result | None:
    try:
        return os.lstat(place)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HealError(f"{place} cannot be looked at: {error.strerror}") from error


def _above(run_dir: Path, store: Path | None) -> Iterator[Path]:
    top = store.resolve() if store is not None else None
    parents = list(run_dir.parents)[:_LEVELS]
    yield from parents[: parents.index(top) + 1] if top in parents else parents[:1]


def _of_another(place: Path, uid: int) -> HealError:
    who = _name(uid)
    return HealError(
        f"{place} belongs to {who} and not to {_name(os.geteuid())}, so nothing of this run is"
        " obeyed",
        f"polygraph heal as {who}, if the run is of that user",
    )


def _open_to_others(places: list[Path]) -> HealError:
    words = " ".join(shlex.quote(str(place)) for place in places)
    return HealError(
        f"others than {_name(os.geteuid())} can write {', '.join(map(str, places))}, so nothing"
        " of this run is obeyed",
        f"if all there is as you left it: chmod go-w {words}, then polygraph heal again",
    )


def _name(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (user {uid})"
    except KeyError:
        return f"user {uid}"
