"""Keeps secrets out of what is written: no file, log, event or message of this process has them.

What a system under test does with a password is its own affair, and errors of drivers quote whole
addresses with it. So every process that knows secrets says so here, and everything that writes
text passes it through :func:`without_secrets`. Values of less than :data:`LEAST` characters are
not looked for: text would fall to pieces, and tell them thereby.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

from harness.errors import UsageError
from harness.option import MOST_SECRET_BYTES, Option

LEAST: Final = 4
STARS: Final = "*"
_PIECE: Final = 1 << 20

_hidden: list[str] = []


def _escaped(value: str) -> str:
    """As templates escape it, where Python's own ``escape`` spells quotation marks otherwise."""
    return escape(value).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def _in_script(value: str) -> str:
    """As JSON stands in a page."""
    text = json.dumps(value)[1:-1]
    for sign in "<>&'":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


class Secret(str):
    """A secret's value, which does not show itself when it is printed as part of something."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def keep_secret(values: Iterable[str]) -> None:
    """From now on this process writes none of ``values``, nor their usual encodings."""
    for value in values:
        spellings = {value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]}
        spellings |= {json.dumps(value, ensure_ascii=False)[1:-1], repr(str(value))[1:-1]}
        spellings |= {escape(value), _escaped(value), _in_script(value)}
        _hidden.extend(each for each in spellings if len(each) >= LEAST and each not in _hidden)
    _hidden.sort(key=len, reverse=True)


def forget_secrets() -> None:
    """Hide nothing any more (for tests: a process of ours knows its secrets to its end)."""
    _hidden.clear()


def without_secrets(text: str) -> str:
    """``text`` with stars for each secret."""
    for each in _hidden:
        if each in text:
            text = text.replace(each, STARS * 3)
    return text


def cleared(value: Any, *, names: bool = False) -> Any:
    """JSON with :func:`without_secrets` in each of its texts.

    With ``names`` a text that equals a secret as a whole stays: whoever takes the name of a system
    for a password must not have its facts garbled.
    """
    if not _hidden:
        return value
    if isinstance(value, str):
        return value if names and value in _hidden else without_secrets(value)
    if isinstance(value, Mapping):
        return {key: cleared(item, names=names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [cleared(item, names=names) for item in value]
    return value


def clear_logs(run_dir: Path) -> int:
    """Write stars over each secret in the logs of a run's nodes; how many there were.

    In place and byte for byte, so that whoever still appends to such a file is not disturbed. No
    link is followed, and a database's data are not touched.
    """
    if not _hidden:
        return 0
    wanted = [each.encode("utf-8", "surrogateescape") for each in _hidden]
    logs = (run_dir / "nodes").glob("*/*.log")
    files = (path for path in logs if path.is_file() and not path.is_symlink())
    return sum(_clear_file(path, wanted) for path in files)


def _clear_file(path: Path, wanted: list[bytes]) -> int:
    found, overlap = 0, max(map(len, wanted))
    try:
        with path.open("r+b", buffering=0) as file:
            at, tail = 0, b""
            while piece := file.read(_PIECE):
                found += _clear_piece(file, tail + piece, at - len(tail), wanted)
                at += len(piece)
                tail = (tail + piece)[-overlap:]
                file.seek(at)
    except OSError:
        return found  # gone meanwhile, or nobody's to write
    return found


def _clear_piece(file: Any, data: bytes, offset: int, wanted: list[bytes]) -> int:
    found = 0
    for each in wanted:
        at = data.find(each)
        while at >= 0:
            file.seek(offset + at)
            file.write(STARS.encode() * len(each))
            found += 1
            at = data.find(each, at + len(each))
    return found


def secret_values(
    options: Iterable[Option], table: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Secret]:
    """The values of those of ``options`` that are secrets: from their files, else their twins.

    ``table`` holds paths by ``NAME_file``. ``UsageError`` where a file cannot be read or is empty,
    or a value stands where only a file may be named.
    """
    found = {}
    for option in (each for each in options if each.secret):
        if table.get(option.name) is not None:
            raise UsageError(
                f"{option.name} is a secret, which stands in no scenario and on no command line",
                f"{option.twin} in the environment, or {option.file.flag} FILE",
            )
        path = table.get(option.file.name)
        value = _in_file(option, Path(str(path))) if path else environment.get(option.twin)
        if value:
            found[option.name] = Secret(value)
    return found


def _in_file(option: Option, path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        why = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise UsageError(f"{option.file.flag} {path}: {why}") from error
    text = data[: MOST_SECRET_BYTES + 1].decode("utf-8", "surrogateescape").rstrip("\r\n")
    if not text or len(data) > MOST_SECRET_BYTES:
        what = "is empty" if not text else f"holds more than {MOST_SECRET_BYTES} bytes"
        raise UsageError(f"{option.file.flag} {path} {what}")
    return text


def refuse_missing(names: Iterable[str], found: Mapping[str, Secret]) -> None:
    """``UsageError`` if one of the secrets that a run was made with is not given."""
    for name in names:
        if name not in found:
            option = Option(name=name, secret=True)
            raise UsageError(
                f"this needs the secret {name}, which is kept nowhere",
                f"{option.twin} in the environment, or {option.file.flag} FILE",
            )
