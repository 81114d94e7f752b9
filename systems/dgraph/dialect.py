"""How a transaction is spoken of over HTTP, by release: paths and bodies.

========  ====================================================  ===================================
          1.0.x                                                 from 1.1 on
========  ====================================================  ===================================
query     ``/query/START``, a text                              ``/query?startTs=START``, JSON
mutation  ``/mutate/START``, a text of RDF triples              ``/mutate?startTs=START``, JSON
commit    ``/commit/START``, the conflict keys                  ``/commit?startTs=START``, keys and
                                                                predicates
abort     ``/abort/START``                                      ``/commit?startTs=START&abort=true``
========  ====================================================  ===================================

A query without a start timestamp is given one, which its answer tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Request = tuple[str, bytes]
"""Path and body."""

NEW = "_:new"
"""A record that is to be made."""


@dataclass(frozen=True)
class Dialect:
    """``posts_text`` is the older one, of 1.0.x."""

    posts_text: bool = False

    def query(self, start_ts: int, text: str, *, read_only: bool = False) -> Request:
        """A query at ``start_ts``, or at a timestamp that is new (0)."""
        only = "ro=true" if read_only and not start_ts else ""
        if self.posts_text:
            path = f"/query/{start_ts}" if start_ts else "/query"
            return f"{path}?{only}" if only else path, text.encode()
        given = f"startTs={start_ts}" if start_ts else only
        path = f"/query?{given}" if given else "/query"
        return path, _json({"query": text})

    def set(self, start_ts: int, uid: str, values: Mapping[str, Any]) -> Request:
        """Set predicates of the record ``uid`` (:data:`NEW`: a new one)."""
        if self.posts_text:
            node = uid if uid == NEW else f"<{uid}>"
            lines = [f"{node} <{name}> {_literal(value)} ." for name, value in values.items()]
            return self._mutate(start_ts), f"{{ set {{ {' '.join(lines)} }} }}".encode()
        return self._mutate(start_ts), _json({"set": [{"uid": uid, **values}]})

    def delete(self, start_ts: int, uid: str, names: Sequence[str]) -> Request:
        """Remove predicates of the record ``uid``, whatever they hold."""
        if self.posts_text:
            lines = [f"<{uid}> <{name}> * ." for name in names]
            return self._mutate(start_ts), f"{{ delete {{ {' '.join(lines)} }} }}".encode()
        return self._mutate(start_ts), _json(
            {"delete": [{"uid": uid, **dict.fromkeys(names, None)}]}
        )

    def commit(self, start_ts: int, keys: Sequence[str], predicates: Sequence[str]) -> Request:
        """Hand back what the answers of the transaction told, to be committed."""
        if self.posts_text:
            return f"/commit/{start_ts}", _json(keys)
        return f"/commit?startTs={start_ts}", _json({"keys": keys, "preds": predicates})

    def abort(self, start_ts: int) -> Request:
        """Give the transaction up."""
        if self.posts_text:
            return f"/abort/{start_ts}", b"[]"
        return f"/commit?startTs={start_ts}&abort=true", b"{}"

    def _mutate(self, start_ts: int) -> str:
        if self.posts_text:
            return f"/mutate/{start_ts}" if start_ts else "/mutate"
        return f"/mutate?startTs={start_ts}" if start_ts else "/mutate"


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _literal(value: Any) -> str:
    """A value as RDF has it."""
    if isinstance(value, int):
        return f'"{value}"^^<xs:int>'
    return json.dumps(value, ensure_ascii=False)
