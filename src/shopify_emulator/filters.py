"""Which search fields each list knows, and how this shop reads them from its state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shopify_emulator.model import Item, Product, Variant
from shopify_emulator.publishing import is_published
from shopify_emulator.search import (
    SearchError,
    Term,
    Test,
    any_text_is,
    no_text_is,
    number_is,
    text_is,
    time_is,
    truth_is,
)
from shopify_emulator.state import State
from shopify_emulator.stock import available_at, total_available

Tests = Mapping[str, Test]


def _words_in(read: Callable[[Any], str]) -> Test:
    """Free text: every word occurs, in any case."""

    def test(row: Any, term: Term) -> bool:
        have = read(row).casefold()
        return all(word.rstrip("*") in have for word in term.value.casefold().split())

    return test


def _not_offered(*names: str) -> dict[str, Test]:
    """Fields that Shopify searches and this shop does not: asking for one is refused, never ignored."""

    def refuse(_row: Any, term: Term) -> bool:
        raise SearchError(f"the bundled shop does not search by {term.field}")

    return dict.fromkeys(names, refuse)


def product_total(state: State, product: Product, *, fresh: bool) -> int:
    """Total inventory: the sum over tracked variants and active levels."""
    return sum(total_available(state, v.item, fresh=fresh) for v in product.variants if v.item.tracked)


def out_of_stock_somewhere(state: State, product: Product, *, fresh: bool) -> bool:
    return any(
        available_at(state, variant.item, [level], fresh=fresh) <= 0
        for variant in product.variants
        if variant.item.tracked
        for level in variant.item.levels.values()
        if level.active
    )


def _publication_status(state: State) -> Test:
    """`published_status:<publication, channel or handle>-published | -intended | -hidden`."""

    def test(product: Product, term: Term) -> bool:
        name, _, wanted = term.value.rpartition("-")
        gid = _publication_named(state, name or "online_store")
        if gid is None:
            return False
        intended = gid in product.publications
        states = {
            "published": is_published(state, product, gid),
            "intended": intended,
            "hidden": not is_published(state, product, gid),
            "unpublished": not is_published(state, product, gid),
            "any": True,
        }
        return states.get(wanted.casefold(), False)

    return test


def _publication_named(state: State, name: str) -> str | None:
    for gid, publication in state.publications.items():
        if name in (publication.handle, str(publication.number), gid):
            return gid
    return None


def product_tests(state: State) -> Tests:
    return {
        "": _words_in(lambda p: f"{p.title} {p.vendor} {p.product_type} {' '.join(p.tags)}"),
        "id": number_is(lambda p: p.number),
        "status": text_is(lambda p: p.status),
        "tag": any_text_is(lambda p: p.tags),
        "tag_not": no_text_is(lambda p: p.tags),
        "title": _words_in(lambda p: p.title),
        "handle": text_is(lambda p: p.handle),
        "vendor": text_is(lambda p: p.vendor),
        "product_type": text_is(lambda p: p.product_type),
        "gift_card": truth_is(lambda p: p.is_gift_card),
        "sku": any_text_is(lambda p: tuple(v.sku for v in p.variants)),
        "variant_id": lambda p, term: any(number_is(lambda v: v.number)(v, term) for v in p.variants),
        "inventory_total": number_is(lambda p: product_total(state, p, fresh=False)),
        "out_of_stock_somewhere": truth_is(lambda p: out_of_stock_somewhere(state, p, fresh=False)),
        "tracks_inventory": truth_is(lambda p: any(v.item.tracked for v in p.variants)),
        "publication_ids": lambda p, term: any(
            number_is(lambda gid: state.publications[gid].number)(gid, term) for gid in p.publications
        ),
        "published_status": _publication_status(state),
        "created_at": time_is(lambda p: p.created_at),
        "updated_at": time_is(lambda p: p.updated_at),
        **_not_offered(
            "barcode",
            "bundles",
            "category_id",
            "collection_id",
            "combined_listing_role",
            "delivery_profile_id",
            "has_only_default_variant",
            "price",
            "product_publication_status",
            "publishable_status",
            "published_at",
            "variant_title",
        ),
    }


def variant_tests(state: State) -> Tests:
    return {
        "": _words_in(lambda v: f"{v.product.title} {v.title} {v.sku} {' '.join(v.product.tags)}"),
        "id": number_is(lambda v: v.number),
        "product_id": number_is(lambda v: v.product.number),
        "product_ids": number_is(lambda v: v.product.number),
        "product_status": text_is(lambda v: v.product.status),
        "product_type": text_is(lambda v: v.product.product_type),
        "tag": any_text_is(lambda v: v.product.tags),
        "tag_not": no_text_is(lambda v: v.product.tags),
        "vendor": text_is(lambda v: v.product.vendor),
        "title": _words_in(lambda v: v.title),
        "sku": text_is(lambda v: v.sku),
        "gift_card": truth_is(lambda v: v.product.is_gift_card),
        "managed": truth_is(lambda v: v.item.tracked),
        "requires_components": truth_is(lambda v: v.requires_components),
        "inventory_quantity": number_is(lambda v: total_available(state, v.item, fresh=False)),
        "location_id": _stocked_at,
        "updated_at": time_is(lambda v: v.updated_at),
        **_not_offered("barcode", "collection", "delivery_profile_id", "managed_by", "option1", "taxable"),
    }


def _stocked_at(variant: Variant, term: Term) -> bool:
    active = [level.location for level in variant.item.levels.values() if level.active]
    return any(number_is(lambda location: location.number)(location, term) for location in active)


def item_tests(_state: State) -> Tests:
    def label(item: Item) -> str:
        return f"{item.variant.product.title} {item.sku}"

    return {
        "": _words_in(label),
        "id": number_is(lambda i: i.number),
        "sku": text_is(lambda i: i.sku),
        "created_at": time_is(lambda i: i.created_at),
        "updated_at": time_is(lambda i: i.updated_at),
    }


def level_tests(_state: State) -> Tests:
    return {
        "id": number_is(lambda level: level.number),
        "inventory_item_id": number_is(lambda level: level.item.number),
        "created_at": time_is(lambda level: level.created_at),
        "updated_at": time_is(lambda level: level.updated_at),
    }


def location_tests(_state: State) -> Tests:
    return {
        "": _words_in(lambda loc: loc.name),
        "id": number_is(lambda loc: loc.number),
        "location_id": number_is(lambda loc: loc.number),
        "name": _words_in(lambda loc: loc.name),
        "active": truth_is(lambda loc: loc.active),
        "legacy": truth_is(lambda _loc: False),
        "created_at": time_is(lambda loc: loc.created_at),
        **_not_offered("address1", "city", "country", "pickup_in_store", "province", "zip"),
    }


def order_tests(_state: State) -> Tests:
    return {
        "": _words_in(lambda order: order.name),
        "id": number_is(lambda order: order.number),
        "name": text_is(lambda order: order.name),
        "status": _order_status,
        "fulfillment_status": lambda order, term: _shipped(order) == term.value.casefold(),
        "sku": any_text_is(lambda order: tuple(line.variant.sku for line in order.lines)),
        "created_at": time_is(lambda order: order.created_at),
        "processed_at": time_is(lambda order: order.created_at),
        "updated_at": time_is(lambda order: order.updated_at),
        "test": truth_is(lambda _order: True),
        **_not_offered(
            "email", "financial_status", "fulfillment_location_id", "location_id", "source_name", "tag"
        ),
    }


def _order_status(order: Any, term: Term) -> bool:
    cancelled = order.cancelled_at is not None
    shipped = order.fulfilled_at is not None
    states = {"any": True, "cancelled": cancelled, "closed": shipped, "open": not cancelled and not shipped}
    return states.get(term.value.casefold(), False)


def _shipped(order: Any) -> str:
    return "shipped" if order.fulfilled_at is not None else "unshipped"


def bulk_tests(_state: State) -> Tests:
    return {
        "id": number_is(lambda op: op.number),
        "status": text_is(lambda op: op.status),
        "operation_type": text_is(lambda _op: "QUERY"),
        "created_at": time_is(lambda op: op.created_at),
    }


def subscription_tests(_state: State) -> Tests:
    return {
        "id": number_is(lambda s: s.number),
        "name": text_is(lambda s: s.name),
        "created_at": time_is(lambda s: s.created_at),
        "updated_at": time_is(lambda s: s.updated_at),
    }
