"""What values are made of, beyond JSON: things that only EDN can say, kept apart from all others.

JSON's own are as Python has them; a number without a fraction is an integer however it is written
(``1.0``, ``1e0``), for JSON has one kind of number. Beside them there are

==============  ================================================================================
``Tagged``      a keyword (as a value or key), symbol, character, ratio, tagged literal, a map of
                mixed or odd keys, a set within something else: its EDN, always spelt the same
``Members``     a set that is a whole value or the value of an independent key (the answer of a
                read of a set): a sorted list, and unequal to a list
``TextKeys``    a map with strings for keys, where plain ``dict`` means another map (below)
==============  ================================================================================

A plain ``dict`` is a JSON object, and in EDN a map with integers for keys if all its keys look
like integers, else one with keywords if all could be keywords (``{:from 0}``), else one with
strings. So ``{1 "a"}`` and ``{"1" "a"}`` are two things, and so are ``:a`` and ``"a"``, whatever
format they travel in. In JSON all of these are objects with one key, ``{"#edn": "…"}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

import msgspec

TAG: Final = "#edn"
_KEYWORD: Final = re.compile(
    r"[A-Za-z*!_?<>=$%&][\w*+!?<>=$%&.'-]*(?:/[A-Za-z*!_?<>=$%&][\w*+!?<>=$%&.'-]*)?\Z", re.ASCII
)
_CANONICAL_INTEGER: Final = re.compile(r"(?:0|-?[1-9][0-9]*)\Z", re.ASCII)
_UNSAFE: Final = re.compile('[\\\\"\x00-\x1f\x7f\u0085\u2028\u2029\ud800-\udfff]')
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_EXACT: Final = 1 << 53
"""Below this a double tells every integer from its neighbours."""
_LONGEST_EXACT: Final = 15
"""Digits that a double keeps."""
_LARGEST: Final = 10**40
_NAMES: dict[str, str | None] = {}
_MOST_NAMES: Final = 1 << 12


class Tagged(str):
    """The EDN of something that JSON has no word for. Equal to its like alone, never to text."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is Members:
            return spelt(other) == str(self)
        return type(other) is Tagged and str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class Members(list[Any]):
    """The elements of an EDN set, sorted. Equal to the same set alone, never to a list."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is Tagged:
            return other == self
        return type(other) is Members and list.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None


class TextKeys(dict[str, Any]):
    """A map with strings for keys that could be taken for other keys. Equal to its like alone."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is TextKeys and dict.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None


RICH: Final = frozenset((Tagged, Members, TextKeys))
_SINGLE: Final = frozenset((int, str, float, bool, type(None)))


def number(text: str) -> int | float:
    """The number that ``text`` (with a fraction or an exponent) says; ``ValueError`` if too large.

    One that is whole is an integer. Beyond 2^53 the text itself decides, as doubles do not tell
    neighbours apart; from 10^40 on it stays a double.
    """
    found = float(text)
    if found - found != 0:
        raise ValueError(f"expected a number that fits a double, found {text}")
    if not found.is_integer():
        return found
    if len(text) <= _LONGEST_EXACT and -_EXACT < found < _EXACT:
        return int(found)
    if not -_LARGEST < found < _LARGEST:
        return found
    exact = Decimal(text)
    return int(exact) if exact == exact.to_integral_value() else found


def keyword_name(item: str) -> str | None:
    """``x`` of the keyword ``:x``; ``None`` for what is none, or one that looks like a number."""
    found = _NAMES.get(item, TAG)
    if found == TAG:
        is_one = item[:1] == ":" and _KEYWORD.match(item, 1) is not None
        found = item[1:] if is_one else None
        if len(_NAMES) < _MOST_NAMES:
            _NAMES[item] = found
    return found


def can_be_keyword(text: str) -> bool:
    """Whether ``:text`` is a keyword that means this text and nothing else."""
    return _KEYWORD.match(text) is not None


def key_text(key: Any) -> str:
    """The text under which a map has ``key``: ``0`` of 0, ``x`` of ``:x`` and of ``"x"``."""
    if type(key) is str:
        return key
    if type(key) is Tagged:
        return keyword_name(key) or str(key)
    return json.dumps(key, sort_keys=True, default=str)


def map_of(keys: list[Any], items: list[Any]) -> dict[str, Any] | Tagged:
    """An EDN map of ``keys``, each there once, in the words of this module."""
    kinds = set(map(type, keys))
    if kinds == {Tagged}:
        names = [name for name in map(keyword_name, keys) if name is not None]
        if len(names) == len(keys):
            return dict(zip(names, items, strict=True))
    elif kinds == {int}:
        return dict(zip(map(str, keys), items, strict=True))
    elif kinds == {str}:
        is_plain = _spelling(keys) is _string and keys != [TAG]
        return (dict if is_plain else TextKeys)(zip(keys, items, strict=True))
    elif not kinds:
        return {}
    pairs = sorted(f"{spelt(key)} {spelt(item)}" for key, item in zip(keys, items, strict=True))
    return Tagged("{" + ", ".join(pairs) + "}")


