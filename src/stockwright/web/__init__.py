"""The web server's application: webhooks, health, metrics, the admin site. Thin: it asks, stores, answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from stockwright.inbox import FindSender, Inbox
from stockwright.store.database import Pool
from stockwright.web.admin import admin_app
from stockwright.web.admin.site import AdminDeps
from stockwright.web.health import HealthPages
from stockwright.web.metrics import Metrics
from stockwright.web.webhooks import BodyLimits, Webhooks


@dataclass(frozen=True, kw_only=True)
class WebDeps:
    """What the application needs; built and closed by whoever starts it."""

    inbox: Inbox  # running
    find_sender: FindSender  # asked for every webhook: remember its answers
    pool: Pool  # open
    now: Callable[[], datetime]
    body_limits: BodyLimits
    schema_head: str  # the migration step that this release needs
    version: str
    more_routes: Sequence[BaseRoute] = field(default=())
    admin: AdminDeps | None = None  # None: no admin site, as for a process that only takes webhooks


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
        body_limits=deps.body_limits,
    )
    return Starlette(
        routes=[
            Route("/webhooks/shopify", webhooks, methods=["POST"], name="webhooks"),
            Route("/healthz", pages.alive, name="healthz"),
            Route("/readyz", pages.ready, name="readyz"),
            Route("/metrics", pages.metrics, name="metrics"),
            *deps.more_routes,
            *([Mount("/", app=admin_app(deps.admin), name="admin")] if deps.admin else []),
        ]
    )
