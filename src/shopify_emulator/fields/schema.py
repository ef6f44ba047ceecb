"""The executable schema: the slice with a resolver on every field, guarded by access scopes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from graphql import GraphQLObjectType, GraphQLScalarType, GraphQLSchema, build_schema, get_named_type

from shopify_emulator.access import BY_TYPE, denied, guarded, needed
from shopify_emulator.bulk import BulkOperation
from shopify_emulator.documents import SCHEMA_FILE
from shopify_emulator.fields import catalogue, inventory, metafields, orders, shop
from shopify_emulator.fields.mutations import MUTATIONS
from shopify_emulator.metafields import Metafield
from shopify_emulator.model import (
    AdjustmentGroup,
    Item,
    Level,
    Location,
    Order,
    OrderLine,
    Picture,
    Product,
    Publication,
    Refund,
    Variant,
)
from shopify_emulator.paging import Connection
from shopify_emulator.request import request_of
from shopify_emulator.subscriptions import Subscription
from shopify_emulator.variables import read_time

Resolver = Callable[..., Any]

TYPE_NAMES: dict[type, str] = {
    AdjustmentGroup: "InventoryAdjustmentGroup",
    BulkOperation: "BulkOperation",
    Item: "InventoryItem",
    Level: "InventoryLevel",
    Location: "Location",
    Metafield: "Metafield",
    Order: "Order",
    OrderLine: "LineItem",
    Picture: "MediaImage",
    Product: "Product",
    Publication: "Publication",
    Refund: "Refund",
    Subscription: "WebhookSubscription",
    Variant: "ProductVariant",
    catalogue.Catalog: "AppCatalog",
}


def node(_root: Any, info: Any, *, id: str) -> Any:
    """Any object of the shop by its id; an unknown id is null. A refusal is a value, so that `nodes` keeps the rest."""
    request = request_of(info)
    found = request.state.nodes.get(id)
    scopes = BY_TYPE.get(TYPE_NAMES[type(found)], ()) if found is not None else ()
    return denied(info.field_name, scopes) if scopes and not request.scopes & set(scopes) else found


def nodes(root: Any, info: Any, *, ids: list[str]) -> list[Any]:
    return [node(root, info, id=gid) for gid in ids]


def _by_id(name: str) -> Resolver:
    """A root field that finds one object of one kind."""
    return lambda _root, info, **arguments: getattr(request_of(info).state, name).get(arguments["id"])


QUERIES: dict[str, Resolver] = {
    "bulkOperation": lambda _r, info, **a: request_of(info).parts.bulk.by_gid.get(a["id"]),
    "bulkOperations": shop.bulk_operations,
    "currentAppInstallation": lambda _r, info: request_of(info).parts.identity,
    "inventoryItem": _by_id("items"),
    "inventoryItems": inventory.inventory_items,
    "inventoryLevel": _by_id("levels"),
    "inventoryProperties": lambda _r, _info: {},
    "location": shop.primary_or,
    "locations": inventory.locations,
    "locationsCount": inventory.locations_count,
    "node": node,
    "nodes": nodes,
    "order": _by_id("orders"),
    "orders": orders.orders,
    "product": _by_id("products"),
    "products": catalogue.products,
    "productsCount": catalogue.products_count,
    "productTags": shop.tags,
    "productTypes": shop.types,
    "productVariant": _by_id("variants"),
    "productVariants": catalogue.product_variants,
    "productVariantsCount": catalogue.product_variants_count,
    "publication": _by_id("publications"),
    "publications": catalogue.publications,
    "refund": _by_id("refunds"),
    "shop": lambda _r, info: request_of(info).parts.identity,
    "webhookSubscription": lambda _r, info, **a: request_of(info).parts.subscriptions.by_gid.get(a["id"]),
    "webhookSubscriptions": shop.webhook_subscriptions,
}

FIELDS: dict[str, Mapping[str, Resolver]] = {
    "QueryRoot": QUERIES,
    "Mutation": {**MUTATIONS, "metafieldsSet": metafields.set_metafields},
    "ApiVersion": shop.API_VERSION_FIELDS,
    "App": shop.APP,
    "AppCatalog": catalogue.CATALOG,
    "AppInstallation": {
        **shop.INSTALLATION,
        "metafield": metafields.one_metafield,
        "metafields": metafields.all_metafields,
    },
    "BulkOperation": shop.BULK_OPERATION,
    "Channel": catalogue.CHANNEL,
    "Customer": orders.CUSTOMER,
    "Domain": shop.DOMAIN,
    "FulfillmentOrder": orders.FULFILLMENT_ORDER,
    "FulfillmentOrderLineItem": orders.FULFILLMENT_LINE,
    "Image": catalogue.IMAGE,
    "InventoryAdjustmentGroup": inventory.GROUP,
    "InventoryChange": inventory.CHANGE,
    "InventoryItem": inventory.ITEM,
    "InventoryLevel": inventory.LEVEL,
    "InventoryProperties": {"quantityNames": inventory.quantity_names},
    "InventoryQuantity": inventory.QUANTITY,
    "LineItem": orders.LINE,
    "Location": inventory.LOCATION,
    "MediaImage": catalogue.MEDIA_IMAGE,
    "Metafield": metafields.METAFIELD,
    "MediaPreviewImage": {"image": lambda picture, _info: picture},
    "Order": orders.ORDER,
    "Product": catalogue.PRODUCT,
    "ProductVariant": catalogue.VARIANT,
    "Publication": catalogue.PUBLICATION,
    "Refund": orders.REFUND,
    "RefundLineItem": orders.REFUND_LINE,
    "ResourcePublicationV2": catalogue.RESOURCE_PUBLICATION,
    "Shop": shop.SHOP,
    "ShopPlan": shop.PLAN,
    "ShopResourceLimits": shop.LIMITS,
    "WebhookSubscription": shop.SUBSCRIPTION,
}

# Types whose values are plain mappings with the names of the schema.
PLAIN = frozenset(
    {"AccessScope", "Count", "FulfillmentOrderAssignedLocation", "InventoryQuantityName", "SelectedOption"}
)


def _edges(connection: Connection, _info: Any) -> list[dict[str, Any]]:
    pairs = zip(connection.rows, connection.cursors, strict=True)
    return [{"node": row, "cursor": cursor} for row, cursor in pairs]


def _page_info(connection: Connection, _info: Any) -> dict[str, Any]:
    cursors = connection.cursors
    return {
        "hasNextPage": connection.has_next,
        "hasPreviousPage": connection.has_previous,
        "startCursor": cursors[0] if cursors else None,
        "endCursor": cursors[-1] if cursors else None,
    }


CONNECTION: dict[str, Resolver] = {
    "nodes": lambda connection, _info: connection.rows,
    "edges": _edges,
    "pageInfo": _page_info,
}


def _plain(name: str) -> Resolver:
    return lambda source, _info: source[name]


def resolvers_of(kind: GraphQLObjectType) -> Mapping[str, Resolver]:
    """The resolvers of a type; raises LookupError when the slice has a field that nobody resolves."""
    if kind.name.endswith("Connection"):
        return CONNECTION
    if kind.name.endswith(("Edge", "Payload", "Error")) or kind.name in PLAIN or kind.name == "PageInfo":
        return {name: _plain(name) for name in kind.fields}
    found = FIELDS.get(kind.name, {})
    missing = set(kind.fields) - set(found)
    if missing:
        raise LookupError(f"no resolver for {kind.name}.{', '.join(sorted(missing))}; add it to fields/")
    return found


def type_of(value: Any, _info: Any, _abstract: Any) -> str:
    """The object type of a value behind an interface."""
    return TYPE_NAMES[type(value)]


@cache
def executable_schema() -> GraphQLSchema:
    """The slice with resolvers; built once, as it holds no state of any shop."""
    schema = build_schema(SCHEMA_FILE.read_text(encoding="utf-8"), assume_valid=True)
    moment = schema.type_map["DateTime"]
    assert isinstance(moment, GraphQLScalarType)
    moment.parse_value = moment.coerce_input_value = read_time  # type: ignore[method-assign]
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            _attach(kind)
    return schema


def _attach(kind: GraphQLObjectType) -> None:
    for name, resolve in resolvers_of(kind).items():
        found = kind.fields.get(name)
        if found is None:
            continue
        scopes = needed(kind.name, name, get_named_type(found.type).name)
        found.resolve = guarded(resolve, name, scopes) if scopes else resolve
