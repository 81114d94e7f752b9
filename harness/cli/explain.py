"""``polygraph explain NAME``: what an anomaly or a consistency model is, shown by an example.

Without a name every name is listed. The entries come from the packages of checkers by the
plug-in table (:mod:`harness.verdict.explanation`), those of ``--plugin`` files too. With
``--history FILE`` the example is written as a history, for ``polygraph check`` or another tool to
judge; ``--markdown`` prints the whole catalogue as the page docs/anomalies.md.
"""

from __future__ import annotations

import difflib
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.explain_text import sections, verdict_of
from harness.cli.flags import completes, flag
from harness.cli.options import json_option, plugin_option
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_VALID, UsageError, cannot_write
from harness.plugins import Registry
from harness.wording import shown

if TYPE_CHECKING:
    from harness.verdict.explanation import Example, Explanation

WIDTH = 96


@click.command("explain", cls=Verb)
@click.argument(
    "name",
    required=False,
    metavar="[ANOMALY|MODEL]",
    shell_complete=completes("explained"),
)
@flag("history", Path, help="write the example's history here, as JSON lines")
@flag("markdown", bool, help="print everything, as one page")
@json_option
@plugin_option
def VERB(
    name: str | None, history: Path | None, markdown: bool, as_json: bool, plugin: tuple[str, ...]
) -> int:
    """Explain an anomaly or a consistency model: what it is, a smallest history, the paper.

    Without a name, list every name that can be explained.
    """
    registry = Registry(tuple(Path(path) for path in plugin))
    if markdown:
        from harness.cli.explain_page import page

        say(page(entries(registry)), end="")
    elif name is None:
        _list(entries(registry), as_json)
    else:
        entry = find(registry, name)
        if history is not None:
            _write(entry, history)
        say(json.dumps(table(entry)) if as_json else "\n".join(lines(entry)))
    return EXIT_VALID


def entries(registry: Registry) -> list[Explanation]:
    """Every entry once, anomalies first, in the order of the catalogue."""
    factories = dict.fromkeys(found.factory for found in registry.found("explanations").values())
    made: list[Explanation] = [factory() for factory in factories]
    return sorted({entry.names: entry for entry in made}.values(), key=lambda e: e.kind)


def find(registry: Registry, name: str) -> Explanation:
    """The entry called ``name``, in whatever case; ``UsageError`` with the nearest names."""
    known = registry.names("explanations")
    by_lower = {each.lower(): each for each in known}
    if name in known or name.lower() in by_lower:
        spelled = name if name in known else by_lower[name.lower()]
        found: Explanation = registry.get("explanations", spelled)()
        return found
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=3, cutoff=0.4)
    guess = f"; did you mean {' or '.join(by_lower[each] for each in near)}?" if near else ""
    raise UsageError(
        f"there is no anomaly or consistency model called {shown(name)}{guess}",
        "polygraph explain, which lists every name",
    )


def _list(found: list[Explanation], as_json: bool) -> None:
    if as_json:
        say(json.dumps({entry.name: table(entry) for entry in found}))
        return
    for kind, heading in (("anomaly", "anomalies"), ("model", "consistency models")):
        say(heading)
        for entry in (each for each in found if each.kind == kind):
            others = f"  (also {', '.join(entry.names[1:])})" if entry.names[1:] else ""
            say(f"  {entry.name}{others}")
    say("polygraph explain NAME says what each of them is.", err=True)


def lines(entry: Explanation) -> Iterator[str]:
    """The entry for a terminal."""
    others = f" (also {', '.join(entry.names[1:])})" if entry.names[1:] else ""
    what = "an anomaly" if entry.kind == "anomaly" else "a consistency model"
    yield f"{entry.name}{others}: {what}"
    yield ""
    yield from _wrapped(entry.text)
    for example in entry.examples:
        yield ""
        yield f"  {verdict_of(example)}:"
        yield ""
        yield from (f"    {line}" for line in example.drawing.splitlines())
        if example.legend:
            yield ""
            yield from _wrapped(example.legend, first="  ", rest="  ")
    for heading, words in sections(entry):
        yield ""
        yield from _wrapped(f"{heading}: {words}", rest="  ")
    if any(example.is_history for example in entry.examples):
        yield ""
        yield f"Judge it: {commands(entry)}"


def _wrapped(text: str, *, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


def commands(entry: Explanation) -> str:
    """Two commands that write the first example and judge it."""
    example = next(each for each in entry.examples if each.is_history)
    claims = example.options.get("claims")
    against = f" -c {','.join(claims)}" if claims else ""
    file = f"{entry.name}.jsonl"
    return (
        f"polygraph explain {entry.name} --history {file}\n"
        f"          polygraph check -v -m {example.checker}{against} {file}"
    )


def table(entry: Explanation) -> dict[str, Any]:
    """The entry for machines."""
    return {
        "name": entry.name,
        "names": list(entry.names),
        "kind": entry.kind,
        "text": entry.text,
        "rules_out": list(entry.rules_out),
        "also_rules_out": list(entry.also_rules_out),
        **{heading: list(names) for heading, names in entry.facts.items()},
        "sources": [str(source) for source in entry.sources],
        "examples": [
            {"checker": each.checker, "drawing": each.drawing, "verdict": verdict_of(each)}
            for each in entry.examples
        ],
    }


def _write(entry: Explanation, path: Path) -> None:
    from harness.history.formats.known import export

    example = next((each for each in entry.examples if each.is_history), None)
    if example is None:
        raise UsageError(f"{entry.name} shows in a run, not in a history alone")
    try:
        with path.open("wb") as out:
            export(as_history(example), out, "jsonl")
    except OSError as error:
        raise cannot_write(f"cannot write {path}", error) from error


def as_history(example: Example) -> Any:
    """The example's history; its header carries the options that are no claims."""
    import dataclasses

    import msgspec

    history = example.record(Path()).history
    options = {name: value for name, value in example.options.items() if name != "claims"}
    header = msgspec.structs.replace(history.header, options=options)
    return dataclasses.replace(history, header=header)
