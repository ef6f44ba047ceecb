"""The service as a command sees it: settings, a database that runs, and what the steps are given.

Works whether or not the service runs: our own server is shared, and started for the command when needed.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from stockwright import log
from stockwright.adding import shop_domain
from stockwright.app import open_deps
from stockwright.cli.output import tell
from stockwright.deps import Deps
from stockwright.model import StockwrightError
from stockwright.opening import database
from stockwright.settings import Settings, load
from stockwright.store import automations, shops
from stockwright.store.automations import AutomationRow
from stockwright.store.shops import Shop

T = TypeVar("T")

_POOL_SIZE = 4
_SHORTEST_END = 4  # characters of an id that stand for it when no other id ends in them


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a command works with."""

    settings: Settings
    deps: Deps


def with_service(work: Callable[[Service], Awaitable[T]]) -> T:
    """Run a command's work on the service's database."""
    settings = load(os.environ)
    log.set_up(level="warning", style=settings.log_format)
    with database(settings, log=tell) as dsn:
        return asyncio.run(_work(settings, dsn, work))


async def _work(settings: Settings, dsn: str, work: Callable[[Service], Awaitable[T]]) -> T:
    async with open_deps(settings, dsn, name="command", pool_size=_POOL_SIZE) as deps:
        return await work(Service(settings=settings, deps=deps))


async def shop_named(service: Service, domain: str) -> Shop:
    """The shop of a domain.

    Raises:
        StockwrightError: there is none; the message lists those that exist.
    """
    wanted = shop_domain(domain)
    async with service.deps.database.connection() as conn:
        found = await shops.find(conn, wanted)
        known = [] if found else [shop.domain for shop in await shops.list_all(conn)]
    if found is None:
        raise StockwrightError(
            f"There is no shop {wanted}. Shops: {', '.join(known) or 'none'}. Add one: stockwright shop add DOMAIN"
        )
    return found


async def automation_named(service: Service, text: str) -> AutomationRow:
    """The automation of an id, or of the last characters of one.

    Raises:
        StockwrightError: there is none, or several ids end so.
    """
    async with service.deps.database.connection() as conn:
        rows = await automations.list_all(conn)
    found = [row for row in rows if row.automation_id == text]
    if not found and len(text) >= _SHORTEST_END:
        found = [row for row in rows if row.automation_id.endswith(text)]
    if len(found) > 1:
        raise StockwrightError(f"{len(found)} automations end in {text!r}. Give more of the id.")
    if not found:
        raise StockwrightError(f"There is no automation {text!r}. See them with: stockwright automation list")
    return found[0]
