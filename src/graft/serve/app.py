"""The server's routes, as an ASGI application: the page, and the interface that it uses too."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib.resources import files
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

from graft.configuration.version import __version__
from graft.serve import schema
from graft.serve.limits import Refused
from graft.serve.service import Service
from graft.serve.uploads import Held, Upload, drained, read_uploads

# Path to the file of the page, and what it is.
PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
# Of every answer. The page asks nobody but this server, runs no script but its own, and is framed by nobody.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' blob:; media-src 'self' blob:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}
Scope = dict[str, Any]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Callable[[], Awaitable[Any]], Send], Awaitable[None]]


def make_app(service: Service, host: str = "127.0.0.1") -> FastAPI:
    """The application; `host` is where it listens."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    bundle, limits, held = service.bundle, service.limits, Held(service.limits.held)
    app = FastAPI(
        title="Graft",
        version=__version__,
        summary=f"What a model says of {bundle.kind.plural}.",
        # Their pages would ask others for scripts.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )

    @app.exception_handler(Refused)
    async def refuse(request: Request, error: Refused) -> JSONResponse:
        headers = {"Retry-After": "1"} if error.status == 503 else None
        return JSONResponse({"detail": error.detail}, error.status, headers)

    @app.exception_handler(RequestValidationError)
    async def refuse_words(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return JSONResponse({"detail": f"{first['loc'][-1]}: {first['msg']}"}, 422)

    @app.exception_handler(HTTPException)
    async def refuse_otherwise(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"detail": str(error.detail)}, error.status_code, error.headers)

    @asynccontextmanager
    async def uploads_of(request: Request) -> AsyncIterator[list[Upload]]:
        with held.room() as room:
            try:
                uploads = await asyncio.wait_for(read_uploads(request, limits, room), limits.seconds)
            except (asyncio.TimeoutError, TimeoutError):
                reason = f"the request did not arrive within {limits.seconds:g} s"
                raise Refused(408, reason) from None
            except Refused:
                await drained(request, limits)
                raise
            yield uploads

    @app.post(
        "/predict",
        responses={200: {"model": schema.Results}, **schema.refusals(400, 408, 413, 415, 422, 503)},
        openapi_extra=schema.multipart(),
    )
    async def predict(request: Request) -> Response:
        """What the model says of each file. One that cannot be read has an `error` in its place."""
        async with uploads_of(request) as uploads:
            said = await service.predict(uploads)
            named = zip(uploads, said, strict=True)
            return JSONResponse({"results": [schema.result_of(upload.name, one) for upload, one in named]})

    @app.post(
        "/looked_at",
        response_class=Response,
        responses={
            200: {"content": {"image/png": {}}, "description": "The picture; X-Class names the class."},
            **schema.refusals(400, 404, 408, 413, 415, 422, 503),
        },
        openapi_extra=schema.multipart(1),
    )
    async def looked_at(
        request: Request,
        label: Annotated[
            str | None,
            Query(
                description="the class; none: the most probable one",
                json_schema_extra={"enum": [*bundle.class_names]},
            ),
        ] = None,
        bare: Annotated[bool, Query(description="the map alone, grey, white where it is strongest")] = False,
    ) -> Response:
        """Which places of an image speak for a class, laid over the picture that the network saw."""
        async with uploads_of(request) as uploads:
            if len(uploads) > 1:
                raise Refused(422, "one file at a time")
            drawn, chosen = await service.looked_at(uploads[0], label, bare)
            return Response(drawn, media_type="image/png", headers={"X-Class": quote(chosen)})

    @app.get("/health")
    async def health() -> schema.Health:
        """That the server answers, and how much it has to do."""
        return schema.Health(status="ok", waiting=service.batches.held, batch_size=service.batches.size)

    @app.get("/about")
    async def about() -> schema.About:
        """What the model takes and says, and what the server lets in."""
        return schema.About(
            kind=bundle.kind.noun,
            plural=bundle.kind.plural,
            class_names=bundle.class_names,
            columns=getattr(bundle.preprocessing, "column_names", None),
            shows_places=service.heatmaps is not None,
            limits=asdict(limits),
        )

    for path, (name, media_type) in PAGE.items():
        content = files("graft.serve").joinpath("page", name).read_bytes()
        app.get(path, include_in_schema=False)(_page(content, media_type))
    app.add_middleware(Guard, hosts=LOOPBACK if is_loopback(host) else ())
    return app


def _page(content: bytes, media_type: str) -> Callable[[], Awaitable[Response]]:
    async def page() -> Response:
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    return page


LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches a server there."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Puts `HEADERS` on every answer, and answers by some names of the host alone.

    A server on the loopback is reached by a page of the web whose name was made to mean 127.0.0.1; such a
    request has that name in its header.
    """

    def __init__(self, app: App, hosts: tuple[str, ...]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
        if self.hosts and host.rpartition(":")[0] not in self.hosts and host not in self.hosts:
            answer = JSONResponse({"detail": f"this server is called {self.hosts[0]}"}, 421)
            await answer(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)
