"""Secrets are found in every spelling, and taken from where they may stand alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.confidential import (
    Secret,
    clear_logs,
    cleared,
    forget_secrets,
    keep_secret,
    refuse_missing,
    secret_values,
    without_secrets,
)
from harness.contract.option import PASSWORD, USER
from harness.errors import UsageError


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    forget_secrets()


def test_every_usual_spelling_is_hidden() -> None:
    value = 'p"ss/wörd & <more>'
    keep_secret([value])
    spelled = [value, json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value)]
    spelled += ["p%22ss%2Fw%C3%B6rd%20%26%20%3Cmore%3E", "p&#34;ss/wörd &amp; &lt;more&gt;"]
    for text in spelled:
        assert "ss/w" not in without_secrets(f"before {text} after").replace("%2F", "/"), text


def test_text_without_secrets_stays_as_it_is() -> None:
    keep_secret(["planted"])
    table = {"a": ["b", 1, None], "planted": "x planted y", "n": "planted"}
    assert cleared(table) == {"a": ["b", 1, None], "planted": "x *** y", "n": "***"}
    assert cleared(table, names=True)["n"] == "planted"
    keep_secret(["abc"])  # too short to be looked for
    assert without_secrets("abcd") == "abcd"


def test_logs_are_cleared_in_place_and_nothing_else(tmp_path: Path) -> None:
    node = tmp_path / "nodes/n1"
    node.mkdir(parents=True)
    long = b"x" * ((1 << 20) - 3) + b"planted" + b"y" * 100 + b"planted\n"
    (node / "db.log").write_bytes(long)
    (tmp_path / "elsewhere.log").write_bytes(b"planted")
    (node / "link.log").symlink_to(tmp_path / "elsewhere.log")
    keep_secret(["planted"])
    clear_logs(tmp_path)
    assert (node / "db.log").read_bytes() == long.replace(b"planted", b"*" * 7)
    assert (tmp_path / "elsewhere.log").read_bytes() == b"planted"


def test_a_secret_comes_from_its_file_or_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "word"
    file.write_text("from file\n", "utf-8")
    environment = {"POLYGRAPH_PASSWORD": "from environment", "POLYGRAPH_USER": "u"}
    options = (USER, PASSWORD)
    assert secret_values(options, {}, environment) == {"password": "from environment"}
    found = secret_values(options, {"password_file": str(file)}, environment)
    assert found == {"password": "from file"}
    assert "from file" not in f"{found!r}"
    assert secret_values(options, {}, {}) == {}


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"password": "plain"}, "stands in no scenario and on no command line"),
        ({"password_file": "/no/such"}, "--password-file /no/such: no such file"),
        ({"password_file": "/dev/null"}, "is empty"),
    ],
)
def test_what_is_no_way_to_give_a_secret_is_refused(table: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        secret_values((PASSWORD,), table, {})
    assert "plain" not in str(refused.value)


def test_who_repeats_a_run_is_told_what_it_needs() -> None:
    refuse_missing(["password"], {"password": Secret("there")})
    with pytest.raises(UsageError, match="POLYGRAPH_TOKEN in the environment, or --token-file"):
        refuse_missing(["token"], {})
