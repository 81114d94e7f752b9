"""Who is let in: by which name, with which token, asked by whom; and what each answer carries."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_from_bytes

import pytest
from starlette.testclient import TestClient

from harness.serve.app import application
from harness.serve.guard import Guard
from harness.serve.listening import names_of

RUN = "20261120T100000-aaaaaa"
HOME = "http://127.0.0.1:8080"
Make = Callable[..., Path]


@pytest.fixture
def client(store: Path, make: Make) -> TestClient:
    """A visitor of an index on loopback."""
    make(RUN)
    served = application(store, None, names_of("127.0.0.1", 8080))
    return TestClient(served, base_url=HOME, follow_redirects=False)


def with_token(store: Path, token: str) -> TestClient:
    return TestClient(application(store, token), base_url=HOME, follow_redirects=False)


@pytest.mark.parametrize(
    "host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LocalHost:8080"]
)
def test_an_index_on_loopback_answers_to_its_names(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example:8080",
        "localhost.evil.example:8080",
        "localhost:8081",
        "localhost",
        "",
        "localhost:8080, evil.example",
        "\xff",
    ],
)
@pytest.mark.parametrize("path", ["/", "/runs.json", f"/run/etcd/register/{RUN}/", "/style.css"])
def test_no_other_name_is_answered_on_loopback(client: TestClient, host: str, path: str) -> None:
    answer = client.get(path, headers={"Host": host.encode("latin-1")})
    assert answer.status_code == 421
    assert RUN not in answer.text


def test_the_host_that_was_given_is_one_of_the_names() -> None:
    assert "[::1]:80" in names_of("::1", 80)
    assert "[::1]" in names_of("::1", 80)
    assert "127.9.9.9:8080" in names_of("127.9.9.9", 8080)
    assert "127.9.9.9" not in names_of("127.9.9.9", 8080)


@pytest.mark.parametrize("token", ["", " ", "\t\n"])
def test_an_empty_token_is_none(store: Path, token: str) -> None:
    with pytest.raises(ValueError, match="let everybody in"):
        with_token(store, token).get("/")


TOKENS = ["s3cret", "gehäuse", "日本", "a&b=c;d e+f%20", '"quoted\\', "caf\udce9"]
"""The last is what the command line makes of a byte that is no UTF-8."""


@pytest.mark.parametrize("token", TOKENS)
def test_any_token_lets_in_who_knows_it_and_nobody_else(store: Path, token: str) -> None:
    client = with_token(store, token)
    assert client.get("/").status_code == 401
    raw = os.fsencode(token)
    entered = client.get(f"/?token={quote_from_bytes(raw, safe='')}")
    assert entered.status_code == 303
    assert quote(raw) not in entered.headers["set-cookie"]
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("token", TOKENS[:-1])  # the test's client cannot say the last in a header
def test_a_script_says_the_token_in_a_header(store: Path, token: str) -> None:
    bearer = {"Authorization": b"Bearer " + token.encode()}
    assert with_token(store, token).get("/runs.json", headers=bearer).status_code == 200


def test_a_token_that_no_command_line_can_say_lets_nobody_in(store: Path) -> None:
    assert with_token(store, "\ud800").get("/?token=%ED%A0%80x").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "polygraph_token="},
        {"Cookie": "polygraph_token=s3cret"},
        {"Cookie": 'polygraph_token="\\377"'},
        {"Cookie": b"polygraph_token=\xff"},
        {"Cookie": "=;;=,polygraph_token"},
        {"Authorization": "Bearer "},
        {"Authorization": b"Bearer \xff\xfe"},
        {"Authorization": "s3cre"},
        {"Authorization": "Bearer s3cret, Bearer s3cret"},
    ],
)
@pytest.mark.parametrize("query", ["", "?token=", "?token=%ff", "?token=%ED%A0%80", "?token=%00"])
def test_what_is_not_the_token_is_refused(
    store: Path, headers: dict[str, str | bytes], query: str
) -> None:
    answer = with_token(store, "s3cret").get(f"/{query}", headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401


def test_too_many_fields_are_refused(store: Path) -> None:
    assert with_token(store, "s3cret").get("/?" + "a=1&" * 500).status_code == 400


@pytest.mark.parametrize(
    ("asked", "led_to"),
    [
        ("/?token=t", "/"),
        ("/?token=t&verdict=invalid", "/?verdict=invalid"),
        ("//evil.example/?token=t", "/evil.example/"),
        ("/\\evil.example/?token=t", "/evil.example/"),
        ("/%09/evil.example/?token=t", "/%09/evil.example/"),
    ],
)
def test_entering_leads_to_this_server_alone(store: Path, asked: str, led_to: str) -> None:
    sent: list[dict[str, object]] = []
    path, _, query = asked.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"127.0.0.1:8080")],
    }

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    import asyncio

    asyncio.run(Guard(application(store, None), "t", None)(scope, None, send))  # type: ignore[arg-type]
    headers = dict(sent[0]["headers"])  # type: ignore[attr-defined]
    assert headers[b"location"] == led_to.encode()


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    ("mode", "dest", "code"),
    [
        ("navigate", "document", 200),
        ("navigate", "iframe", 403),
        ("no-cors", "script", 403),
        ("no-cors", "image", 403),
        ("cors", "empty", 403),
    ],
)
def test_another_site_may_link_and_not_load(
    client: TestClient, site: str, mode: str, dest: str, code: int
) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    assert client.get("/runs.json", headers=headers).status_code == code
    own = {**headers, "Sec-Fetch-Site": "same-origin"}
    assert client.get("/runs.json", headers=own).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/style.css", f"/run/etcd/register/{RUN}/", "/run/x"]
)
def test_every_answer_carries_its_safe_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"


def test_a_stored_page_is_in_an_origin_of_its_own(client: TestClient, store: Path) -> None:
    page = client.get(f"/run/etcd/register/{RUN}/")
    assert "report of" in page.text
    policy = [part.strip() for part in page.headers["content-security-policy"].split(";")]
    assert "sandbox allow-scripts allow-forms" in policy
    assert "default-src 'none'" in policy
    assert "form-action 'none'" in policy
    assert not any(part.startswith("connect-src") for part in policy)


@pytest.mark.parametrize("headers", [{"Content-Length": "5"}, {"Transfer-Encoding": "chunked"}])
def test_bodies_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.request("GET", "/", headers=headers, content=b"12345")
    assert answer.status_code == 413
