"""What a system, a workload, a fault or a provider lets the user set: its ``options``.

``Factory.options`` is a tuple of :class:`Option`; the values arrive by name in the mapping that the
factory is called with, ``None`` where there is none. See :mod:`harness.option`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.option import Duration as Duration
from harness.option import Option as Option
from harness.option import Size as Size

SystemOption = Option
"""The name that :class:`Option` had in the contract's versions 1 and 2."""

TLS: Final = (
    Option(name="tls_ca", kind=Path, help="certificates that the server's is checked by (PEM)"),
    Option(name="tls_cert", kind=Path, help="the client's own certificate (PEM)"),
    Option(
        name="tls_key", kind=Path, help="the private key of --tls-cert (PEM); only its path is kept"
    ),
)
"""TLS as every system spells it: files, of which only the paths are ever written down."""

USER: Final = Option(name="user", help="the user to log in as")
PASSWORD: Final = Option(name="password", secret=True, help="the password of --user")
"""A login as every system spells it: ``POLYGRAPH_PASSWORD`` or ``--password-file FILE``."""
