"""The objects that Liquid sees: shop, product, variant, request, as plain mappings with Shopify's names.

Prices are in cents. `inventory_quantity` is what the locations that serve the online store hold together.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shopify_emulator.model import Product, Variant
from shopify_emulator.shop import Shop
from shopify_emulator.stock import available_at

Drop = dict[str, Any]
VISIBLE = ("ACTIVE", "UNLISTED")


def is_published(shop: Shop, product: Product) -> bool:
    """Whether the online store has a page for it now."""
    channel = next(one for one in shop.publications() if one.handle == "online_store")
    since: datetime | None = product.publications.get(channel.gid)
    return product.status in VISIBLE and since is not None and since <= shop.clock.now()


def listed(shop: Shop) -> list[Product]:
    """What collections show: UNLISTED products have a page and are in no list."""
    return [one for one in shop.products() if one.status == "ACTIVE" and is_published(shop, one)]


def quantity(shop: Shop, variant: Variant) -> int:
    """What is available online; below zero when it sells on."""
    levels = [
        level
        for place in shop.state.locations_for_sale()
        if (level := variant.item.levels.get(place.gid)) is not None and level.active
    ]
    return available_at(shop.state, variant.item, levels, fresh=True)


def variant_drop(shop: Shop, variant: Variant, *, root: str) -> Drop:
    left = quantity(shop, variant)
    tracked = variant.item.tracked
    compared = variant.compare_at_price
    return {
        "id": variant.number,
        "title": variant.title,
        "sku": variant.sku,
        "price": int(variant.price * 100),
        "compare_at_price": None if compared is None else int(compared * 100),
        "available": not tracked or left > 0 or variant.policy == "CONTINUE",
        "inventory_management": "shopify" if tracked else None,
        "inventory_policy": variant.policy.lower(),
        "inventory_quantity": left if tracked else 0,
        "options": [value for _, value in variant.options],
        "url": f"{root}products/{variant.product.handle}?variant={variant.number}",
    }


def product_drop(shop: Shop, product: Product, *, root: str, chosen: str = "") -> Drop:
    """A product; `chosen` is the ?variant= of the page."""
    variants = [variant_drop(shop, one, root=root) for one in product.variants]
    selected = next((one for one in variants if str(one["id"]) == chosen), None)
    first = next((one for one in variants if one["available"]), variants[0])
    return {
        "id": product.number,
        "title": product.title,
        "handle": product.handle,
        "type": product.product_type,
        "vendor": product.vendor,
        "tags": list(product.tags),
        "url": f"{root}products/{product.handle}",
        "price": min(one["price"] for one in variants),
        "price_varies": len({one["price"] for one in variants}) > 1,
        "available": any(one["available"] for one in variants),
        "variants": variants,
        "has_only_default_variant": [one.title for one in product.variants] == ["Default Title"],
        "selected_variant": selected,
        "selected_or_first_available_variant": selected or first,
        "first_available_variant": first if first["available"] else None,
        "options": list(product.option_names),
        "featured_image": None
        if product.image is None
        else {"src": product.image.url, "alt": product.image.alt},
    }


def app_drop(metafields: Mapping[tuple[str, str], Any]) -> Drop:
    """`app.metafields.<namespace>.<key>.value`."""
    spaces: Drop = {}
    for (namespace, key), value in metafields.items():
        spaces.setdefault(namespace, {})[key] = {"value": value}
    return {"metafields": spaces}


def page_objects(shop: Shop, *, path: str, locale: str, locales: list[str], root: str, host: str) -> Drop:
    """What every page has."""
    identity = shop.api.parts.identity
    languages = [{"iso_code": one, "root_url": "/" if one == locales[0] else f"/{one}/"} for one in locales]
    return {
        "shop": {"name": identity.name, "domain": identity.domain, "currency": identity.currency},
        "request": {"locale": {"iso_code": locale}, "path": path, "host": host, "design_mode": False},
        "localization": {"language": {"iso_code": locale}, "available_languages": languages},
        "routes": {"root_url": root, "all_products_collection_url": f"{root}collections/all"},
        "product": None,
    }
