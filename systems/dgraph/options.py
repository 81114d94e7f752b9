"""What can be set of Dgraph."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.contract.option import Option

TOGETHER: Final = "together"
APART: Final = "apart"
INDEX: Final = "index"
UID: Final = "uid"
JSON: Final = "json"
INT: Final = "int"

OPTIONS: Final = (
    Option(
        name="binary",
        kind=Path,
        help="path of the dgraph program (default: the one on the nodes' PATH)",
    ),
    Option(
        name="release",
        help="which Dgraph it is, as 1.0.10 or 25.4.0 (default: what the program says)",
    ),
    Option(
        name="zeros",
        default=TOGETHER,
        choices=(TOGETHER, APART),
        help="a Zero beside each Alpha, or three on nodes of their own",
    ),
    Option(name="replicas", kind=int, default=3, least=1, help="Alphas in a group"),
    Option(
        name="rebalance_interval",
        default="10h",
        help="how often Zero moves tablets by itself, as in Dgraph's flag",
    ),
    Option(
        name="stripes",
        kind=int,
        default=7,
        least=1,
        most=64,
        help="predicates that the records are spread over, so that transactions cross tablets",
    ),
    Option(
        name="lookup",
        default=INDEX,
        choices=(INDEX, UID),
        help="find a record by the index on its key, or by a uid that the clients keep",
    ),
    Option(
        name="stored_as",
        default=JSON,
        choices=(JSON, INT),
        help="values as texts of JSON, or as Dgraph's own integers",
    ),
    Option(
        name="go_memory_limit",
        default="1500MiB",
        help="GOMEMLIMIT of each process: when Go's runtime begins to give memory back",
    ),
)
