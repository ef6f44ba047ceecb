"""How fast the bundled shop itself answers, in process: it must not be what other figures measure."""

import json
from collections.abc import Callable
from time import perf_counter
from typing import Any

from bench.report import Figure, Result
from shopify_emulator.api import Answer
from shopify_emulator.clock import RealClock
from shopify_emulator.model import VariantSpec
from shopify_emulator.shop import Shop

NAME = "emulator"
_CALLS, _QUICK_CALLS = 2000, 200
_DOMAIN, _TOKEN = "bench.myshopify.com", "shpat_bench"

_ADJUST = """
mutation($input: InventoryAdjustQuantitiesInput!, $key: String!) {
  inventoryAdjustQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id createdAt } userErrors { code field message }
  }
}
"""
_READ = """
query($id: ID!) {
  product(id: $id) {
    id title
    variants(first: 10) { nodes { id title inventoryItem { id tracked inventoryLevels(first: 5) { nodes {
      location { id } isActive quantities(names: ["available"]) { quantity updatedAt }
    } } } } }
  }
}
"""


def run(*, quick: bool) -> Result:
    """Adjustments of three levels, and reads of a product with four variants."""
    calls = _QUICK_CALLS if quick else _CALLS
    shop = Shop(domain=_DOMAIN, clock=RealClock(), access_token=_TOKEN, plan_rate=1e9)
    place = shop.add_location("Toronto")
    specs = [VariantSpec(title=f"Listing {number}") for number in range(4)]
    product = shop.add_product("Print", variants=specs, levels=1_000_000)
    items = [variant.item.gid for variant in product.variants[1:]]

    def adjust(turn: int) -> None:
        changes = [_change(shop, item, place) for item in items]
        fields = {"reason": "correction", "name": "available", "changes": changes}
        _call(shop, _ADJUST, {"input": fields, "key": f"key {turn}"})

    def read(_turn: int) -> None:
        _call(shop, _READ, {"id": product.gid})

    figures = (
        Figure(name="adjustments of 3 levels", value=_per_s(adjust, calls), unit="/s"),
        Figure(name="reads of a product with 4 variants", value=_per_s(read, calls), unit="/s"),
    )
    conditions = f"in process, without HTTP, {calls} calls of each"
    return Result(name=NAME, title="the bundled shop", conditions=conditions, figures=figures)


def _change(shop: Shop, item: str, place: str) -> dict[str, Any]:
    return {
        "delta": -1,
        "inventoryItemId": item,
        "locationId": place,
        "changeFromQuantity": shop.level(item, place),
    }


def _call(shop: Shop, query: str, variables: dict[str, Any]) -> None:
    body = json.dumps({"query": query, "variables": variables}).encode()
    reply = shop.post(body, {"x-shopify-access-token": _TOKEN, "content-type": "application/json"})
    assert isinstance(reply, Answer)
    answer = json.loads(reply.body)
    payload = answer.get("data", {}).get("inventoryAdjustQuantities", {})
    if "errors" in answer or payload.get("userErrors"):
        raise AssertionError(f"the shop refused: {answer}")


def _per_s(call: Callable[[int], None], calls: int) -> float:
    begun = perf_counter()
    for turn in range(calls):
        call(turn)
    return calls / (perf_counter() - begun)
