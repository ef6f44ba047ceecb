"""Access scopes: what an app needs to read a field, as Shopify's scope list for 2026-10 has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphql import GraphQLError

Scopes = frozenset[str]
Resolver = Callable[..., Any]

ALL_SCOPES: Scopes = frozenset(
    {
        "read_products",
        "write_products",
        "read_inventory",
        "write_inventory",
        "read_locations",
        "read_publications",
        "write_publications",
        "read_orders",
        "read_customers",
        "read_merchant_managed_fulfillment_orders",
        "write_app_proxy",
    }
)
DOCUMENTATION = "https://shopify.dev/api/usage/access-scopes"

# Any one scope of each tuple is enough. By type: every field that leads to the type is guarded.
BY_TYPE: dict[str, tuple[str, ...]] = {
    "Product": ("read_products",),
    "ProductVariant": ("read_products",),
    "InventoryItem": ("read_inventory", "read_products"),
    "InventoryLevel": ("read_inventory",),
    "InventoryQuantity": ("read_inventory",),
    "InventoryProperties": ("read_inventory",),
    "InventoryAdjustmentGroup": ("read_inventory",),
    "Location": ("read_locations", "read_inventory", "read_markets_home"),
    "Publication": ("read_publications",),
    "ResourcePublicationV2": ("read_publications",),
    "AppCatalog": ("read_products", "read_product_listings"),
    "Channel": ("read_publications",),
    "Order": ("read_orders", "read_marketplace_orders", "read_quick_sale"),
    "Customer": ("read_customers",),
    "LineItem": ("read_orders", "read_marketplace_orders"),
    "Refund": ("read_orders", "read_marketplace_orders"),
    "FulfillmentOrder": ("read_merchant_managed_fulfillment_orders", "read_assigned_fulfillment_orders"),
}
BY_FIELD: dict[tuple[str, str], tuple[str, ...]] = {
    ("Mutation", "inventoryAdjustQuantities"): ("write_inventory",),
    ("Mutation", "inventorySetQuantities"): ("write_inventory",),
    ("Mutation", "inventoryActivate"): ("write_inventory",),
    ("Mutation", "inventoryDeactivate"): ("write_inventory",),
    ("Mutation", "publishablePublish"): ("write_publications",),
    ("Mutation", "publishableUnpublish"): ("write_publications",),
    ("QueryRoot", "productsCount"): ("read_products",),
    ("QueryRoot", "productTags"): ("read_products",),
    ("QueryRoot", "productTypes"): ("read_products",),
    ("QueryRoot", "productVariantsCount"): ("read_products",),
    ("QueryRoot", "locationsCount"): ("read_locations",),
    ("InventoryItem", "locationsCount"): ("read_inventory",),
    ("Location", "name"): ("read_locations", "read_markets_home"),
}
LOCATION_FREE = ("id", "name")
NOT_GUARDED = ("Mutation",)  # payloads answer even when their objects may not be read


def needed(parent: str, field: str, leads_to: str) -> tuple[str, ...]:
    """The scopes of which one is needed for a field; empty when anybody may read it."""
    if (parent, field) in BY_FIELD:
        return BY_FIELD[parent, field]
    if parent == "Location" and field not in LOCATION_FREE and leads_to not in BY_TYPE:
        return ("read_locations",)
    if parent in NOT_GUARDED or parent.endswith(("Payload", "Connection", "Edge")):
        return ()
    target = leads_to.removesuffix("Connection")
    return BY_TYPE.get(target, ())


def denied(field: str, scopes: tuple[str, ...]) -> GraphQLError:
    names = " or ".join(f"`{scope}`" for scope in scopes)
    required = f"{names} access scope{'s' if len(scopes) > 1 else ''}."
    return GraphQLError(
        f"Access denied for {field} field. Required access: {required}",
        extensions={"code": "ACCESS_DENIED", "documentation": DOCUMENTATION, "requiredAccess": required},
    )


def guarded(resolve: Resolver, field: str, scopes: tuple[str, ...]) -> Resolver:
    """The resolver behind a check of the app's granted scopes."""
    enough = frozenset(scopes)

    def check(source: Any, info: Any, **arguments: Any) -> Any:
        if not enough & info.context.scopes:
            raise denied(field, scopes)
        return resolve(source, info, **arguments)

    return check
