"""Parses EDN, the notation of Clojure, into the values of :mod:`harness.history.values`.

Unequal values never become equal: what JSON cannot say is ``Tagged``, a set ``Members`` (within
something else ``Tagged``), a map is a ``dict`` or one of these. A number without a fraction is an
integer. Tags of whole records and of Jepsen's own are dropped and their form kept, others are part
of the value. Comments, ``#_`` and commas are skipped.

Tokens come from one regular expression; an explicit stack instead of recursion, so that no depth
of nesting breaks it. Cost: about 0.7 us a token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Context, Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final

from harness.history.values import (
    Members,
    Tagged,
    form,
    keyword_name,
    map_of,
    number,
    plain,
    set_of,
    spelt,
)
from harness.wording import shown

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
_NAMED: Final = {character: name for name, character in _CHARACTERS.items()}
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


_KEYWORDS: dict[str, Tagged] = {}
"""Keywords met before: one that is the same object is compared at once."""
_FIELDS: dict[Any, str] = {}
"""What a keyword among them is called as a field of a record."""
_MOST_KEYWORDS: Final = 1 << 12
_DISCARDED: Final = object()
_JEPSENS: Final = ("#jepsen.", "#clojure.lang.MapEntry")


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

    __slots__ = ("tag",)

    def __init__(self, tag: str) -> None:
        self.tag = tag


def parse(text: str) -> list[Any]:
    """Every top-level form of ``text``; ``ValueError`` if it is not EDN."""
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
        self._outermost = 2 if enters else 1
        """How deep a set may stand that is a whole value, or that of an independent key."""
        self._is_of_records = enters
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
            if self._prefixes:
                value = self._prefixed(value)
                if value is _DISCARDED:
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
        if opener == "{" and self._is_of_records and not self._stack:
            value: Any = _record(self._items, opened)
        else:
            value = _closed(self._items, opener, opened, len(self._stack) <= self._outermost)
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
        self._items.append(_Prefix(token))
        self._prefixes += 1

    def _prefixed(self, value: Any) -> Any:
        """The form that just ended with the prefixes before it; ``_DISCARDED`` if one says so."""
        while self._items and type(self._items[-1]) is _Prefix:
            self._prefixes -= 1
            tag = self._items.pop().tag
            if tag == "#_":
                return _DISCARDED
            is_record = self._is_of_records and not self._stack and not self._items
            if not is_record and not tag.startswith(_JEPSENS):
                value = Tagged(f"{tag} {spelt(value)}")
        return value

    def _expect_end(self) -> None:
        if self._enclosing is not None:
            raise Torn(self._enclosing[1], self._enclosing[0])
        if self._stack:
            raise Torn(self._start, self._stack[0][1])
        if self._items:
            raise Torn(self._start, "#")


def _closed(items: list[Any], opener: str, offset: int, is_outer: bool) -> Any:
    if items and type(items[-1]) is _Prefix:
        raise Malformed(offset, "expected a form after a tag or #_")
    if opener == "{":
        return _map(items, offset)
    if opener != "#{":
        return items
    return Members(sorted(items, key=_order)) if is_outer else set_of(items)


def _record(items: list[Any], offset: int) -> dict[str, Any]:
    """A map of fields: a keyword and a string are the same name there."""
    if items and type(items[-1]) is _Prefix:
        raise Malformed(offset, "expected a form after a tag or #_")
    if len(items) % 2:
        raise Malformed(offset, "expected a value for each key of this map")
    try:
        names = [_FIELDS[key] for key in items[::2]]
    except (KeyError, TypeError):
        names = [_field(key) for key in items[::2]]
    found = dict(zip(names, items[1::2], strict=True))
    if len(found) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Malformed(offset, f"expected each key once, found {shown(twice)} twice in this map")
    return found


def _field(key: Any) -> str:
    if type(key) is not Tagged:
        return key if type(key) is str else form(key)
    return keyword_name(key) or str(plain(key))


def _keyword(token: str) -> Tagged:
    found = Tagged(token)
    if len(_KEYWORDS) < _MOST_KEYWORDS:
        _KEYWORDS[token] = found
        _FIELDS[found] = _field(found)
    return found


def _map(items: list[Any], offset: int) -> dict[str, Any] | Tagged:
    if len(items) % 2:
        raise Malformed(offset, "expected a value for each key of this map")
    keys = items[::2]
    found = map_of(keys, items[1::2])
    if type(found) is Tagged or len(found) < len(keys):
        names = list(map(spelt, keys))
        if len(set(names)) < len(names):
            twice = next(key for key in names if names.count(key) > 1)
            raise Malformed(offset, f"expected each key once, found {twice} twice in this map")
    return found


def _order(value: Any) -> tuple[Any, ...]:
    """A total order over values, for sets: nil, booleans, numbers, strings, lists, maps."""
    if value is None:
        return (0,)
    if isinstance(value, bool):
        return (1, value)
    if isinstance(value, int | float):
        return (2, value)
    if isinstance(value, str):
        return (3, str(value), type(value) is Tagged)
    if isinstance(value, list):
        return (4, tuple(map(_order, value)))
    return (5, tuple(sorted((key, _order(item)) for key, item in value.items())))


def _atom(token: str, offset: int) -> Any:
    first = token[0]
    if first == ":":
        if len(token) == 1:
            raise Malformed(offset, "expected a keyword after :")
        return _KEYWORDS.get(token) or _keyword(token)
    if first == '"':
        return _string(token, offset)
    if token.startswith('#"'):  # a regular expression; its backslashes are its own
        return Tagged(token)
    if first == "\\":
        return _character(token, offset)
    if first.isdigit() or (first in "+-" and token[1:2].isdigit()):
        return _number(token, offset)
    return Tagged(token)


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


def _character(token: str, offset: int) -> Tagged:
    name = token[1:]
    if _UNICODE.match(name):
        name = chr(int(name[1:], 16))
    elif len(name) > 1 and name not in _CHARACTERS:
        raise Malformed(offset, f"expected a character, found {shown(token)}")
    if len(name) == 1 and (name in _NAMED or not name.isprintable()):
        name = _NAMED.get(name, f"u{ord(name):04x}")
    return Tagged("\\" + name)


def _number(token: str, offset: int) -> Any:
    if len(token) > _LONGEST_NUMBER:
        raise Malformed(offset, f"expected a number of at most {_LONGEST_NUMBER} digits")
    if _INTEGER.match(token):
        return int(token.rstrip("N"))
    ratio = _RATIO.match(token)
    if ratio is not None:
        above, below = int(ratio.group(1)), int(ratio.group(2))
        if not below:
            return Tagged(token)
        reduced = Fraction(above, below)
        return above // below if reduced.denominator == 1 else Tagged(str(reduced))
    based = _BASED.match(token)
    if based is not None:
        return _based(based, token, offset)
    if not _FLOAT.match(token) or _ZEROS.match(token):
        raise Malformed(offset, f"expected a number, found {shown(token)}")
    digits = token.rstrip("M")
    try:
        found = number(digits)
    except ValueError:
        return Tagged(digits)
    if not token.endswith("M") or _is_exact(digits, found):
        return found
    return Tagged(f"{Decimal(digits).normalize(Context(prec=len(digits)))}M")


def _based(match: re.Match[str], token: str, offset: int) -> int:
    base = 16 if match["hex"] else 8 if match["octal"] else int(match["base"])
    try:
        found = int(match["hex"] or match["octal"] or match["digits"], base)
    except ValueError:
        raise Malformed(offset, f"expected a number, found {shown(token)}") from None
    return -found if match[1] == "-" else found


def _is_exact(digits: str, found: float) -> bool:
    try:
        return Decimal(digits) == Decimal(repr(found))
    except InvalidOperation:
        return False
