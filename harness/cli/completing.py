"""What the shells ask when somebody presses Tab.

The script of a shell (:mod:`harness.cli.completion`) asks the command itself, with
:data:`VARIABLE` set: for names of verbs and flags, systems, workloads, faults, models, scenarios,
runs and files. Nothing of a third party runs for that: what a plug-in's file holds is read from its
text. Whatever goes wrong completes nothing.

An answer is a line each: ``file`` or ``dir`` (the shell completes paths itself), or a value and,
after a tab, what it is.
"""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import CompletionItem, ShellComplete, split_arg_string

from harness.cli.parts import MIXES, names_of
from harness.cli.table import VERBS
from harness.errors import EXIT_VALID
from harness.option import Option

VARIABLE: Final = "_POLYGRAPH_COMPLETE"
"""Set by the scripts to the name of the shell; as in :mod:`harness.cli.main`."""
SHELLS: Final = ("bash", "zsh", "fish")
KINDS: Final[Mapping[str, str]] = {
    "system": "systems",
    "clock": "systems",
    "workload": "workloads",
    "nemesis": "nemeses",
    "provider": "providers",
    "model": "checkers",
    "consistency_models": "models",
    "anomalies": "anomalies",
    "scenario": "scenarios",
}
"""What is asked for to the kind of thing that has its names."""


def answer(group: click.Group, environment: Mapping[str, str]) -> int:
    """Tell the shell that asks, by the environment, how its command line may go on."""
    shell = environment[VARIABLE]
    with contextlib.suppress(Exception):
        words, current = _asked(shell, environment)
        found = ShellComplete(group, {}, "polygraph", VARIABLE).get_completions(words, current)
        for line in _lines(found, current if shell == "bash" else ""):
            sys.stdout.write(line + "\n")
    return EXIT_VALID


def _asked(shell: str, environment: Mapping[str, str]) -> tuple[list[str], str]:
    """The words after the command's name, and the one that is being written."""
    text = environment["COMP_WORDS"]
    if shell == "bash":
        words = split_arg_string(text)
        if text[-1:].isspace() or not words:
            words.append("")
        return words[1:-1], words[-1]
    words = text.split("\n")
    if shell == "fish":
        return words[1:], environment.get("COMP_CURRENT", "")
    return words[1:-1], words[-1]


def _lines(found: Iterable[CompletionItem[Any]], current: str) -> Iterator[str]:
    """The answers; bash takes ``:`` and ``=`` for ends of words, and wants what comes after."""
    cut = max(current.rfind(":"), current.rfind("=")) + 1
    for item in found:
        if item.type != "plain":
            yield item.type
            continue
        text = (item.help or "").replace("\n", " ")
        value = str(item.value)[cut:] if str(item.value).startswith(current[:cut]) else item.value
        yield f"{value}\t{text}" if text else str(value)


def values_of(option: Option, context: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
    """What may be given for an option; of a list, what may come after its last comma."""
    known = _known(option, context)
    if known is None:
        return [CompletionItem("", type="file")] if option.kind is Path else []
    before, comma, last = incomplete.rpartition(",") if _is_list(option) else ("", "", incomplete)
    taken = before.split(",") if before else []
    found = [
        CompletionItem(f"{before}{comma}{name}", help=line or None)
        for name, line in known.items()
        if name.startswith(last) and name not in taken
    ]
    if option.name == "scenario":
        found.append(CompletionItem("", type="file"))
    return found


def _is_list(option: Option) -> bool:
    return bool(option.words) or (option.many and option.kind is not Path)


def _known(option: Option, context: click.Context) -> Mapping[str, str] | None:
    if option.choices or option.words:
        return dict.fromkeys([*option.choices, *option.words], "")
    if option.name in KINDS:
        kind = KINDS[option.name]
        mixes = dict.fromkeys(MIXES if option.name == "nemesis" else (), "several of these")
        found = dict.fromkeys(_in_plugins(kind, context), "from a plug-in")
        return {**names_of(kind), **mixes, **found}
    if option.kind is bool:
        return {"true": "", "false": ""}
    return None


def of_argument(what: str, context: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
    """What may stand for an argument: a ``system``, a ``run``, a ``verb``, a ``file`` …"""
    if what == "verb":
        known: Mapping[str, str] = {name: line for name, (_, line) in VERBS.items()}
    elif what == "explained":
        known = {**names_of("anomalies"), **names_of("models")}
    elif what in ("run", "run-or-file"):
        known = _runs(context)
    elif what in KINDS:
        return values_of(Option(name=what), context, incomplete)
    else:
        known = {}
    found = [
        CompletionItem(name, help=line or None)
        for name, line in known.items()
        if name.startswith(incomplete)
    ]
    if what in ("run", "run-or-file", "file", "scenario"):
        found.append(CompletionItem("", type="dir" if what == "run" else "file"))
    return found


def _runs(context: click.Context) -> Mapping[str, str]:
    """The runs in the store that the command line names, the last ones first."""
    store = Path(str(context.params.get("store") or "store"))
    names = sorted((path.name for path in store.glob("*/*/*-*")), reverse=True)
    linked = [name for name in ("latest", "current") if (store / name).exists()]
    return dict.fromkeys([*linked, *names[:50]], "")


def _in_plugins(kind: str, context: click.Context) -> Iterator[str]:
    """The names in the tables of the plug-in files on the command line, by their text alone."""
    for path in context.params.get("plugin") or ():
        with contextlib.suppress(OSError, SyntaxError, ValueError):
            for node in ast.parse(Path(path).read_bytes()).body:
                yield from _keys(node, kind.upper())


def _keys(node: ast.stmt, table: str) -> Iterator[str]:
    """The keys of a dictionary that a statement calls ``table``."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Dict):
        return
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if any(isinstance(target, ast.Name) and target.id == table for target in targets):
        keys = (key for key in node.value.keys if isinstance(key, ast.Constant))
        yield from (str(key.value) for key in keys)
