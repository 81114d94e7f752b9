"""One page of help, and how it is written: for a terminal, as Markdown, as a manual page.

All three come from the same :class:`Page`, which :mod:`harness.cli.pages` makes of a verb.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

COLUMN: Final = 30
"""Where the text beside a flag begins."""


@dataclass(frozen=True)
class Row:
    """A flag as it is written, and what it does."""

    flag: str
    text: str


@dataclass(frozen=True)
class Section:
    """Some flags that belong together."""

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Page:
    """What there is to know of a verb, or of the whole command."""

    name: str
    usage: str
    line: str
    paragraphs: Sequence[str]
    sections: Sequence[Section] = field(default_factory=tuple)


def as_text(page: Page, width: int = 80) -> str:
    """For a terminal of ``width`` columns."""
    return "\n".join(_text_lines(page, width)) + "\n"


def _text_lines(page: Page, width: int) -> Iterator[str]:
    yield from textwrap.wrap(
        f"Usage: {page.usage}", width, subsequent_indent="       ", break_on_hyphens=False
    )
    for paragraph in page.paragraphs:
        yield ""
        yield from _wrapped(paragraph, width, "  ")
    for section in page.sections:
        yield ""
        yield f"{section.title}:"
        for row in section.rows:
            yield from _text_row(row, width)


def _text_row(row: Row, width: int) -> Iterator[str]:
    head = f"  {row.flag}"
    lines = _wrapped(row.text, width, " " * COLUMN)
    if len(head) + 2 <= COLUMN and lines:
        yield head.ljust(COLUMN) + lines.pop(0).lstrip()
    else:
        yield head
    yield from lines


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def as_markdown(page: Page) -> str:
    """A chapter of a page in Markdown."""
    lines = [f"## polygraph {page.name}", "", f"{page.line}", "", "```", page.usage, "```"]
    for paragraph in page.paragraphs:
        lines += ["", _cell(paragraph)]
    for section in page.sections:
        lines += ["", f"**{section.title}**", "", "| flag | what |", "|---|---|"]
        lines += [f"| `{_bar(row.flag)}` | {_cell(row.text)} |" for row in section.rows]
    return "\n".join(lines) + "\n"


def _bar(text: str) -> str:
    return text.replace("|", "\\|")


def _cell(text: str) -> str:
    for sign in "*_<>[]|":
        text = text.replace(sign, f"\\{sign}")
    return text


def as_manual(top: Page, pages: Sequence[Page], version: str) -> str:
    """The manual page of the whole command, in roff (man(7))."""
    lines = [
        ".\\\" Made by `make pages` from the verbs' own declarations.",
        f'.TH POLYGRAPH 1 "" "polygraph {version}" "User Commands"',
        ".SH NAME",
        f"polygraph \\- {_roff(top.line)}",
        ".SH SYNOPSIS",
        _roff(top.usage),
        ".SH DESCRIPTION",
    ]
    for paragraph in top.paragraphs:
        lines += [".PP", _roff(paragraph)]
    lines += _roff_sections(top)
    lines.append(".SH VERBS")
    for page in pages:
        lines += [f".SS polygraph {_roff(page.name)}", _roff(page.line), ".PP"]
        lines += [".nf", _roff(page.usage), ".fi"]
        for paragraph in page.paragraphs:
            lines += [".PP", _roff(paragraph)]
        lines += _roff_sections(page)
    return "\n".join(lines) + "\n"


def _roff_sections(page: Page) -> list[str]:
    lines = []
    for section in page.sections:
        lines += [".PP", f".B {_roff(section.title)}"]
        for row in section.rows:
            lines += [".TP", f".B {_roff(row.flag)}", _roff(row.text)]
    return lines


def _roff(text: str) -> str:
    """Text that begins no request and has no accidental escape."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{text}" if text.startswith((".", "'")) else text
