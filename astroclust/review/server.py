# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""HTTP server for the page, its pictures and its labels, on this computer only."""

import asyncio
import errno
import io
import json
import logging
import socket
import threading
from importlib.resources import files
from ipaddress import ip_address
from typing import TYPE_CHECKING, Self

from aiohttp import web

from astroclust.review.agreement_page import agreement_page
from astroclust.review.confirmation import confirmed_table
from astroclust.review.labels import LabelStore
from astroclust.review.measures import Saliency, measure_objects
from astroclust.review.objects import DEFAULT_PAGE, Objects, Page, describe_page
from astroclust.review.pictures import SHEET_COLUMNS, TILE, Pictures, context_size

if TYPE_CHECKING:
    from astroclust.typing import ClassifierLike

__all__ = ["DEFAULT_PORT", "ReviewServer"]

log = logging.getLogger(__name__)

#: Default port; if it is in use, the next free one.
DEFAULT_PORT = 8710

_HOST = "127.0.0.1"
_PORTS_TRIED = 50
_LARGEST_SHEET = 256
_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class ReviewServer:
    """Server of a review, which runs in its own thread until stopped.

    The server cannot be reached from other computers, and pages of other servers in the same
    browser can neither read it nor add labels. Other users of this computer can.

    Parameters
    ----------
    objects : ``astroclust.review.objects.Objects``
        Objects under review.
    store : `LabelStore`
        Storage of the labels.
    reviewer : str, optional
        Initial name of the reviewer, which can be changed on the page.
    model : str, `~pathlib.Path` or `~astroclust.weights.Classifier`, optional
        Classifier for saliency maps.
    port : int, optional
        Port of the server; by default `DEFAULT_PORT`, or the next free one; 0 for any.
    page : `Page`, optional
        Settings of the page: title, width of the stamps, order, and whether the review is blind.

    Raises
    ------
    OSError
        If the port is in use.

    Examples
    --------
    `~astroclust.review.review_table` creates a server:

    >>> from astropy.table import Table
    >>> from astroclust import review_table, simulate_field
    >>> field = simulate_field(shape=(64, 64), seed=1)
    >>> table = Table({"x": [30.0], "y": [40.0]})
    >>> server = review_table(table, field.images, labels="mine.labels.ecsv", port=0)
    >>> server.url == f"http://127.0.0.1:{server.port}/"
    True
    >>> server.stop()
    """

    def __init__(
        self,
        objects: Objects,
        store: LabelStore,
        *,
        reviewer: str = "",
        model: "ClassifierLike | None" = None,
        port: int | None = None,
        page: Page = DEFAULT_PAGE,
    ) -> None:
        self.objects, self.store = objects, store
        self.page, self.reviewer = page, reviewer
        self._pictures = Pictures(objects, size=page.size)
        self._saliency = Saliency(objects, model=model)
        self._described = json.dumps(self._describe(), allow_nan=False).encode()
        self._socket = _bind(port)
        self.port = self._socket.getsockname()[1]
        self._error: Exception | None = None
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait()
        if self._error is not None:
            raise self._error

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{_HOST}:{self.port}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the server; labels are already on disk."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join()

    def wait(self) -> None:
        """Wait until the server is stopped, for example by Ctrl-C."""
        while self._thread.is_alive():
            self._thread.join(0.5)

    def _run(self, ready):
        try:
            asyncio.run(self._serve(ready))
        except Exception as error:
            if ready.is_set():
                raise
            self._error = error
            ready.set()

    async def _serve(self, ready):
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.SockSite(runner, self._socket).start()
            ready.set()
            await self._stopped.wait()
        finally:
            await runner.cleanup()

    def _application(self):
        application = web.Application(middlewares=[_guard], client_max_size=1 << 16)
        application.add_routes(
            [
                web.get("/", self._page),
                web.get("/static/{name}", self._static),
                web.get("/api/objects", self._get_objects),
                web.get("/api/labels", self._get_labels),
                web.post("/api/labels", self._post_label),
                web.get("/api/measures/{row:\\d+}", self._get_measures),
                web.get("/api/saliency/{row:\\d+}", self._get_saliency),
                web.get("/api/votes.ecsv", self._get_votes),
                web.get("/sheets/{name}", self._get_sheet),
                web.get("/stamps/{name}/{row:\\d+}", self._get_stamp),
                web.get("/contexts/{name}/{row:\\d+}", self._get_context),
                web.get("/agreement", self._get_agreement),
                web.get("/tiles/{name}/{level:\\d+}/{column:\\d+}/{line:\\d+}", self._get_tile),
            ]
        )
        return application

    def _describe(self):
        return describe_page(self.page, self.objects) | {
            "reviewer": self.reviewer,
            "context_size": context_size(self.page.size),
            "sheet_columns": SHEET_COLUMNS,
            "tile": TILE,
            "levels": self._pictures.levels(),
            "labels_file": str(self.store.path),
        }

    async def _page(self, _):
        return _static_file("index.html")

    async def _static(self, request):
        return _static_file(request.match_info["name"])

    async def _get_objects(self, _):
        return web.Response(body=self._described, content_type="application/json")

    async def _get_labels(self, request):
        since, generation = (_whole(request.query.get(name, "0")) for name in ("since", "gen"))
        start, entries = await asyncio.to_thread(self.store.since, since, generation=generation)
        told = {
            "generation": self.store.generation,
            "next": start + len(entries),
            "entries": [[e.row, e.reviewer, e.label, e.note, e.blind] for e in entries],
        }
        return web.json_response(told)

    async def _post_label(self, request):
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="labels must be sent as JSON")
        try:
            sent = json.loads(await request.text())
            row, reviewer, label = sent["row"], sent["reviewer"], sent["class"]
            told = {name: sent[name] for name in ("note", "blind", "order") if name in sent}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise web.HTTPBadRequest(
                text="a label must have row, class, reviewer and note"
            ) from None
        entry = await asyncio.to_thread(self.store.add, row, reviewer=reviewer, label=label, **told)
        saved = {"row": entry.row, "reviewer": entry.reviewer, "class": entry.label}
        return web.json_response(saved | {"note": entry.note, "blind": entry.blind})

    async def _get_measures(self, request):
        row = self._row(request.match_info["row"])
        measured = await asyncio.to_thread(measure_objects, self.objects, [row])
        return web.json_response(measured[0])

    async def _get_saliency(self, request):
        row = self._row(request.match_info["row"])
        try:
            shown = await asyncio.to_thread(self._saliency, row)
        except ModuleNotFoundError as error:
            raise web.HTTPNotImplemented(text=str(error)) from error
        return web.json_response(shown)

    async def _get_votes(self, _):
        headers = {"Content-Disposition": 'attachment; filename="votes.ecsv"'}
        return web.Response(text=await asyncio.to_thread(self._votes_text), headers=headers)

    def _votes_text(self):
        self.store.refresh()
        if self.page.confirm is None:
            table = self.store.table()
        else:
            table = confirmed_table(self.objects, self.store, self.page.confirm)
        text = io.StringIO()
        table.write(text, format="ascii.ecsv")
        return text.getvalue()

    async def _get_sheet(self, request):
        words = request.query.get("rows", "").split(",")
        if len(words) > _LARGEST_SHEET:
            raise web.HTTPBadRequest(text=f"a sheet has at most {_LARGEST_SHEET} rows")
        rows = [self._row(word) for word in words]
        name = request.match_info["name"]
        body = await asyncio.to_thread(self._pictures.sheet, rows, name)
        return web.Response(body=body, content_type="image/jpeg")

    async def _get_stamp(self, request):
        row, name = self._row(request.match_info["row"]), request.match_info["name"]
        body = await asyncio.to_thread(self._pictures.stamp, row, name)
        return web.Response(body=body, content_type="image/png")

    async def _get_context(self, request):
        row, name = self._row(request.match_info["row"]), request.match_info["name"]
        body = await asyncio.to_thread(self._pictures.context, row, name)
        return web.Response(body=body, content_type="image/jpeg")

    async def _get_agreement(self, _):
        text = await asyncio.to_thread(self._agreement_text)
        return web.Response(text=text, content_type="text/html")

    def _agreement_text(self):
        self.store.refresh()
        return agreement_page(self.store.agreement(), title=self.page.title)

    async def _get_tile(self, request):
        found = request.match_info
        tile = [int(found[key]) for key in ("level", "column", "line")]
        body = await asyncio.to_thread(self._pictures.tile, *tile, found["name"])
        return web.Response(body=body, content_type="image/jpeg")

    def _row(self, word):
        row = _whole(word)
        if row >= len(self.objects):
            raise web.HTTPNotFound(text=f"row {row} does not exist")
        return row


