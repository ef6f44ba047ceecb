"""Faults that take something away under a request: a webhook subscription or a product is gone before it runs."""

from __future__ import annotations

from shopify_emulator.catalogue import remove_product
from shopify_emulator.faults import Fault
from shopify_emulator.model import Product
from shopify_emulator.request import Parts


def delete_for_fault(parts: Parts, fault: Fault, variables: str) -> None:
    """Deletes what the fault names; nothing when the shop has none. `variables` is the request's JSON."""
    if fault is Fault.SUBSCRIPTION_DELETED:
        gids = list(parts.subscriptions.by_gid)
        if gids:
            parts.subscriptions.delete(parts.faults.one_of(gids))
        return
    products = list(parts.state.products.values())
    named = [product for product in products if _is_named(product, variables)]
    if products:
        remove_product(parts.state, parts.faults.one_of(named or products).gid)


def _is_named(product: Product, variables: str) -> bool:
    gids = (product.gid, *(gid for variant in product.variants for gid in (variant.gid, variant.item.gid)))
    return any(f'"{gid}"' in variables for gid in gids)
