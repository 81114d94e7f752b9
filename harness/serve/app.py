"""The web application over a store: read only, loopback by default, a token elsewhere.

Paths from the outside name runs of the catalogue, or files under one of them; what resolves
outside the store, or passes a link, is not found. Reports are served with the policy that they
carry themselves, all other pages with ours, and no page may be framed or sniffed.
"""

from __future__ import annotations

import hmac
import io
import os
import threading
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from harness.run.store import MARKS, read_json
from harness.serve import pages
from harness.serve.catalogue import Catalogue, as_json, read_row

COOKIE = "polygraph_token"
CHUNK = 1 << 20
Next = Callable[[Request], Awaitable[Response]]


class Guard(BaseHTTPMiddleware):
    """Asks for the token, if there is one, and gives every answer its safe headers."""

    def __init__(self, app: Any, token: str | None) -> None:
        super().__init__(app)
        self.token = token

    async def dispatch(self, request: Request, call_next: Next) -> Response:
        """Let in who knows the token: once as ``?token=``, then by a cookie."""
        given = request.query_params.get("token", "")
        if self.token is not None and not self._knows(request, given):
            return PlainTextResponse("This index asks for its token: /?token=…", 401)
        response: Response
        if self.token is not None and given:
            response = RedirectResponse(request.url.path or "/", 303)
            response.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
        else:
            response = await call_next(request)
        response.headers.setdefault("Content-Security-Policy", pages.POLICY)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    def _knows(self, request: Request, given: str) -> bool:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        tried = (given, request.cookies.get(COOKIE, ""), bearer)
        expected = (self.token or "").encode()
        return any(hmac.compare_digest(each.encode(), expected) for each in tried)


class Index:
    """The handlers, over one store."""

    def __init__(self, store: Path) -> None:
        self.store = store.resolve()
        self.catalogue = Catalogue(self.store)
        self._turn = threading.Lock()  # the catalogue is for one thread at a time

    # -- pages -----------------------------------------------------------------------------------

    async def index(self, request: Request) -> Response:
        """Every run that fits the query."""
        wanted = _wanted(request)
        rows, choices = await run_in_threadpool(self._look, wanted)
        return HTMLResponse(pages.index_page(rows, choices, wanted, self._soaks()))

    async def runs(self, request: Request) -> Response:
        """The same rows as JSON."""
        rows, _ = await run_in_threadpool(self._look, _wanted(request))
        return Response(as_json(rows), media_type="application/json")

    def _look(self, wanted: dict[str, str]) -> tuple[Any, Any]:
        with self._turn:
            self.catalogue.refresh()
            return self.catalogue.rows(wanted), self.catalogue.choices()

    def _soaks(self) -> list[dict[str, str]]:
        from harness.soak.page import headline

        found = []
        for path in sorted(self.store.glob("soaks/*/summary.json"), reverse=True)[:20]:
            summary = read_json(path)
            if isinstance(summary, dict) and "counts" in summary:
                found.append({"name": path.parent.name, "headline": headline(summary)})
        return found

    async def report(self, request: Request) -> Response:
        """A run's report, made now where there is none; one under way is followed live."""
        run = self._run(request)
        if run is None:
            return _not_found()
        page = run / "report.html"
        if not page.exists() and not (run / "verdict.json").exists():
            path = run.relative_to(self.store).as_posix()
            return RedirectResponse(f"/live/{quote(path)}/", 303)
        if not page.exists():
            from harness.report import render

            await run_in_threadpool(render, run)
        return FileResponse(page, headers={"Content-Security-Policy": REPORT_POLICY})

    async def soak(self, request: Request) -> Response:
        """The page of a soak."""
        page = self._inside(Path("soaks") / request.path_params["name"] / "index.html")
        if page is None or not page.is_file():
            return _not_found()
        return FileResponse(page, headers={"Content-Security-Policy": REPORT_POLICY})

    async def live(self, request: Request) -> Response:
        """The page that follows a run."""
        if self._run(request) is None:
            return _not_found()
        return HTMLResponse(pages.live_page(request.path_params["path"].strip("/")))

    async def progress(self, request: Request) -> Response:
        """What the run last said of itself, and its verdict once there is one."""
        run = self._run(request)
        if run is None:
            return _not_found()
        said = read_json(run / "evidence" / "progress.json")
        row = read_row(self.store, run)
        over = {"verdict": pages.WORDS[row.verdict]} if row.verdict != "none" else {}
        return JSONResponse({**(said if isinstance(said, dict) else {}), **over})

    async def zip(self, request: Request) -> Response:
        """The run's folder as a zip, streamed."""
        run = self._run(request)
        if run is None:
            return _not_found()
        name = "-".join(run.relative_to(self.store).parts) + ".zip"
        headers = {"Content-Disposition": f'attachment; filename="{_plain(name)}"'}
        return StreamingResponse(zipped(run), media_type="application/zip", headers=headers)

    async def style(self, request: Request) -> Response:
        """Our style sheet."""
        return Response(pages.style(), media_type="text/css")

    async def live_script(self, request: Request) -> Response:
        """Our one script."""
        return Response(pages.asset("live.js"), media_type="text/javascript")

    async def icon(self, request: Request) -> Response:
        """Browsers ask for it; there is none."""
        return Response(status_code=204)

    # -- the store -------------------------------------------------------------------------------

    def _run(self, request: Request) -> Path | None:
        """The run folder that the request names, or ``None``: nothing else can be named."""
        path = self._inside(Path(request.path_params["path"].strip("/")))
        if path is None or len(path.relative_to(self.store).parts) != 3 or not path.is_dir():
            return None
        return path if any((path / mark).exists() for mark in MARKS) else None

    def _inside(self, relative: Path) -> Path | None:
        """``relative`` in the store, if it stays there and passes no link."""
        if relative.is_absolute() or ".." in relative.parts:
            return None
        path = self.store / relative
        try:
            return path if path.resolve() == path else None
        except (OSError, ValueError):
            return None


