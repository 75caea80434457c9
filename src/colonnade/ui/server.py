"""The server of the page: addresses, who is answered, how it is started. Starlette and uvicorn are the extra ``ui``.

Does not depend on: how a page looks.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route

from colonnade.display.rates import Rates
from colonnade.errors import ColonnadeError, InvalidNameError, NotFoundError
from colonnade.flight.address import is_url
from colonnade.store import Store
from colonnade.ui import pages

HOSTS = ["localhost", "127.0.0.1"]
_HEADERS = {
    # Nothing from other servers. A summary has a style of its own; the only script is a file of this server.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the secret is part of the address
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def make_app(store: Store, secret: str) -> Starlette:
    """Make the application: GET alone, below ``/<secret>/``."""
    root = f"/{secret}/"
    rates, rates_lock = Rates(), threading.Lock()  # requests are answered by several threads

    def html(page: str, status: int = 200) -> Response:
        return HTMLResponse(page, status, headers=_HEADERS)

    def overview(request: Request) -> Response:
        usage = store.usage()
        with rates_lock:
            changes = rates.add(usage, time.monotonic())
        main = pages.overview(usage, changes, root)
        if request.headers.get("x-part") == "main":
            return html(main)
        return html(pages.whole(pages.title_of(usage.path), main, root, live=True))

    def table(request: Request) -> Response:
        name = request.path_params["name"]
        if is_url(name):  # opening it would fetch it into the store
            raise NotFoundError(f"{name} is a table of another host; this page shows this store alone")
        with store.open(name) as snapshot:
            return html(pages.whole(name, pages.table(snapshot, root), root))

    def answered(look: Callable[[Request], Response]) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            try:
                return await run_in_threadpool(look, request)  # looking at processes takes milliseconds
            except (NotFoundError, InvalidNameError) as error:
                return html(pages.message("Not found", str(error), root), 404)
            except (ColonnadeError, OSError) as error:
                return html(pages.message("This cannot be shown", str(error), root), 500)

        return endpoint

    def file(text: str, kind: str) -> Callable[[Request], Response]:
        return lambda _: Response(text, media_type=kind, headers=_HEADERS)

    routes = [
        Route("/", answered(overview)),
        Route("/tables/{name:path}", answered(table)),
        Route("/page.css", file(pages.STYLE, "text/css")),
        Route("/page.js", file(pages.SCRIPT, "text/javascript")),
    ]
    host_check = Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)
    return Starlette(routes=[Mount(f"/{secret}", routes=routes)], middleware=[host_check])


def serve(store: Store, port: int, on_start: Callable[[str], None]) -> None:
    """Serve on 127.0.0.1 until Ctrl-C; ``on_start`` gets the address when it can be opened. Port 0: a free one.

    Raises
    ------
    OSError
        If the port is taken.
    """
    secret = secrets.token_urlsafe(16)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
        except OSError as error:
            text = f"port {port} of 127.0.0.1 cannot be used ({os.strerror(error.errno or 0)}); port 0 takes a free one"
            raise OSError(error.errno, text) from error
        listening.listen()
        config = uvicorn.Config(make_app(store, secret), log_level="warning", lifespan="off")
        on_start(f"http://127.0.0.1:{listening.getsockname()[1]}/{secret}/")
        uvicorn.Server(config).run(sockets=[listening])