@web.middleware
async def _guard(request, handler):
    """Answer only requests from pages on this computer, and describe errors in words."""
    if not _is_own(request):
        raise web.HTTPForbidden(text="only requests from the page on this computer are answered")
    try:
        response = await handler(request)
    except web.HTTPException as error:
        response = web.Response(status=error.status, text=error.text)
    except KeyError as error:
        response = web.Response(status=404, text=str(error.args[0]))
    except (ValueError, TypeError) as error:
        response = web.Response(status=400, text=str(error))
    except OSError as error:
        log.warning("%s", error)
        response = web.Response(status=507, text=str(error))
    response.headers.update(_HEADERS)
    # Another table may be served at this address later.
    response.headers["Cache-Control"] = "no-store"
    return response


def _is_own(request):
    """Whether a request addresses this computer by name and is not from another server.

    A remote page may resolve its own name to the address of this computer (DNS rebinding), in which
    case ``Host`` has that name. It may send a form here, in which case ``Origin`` has its name. The
    port is ignored, because it differs behind ``ssh -L``.
    """
    host = request.headers.get("Host", "")
    if not _is_loopback(host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host):
        return False
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{host}":
        return False
    # A link to the page may be anywhere, such as in a notebook; the page itself reveals nothing.
    link = request.method == "GET" and request.path == "/"
    return link or request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")


def _is_loopback(name):
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _whole(word):
    if not (word.isascii() and word.isdigit() and len(word) < 16):
        raise web.HTTPBadRequest(text=f"{word!r} is not a whole number")
    return int(word)


def _static_file(name):
    folder = files("astroclust.review") / "static"
    names = {path.name for path in folder.iterdir()}
    suffix = "." + name.rpartition(".")[2]
    if name not in names or suffix not in _TYPES:
        raise web.HTTPNotFound(text=f"{name} does not exist")
    text = (folder / name).read_text(encoding="utf-8")
    return web.Response(text=text, content_type=_TYPES[suffix])


def _bind(port):
    """Bind a socket on this computer only."""
    tried = range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED) if port is None else [port]
    for number in tried:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((_HOST, number))
            bound.listen(128)
        except (OSError, OverflowError) as error:
            bound.close()
            if isinstance(error, OverflowError) or error.errno != errno.EADDRINUSE:
                raise OSError(f"cannot serve on port {number} ({error}); choose another --port") \
                    from error  # fmt: skip
            if port is not None:
                raise OSError(
                    f"port {number} is in use; choose another --port, or omit it to use the next "
                    "free one"
                ) from error
        else:
            return bound
    raise OSError(f"ports {tried[0]} to {tried[-1]} are all in use; choose another one with --port")