REPORT_POLICY = "frame-ancestors 'none'"
"""Beside the policy that the page itself carries, which is stricter than one for all could be."""


def _wanted(request: Request) -> dict[str, str]:
    names = ("system", "workload", "fault", "verdict", "since", "until")
    wanted = {name: request.query_params.get(name, "") for name in names}
    if len(wanted["until"]) == len("2026-11-22"):
        wanted["until"] += "T23:59:59"
    return {name: value for name, value in wanted.items() if value}


def _not_found() -> Response:
    return PlainTextResponse("There is no such run in this store.", 404)


def _plain(name: str) -> str:
    return "".join(char if char.isalnum() or char in "-_." else "_" for char in name)


def zipped(folder: Path) -> Iterator[bytes]:
    """A zip of ``folder`` piece by piece; links and the nodes' data are left out."""
    buffer = _Tail()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in _files(folder):
            name = Path(folder.name) / path.relative_to(folder)
            try:
                source = path.open("rb")
            except OSError:  # of a run under way, whose files are replaced and sealed
                continue
            with source, archive.open(str(name), "w") as target:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
                    yield buffer.take()
    yield buffer.take()


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(set(folders) - {"data"}) if "nodes" in parent else sorted(folders)
        yield from (p for name in sorted(names) if not (p := Path(parent) / name).is_symlink())


class _Tail(io.RawIOBase):
    """A file that only knows what was written since it was last asked; cannot be sought."""

    def __init__(self) -> None:
        self._pieces = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces += data
        return len(data)

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = bytes(self._pieces)
        self._pieces.clear()
        return taken


def application(store: Path, token: str | None) -> Starlette:
    """The application over ``store``; ``token`` of ``None`` asks for none (loopback only)."""
    index = Index(store)
    routes = [
        Route("/", index.index),
        Route("/runs.json", index.runs),
        Route("/style.css", index.style),
        Route("/live.js", index.live_script),
        Route("/favicon.ico", index.icon),
        Route("/soak/{name}/", index.soak),
        Route("/run/{path:path}", index.report),
        Route("/live/{path:path}", index.live),
        Route("/progress/{path:path}", index.progress),
        Route("/zip/{path:path}", index.zip),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(Guard, token=token)
    return app
