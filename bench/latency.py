"""From a sale, and from the arrival of its webhook, until all variants of the product are equal again.

Nothing is polled: the moments are those of the shop's own history and of the stored events.
"""

import asyncio
import bisect
import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from bench.http_client import post
from bench.load import paced
from bench.report import Figure, Result, spread
from bench.setting import VARIANTS, settle, synced_shop
from tests.real_processes import RunningShop, Service

NAME = "latency"
_PRODUCTS, _QUICK_PRODUCTS = 500, 100
_RATE = 2000.0  # points per second, of the largest plan
_FOR_S, _QUICK_S = 60, 10
_BUYERS = 16
_GOALS = {50: {"p50": 300.0, "p99": 1500.0}}


@dataclass(frozen=True, kw_only=True)
class Sale:
    """One order line of one variant."""

    item: str
    at: datetime  # when the shop took the stock
    equal_at: datetime  # when all variants of the product stood equal


def run(*, quick: bool) -> Result:
    """Five and fifty sales per second."""
    products, for_s = (_QUICK_PRODUCTS, _QUICK_S) if quick else (_PRODUCTS, _FOR_S)
    with synced_shop(products, rate=_RATE) as (shop, service):
        figures = [figure for pace in (5, 50) for figure in _at_pace(shop, service, pace, for_s)]
    return Result(
        name=NAME,
        title="from a sale until all variants of the product are equal",
        conditions=(
            f"service and shop on this machine, {products} products of {VARIANTS} variants, "
            f"{_RATE:g} points/s, raise_settle_s=0, {for_s} s at each pace"
        ),
        figures=tuple(figures),
        notes=("The bundled shop and the buyers share the cores with the service.",),
    )


def _at_pace(shop: RunningShop, service: Service, pace: int, for_s: int) -> list[Figure]:
    state = shop.state()
    before = state["movements"]
    orders = _orders(shop, state, count=pace * for_s, seed=pace)
    asyncio.run(paced(shop.url, orders, per_s=pace, connections=_BUYERS))
    settle(shop, service)
    sales, lost = sales_of(shop.history(since=before), _siblings(state), _levels(state))
    arrivals = _arrivals(service, sales)
    from_arrival = [(sale.equal_at - at).total_seconds() for sale, at in arrivals]
    goals = _GOALS.get(pace, {})
    return [
        Figure(name=f"{pace}/s: sales", value=len(sales)),
        Figure(name=f"{pace}/s: sales never equal", value=lost, at_most=0),
        *spread(f"{pace}/s: from the webhook's arrival", from_arrival, **goals),
        *spread(f"{pace}/s: from the sale", [(sale.equal_at - sale.at).total_seconds() for sale in sales]),
    ]


def _orders(shop: RunningShop, state: dict[str, Any], *, count: int, seed: int) -> list[bytes]:
    rng = random.Random(seed)
    variants = [variant["id"] for product in state["products"] for variant in product["variants"]]
    bodies = ({"lines": [{"variant": rng.choice(variants), "quantity": 1}]} for _ in range(count))
    return [post(f"{shop.url}/_emulator/sell", {}, json.dumps(body).encode()) for body in bodies]


def _siblings(state: dict[str, Any]) -> dict[str, list[str]]:
    """The items of the product of each item."""
    of_products = [[variant["item"] for variant in product["variants"]] for product in state["products"]]
    return {item: items for items in of_products for item in items}


def _levels(state: dict[str, Any]) -> dict[str, int]:
    return {
        variant["item"]: sum(variant["levels"].values())
        for product in state["products"]
        for variant in product["variants"]
    }


def sales_of(
    history: Sequence[Mapping[str, Any]], siblings: Mapping[str, Sequence[str]], levels: Mapping[str, int]
) -> tuple[list[Sale], int]:
    """Every sale with the moment at which its product was equal again; and how many never were."""
    now, open_sales, sales = dict(levels), defaultdict[str, list[tuple[str, datetime]]](list), []
    for moved in history:
        item, at = moved["item"], datetime.fromisoformat(moved["at"])
        now[item] += moved["delta"]
        product = siblings[item][0]
        if moved["cause"] == "order":
            open_sales[product].append((item, at))
        if len({now[sibling] for sibling in siblings[item]}) == 1:
            sales += [Sale(item=sold, at=since, equal_at=at) for sold, since in open_sales.pop(product, [])]
    return sales, sum(map(len, open_sales.values()))


def _arrivals(service: Service, sales: Sequence[Sale]) -> list[tuple[Sale, datetime]]:
    """Each sale with the moment at which its webhook was stored: the first that the shop sent after it."""
    sent: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    with psycopg.connect(service.dsn()) as conn:
        for item, triggered_at, received_at in conn.execute(_WEBHOOKS):
            sent[f"gid://shopify/InventoryItem/{item}"].append((triggered_at, received_at))
    found = []
    for sale in sales:
        index = bisect.bisect_left(sent[sale.item], (sale.at, sale.at))
        if index < len(sent[sale.item]):
            found.append((sale, sent[sale.item][index][1]))
    return found


_WEBHOOKS = """
select payload ->> 'inventory_item_id', triggered_at, received_at
from events where topic = 'shopify/inventory_levels/update' order by triggered_at
"""
