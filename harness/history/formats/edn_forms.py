"""Parses EDN, the notation of Clojure, straight into JSON values.

Keywords and symbols become strings, sets sorted lists, map keys strings (an integer key its
digits), characters strings; tags are dropped and their form kept; a ratio, ``##Inf``, or a
decimal with more digits than a double holds stays a string, so that unequal values never become
equal. Comments, ``#_`` and commas are skipped.

Tokens come from one regular expression; an explicit stack instead of recursion, so that no depth
of nesting breaks it. Cost: about 0.7 us a token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from harness.history.formats.jsonl import encode_json

_ATOM: Final = r'[^\s,;"()\[\]{}\\]'
_TOKEN: Final = re.compile(
    r"(?:[\s,]+|;[^\n]*)*"
    r'(#\{|[\[\](){}]|#?"(?:[^"\\]|\\.)*"|\\(?:u[0-9a-fA-F]{4}|[A-Za-z]+|.)|#_|'
    rf"{_ATOM}+|.)?",
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES: Final = {"t": "\t", "r": "\r", "n": "\n", "b": "\b", "f": "\f", "\\": "\\", '"': '"'}
_CHARACTERS: Final = {
    "newline": "\n",
    "return": "\r",
    "space": " ",
    "tab": "\t",
    "backspace": "\b",
    "formfeed": "\f",
}
_UNICODE: Final = re.compile(r"u[0-9a-fA-F]{4}\Z")
_INTEGER: Final = re.compile(r"[+-]?(?:0|[1-9]\d*)N?\Z")
_BASED: Final = re.compile(
    r"([+-]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0(?P<octal>[0-7]+)|"
    r"(?P<base>[1-9]\d?)[rR](?P<digits>[0-9A-Za-z]+))N?\Z"
)
"""Integers to another base, as Clojure reads them: 0x1f, 017, 36rZZ."""
_ZEROS: Final = re.compile(r"[+-]?0\d+N?\Z")
_FLOAT: Final = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?M?\Z")
_LONGEST_NUMBER: Final = 4000  # Python itself refuses to read longer ones
_RATIO: Final = re.compile(r"([+-]?\d+)/(\d+)\Z")
_CLOSERS: Final = {"[": "]", "(": ")", "{": "}", "#{": "}"}
_WORDS: Final[dict[str, Any]] = {"nil": None, "true": True, "false": False}


class Torn(Exception):
    """The text ends inside the form that starts at ``offset``, which ``opener`` opened."""

    def __init__(self, offset: int, opener: str) -> None:
        closer = _CLOSERS.get(opener, "more")
        super().__init__(
            f"expected {closer} after the {opener} that is here, found the end of file"
        )
        self.offset = offset


class Malformed(Exception):
    """What is at ``offset`` is not EDN; the message says what was expected."""

    def __init__(self, offset: int, expected: str) -> None:
        super().__init__(expected)
        self.offset = offset


class _Prefix:
    """``#_`` or a tag, waiting for the form that it belongs to."""

    __slots__ = ("discards",)

    def __init__(self, discards: bool) -> None:
        self.discards = discards


def parse(text: str) -> list[Any]:
    """Every top-level form of ``text`` as JSON values; ``ValueError`` if it is not EDN."""
    try:
        return [form for _, form in Forms(text, enters=False)]
    except (Torn, Malformed) as error:
        raise ValueError(str(error)) from None


class Forms:
    """Iterates over the top-level forms of ``text``, with the offset where each starts.

    With ``enters``, a vector or list around all of them is entered and its items are given
    instead. Raises ``Torn`` or ``Malformed``.
    """

    def __init__(self, text: str, *, enters: bool) -> None:
        self._text = text
        self._enters = enters
        self._enclosing: tuple[str, int] | None = None  # the opener that was entered, and where
        self._items: list[Any] = []  # of the innermost open collection
        self._stack: list[tuple[list[Any], str, int]] = []  # outer items, opener, where it is
        self._prefixes = 0
        self._start = -1  # of the present top-level form

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        words = dict(_WORDS)  # keywords and small integers seen so far
        for match in _TOKEN.finditer(self._text):
            token = match.group(1)
            if token is None:
                break
            if not self._stack and not self._items:
                self._start = match.start(1)
            if token in words:
                value = words[token]
            elif token in _CLOSERS:
                self._open(token, match.start(1))
                continue
            elif token in "])}":
                if not self._stack:
                    self._leave(token, match.start(1))
                    continue
                value = self._close(token, match.start(1))
            elif token[0] == "#" and token[1:2] not in ("#", '"'):
                self._prefix(token, match.start(1))
                continue
            else:
                value = _atom(token, match.start(1))
                if token[0] == ":" or (len(token) < 6 and type(value) is int):
                    words[token] = value
            if self._prefixes and not self._is_kept():
                continue
            if self._stack:
                self._items.append(value)
            else:
                yield self._start, value
        self._expect_end()

    def _open(self, token: str, offset: int) -> None:
        if self._enters:
            self._enters = False  # only the very first form is entered
            if token in "[(" and not self._items:
                self._enclosing = (token, offset)
                return
        self._stack.append((self._items, token, offset))
        self._items = []

    def _close(self, token: str, offset: int) -> Any:
        outer, opener, opened = self._stack.pop()
        if _CLOSERS[opener] != token:
            raise Malformed(offset, f"expected {_CLOSERS[opener]}, found {token}")
        value = _closed(self._items, opener, opened)
        self._items = outer
        return value

    def _leave(self, token: str, offset: int) -> None:
        """The end of the enclosing collection."""
        if self._enclosing is None or _CLOSERS[self._enclosing[0]] != token or self._items:
            raise Malformed(offset, f"expected a form, found {token}")
        self._enclosing = None

    def _prefix(self, token: str, offset: int) -> None:
        if token == "#":
            raise Malformed(offset, "expected a tag after #")
        self._items.append(_Prefix(token == "#_"))
        self._prefixes += 1

    def _is_kept(self) -> bool:
        """Take the prefixes of the form that just ended; whether none of them discards it."""
        while self._items and type(self._items[-1]) is _Prefix:
            self._prefixes -= 1
            if self._items.pop().discards:
                return False
        return True

    def _expect_end(self) -> None:
        if self._enclosing is not None:
            raise Torn(self._enclosing[1], self._enclosing[0])
        if self._stack:
            raise Torn(self._start, self._stack[0][1])
        if self._items:
            raise Torn(self._start, "#")


