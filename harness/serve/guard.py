"""Who is let in, and the headers that every answer carries.

On loopback no token is needed, so the only visitors are programs of this machine; what a page of
somebody else's may do *through* the user's browser is refused here. It may not be reached under a
foreign name (DNS rebinding: the ``Host`` must be one that is served), nor be loaded, framed or
read by another site (``Sec-Fetch-Site``, ``Cross-Origin-Resource-Policy``). Elsewhere every
request must know the token, which a rebound name does not help to, so any ``Host`` will do.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from starlette.responses import PlainTextResponse, RedirectResponse, Response

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE: Final = "polygraph_token"
MOST_FIELDS: Final = 50
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Stands before ``app``. ``token`` of ``None`` asks for none, ``hosts`` of ``None`` any."""

    def __init__(self, app: App, token: str | None, hosts: Collection[str] | None) -> None:
        if token is not None and not token.strip():
            raise ValueError("an empty token would let everybody in")
        self.app = app
        self._token = None if token is None else _bytes(token)
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in, or answer why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_missing(message)]
            await send(message)

        answer = self._refusal(scope)
        await (self.app if answer is None else answer)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """What is answered instead; ``None`` lets the request in."""
        headers = _headers(scope)
        if not self._is_our_name(headers.get("host", "")):
            known = ", ".join(sorted(self._hosts or ()))
            return PlainTextResponse(f"This index is served as {known}, and as no other.", 421)
        if not _may_ask(headers):
            return PlainTextResponse("Another site may link to this index, not load from it.", 403)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("This index can only be read.", 405, {"Allow": "GET, HEAD"})
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            return PlainTextResponse("This index takes no bodies.", 413, {"Connection": "close"})
        return None if self._token is None else self._entry(scope, headers, self._token)

    def _is_our_name(self, host: str) -> bool:
        return self._hosts is None or host.lower() in self._hosts

    def _entry(self, scope: Scope, headers: Mapping[str, str], token: bytes) -> Response | None:
        """Let in who knows the token: once as ``?token=``, then by a cookie."""
        query = bytes(scope.get("query_string", b"")).decode("latin-1")
        try:
            fields = parse_qsl(
                query, keep_blank_values=True, errors="surrogateescape", max_num_fields=MOST_FIELDS
            )
        except ValueError:
            return PlainTextResponse("This address has too many fields.", 400)
        given = dict(fields).get("token", "")
        if given and hmac.compare_digest(_bytes(given), token):
            kept = [(name, value) for name, value in fields if name != "token"]
            answer = RedirectResponse(_here(scope, kept), 303)
            answer.set_cookie(COOKIE, _remembered(token), httponly=True, samesite="strict")
            return answer
        bearer = headers.get("authorization", "").removeprefix("Bearer ").encode("latin-1")
        cookie = _cookie(headers.get("cookie", "")).encode("utf-8", "surrogatepass")
        is_known = hmac.compare_digest(bearer, token)
        is_known |= hmac.compare_digest(cookie, _remembered(token).encode())
        if is_known:
            return None
        return PlainTextResponse("This index asks for its token: /?token=…", 401)


def _may_ask(headers: Mapping[str, str]) -> bool:
    """Whether the browser asks for its user: by this index itself, or by a link to follow."""
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return True
    return (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == (
        "navigate",
        "document",
    )


def _headers(scope: Scope) -> dict[str, str]:
    """The headers by small name; of one that came twice, both, so that it is none that is known."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _missing(message: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    there = {bytes(name).lower() for name, _ in message.get("headers", [])}
    wanted = {"Content-Security-Policy": POLICY, **HEADERS}
    encoded = ((name.lower().encode(), value.encode()) for name, value in wanted.items())
    return [(name, value) for name, value in encoded if name not in there]


def _here(scope: Scope, fields: list[tuple[str, str]]) -> str:
    """The address that was asked for, on this very server: ``//other.example`` is another."""
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    path = "/" + bytes(raw).decode("latin-1").lstrip("/\\")
    query = urlencode(fields, errors="surrogateescape")
    return path.replace("\\", "%5C") + (f"?{query}" if query else "")


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _remembered(token: bytes) -> str:
    """What the cookie holds: it follows from the token, and does not tell it."""
    return hmac.new(token, b"polygraph serve", hashlib.sha256).hexdigest()


def _bytes(token: str) -> bytes:
    """A token as the bytes that were typed, whatever they are."""
    try:
        return os.fsencode(token)
    except UnicodeEncodeError:
        return token.encode("utf-8", "surrogatepass")
