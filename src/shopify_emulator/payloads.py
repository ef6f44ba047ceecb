"""The JSON bodies of webhooks, in the documented shape: integer ids, key order, no blanks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from shopify_emulator.bulk import BulkOperation
from shopify_emulator.model import (
    Item,
    Level,
    Location,
    Order,
    OrderLine,
    Product,
    Publication,
    Refund,
    ScopesChange,
    Variant,
)
from shopify_emulator.search import Term, Test, parse_search

Payload = dict[str, Any]


class Payloads:
    """Builds bodies with the shop's name and in the shop's time zone."""

    def __init__(self, *, shop: Payload, zone: ZoneInfo) -> None:
        self._shop = shop
        self._zone = zone

    def build(self, topic: str, subject: object) -> Payload:
        match subject:
            case Level():
                return self._level(subject, disconnected=topic == "inventory_levels/disconnect")
            case Item():
                return self._item(subject, deleted=topic == "inventory_items/delete")
            case Product():
                return {"id": subject.number} if topic == "products/delete" else self._product(subject)
            case Order():
                return self._order(subject)
            case Refund():
                return self._refund(subject)
            case Location():
                return {"id": subject.number} if topic == "locations/delete" else self._location(subject)
            case Variant():
                return self._variant(subject)
            case Publication():
                return {"id": subject.number}
            case ScopesChange():
                return self._scopes(subject)
            case BulkOperation():
                return self._bulk(subject)
            case _:
                return dict(self._shop)

    def time(self, moment: datetime | None) -> str | None:
        return moment.astimezone(self._zone).isoformat(timespec="seconds") if moment is not None else None

    def _level(self, level: Level, *, disconnected: bool) -> Payload:
        ids: Payload = {"inventory_item_id": level.item.number, "location_id": level.location.number}
        if disconnected:
            return ids
        return {
            **ids,
            "available": level.available if level.item.tracked else None,
            "updated_at": self.time(level.updated_at),
            "admin_graphql_api_id": level.gid,
        }

    def _item(self, item: Item, *, deleted: bool) -> Payload:
        if deleted:
            return {"id": item.number, "admin_graphql_api_id": item.gid}
        return {
            "id": item.number,
            "sku": item.sku,
            "created_at": self.time(item.created_at),
            "updated_at": self.time(item.updated_at),
            "requires_shipping": True,
            "cost": None,
            "country_code_of_origin": None,
            "province_code_of_origin": None,
            "harmonized_system_code": None,
            "tracked": item.tracked,
            "country_harmonized_system_codes": [],
            "admin_graphql_api_id": item.gid,
        }

    def _product(self, product: Product) -> Payload:
        return {
            "admin_graphql_api_id": product.gid,
            "body_html": None,
            "created_at": self.time(product.created_at),
            "handle": product.handle,
            "id": product.number,
            "product_type": product.product_type,
            "published_at": self.time(min(product.publications.values(), default=None)),
            "template_suffix": None,
            "title": product.title,
            "updated_at": self.time(product.updated_at),
            "vendor": product.vendor,
            "status": product.status.lower(),
            "published_scope": "global",
            "tags": ", ".join(product.tags),
            "variants": [self._variant(variant) for variant in product.variants],
        }

    def _variant(self, variant: Variant) -> Payload:
        levels = variant.item.levels.values()
        return {
            "admin_graphql_api_id": variant.gid,
            "barcode": None,
            "compare_at_price": None
            if variant.compare_at_price is None
            else f"{variant.compare_at_price:.2f}",
            "created_at": self.time(variant.created_at),
            "id": variant.number,
            "inventory_policy": variant.policy.lower(),
            "position": variant.position,
            "price": f"{variant.price:.2f}",
            "product_id": variant.product.number,
            "sku": variant.sku,
            "taxable": True,
            "title": variant.title,
            "updated_at": self.time(variant.updated_at),
            **{f"option{number + 1}": value for number, value in enumerate(_values_of(variant))},
            "image_id": None,
            "inventory_item_id": variant.item.number,
            "inventory_quantity": sum(level.available for level in levels if level.active),
        }

    def _order(self, order: Order) -> Payload:
        return {
            "id": order.number,
            "admin_graphql_api_id": order.gid,
            "cancelled_at": self.time(order.cancelled_at),
            "created_at": self.time(order.created_at),
            "fulfillment_status": "fulfilled" if order.fulfilled_at is not None else None,
            "name": order.name,
            "order_number": order.sequence,
            "processed_at": self.time(order.created_at),
            "test": True,
            "updated_at": self.time(order.updated_at),
            "line_items": [self._order_line(line) for line in order.lines],
            "refunds": [self._refund(made) for made in order.refunds],
        }

    def _order_line(self, line: OrderLine) -> Payload:
        return {
            "id": line.number,
            "admin_graphql_api_id": line.gid,
            "current_quantity": line.current,
            "gift_card": line.product.is_gift_card,
            "name": f"{line.product.title} - {line.variant.title}",
            "product_id": line.product.number,
            "quantity": line.quantity,
            "sku": line.variant.sku,
            "title": line.product.title,
            "variant_id": line.variant.number,
            "variant_title": line.variant.title,
        }

    def _refund(self, made: Refund) -> Payload:
        return {
            "id": made.number,
            "admin_graphql_api_id": made.gid,
            "created_at": self.time(made.created_at),
            "order_id": made.order.number,
            "processed_at": self.time(made.created_at),
            "refund_line_items": [
                {
                    "id": line.number,
                    "line_item_id": line.line.number,
                    "location_id": line.location.number if line.location is not None else None,
                    "quantity": line.quantity,
                    "restock_type": line.restock_type.lower(),
                    "line_item": self._order_line(line.line),
                }
                for line in made.lines
            ],
        }

    def _location(self, location: Location) -> Payload:
        return {
            "id": location.number,
            "name": location.name,
            "created_at": self.time(location.created_at),
            "updated_at": self.time(location.updated_at),
            "legacy": False,
            "active": location.active,
            "admin_graphql_api_id": location.gid,
        }

    def _scopes(self, change: ScopesChange) -> Payload:
        return {
            "id": change.app,
            "previous": list(change.previous),
            "current": list(change.current),
            "updated_at": self.time(change.at),
        }

    def _bulk(self, operation: BulkOperation) -> Payload:
        return {
            "admin_graphql_api_id": operation.gid,
            "completed_at": self.time(operation.completed_at),
            "created_at": self.time(operation.created_at),
            "error_code": operation.error_code.lower() if operation.error_code else None,
            "status": operation.status.lower(),
            "type": "query",
        }


def _values_of(variant: Variant) -> tuple[str | None, ...]:
    """The values of the three options; None for those that the product does not have."""
    values = [value for _, value in variant.options]
    return (*values, *[None] * (3 - len(values)))[:3]


def encode(payload: Payload) -> bytes:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


def only_fields(payload: Payload, wanted: tuple[str, ...]) -> Payload:
    """The payload cut to `includeFields`: keys, or `list.key` for objects inside."""
    if not wanted:
        return payload
    heads = {name.split(".", 1)[0] for name in wanted}
    return {key: _cut(value, _tails(key, wanted)) for key, value in payload.items() if key in heads}


def _tails(key: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.split(".", 1)[1] for name in wanted if name.startswith(f"{key}."))


def _cut(value: Any, wanted: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_cut(each, wanted) for each in value]
    return only_fields(value, wanted) if isinstance(value, dict) else value


class _FieldTests(Mapping[str, Test]):
    """A test for any field name: it reads `a.b` out of the payload."""

    def __getitem__(self, name: str) -> Test:
        return lambda payload, term: any(_equal(value, term) for value in _values(payload, name.split(".")))

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name != ""


def _values(value: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _values(each, path)
    elif not path:
        yield value
    elif isinstance(value, dict):
        yield from _values(value.get(path[0]), path[1:])


def _equal(value: Any, term: Term) -> bool:
    have = str(value).casefold() if value is not None else ""
    if term.value == "*":
        return value is not None
    try:
        number, want = float(have), float(term.value)
    except ValueError:
        return have == term.value.casefold()
    orders = {">": number > want, ">=": number >= want, "<": number < want, "<=": number <= want}
    return orders.get(term.op, number == want)


def passes_filter(payload: Payload, text: str | None) -> bool:
    """Whether a subscription's `filter` lets the payload through."""
    return text is None or parse_search(text, _FieldTests()).matches(payload)
