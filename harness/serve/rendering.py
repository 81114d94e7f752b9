"""Draws one page in a process of its own: ``python -P -m harness.serve.rendering KIND STORE NAME``.

A run may be huge, and a stranger's may be anything: drawn here, it neither holds up those who
look at other pages, nor outlives the patience of :mod:`harness.serve.drawn`, nor takes the server
with it. The page goes to standard output, and why there is none to standard error.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from harness.errors import PolygraphError
from harness.report.display import visible
from harness.store.untrusted import Folder
from harness.wording import named


def main() -> int:
    """Draw the page that the arguments name."""
    kind, store, name = sys.argv[1:]
    try:
        page = _page(kind, Folder(Path(store)), name)
    except PolygraphError as error:
        why = error.message
    except OSError as error:
        why = f"{error.filename or name}: {error.strerror or error}"
    except Exception as error:
        why = f"it has another shape than was expected ({named(error)})"
    else:
        with os.fdopen(1, "wb", closefd=False) as out:
            out.write(page.encode("utf-8", "backslashreplace"))
        return 0
    sys.stderr.write(visible(why, 1000).encode("ascii", "backslashreplace").decode() + "\n")
    return 1


def _page(kind: str, store: Folder, name: str) -> str:
    if kind == "soak":
        from harness.serve.soaks import soak_page

        return soak_page(store, name)
    from harness.report import page_of

    return page_of(store.below(name))


if __name__ == "__main__":
    sys.exit(main())
