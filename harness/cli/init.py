"""``polygraph init NAME``: a folder to begin with, in which everything runs at once.

It holds a tiny service, a plug-in that tests it, a scenario, a test and a page that says what is
yours to change. What is written lies beside this module in ``skeletons``; tests run all of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from harness.cli.flags import flag
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_VALID, UsageError, cannot_write

KINDS: Final = ("http", "command", "sql", "redis")
NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_IMPORTS_HTTP: Final = """\
import asyncio
import http.client
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from harness.contract.client import Failed, Indeterminate, Registers, Target
from harness.contract.node import Daemon, Node, Port, split_address
from harness.contract.option import Option
from harness.contract.speaker import Kind, Misanswer
from harness.contract.system import Role, Stage
from harness.errors import NotReady
from systems.drivers.http import HttpConnection, Lost
from systems.drivers.http_wire import answer, path_and_body, take_request
"""
_IMPORTS_COMMAND: Final = """\
import http.client
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.contract.client import Registers, SystemClient
from harness.contract.node import Daemon, Node, Port, split_address
from harness.contract.option import Option
from harness.contract.system import Role, Stage
from harness.errors import NotReady, UsageError
"""
_CONFORMS: Final = """
def test_its_client_tells_the_truth() -> None:
    plugin = ("--plugin", "my_service.py")
    done = polygraph("conform", "my-service", *plugin, #ARGUMENTS#)
    assert done.returncode == 0, done.stdout + done.stderr
"""


_SQL: Final = {
    "my_service.py": "sql.py.in",
    "scenario.toml": "sql_scenario.toml.in",
    "test_my_service.py": "sql_trial.py.in",
    "README.md": "sql_README.md.in",
}
"""Each file for a SQL database, and the skeleton that it is written from."""


@click.command("init", cls=Verb)
@click.argument("name")
@flag(
    "kind",
    choices=KINDS,
    default=KINDS[0],
    help="http: a client in Python that speaks HTTP; command: a program of any language is it;"
    " sql: a driver of Python's DB-API, with SQLite to begin with;"
    " redis: a client in Python that speaks the protocol of Redis",
)
@flag("into", Path, help="the folder to make (default: NAME)")
def VERB(name: str, kind: str, into: Path | None) -> int:
    """Make a folder to test a system called NAME: it runs at once, against a service of its own.

    A plug-in, a tiny service that it starts (or SQLite), a scenario, a test and a README that says
    what is yours to change.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name} is no name for a system", "small letters and dashes: my-service")
    folder = Path(name) if into is None else into
    try:
        folder.mkdir(parents=True)
        for file, text in written(name, kind).items():
            (folder / file).write_text(text, "utf-8")
    except OSError as error:
        raise cannot_write(f"cannot make {folder}", error) from error
    say(f"{folder} is there; now:")
    say(f"  cd {folder}")
    say("  polygraph test --scenario scenario.toml")
    broken = "--late-begin" if kind == "sql" else "--lossy"
    say(f"  polygraph test --scenario scenario.toml {broken}   # broken on purpose")
    return EXIT_VALID


def written(name: str, kind: str) -> Mapping[str, str]:
    """Every file of the folder by its name."""
    if kind == "sql":
        return {_named(file, name): _named(_file(of), name) for file, of in _SQL.items()}
    program = kind == "command"
    arguments = "--client 'python3 client.py'" if program else "--server scripted"
    system = _file("system.py.in").replace(_head(), _IMPORTS_COMMAND if program else _IMPORTS_HTTP)
    of_redis = kind == "redis"
    texts = {
        "server.py": _file("redis_server.py.in" if of_redis else "server.py.in"),
        "my_service.py": _file("redis.py.in")
        if of_redis
        else system + _file(f"client_{kind}.py.in"),
        "scenario.toml": _file("scenario.toml.in"),
        "test_my_service.py": _file("trial.py.in").replace(
            "#CONFORMS#\n",
            _CONFORMS.replace("#ARGUMENTS#", _quoted(arguments)),
        ),
        "README.md": _file("README.md.in").replace("#CONFORM#", arguments),
    }
    row = "| `client.py` | the client, as docs/client-protocol.md has it | any language will do |\n"
    texts["README.md"] = texts["README.md"].replace("#CLIENT#", row if program else "")
    if program:
        texts["client.py"] = _file("client.py.in")
        texts["scenario.toml"] += 'client = "python3 client.py"\n'
    return {_named(file, name): _named(text, name) for file, text in texts.items()}


def _file(name: str) -> str:
    return (files("harness.cli") / "skeletons" / name).read_text("utf-8")


def _head() -> str:
    """The imports of the system's file, which each kind has its own of."""
    text = _file("system.py.in")
    return text[text.index("import http.client") : text.index("\nPOLYGRAPH_CONTRACT")]


def _quoted(arguments: str) -> str:
    flag_, _, value = arguments.partition(" ")
    return f'"{flag_}", "{value.strip(chr(39))}"'


def _named(text: str, name: str) -> str:
    """The skeleton's own names replaced by those of ``name``, in each way in which they stand."""
    words = name.split("-")
    text = text.replace("my-service", name).replace("my_service", "_".join(words))
    return text.replace("MyService", "".join(word.capitalize() for word in words))
