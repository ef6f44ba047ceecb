"""Resolvers of products, variants and publications."""

from __future__ import annotations

from typing import Any

from shopify_emulator.fields.connections import (
    Arguments,
    Fields,
    SortKey,
    by_number,
    count,
    page,
    refuse,
    sort_for,
    time,
)
from shopify_emulator.filters import out_of_stock_somewhere, product_total
from shopify_emulator.model import Product, Publication, Variant
from shopify_emulator.paging import Connection
from shopify_emulator.publishing import Publishable, is_published, publications_of
from shopify_emulator.request import request_of
from shopify_emulator.stock import available_at, total_available

PRODUCT_SORTS: dict[str, SortKey | None] = {
    "ID": None,
    "RELEVANCE": None,
    "TITLE": lambda p: p.title.casefold(),
    "PRODUCT_TYPE": lambda p: p.product_type.casefold(),
    "VENDOR": lambda p: p.vendor.casefold(),
    "CREATED_AT": lambda p: p.created_at.isoformat(),
    "UPDATED_AT": lambda p: p.updated_at.isoformat(),
}
VARIANT_SORTS: dict[str, SortKey | None] = {
    "ID": None,
    "RELEVANCE": None,
    "POSITION": lambda v: v.position,
    "TITLE": lambda v: v.title.casefold(),
    "NAME": lambda v: f"{v.product.title} - {v.title}".casefold(),
    "FULL_TITLE": lambda v: f"{v.product.title} - {v.title}".casefold(),
    "SKU": lambda v: v.sku.casefold(),
}


def products(_root: Any, info: Any, **arguments: Any) -> Connection:
    refuse(arguments, "savedSearchId")
    state = request_of(info).state
    sorts = {**PRODUCT_SORTS, "INVENTORY_TOTAL": lambda p: product_total(state, p, fresh=False)}
    return page(info, list(state.products.values()), arguments, sort=sort_for(arguments, sorts, default="ID"))


def product_variants(_root: Any, info: Any, **arguments: Any) -> Connection:
    refuse(arguments, "savedSearchId")
    state = request_of(info).state
    sorts = {**VARIANT_SORTS, "INVENTORY_QUANTITY": lambda v: total_available(state, v.item, fresh=False)}
    return page(info, list(state.variants.values()), arguments, sort=sort_for(arguments, sorts, default="ID"))


def products_count(_root: Any, info: Any, **arguments: Any) -> Arguments:
    return count(info, list(request_of(info).state.products.values()), arguments, of="products")


def product_variants_count(_root: Any, info: Any, **arguments: Any) -> Arguments:
    return count(info, list(request_of(info).state.variants.values()), arguments, of="productVariants")


def variants_of(product: Product, info: Any, **arguments: Any) -> Connection:
    return page(
        info, product.variants, arguments, sort=sort_for(arguments, VARIANT_SORTS, default="POSITION")
    )


def publications(_root: Any, info: Any, **arguments: Any) -> Connection:
    """All publications of this shop belong to app catalogs."""
    rows = list(request_of(info).state.publications.values())
    wanted = arguments.get("catalogType") in (None, "APP")
    return page(info, rows if wanted else [], arguments)


def published_on(publishable: Publishable, info: Any, **arguments: Any) -> bool:
    return is_published(request_of(info).state, publishable, arguments["publicationId"])


def resource_publications(publishable: Publishable, info: Any, **arguments: Any) -> Connection:
    placed = publications_of(request_of(info).state, publishable)
    if arguments.get("onlyPublished", True):
        placed = [place for place in placed if place.is_published]
    if arguments.get("catalogType") not in (None, "APP"):
        placed = []
    return page(info, placed, arguments)


def unpublished_on(publishable: Publishable, info: Any, **arguments: Any) -> Connection:
    state = request_of(info).state
    rows = [p for p in state.publications.values() if not is_published(state, publishable, p.gid)]
    return page(info, rows, arguments)


def _online_store(info: Any) -> str:
    rows = request_of(info).state.publications.values()
    return next((p.gid for p in rows if p.handle == "online_store"), "")


def _store_url(product: Product, info: Any) -> str | None:
    parts = request_of(info).parts
    shown = is_published(parts.state, product, _online_store(info))
    return f"{parts.base_url}/products/{product.handle}" if shown else None


def _available_for_sale(variant: Variant, _info: Any) -> bool:
    open_for_all = not variant.item.tracked or variant.policy == "CONTINUE"
    levels = variant.item.levels.values()
    return open_for_all or any(
        lvl.available > 0 for lvl in levels if lvl.active and lvl.location.fulfills_online
    )


def _sellable_online(variant: Variant, info: Any) -> int:
    levels = [lvl for lvl in variant.item.levels.values() if lvl.active and lvl.location.fulfills_online]
    return available_at(request_of(info).state, variant.item, levels, fresh=False)


