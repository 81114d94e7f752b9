"""The web application over a store: read only, loopback by default, a token elsewhere.

Paths from the outside name runs of the store, or files under one of them; what passes a link or
is no plain file is not found. A page that stands in the store may be anybody's: it is served into
an origin of its own, from which it can neither read nor ask for anything. Whatever may take time
is done off the loop that serves the others, and once for all who ask for it at the same time.
"""

from __future__ import annotations

import asyncio
import os
import threading
from base64 import b64encode
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO, Final, Generic, TypeVar
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from harness.serve import pages
from harness.serve.catalogue import Catalogue, State, as_json
from harness.serve.drawn import MOST_PAGE_BYTES, Drawn, Kind, Undrawn
from harness.serve.guard import Guard
from harness.serve.kept import Kept
from harness.serve.present import present_of
from harness.serve.rows import Row, address, is_run, path_of, row
from harness.serve.soaks import FOLDER
from harness.serve.zipped import plain_name, zipped
from harness.store.untrusted import Folder

STORED_POLICY: Final = (
    "sandbox allow-scripts allow-forms; default-src 'none'; script-src 'unsafe-inline';"
    " style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none';"
    " frame-ancestors 'none'"
)
"""For a page out of the store: scripts of its own in an origin of its own, and no way out of it.

Our report's search is a form, whose submission its script takes; no form leads anywhere.
"""
MOST_PAGES: Final = 64
"""Drawn lists of runs that are kept."""
MOST_FIELDS: Final = 50
_CHUNK: Final = 1 << 18
_T = TypeVar("_T")


class _Anything(Convertor[str]):
    """The rest of an address, whatever is in it; Starlette's own ends at the end of a line."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        """As it is: what counts are the bytes (:func:`_path`)."""
        return value

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


register_url_convertor("anything", _Anything())


class Shared(Generic[_T]):
    """Work that many want: who asks before it begins shares its answer, and none is older."""

    def __init__(self, work: Callable[[], _T]) -> None:
        self._work = work
        self._pool = ThreadPoolExecutor(1, "looking")
        self._turn = threading.Lock()
        self._next: Future[_T] | None = None

    def ask(self) -> Future[_T]:
        """The answer of the next time that the work is done."""
        with self._turn:
            if self._next is None or self._next.running() or self._next.done():
                self._next = self._pool.submit(self._work)
            return self._next


async def _answer(future: Future[_T]) -> _T:
    """Wait for ``future`` without ending it for others if this request ends."""
    return await asyncio.shield(asyncio.wrap_future(future))


class Index:
    """The handlers, over one store."""

    def __init__(self, store: Path, cache: Path | None = None) -> None:
        self.store = store.resolve()
        self.inside = Folder(self.store)
        self.catalogue = Catalogue(self.store, Kept(self.store, cache))
        self.look = Shared(self.catalogue.refresh)
        self.drawn = Drawn(self.store)
        self._turn = threading.Lock()
        self._lists: OrderedDict[tuple[object, ...], bytes] = OrderedDict()

    def close(self) -> None:
        """End what is under way, and keep what was read."""
        self.drawn.close()
        self.catalogue.keep()

    # -- pages -----------------------------------------------------------------------------------

    async def index(self, request: Request) -> Response:
        """Every run that fits the query."""
        wanted, number = _wanted(request)
        state = await _answer(self.look.ask())

        def draw() -> bytes:
            return pages.index_page(state, wanted, number).encode()

        page = await run_in_threadpool(self._once, ("index", state, wanted, number), draw)
        return HTMLResponse(page)

    async def runs(self, request: Request) -> Response:
        """The same rows as JSON, all of them."""
        wanted, _ = _wanted(request)
        state = await _answer(self.look.ask())

        def draw() -> bytes:
            return as_json(state.rows(wanted)).encode()

        page = await run_in_threadpool(self._once, ("runs", state, wanted), draw)
        return Response(page, media_type="application/json")

    def _once(self, asked: tuple[object, ...], draw: Callable[[], bytes]) -> bytes:
        """The list that was asked for, drawn once as long as nothing in the store changes."""
        key = tuple(
            part.number if isinstance(part, State)
            else tuple(sorted(part.items())) if isinstance(part, dict)
            else part
            for part in asked
        )  # fmt: skip
        with self._turn:  # who comes meanwhile waits, and finds it drawn
            if key not in self._lists:
                self._lists[key] = draw()
                if len(self._lists) > MOST_PAGES:
                    self._lists.popitem(last=False)
            self._lists.move_to_end(key)
            return self._lists[key]

    async def report(self, request: Request) -> Response:
        """A run's report, drawn now where there is none; one under way is followed live."""
        path = _path(request, "/run/")
        state = await run_in_threadpool(self._state_of, path)
        if state == "none":
            return _not_found()
        if state == "live":
            return RedirectResponse(f"/live/{address(path)}/", 303)
        stored = await run_in_threadpool(_plain_page, self.inside.below(path), "report.html")
        if stored is not None:
            return _stored(stored)
        return await self._draw("report", path, self.inside.below(path))

    def _state_of(self, path: str) -> str:
        """Whether there is such a run, and whether it is over or to be followed."""
        if not is_run(self.inside, path):
            return "none"
        has_page = self.inside.below(path).has("report.html")
        return "over" if has_page or _is_over(row(self.inside, path)) else "live"

    async def soak(self, request: Request) -> Response:
        """The page of a soak, drawn from its summary, so that its links lead to reports here."""
        name = _path(request, "/soak/")
        if "/" in name or name in ("", ".", "..") or "\0" in name:
            return _not_found()
        folder = self.inside.below(f"{FOLDER}/{name}")
        stored = await run_in_threadpool(_plain_page, folder, "index.html")
        if not folder.has("summary.json"):
            return _not_found() if stored is None else _stored(stored)
        answer = await self._draw("soak", name, folder)
        if answer.status_code != 200 and stored is not None:
            return _stored(stored)
        if stored is not None:
            stored.close()
        return answer

    async def _draw(self, kind: Kind, name: str, folder: Folder) -> Response:
        try:
            page = await _answer(await run_in_threadpool(self.drawn.page, kind, name, folder))
        except Undrawn as undrawn:
            return HTMLResponse(pages.undrawn_page(name, str(undrawn)), 422)
        policy = STORED_POLICY if kind == "report" else soak_policy()
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})

    async def live(self, request: Request) -> Response:
        """The page that follows a run."""
        path = _path(request, "/live/")
        if not await run_in_threadpool(is_run, self.inside, path):
            return _not_found()
        return HTMLResponse(pages.live_page(path))

    async def progress(self, request: Request) -> Response:
        """What the run last said of itself, and its verdict once there is one."""
        path = _path(request, "/progress/")
        said = await run_in_threadpool(self._present, path)
        return _not_found() if said is None else JSONResponse(said)

    def _present(self, path: str) -> dict[str, object] | None:
        if not is_run(self.inside, path):
            return None
        found = row(self.inside, path)
        over = {"verdict": pages.WORDS[found.verdict]} if _is_over(found) else {}
        return {**present_of(self.inside.below(path)), **over}

    async def zip(self, request: Request) -> Response:
        """The run's folder as a zip, streamed."""
        path = _path(request, "/zip/")
        if not await run_in_threadpool(is_run, self.inside, path):
            return _not_found()
        name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in path)
        headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
        if request.method == "HEAD":
            return Response(headers=headers, media_type="application/zip")
        content = zipped(self.inside.below(path), plain_name(path.rsplit("/", 1)[-1]))
        return StreamingResponse(content, media_type="application/zip", headers=headers)

    async def style(self, request: Request) -> Response:
        """Our style sheet."""
        return Response(pages.style(), media_type="text/css")

    async def script(self, request: Request) -> Response:
        """One of our own, which only the routes name."""
        name = request.scope["path"].rpartition("/")[2]
        return Response(pages.asset(name), media_type="text/javascript")

    async def icon(self, request: Request) -> Response:
        """Browsers ask for it; there is none."""
        return Response(status_code=204)


