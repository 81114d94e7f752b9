"""Our templates, compiled once for an installation, as Python compiles its modules once.

To compile those of the report takes longer than to fill them in: a fifth of a second of every run.
The code is kept in ``__pycache__`` beside the templates, where only those can write it who can also
write this program. jinja2 takes it only for the very text and the very Python that it was made of;
what else it depends on, jinja2 itself and how the environment is made, is in the name of the file.
Where nothing may be written (``PYTHONDONTWRITEBYTECODE``, a folder of somebody else's), templates
are compiled as before.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any


def environment(package: str, made_in: str, asset: Callable[[str], str], **options: Any) -> Any:
    """A ``jinja2.Environment`` of the templates in ``assets`` of ``package``.

    ``made_in`` is the file whose text says all that is given here and set afterwards.
    """
    import jinja2

    class Kept(jinja2.FileSystemBytecodeCache):
        def load_bytecode(self, bucket: Any) -> None:
            with suppress(OSError):
                super().load_bytecode(bucket)

        def dump_bytecode(self, bucket: Any) -> None:
            if sys.dont_write_bytecode:
                return
            with suppress(OSError):
                Path(self.directory).mkdir(exist_ok=True)
                super().dump_bytecode(bucket)

    made = hashlib.sha256(jinja2.__version__.encode())
    with suppress(OSError):
        made.update(Path(made_in).read_bytes())
    folder = str(files(package) / "assets" / "__pycache__")
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        bytecode_cache=Kept(folder, f"%s-{made.hexdigest()[:16]}.jinja"),
        **options,
    )
