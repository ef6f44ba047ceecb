"""/healthz, /readyz, /metrics and the status page: is the service well, in numbers."""

import asyncio
from time import monotonic

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from stockwright.inbox import Inbox
from stockwright.store import health as store
from stockwright.store.database import Pool, Unreachable
from stockwright.web.metrics import Metrics

LOG = structlog.get_logger(__name__)

_KEEP_S = 5.0  # numbers from the database are this old at most
_WAIT_S = 2.0  # for a connection
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class HealthPages:
    """The endpoints, and the numbers they share for a few seconds."""

    def __init__(self, *, pool: Pool, inbox: Inbox, metrics: Metrics, schema_head: str, version: str) -> None:
        self._pool = pool
        self._inbox = inbox
        self._metrics = metrics
        self._schema_head = schema_head
        self._version = version
        self._numbers: tuple[float, store.Health] | None = None
        self._reading = asyncio.Lock()
        self._pages = Environment(
            loader=PackageLoader("stockwright.web"), autoescape=True, undefined=StrictUndefined
        )

    async def alive(self, _request: Request) -> Response:
        """The process answers; says nothing about the database."""
        return JSONResponse({"status": "alive", "version": self._version})

    async def ready(self, _request: Request) -> Response:
        """200 when webhooks can be stored: the database answers and has this release's tables."""
        problem = await self._problem()
        if problem is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "problem": problem}, status_code=503)

    async def _problem(self) -> str | None:
        try:
            async with self._pool.connection(timeout=_WAIT_S) as conn:
                version = await store.schema_version(conn)
        except Unreachable as error:
            LOG.warning("the database does not answer", error=str(error))
            return "The database does not answer. See the log of this process."
        if version is None or version < self._schema_head:
            return (
                f"The database is at schema step {version or 'none'} and {self._schema_head} is needed. "
                "Every start of the service migrates it; see the log of the start, or run `stockwright doctor`."
            )
        return None

    async def metrics(self, _request: Request) -> Response:
        """Prometheus text."""
        page = self._metrics.page(await self._read(), inbox_waiting=self._inbox.waiting)
        return Response(page, media_type=_PROMETHEUS)

    async def status(self, _request: Request) -> Response:
        """One page for a person: the shops, what waits, what needs somebody."""
        numbers = await self._read()
        page = self._pages.get_template("status.html").render(numbers=numbers, version=self._version)
        return HTMLResponse(page, status_code=200 if numbers else 503, headers=_PAGE_HEADERS)

    async def _read(self) -> store.Health | None:
        async with self._reading:
            if self._numbers and monotonic() - self._numbers[0] < _KEEP_S:
                return self._numbers[1]
            try:
                async with self._pool.connection(timeout=_WAIT_S) as conn:
                    numbers = await store.read(conn)
            except Unreachable as error:
                LOG.warning("the database does not answer", error=str(error))
                return None
            self._numbers = (monotonic(), numbers)
            return numbers