def _is_over(row: Row) -> bool:
    """Whether nothing of the run is to be followed any more."""
    return row.state == "over"


def _plain_page(folder: Folder, name: str) -> BinaryIO | None:
    """A stored page, open; ``None`` where there is none, or none that is plain and of fair size."""
    try:
        page = folder.open(name)
    except OSError:
        return None
    if os.fstat(page.fileno()).st_size <= MOST_PAGE_BYTES:
        return page
    page.close()
    return None


def _stored(page: BinaryIO) -> Response:
    """A page out of the store, which may be anybody's."""

    def content() -> Iterator[bytes]:
        left = MOST_PAGE_BYTES
        with page:
            while left > 0 and (chunk := page.read(min(_CHUNK, left))):
                left -= len(chunk)
                yield chunk

    headers = {"Content-Security-Policy": STORED_POLICY}
    return StreamingResponse(content(), media_type="text/html", headers=headers)


def soak_policy() -> str:
    """For a soak's page that we drew: our own script by its digest, and nothing else."""
    script = (files("harness.soak") / "assets" / "soak.js").read_bytes()
    digest = b64encode(sha256(script).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _wanted(request: Request) -> tuple[dict[str, str], int]:
    """The filters that were asked for, and the number of the page."""
    query = bytes(request.scope.get("query_string", b"")).decode("latin-1")
    try:
        fields = parse_qs(query, max_num_fields=MOST_FIELDS)
    except ValueError:
        fields = {}
    names = ("system", "workload", "fault", "verdict", "kind", "since", "until")
    wanted = {name: fields[name][-1] for name in names if fields.get(name)}
    if len(wanted.get("until", "")) == len("2026-11-22"):
        wanted["until"] += "T23:59:59"
    number = fields.get("page", ["1"])[-1]
    return wanted, int(number) if number.isdecimal() and len(number) < 9 else 1


def _path(request: Request, prefix: str) -> str:
    """What stands behind ``prefix``, as the bytes say: a name may be no text at all."""
    raw = request.scope.get("raw_path")
    asked = bytes(raw) if raw is not None else address(request.scope["path"]).encode()
    return path_of(asked).removeprefix(prefix).strip("/")


def _not_found() -> Response:
    return PlainTextResponse("There is no such run in this store.", 404)


def application(
    store: Path,
    token: str | None,
    hosts: Collection[str] | None = None,
    *,
    cache: Path | None = None,
) -> Starlette:
    """The application over ``store``.

    ``token`` of ``None`` asks for none (loopback only). ``hosts`` are the values of ``Host`` that
    are answered, all where it is ``None``. ``cache`` is the user's own folder for caches; without
    one what was read is kept in memory alone.
    """
    index = Index(store, cache)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        index.look.ask()  # so that the first visitor waits less
        yield
        await run_in_threadpool(index.close)

    routes = [
        Route("/", index.index),
        Route("/runs.json", index.runs),
        Route("/style.css", index.style),
        Route("/live.js", index.script),
        Route("/plots.js", index.script),
        Route("/favicon.ico", index.icon),
        Route("/soak/{name:anything}", index.soak),
        Route("/run/{path:anything}", index.report),
        Route("/live/{path:anything}", index.live),
        Route("/progress/{path:anything}", index.progress),
        Route("/zip/{path:anything}", index.zip),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.add_middleware(Guard, token=token, hosts=hosts)
    return app