def set_of(items: Iterable[Any]) -> Tagged:
    """A set within something else."""
    return Tagged("#{" + " ".join(sorted(map(spelt, items))) + "}")


def plain(item: Any) -> Any:
    """``item`` as JSON by the nearest word: keywords and symbols become strings, sets lists.

    For names and errors, which are not compared with what clients wrote.
    """
    kind = type(item)
    if kind is Tagged:
        return keyword_name(item) or (str(item[1:]) if item[:1] in (":", "\\") else str(item))
    if kind is list or kind is Members:
        return [plain(part) for part in item]
    if kind is dict or kind is TextKeys:
        return {str(key): plain(part) for key, part in item.items()}
    return item


def wire(item: Any) -> Any:
    """``item`` in JSON alone: what only EDN can say as ``{"#edn": "…"}``."""
    kind = type(item)
    if kind in _SINGLE:
        return item
    if kind in RICH:
        return {TAG: spelt(item)}
    if kind is list or kind is tuple:
        return [wire(part) for part in item]
    return {key: wire(part) for key, part in item.items()} if kind is dict else item


def exact(item: Any) -> str:
    """JSON text that is the same for two values if and only if they are the same value."""
    return json.dumps(wire(item) if is_rich(item) else item, sort_keys=True, default=str)


def kind_name(item: Any) -> str:
    """What tells apart values of one :func:`exact` text: ``1`` and ``True`` in Python."""
    kind = type(item)
    return TAG if kind in RICH else kind.__name__


def is_rich(item: Any) -> bool:
    """Whether something in ``item`` is more than JSON."""
    kind = type(item)
    if kind in RICH:
        return True
    if kind is dict:
        item = item.values()
    elif kind is not list and kind is not tuple:
        return False
    return not _SINGLE.issuperset(map(type, item)) and any(map(is_rich, item))


def told(item: Any, *, ensure_ascii: bool = True) -> str:
    """``item`` for people: JSON, with what only EDN can say in EDN (``[["read", :x, null]]``)."""
    if not is_rich(item):
        return json.dumps(item, default=str, ensure_ascii=ensure_ascii)
    if type(item) in RICH:
        return spelt(item)
    if isinstance(item, dict):
        pairs = (f"{json.dumps(key)}: {told(part)}" for key, part in item.items())
        return "{" + ", ".join(pairs) + "}"
    return "[" + ", ".join(map(told, item)) + "]"


def form(item: Any) -> str:
    """EDN of any value; maps in their order."""
    return _form(item, list)


def spelt(item: Any) -> str:
    """EDN that is the same for two values if they are the same value: maps in order of keys."""
    return _form(item, sorted)


def _form(item: Any, ordered: Callable[[Iterable[str]], list[str]]) -> str:
    if item is None:
        return "nil"
    if isinstance(item, bool):
        return "true" if item else "false"
    if type(item) is Tagged:
        return str(item)
    if isinstance(item, str):
        return _string(item)
    if isinstance(item, int):
        return str(item) if -(1 << 63) <= item < 1 << 63 else f"{item}N"
    if isinstance(item, float):
        return repr(item) if item - item == 0 else "nil"  # as JSON has it
    if type(item) is Members:
        return "#{" + " ".join(sorted(map(spelt, item))) + "}"
    if isinstance(item, list | tuple):
        return "[" + " ".join(_form(part, ordered) for part in item) + "]"
    if not isinstance(item, dict):
        return _form(msgspec.json.decode(msgspec.json.encode(item)), ordered)
    if not all(isinstance(key, str) for key in item):
        item = {key if isinstance(key, str) else key_text(key): item[key] for key in item}
    spell = _string if type(item) is TextKeys else _spelling(item)
    pairs = ordered(f"{spell(key)} {_form(part, ordered)}" for key, part in item.items())
    return "{" + ", ".join(pairs) + "}"


def keyword(text: str) -> str:
    """A name as a keyword where it can be one, else as a string."""
    return ":" + text if can_be_keyword(text) else _string(text)


def _spelling(keys: Iterable[str]) -> Any:
    """How the keys of a plain map are spelt in EDN."""
    if all(map(_CANONICAL_INTEGER.match, keys)):
        return str
    return keyword if all(map(_KEYWORD.match, keys)) else _string


def _string(text: str) -> str:
    return '"' + _UNSAFE.sub(_escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return _ESCAPES.get(character) or f"\\u{ord(character):04x}"
