"""Figures of a server that tells them in Prometheus' text format, at a path over HTTP.

A server tells thousands of lines, of which a run wants some: what is not asked for is passed over
line by line, unparsed. Format: prometheus.io, "Exposition formats", text format 0.0.4. A sample's
own time stamp is ignored, since it is sampled now; what is no finite number is left out.

Cost: about 1 ms of CPU for 100 kB.
"""

from __future__ import annotations

import http.client
import math
import re
from collections.abc import Collection, Iterator
from contextlib import closing
from typing import Final

from harness.contract.metrics import Sample
from harness.contract.node import split_address
from harness.wording import named

_MOST_BYTES: Final = 16 << 20
_LINE: Final = re.compile(
    r"(?P<name>[a-zA-Z_:][\w:]*)[ \t]*(?:\{(?P<labels>.*)\})?[ \t]+(?P<value>\S+)"
)
_LABEL: Final = re.compile(r'(?P<name>\w+)[ \t]*=[ \t]*"(?P<value>(?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(.)")


def scrape(
    address: str, wanted: Collection[str], timeout_s: float, path: str = "/metrics"
) -> list[Sample]:
    """The samples named ``wanted`` that the server at ``address`` (``host:port``) tells now.

    Asks once, on a connection of its own. ``OSError`` where it does not answer with such a page.
    """
    host, port = split_address(address)
    with closing(http.client.HTTPConnection(host, port, timeout=timeout_s)) as connection:
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read(_MOST_BYTES)
        except http.client.HTTPException as error:
            raise OSError(f"no answer of HTTP: {named(error)}") from error
    if answer.status != 200:
        raise OSError(f"GET {path} answered {answer.status}")
    return list(samples_in(body.decode("utf-8", "replace"), wanted))


def samples_in(text: str, wanted: Collection[str]) -> Iterator[Sample]:
    """The samples of those names in a page."""
    for line in text.splitlines():
        name = re.split(r"[{ \t]", line, maxsplit=1)[0]
        if name not in wanted:
            continue
        match = _LINE.match(line)
        value = None if match is None else _number(match["value"])
        if match is None or value is None:
            continue
        labels = {
            label["name"]: _ESCAPED.sub(_unescaped, label["value"])
            for label in _LABEL.finditer(match["labels"] or "")
        }
        yield Sample(name=name, value=value, labels=labels)


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