PRODUCT: Fields = {
    "createdAt": lambda p, _i: time(p.created_at),
    "featuredMedia": lambda p, _i: p.image,
    "handle": lambda p, _i: p.handle,
    "hasOnlyDefaultVariant": lambda p, _i: [v.title for v in p.variants] == ["Default Title"],
    "hasOutOfStockVariants": lambda p, i: out_of_stock_somewhere(request_of(i).state, p, fresh=True),
    "id": lambda p, _i: p.gid,
    "isGiftCard": lambda p, _i: p.is_gift_card,
    "legacyResourceId": lambda p, _i: str(p.number),
    "onlineStorePreviewUrl": lambda p, i: f"{request_of(i).parts.base_url}/products/{p.handle}",
    "onlineStoreUrl": _store_url,
    "productType": lambda p, _i: p.product_type,
    "publishedAt": lambda p, i: time(p.publications.get(_online_store(i))),
    "publishedOnPublication": published_on,
    "requiresSellingPlan": lambda p, _i: p.requires_selling_plan,
    "resourcePublicationsV2": resource_publications,
    "status": lambda p, _i: p.status,
    "tags": lambda p, _i: list(p.tags),
    "title": lambda p, _i: p.title,
    "totalInventory": lambda p, i: product_total(request_of(i).state, p, fresh=False),
    "tracksInventory": lambda p, _i: any(v.item.tracked for v in p.variants),
    "unpublishedPublications": unpublished_on,
    "updatedAt": lambda p, _i: time(p.updated_at),
    "variants": variants_of,
    "variantsCount": lambda p, _i: {"count": len(p.variants), "precision": "EXACT"},
    "vendor": lambda p, _i: p.vendor,
}

VARIANT: Fields = {
    "availableForSale": _available_for_sale,
    "barcode": lambda _v, _i: None,
    "compareAtPrice": lambda v, _i: None if v.compare_at_price is None else f"{v.compare_at_price:.2f}",
    "createdAt": lambda v, _i: time(v.created_at),
    "displayName": lambda v, _i: f"{v.product.title} - {v.title}",
    "id": lambda v, _i: v.gid,
    "inventoryItem": lambda v, _i: v.item,
    "inventoryPolicy": lambda v, _i: v.policy,
    "inventoryQuantity": lambda v, i: total_available(request_of(i).state, v.item, fresh=True),
    "legacyResourceId": lambda v, _i: str(v.number),
    "media": lambda v, i, **a: page(i, [v.image] if v.image else [], a),
    "position": lambda v, _i: v.position,
    "price": lambda v, _i: f"{v.price:.2f}",
    "product": lambda v, _i: v.product,
    "publishedOnPublication": published_on,
    "requiresComponents": lambda v, _i: v.requires_components,
    "resourcePublicationsV2": resource_publications,
    "selectedOptions": lambda v, _i: [{"name": name, "value": value} for name, value in v.options],
    "sellableOnlineQuantity": _sellable_online,
    "sku": lambda v, _i: v.sku,
    "title": lambda v, _i: v.title,
    "unpublishedPublications": unpublished_on,
    "updatedAt": lambda v, _i: time(v.updated_at),
}

MEDIA_IMAGE: Fields = {
    "alt": lambda m, _i: m.alt,
    "id": lambda m, _i: m.gid,
    "preview": lambda m, _i: m,
}

IMAGE: Fields = {
    "altText": lambda m, _i: m.alt,
    "id": lambda m, _i: m.gid.replace("MediaImage", "ImageSource"),
    "url": lambda m, _i, **_transform: m.url,
}

PUBLICATION: Fields = {
    "app": lambda p, _i: p,
    "autoPublish": lambda _p, _i: False,
    "catalog": lambda p, _i: Catalog(p),
    "channels": lambda p, i, **a: page(i, [Channel(p)], a),
    "id": lambda p, _i: p.gid,
    "name": lambda p, _i: p.name,
    "supportsFuturePublishing": lambda p, _i: p.future_publishing,
}

RESOURCE_PUBLICATION: Fields = {
    "isPublished": lambda r, _i: r.is_published,
    "publication": lambda r, _i: r.publication,
    "publishDate": lambda r, _i: time(r.publish_date),
    "publishable": lambda r, _i: r.publishable,
}


class Catalog:
    """The app catalog that a publication belongs to."""

    def __init__(self, publication: Publication) -> None:
        self.publication = publication
        self.number = by_number(publication)
        self.gid = f"gid://shopify/AppCatalog/{self.number}"


class Channel:
    """The sales channel of a publication."""

    def __init__(self, publication: Publication) -> None:
        self.publication = publication
        self.number = by_number(publication)
        self.gid = f"gid://shopify/Channel/{self.number}"


CATALOG: Fields = {
    "apps": lambda c, i, **a: page(i, [c.publication], a),
    "channels": lambda c, i, **a: page(i, [Channel(c.publication)], a),
    "id": lambda c, _i: c.gid,
    "publication": lambda c, _i: c.publication,
    "status": lambda _c, _i: "ACTIVE",
    "title": lambda c, _i: c.publication.name,
}

CHANNEL: Fields = {
    "app": lambda c, _i: c.publication,
    "handle": lambda c, _i: c.publication.handle,
    "id": lambda c, _i: c.gid,
    "name": lambda c, _i: c.publication.name,
    "supportsFuturePublishing": lambda c, _i: c.publication.future_publishing,
}