def _closed(items: list[Any], opener: str, offset: int) -> Any:
    if items and type(items[-1]) is _Prefix:
        raise Malformed(offset, "expected a form after a tag or #_")
    if opener == "{":
        return _map(items, offset)
    return sorted(items, key=_order) if opener == "#{" else items


def _map(items: list[Any], offset: int) -> dict[str, Any]:
    if len(items) % 2:
        raise Malformed(offset, "expected a value for each key of this map")
    keys = [key if type(key) is str else _key(key) for key in items[::2]]
    found = dict(zip(keys, items[1::2], strict=True))
    if len(found) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Malformed(offset, f"expected each key once, found {twice!r} twice in this map")
    return found


def _key(key: Any) -> str:
    """A map key as JSON has it: a string."""
    return encode_json(key).decode()


def _order(value: Any) -> tuple[Any, ...]:
    """A total order over JSON values, for sets: nil, booleans, numbers, strings, lists, maps."""
    if value is None:
        return (0,)
    if isinstance(value, bool):
        return (1, value)
    if isinstance(value, int | float):
        return (2, value)
    if isinstance(value, str):
        return (3, value)
    if isinstance(value, list):
        return (4, tuple(map(_order, value)))
    return (5, tuple(sorted((key, _order(item)) for key, item in value.items())))


def _atom(token: str, offset: int) -> Any:
    first = token[0]
    if first == ":":
        if len(token) == 1:
            raise Malformed(offset, "expected a keyword after :")
        return token[1:]
    if first == '"':
        return _string(token, offset)
    if token.startswith('#"'):  # a regular expression; its backslashes are its own
        return token[2:-1]
    if first == "\\":
        return _character(token, offset)
    if first.isdigit() or (first in "+-" and token[1:2].isdigit()):
        return _number(token, offset)
    return token


def _string(token: str, offset: int) -> str:
    if len(token) < 2:
        raise Torn(offset, '"')
    body = token[1:-1]
    if "\\" not in body:
        return body

    def unescape(match: re.Match[str]) -> str:
        escape = match.group(1)
        if escape[0] == "u" and len(escape) == 5:
            return chr(int(escape[1:], 16))
        if escape[0] in "01234567":
            return chr(int(escape, 8))
        if escape not in _ESCAPES:
            raise Malformed(offset + match.start() + 1, f"expected an escape, found \\{escape}")
        return _ESCAPES[escape]

    return _joined_surrogates(_ESCAPE.sub(unescape, body))


def _joined_surrogates(text: str) -> str:
    r"""Pairs of ``\ud83d\ude00`` escapes as the one character that they mean."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return text


def _character(token: str, offset: int) -> str:
    name = token[1:]
    if len(name) == 1:
        return name
    if name in _CHARACTERS:
        return _CHARACTERS[name]
    if _UNICODE.match(name):
        return chr(int(name[1:], 16))
    raise Malformed(offset, f"expected a character, found {token!r}")


def _number(token: str, offset: int) -> Any:
    if len(token) > _LONGEST_NUMBER:
        raise Malformed(offset, f"expected a number of at most {_LONGEST_NUMBER} digits")
    if _INTEGER.match(token):
        return int(token.rstrip("N"))
    ratio = _RATIO.match(token)
    if ratio is not None:
        above, below = int(ratio.group(1)), int(ratio.group(2))
        return above // below if below and above % below == 0 else token
    based = _BASED.match(token)
    if based is not None:
        return _based(based, token, offset)
    if not _FLOAT.match(token) or _ZEROS.match(token):
        raise Malformed(offset, f"expected a number, found {token!r}")
    digits = token.rstrip("M")
    number = float(digits)
    if number - number != 0:
        return digits
    return number if not token.endswith("M") or _is_exact(digits, number) else digits


def _based(match: re.Match[str], token: str, offset: int) -> int:
    base = 16 if match["hex"] else 8 if match["octal"] else int(match["base"])
    try:
        number = int(match["hex"] or match["octal"] or match["digits"], base)
    except ValueError:
        raise Malformed(offset, f"expected a number, found {token!r}") from None
    return -number if match[1] == "-" else number


def _is_exact(digits: str, number: float) -> bool:
    try:
        return Decimal(digits) == Decimal(repr(number))
    except InvalidOperation:
        return False
