"""Receiving webhooks: signed requests over keep-alive connections, each stored with its work before the 200.

The webhooks are the echoes that a busy shop sends: levels as the ledger knows them. So the worker has all of
them to deal with at the same time, and none of them leads to a request.
"""

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import cycle
from time import monotonic
from typing import Any

import uvloop

from bench.http_client import post
from bench.load import Answers, flat_out, paced
from bench.report import Figure, Result, spread
from bench.setting import STOCK, VARIANTS, settle, synced_shop
from tests.real_processes import RunningShop, Service

NAME = "ingest"
_PRODUCTS, _QUICK_PRODUCTS = 500, 50
_PER_S = 1000
_FOR_S, _QUICK_S = 15, 3
_FLAT_OUT_S, _QUICK_FLAT_OUT_S = 10, 2
_CONNECTIONS = 64
_SHARED = "The client that signs and sends shares the cores with the service."


def run(*, quick: bool) -> Result:
    """A steady 1,000 per second, then as many as are answered."""
    products = _QUICK_PRODUCTS if quick else _PRODUCTS
    for_s, flat_out_s = (_QUICK_S, _QUICK_FLAT_OUT_S) if quick else (_FOR_S, _FLAT_OUT_S)
    with synced_shop(products, rate=2000.0) as (shop, service):
        url = f"{service.url}/webhooks/shopify"
        webhooks = _webhooks(shop, url)
        prepared = [next(webhooks) for _ in range(_PER_S * for_s)]
        steady = uvloop.run(paced(url, prepared, per_s=_PER_S, connections=_CONNECTIONS))
        steady_drained_s = _drain(shop, service)
        most = uvloop.run(flat_out(url, webhooks, for_s=flat_out_s, connections=_CONNECTIONS))
        most_drained_s = _drain(shop, service)
    figures = (
        *_figures(f"{_PER_S}/s", steady, steady_drained_s, longest_ms=1000.0),
        *_figures("saturated", most, most_drained_s, longest_ms=5000.0),
    )
    conditions = (
        f"POST /webhooks/shopify, worker running, echoes of {products} products of {VARIANTS} variants, "
        f"{_CONNECTIONS} connections, {for_s} s at {_PER_S}/s and {flat_out_s} s saturated"
    )
    return Result(
        name=NAME, title="receiving webhooks", conditions=conditions, figures=figures, notes=(_SHARED,)
    )


def _figures(name: str, answers: Answers, drained_s: float, *, longest_ms: float) -> list[Figure]:
    refused = len(answers.waits_s) - answers.statuses[200]
    return [
        Figure(name=f"{name}: answered", value=answers.per_s, unit="/s"),
        Figure(name=f"{name}: not answered 200", value=refused, at_most=0),
        *spread(f"{name}: answer", answers.waits_s, max=longest_ms),
        Figure(name=f"{name}: worker done after the last answer", value=drained_s, unit="s"),
    ]


def _drain(shop: RunningShop, service: Service) -> float:
    begun = monotonic()
    service.until_idle()
    took_s = monotonic() - begun
    settle(shop, service)
    return took_s


# --- webhooks ---------------------------------------------------------------------------------------------


def _webhooks(shop: RunningShop, url: str) -> Iterator[bytes]:
    """Endless webhooks, each with a delivery id of its own, over all levels in turn."""
    state = shop.state()
    items = [variant["item"] for product in state["products"] for variant in product["variants"]]
    location = state["locations"][0]["id"]
    bodies = [_body(item, location) for item in items]
    signed = [(body, _signature(shop.webhook_secret, body)) for body in bodies]
    for body, signature in cycle(signed):
        yield post(url, _headers(shop.domain, signature), body)


def _body(item: str, location: str) -> bytes:
    content: dict[str, Any] = {
        "inventory_item_id": _number(item),
        "location_id": _number(location),
        "available": STOCK,
        "updated_at": "2026-11-03T15:15:42-05:00",
        "admin_graphql_api_id": f"gid://shopify/InventoryLevel/1?inventory_item_id={_number(item)}",
    }
    return json.dumps(content).encode()


def _number(gid: str) -> int:
    return int(gid.rpartition("/")[2])


def _signature(secret: str, body: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def _headers(domain: str, signature: str) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "X-Shopify-Topic": "inventory_levels/update",
        "X-Shopify-Shop-Domain": domain,
        "X-Shopify-Hmac-Sha256": signature,
        "X-Shopify-Webhook-Id": str(uuid.uuid4()),
        "X-Shopify-Event-Id": str(uuid.uuid4()),
        "X-Shopify-Triggered-At": datetime.now(UTC).isoformat(),
    }
