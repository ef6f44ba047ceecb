"""The web server's application: webhooks, health, metrics, the status page. Thin: it asks, stores, answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from stockwright.inbox import FindSender, Inbox
from stockwright.store.database import Pool
from stockwright.web.health import HealthPages
from stockwright.web.metrics import Metrics
from stockwright.web.webhooks import Webhooks


@dataclass(frozen=True, kw_only=True)
class WebDeps:
    """What the application needs; built and closed by whoever starts it."""

    inbox: Inbox  # running
    find_sender: FindSender  # asked for every webhook: remember its answers
    pool: Pool  # open
    now: Callable[[], datetime]
    body_limit_bytes: int
    schema_head: str  # the migration step that this release needs
    version: str
    more_routes: Sequence[BaseRoute] = field(default=())


def create_app(deps: WebDeps) -> Starlette:
    """The ASGI application. It opens and closes nothing, and keeps no state but counters."""
    metrics = Metrics()
    pages = HealthPages(
        pool=deps.pool, inbox=deps.inbox, metrics=metrics, schema_head=deps.schema_head, version=deps.version
    )
    webhooks = Webhooks(
        inbox=deps.inbox,
        find_sender=deps.find_sender,
        metrics=metrics,
        now=deps.now,
        body_limit_bytes=deps.body_limit_bytes,
    )
    return Starlette(
        routes=[
            Route("/webhooks/shopify", webhooks, methods=["POST"], name="webhooks"),
            Route("/healthz", pages.alive, name="healthz"),
            Route("/readyz", pages.ready, name="readyz"),
            Route("/metrics", pages.metrics, name="metrics"),
            Route("/", pages.status, name="status"),
            Mount("/static", StaticFiles(packages=[("stockwright.web", "static")]), name="static"),
            *deps.more_routes,
        ]
    )
