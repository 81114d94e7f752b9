"""What is said on the terminal: the one way for text to get there, and none of it drives it.

File names, node names, headers, error messages and stored verdicts are written by others. A
terminal takes control characters for orders (a title, a colour, a line overwritten), a script
takes a tab for the end of a name, and a lone surrogate cannot be written at all. So every verb
speaks by :func:`say`, which spells such characters out.
"""

from __future__ import annotations

import sys
from typing import Final

from harness.confidential import without_secrets

KEPT: Final = "\n\t"
"""Control characters that text has for its shape."""


def printable(text: object, kept: str = KEPT) -> str:
    """``text`` with what cannot be seen spelled out, line ends and tabs ``kept``."""
    words = str(text)
    if words.isprintable():
        return words
    return "".join(
        letter if letter.isprintable() or letter in kept else _spelled(letter) for letter in words
    )


def on_one_line(text: object) -> str:
    """:func:`printable`, tabs and line ends spelled out as well: a name in a line of others."""
    return printable(text, "")


def say(text: object = "", *, err: bool = False, end: str = "\n", head: str = "") -> None:
    """Write ``text`` to standard output, or to standard error, where nothing of it is an order.

    ``head`` is put before it as it is: words of ours, which may be coloured.
    """
    stream = sys.stderr if err else sys.stdout
    print(f"{head}{printable(without_secrets(str(text)))}", file=stream, end=end, flush=True)


def speak_in_any_encoding() -> None:
    """Have streams that cannot write a character spell it out; nothing said is an error then."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _spelled(letter: str) -> str:
    code = ord(letter)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
