"""All that can be named on the command line, by kind: whose it is, and where it is loaded.

Names come from three places: built in, registered by entry point (groups ``polygraph.systems``
and so on, each entry naming one factory), and the tables of files given with ``--plugin``. Nothing
is imported to know the names of the first two; the files are loaded at the first question.

**A name belongs to one.** Where two claim it, nobody could say which of them judged a history, so
the name is refused, unless one says that it means to replace the other: a plug-in's module with
``OVERRIDES = {"checkers": ["bank"]}``. A file may replace what is installed, and that what is built
in, not the other way round; if two of one place both override, the name is refused again.

What is broken breaks its own names only and is told in ``errors``. A file that the user named is
more than a name: a command that cannot load it, or finds a name of it taken, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal, NoReturn

from harness.errors import PolygraphError, UsageError, unknown_name
from harness.plugins import built_in
from harness.plugins.files import load_file
from harness.plugins.installed import Entry
from harness.plugins.tables import (
    overridden_in,
    refuse_odd_overrides,
    refuse_without_tables,
    table_in,
)
from harness.wording import shown

Kind = Literal["systems", "workloads", "nemeses", "checkers", "explanations", "trials"]
KINDS: tuple[Kind, ...] = ("systems", "workloads", "nemeses", "checkers")
"""What runs are made of. Explanations (:mod:`harness.verdict.explanation`) go with checkers, and
so do trials, further examples for the self-test."""

SINGULAR: Final[Mapping[Kind, str]] = {
    "systems": "system",
    "workloads": "workload",
    "nemeses": "nemesis",
    "checkers": "checker",
    "explanations": "anomaly or consistency model",
    "trials": "trial",
}

BUILT_IN: Final = "built in"
"""The origin of what comes with Polygraph itself."""


class Found:
    """One thing that can be named on the command line. ``origin`` says where it came from."""

    def __init__(self, name: str, factory: Any, origin: str) -> None:
        self.name, self.origin = name, origin
        self._load: Callable[[], Any] = lambda: factory

    @classmethod
    def later(cls, name: str, load: Callable[[], Any], origin: str) -> Found:
        """One whose factory is what ``load`` answers, asked when the factory is."""
        found = cls(name, None, origin)
        found._load = load
        return found

    @cached_property
    def factory(self) -> Any:
        """What makes it; ``PolygraphError`` says why that cannot be loaded."""
        return self._load()


@dataclass(frozen=True)
class _Claim:
    """That somebody has something called so. ``rank`` is higher where the user is nearer to it."""

    found: Found
    rank: int
    overrides: Callable[[], bool]


_OURS, _INSTALLED, _NAMED = range(3)


@dataclass
class Registry:
    """All that can be named, of every kind; ``errors`` tells what could not be loaded and why.

    With ``tolerant`` a broken file is told there too, in place of an exception: to list things
    (one that is not there is a slip of the pen and refused in any case);
    ``is_file_refused`` says that one was.
    """

    plugin_files: Sequence[Path] = ()
    errors: list[PolygraphError] = field(default_factory=list)
    tolerant: bool = False
    is_file_refused: bool = field(default=False, init=False)
    _cache: dict[Kind, Mapping[str, Found]] = field(default_factory=dict)
    _unowned: dict[tuple[Kind, str], UsageError] = field(default_factory=dict)

    def names(self, kind: Kind) -> list[str]:
        """Every name of ``kind``, sorted; of what is built in or installed nothing is loaded.

        For explanations and trials that is the module of ours that holds them all.
        """
        return sorted(self._all(kind))

    def found(self, kind: Kind) -> Mapping[str, Found]:
        """Everything of ``kind`` by name; each is loaded when its factory is asked for."""
        return self._all(kind)

    def usable(self, kind: Kind, origin: str | None = None) -> dict[str, Found]:
        """What of ``kind`` can be loaded, all of it or of one origin; ``errors`` tells the rest."""
        usable = {}
        for name, found in self._all(kind).items():
            if origin not in (None, found.origin):
                continue
            try:
                _ = found.factory
            except PolygraphError as error:
                self._note(error)
            else:
                usable[name] = found
        return usable

    def get(self, kind: Kind, name: str) -> Any:
        """The factory called ``name``; ``UsageError`` with the nearest names if there is none.

        ``PolygraphError`` says why one that there is cannot be loaded.
        """
        found = self._all(kind).get(self.name_of(kind, name))
        if found is not None:
            return found.factory
        told = [error.message for error in self.errors]
        instead = built_in.INSTEAD.get(kind, {}).get(name)
        raise UsageError(unknown_name(SINGULAR[kind], name, self.names(kind), told), instead)

    def name_of(self, kind: Kind, name: str) -> str:
        """``name``, or what of ``kind`` is called so, too, where nothing has it for its own."""
        if name in self._all(kind):
            return name
        return built_in.ALSO_CALLED.get(kind, {}).get(name, name)

    def refuse_unowned(self, kind: Kind, names: Iterable[str]) -> None:
        """``UsageError`` if several claim one of ``names``; loads nothing that is not asked for.

        For what is used much later: a run must not end without a verdict for that.
        """
        found = self._all(kind)
        for name in names:
            if name in found and (kind, name) in self._unowned:
                raise self._unowned[kind, name]

    def is_extended(self) -> bool:
        """Whether code of third parties is loaded with the checkers; loads nothing itself."""
        return bool(self.plugin_files) or any(self._entries.values())

    def _all(self, kind: Kind) -> Mapping[str, Found]:
        if kind not in self._cache:
            self._cache[kind] = self._agreed(kind, list(self._claims(kind)))
        return self._cache[kind]

    def _agreed(self, kind: Kind, claims: Sequence[_Claim]) -> dict[str, Found]:
        """Each name's owner; where there is none, what refuses the name when it is used."""
        of_names: dict[str, list[_Claim]] = {}
        for claim in claims:
            of_names.setdefault(claim.found.name, []).append(claim)
        return {name: self._owner(kind, claims) for name, claims in of_names.items()}

    def _owner(self, kind: Kind, claims: Sequence[_Claim]) -> Found:
        owner = claims[0] if len(claims) == 1 else _overriding(claims)
        if owner is not None:
            return owner.found
        name = claims[0].found.name
        origins = [claim.found.origin for claim in claims]
        error = UsageError(
            f"the {SINGULAR[kind]} {shown(name)} is claimed by"
            f" {' and by '.join(map(_place, origins))}",
            f"another name, or OVERRIDES = {{{shown(kind)}: [{shown(name)}]}} in the"
            " one that is to replace"
            " the other",
        )
        if max(claim.rank for claim in claims) == _NAMED:
            self._refuse_file(error)
        self._note(error)
        self._unowned[kind, name] = error
        return Found.later(name, partial(_refuse, error), " and ".join(origins))

    def _claims(self, kind: Kind) -> Iterator[_Claim]:
        yield from self._built_in(kind)
        for entry in self._entries[kind]:
            found = Found.later(entry.point.name, entry.factory, entry.origin)
            yield _Claim(found, _INSTALLED, entry.overrides)
        for path, module in self._modules:
            yield from self._in_file(kind, path, module)

    def _in_file(self, kind: Kind, path: Path, module: ModuleType) -> Iterator[_Claim]:
        origin = str(path)
        replaced = overridden_in(module, kind, origin)
        for name, factory in table_in(module, kind, origin).items():
            overrides = partial(replaced.__contains__, name)
            yield _Claim(Found(name, factory, origin), _NAMED, overrides)

    def _built_in(self, kind: Kind) -> Iterator[_Claim]:
        for name in built_in.MODULES.get(kind, {}):
            found = Found.later(name, partial(built_in.factory_of, kind, name), BUILT_IN)
            yield _Claim(found, _OURS, lambda: False)
        for module in built_in.WHOLE.get(kind, ()):
            try:
                table = built_in.table_of(kind, module)
            except PolygraphError as error:
                self._note(error)
                continue
            for name, factory in table.items():
                yield _Claim(Found(name, factory, BUILT_IN), _OURS, lambda: False)

    @cached_property
    def _entries(self) -> Mapping[Kind, Sequence[Entry]]:
        every = entry_points()
        return {
            kind: [Entry(kind, point) for point in every.select(group=f"polygraph.{kind}")]
            for kind in SINGULAR
        }

    @cached_property
    def _modules(self) -> Sequence[tuple[Path, ModuleType]]:
        """The plug-in files, each once however often and by whatever path it was given."""
        modules: dict[Path, tuple[Path, ModuleType]] = {}
        for path in self.plugin_files:
            real = path.resolve()
            if real not in modules:
                try:
                    module = load_file(path)
                    refuse_odd_overrides(module, tuple(SINGULAR), str(path))
                    refuse_without_tables(module, tuple(SINGULAR), str(path))
                except UsageError as error:
                    self._refuse_file(error, also_to_list=not path.exists())
                else:
                    modules[real] = path, module
        return tuple(modules.values())

    def _refuse_file(self, error: UsageError, also_to_list: bool = False) -> None:
        if also_to_list or not self.tolerant:
            raise error
        self.is_file_refused = True
        self._note(error)

    def _note(self, error: PolygraphError) -> None:
        if str(error) not in map(str, self.errors):
            self.errors.append(error)


def _overriding(claims: Sequence[_Claim]) -> _Claim | None:
    """The one that says that it replaces the others, if there is one."""
    replacing = [claim for claim in claims if claim.overrides()]
    nearest = max((claim.rank for claim in replacing), default=_OURS)
    owners = [claim for claim in replacing if claim.rank == nearest]
    is_nearest = nearest == max(claim.rank for claim in claims)
    return owners[0] if len(owners) == 1 and is_nearest else None


def _place(origin: str) -> str:
    return "what is built in" if origin == BUILT_IN else origin


def _refuse(error: UsageError) -> NoReturn:
    raise error
