"""Cuts the slice of the Admin API schema that the client's operations and the bundled shop use.

The table below is the whole choice: object and interface types with the fields kept. Enums, scalars,
inputs, connections and edges follow by reachability and are kept whole. Nothing is ever renamed or
retyped, so a document that is valid against the slice is valid against the full schema.

    python scripts/cut_schema.py [--source FULL.graphql] [--target SLICE.graphql]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from graphql import (
    DefinitionNode,
    DirectiveDefinitionNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    NamedTypeNode,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    SchemaDefinitionNode,
    TypeNode,
    UnionTypeDefinitionNode,
    parse,
    print_ast,
)

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT.parent / "shared" / "shopify" / "admin_schema_2026-10.graphql"
TARGET = ROOT / "src" / "shopify_emulator" / "schema" / "admin_2026_10.graphql"

HEADER = """\
# A slice of Shopify's Admin GraphQL API schema, version 2026-10, cut by scripts/cut_schema.py.
# Copyright 2025-present, Shopify Inc. Licence: LICENSE.txt beside this file. Do not edit by hand.

"""

PUBLISHABLE = "publishedOnPublication resourcePublicationsV2 unpublishedPublications"

KEEP: dict[str, str] = {
    "QueryRoot": """
        bulkOperation bulkOperations currentAppInstallation inventoryItem inventoryItems inventoryLevel
        inventoryProperties location locations locationsCount node nodes order orders product products
        productsCount productTags productTypes productVariant productVariants productVariantsCount
        publication publications refund shop webhookSubscription webhookSubscriptions""",
    "Mutation": """
        bulkOperationCancel bulkOperationRunQuery inventoryActivate inventoryAdjustQuantities
        inventoryDeactivate inventorySetQuantities metafieldsSet publishablePublish publishableUnpublish
        webhookSubscriptionCreate webhookSubscriptionDelete webhookSubscriptionUpdate""",
    # interfaces
    "Node": "id",
    "LegacyInteroperability": "legacyResourceId",
    "DisplayableError": "field message",
    "Publishable": PUBLISHABLE,
    "Catalog": "id status title publication",
    # the shop and the app
    "Shop": """
        contactEmail createdAt currencyCode email ianaTimezone id myshopifyDomain name plan primaryDomain
        resourceLimits timezoneOffset timezoneOffsetMinutes updatedAt url""",
    "ShopPlan": "displayName partnerDevelopment publicDisplayName shopifyPlus",
    "ShopResourceLimits": "locationLimit maxProductOptions maxProductVariants redirectLimitReached",
    "Domain": "host id sslEnabled url",
    "AppInstallation": "accessScopes app id launchUrl metafield metafields",
    "Metafield": "compareDigest id jsonValue key legacyResourceId namespace ownerType sizeInBytes type value",
    "MetafieldsSetPayload": "metafields userErrors",
    "MetafieldsSetUserError": "code elementIndex field message",
    "AccessScope": "description handle",
    "App": "apiKey handle id title webhookApiVersion",
    "ApiVersion": "displayName handle supported",
    "PageInfo": "endCursor hasNextPage hasPreviousPage startCursor",
    "Count": "count precision",
    "UserError": "field message",
    # catalogue
    "Product": f"""
        createdAt featuredMedia handle hasOnlyDefaultVariant hasOutOfStockVariants id isGiftCard legacyResourceId
        onlineStorePreviewUrl onlineStoreUrl productType publishedAt requiresSellingPlan status tags title
        totalInventory tracksInventory updatedAt variants variantsCount vendor {PUBLISHABLE}""",
    "ProductVariant": f"""
        availableForSale barcode compareAtPrice createdAt displayName id inventoryItem inventoryPolicy
        inventoryQuantity legacyResourceId media position price product requiresComponents selectedOptions
        sellableOnlineQuantity sku title updatedAt {PUBLISHABLE}""",
    "SelectedOption": "name value",
    "Media": "alt id preview",
    "MediaImage": "alt id preview",
    "MediaPreviewImage": "image",
    "Image": "altText id url",
    # inventory
    "InventoryItem": """
        createdAt id inventoryLevel inventoryLevels legacyResourceId locationsCount requiresShipping sku
        tracked updatedAt variant variants""",
    "InventoryLevel": "canDeactivate createdAt deactivationAlert id isActive item location quantities updatedAt",
    "InventoryQuantity": "id name quantity updatedAt",
    "InventoryProperties": "quantityNames",
    "InventoryQuantityName": "belongsTo comprises displayName isInUse name",
    "Location": """
        createdAt deactivatedAt fulfillsOnlineOrders hasActiveInventory id inventoryLevel inventoryLevels
        isActive isFulfillmentService isPrimary legacyResourceId name shipsInventory updatedAt""",
    "InventoryAdjustmentGroup": "app changes createdAt id reason referenceDocumentUri",
    "InventoryChange": "delta item ledgerDocumentUri location name quantityAfterChange",
    "InventoryAdjustQuantitiesPayload": "inventoryAdjustmentGroup userErrors",
    "InventoryAdjustQuantitiesUserError": "code field message",
    "InventorySetQuantitiesPayload": "inventoryAdjustmentGroup userErrors",
    "InventorySetQuantitiesUserError": "code field message",
    "InventoryActivatePayload": "inventoryLevel userErrors",
    "InventoryDeactivatePayload": "userErrors",
    # publishing
    "Publication": "app autoPublish catalog channels id name supportsFuturePublishing",
    "AppCatalog": "apps channels id publication status title",
    "Channel": "app handle id name supportsFuturePublishing",
    "ResourcePublicationV2": "isPublished publication publishDate publishable",
    "PublishablePublishPayload": "publishable shop userErrors",
    "PublishableUnpublishPayload": "publishable shop userErrors",
    # orders
    "Order": """
        cancelledAt closedAt createdAt displayFulfillmentStatus fulfillmentOrders id legacyResourceId
        customer lineItems name number processedAt refunds test updatedAt""",
    "Customer": "id legacyResourceId",
    "LineItem": "currentQuantity id isGiftCard name product quantity refundableQuantity sku title variant variantTitle",
    "Refund": "createdAt id legacyResourceId note order processedAt refundLineItems updatedAt",
    "RefundLineItem": "id lineItem location quantity restockType restocked",
    "FulfillmentOrder": "assignedLocation createdAt id lineItems order orderId orderName status updatedAt",
    "FulfillmentOrderAssignedLocation": "location name",
    "FulfillmentOrderLineItem": "id inventoryItemId lineItem remainingQuantity totalQuantity variant",
    # webhooks and bulk operations
    "WebhookSubscription": """
        apiVersion callbackUrl createdAt filter format id includeFields legacyResourceId
        metafieldNamespaces name topic updatedAt uri""",
    "WebhookSubscriptionCreatePayload": "userErrors webhookSubscription",
    "WebhookSubscriptionUpdatePayload": "userErrors webhookSubscription",
    "WebhookSubscriptionDeletePayload": "deletedWebhookSubscriptionId userErrors",
    "BulkOperation": """
        completedAt createdAt errorCode fileSize id objectCount partialDataUrl query rootObjectCount status
        type url""",
    "BulkOperationRunQueryPayload": "bulkOperation userErrors",
    "BulkOperationCancelPayload": "bulkOperation userErrors",
    "BulkOperationUserError": "code field message",
}

Composite = ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode
N = TypeVar("N", bound=Any)
PARTS = ("fields", "arguments", "values")
KNOWN_SCALARS = frozenset({"Int", "Float", "String", "Boolean", "ID"})


class CutError(Exception):
    """The table names something that the full schema lacks, or misses something that it needs."""


@dataclass(kw_only=True)
class Cut:
    """One walk over the full schema: what is defined, and what was reached so far."""

    defined: dict[str, DefinitionNode]
    reached: dict[str, DefinitionNode] = field(default_factory=dict)

    def reach(self, name: str) -> None:
        if name in KNOWN_SCALARS or name in self.reached:
            return
        node = self.defined.get(name)
        if node is None:
            raise CutError(f"{name} is not in the full schema; correct KEEP")
        match node:
            case ObjectTypeDefinitionNode() | InterfaceTypeDefinitionNode():
                self.reached[name] = pruned = prune(node)
                self.reach_all(named(kept.type) for kept in pruned.fields or ())
                self.reach_all(named(a.type) for kept in pruned.fields or () for a in kept.arguments or ())
            case InputObjectTypeDefinitionNode():
                self.reached[name] = bare(node)
                self.reach_all(named(kept.type) for kept in node.fields or ())
            case EnumTypeDefinitionNode() | ScalarTypeDefinitionNode():
                self.reached[name] = bare(node)
            case UnionTypeDefinitionNode():
                raise CutError(f"{name} is a union; drop the field that needs it")
            case _:
                raise CutError(f"{name} is no type that can be cut")

    def reach_all(self, names: Iterable[str]) -> None:
        for name in names:
            self.reach(name)


def named(node: TypeNode) -> str:
    while not isinstance(node, NamedTypeNode):
        node = node.type  # type: ignore[attr-defined]
    return node.name.value


def kept_fields(node: Composite) -> tuple[FieldDefinitionNode, ...]:
    name, fields = node.name.value, tuple(node.fields or ())
    if name in KEEP:
        wanted = KEEP[name].split()
        missing = set(wanted) - {f.name.value for f in fields}
        if missing:
            raise CutError(f"{name} has no field {', '.join(sorted(missing))} in the full schema")
        return tuple(f for f in fields if f.name.value in wanted)
    if name.endswith(("Connection", "Edge")):
        return fields
    raise CutError(f"{name} is reached but not listed; add it to KEEP or drop the field that needs it")


def prune(node: Composite) -> Composite:
    interfaces = tuple(i for i in node.interfaces or () if i.name.value in KEEP)
    return bare(replace(node, interfaces=interfaces, fields=kept_fields(node)))


def bare(node: N) -> N:
    """The node without descriptions, at every depth."""
    parts = {key: tuple(map(bare, part)) for key in PARTS if (part := getattr(node, key, None))}
    return replace(node, description=None, **parts)


def cut(full: str) -> str:
    """Returns the slice of the full schema as SDL text; raises CutError where KEEP does not fit."""
    definitions = parse(full, no_location=True).definitions
    defined = {d.name.value: d for d in definitions if not isinstance(d, SchemaDefinitionNode)}
    walk = Cut(defined=defined)
    walk.reach_all(KEEP)
    kept = [k for d in definitions if (k := kept_definition(d, walk)) is not None]
    return HEADER + "\n\n".join(map(print_ast, kept)) + "\n"


def kept_definition(node: DefinitionNode, walk: Cut) -> DefinitionNode | None:
    if isinstance(node, SchemaDefinitionNode | DirectiveDefinitionNode):
        return bare(node)
    return walk.reached.get(node.name.value)


def main() -> None:
    parser = argparse.ArgumentParser(description="Cut the schema slice again from the full schema.")
    parser.add_argument("--source", type=Path, default=SOURCE, help="the full schema as SDL")
    parser.add_argument("--target", type=Path, default=TARGET, help="where the slice is written")
    options = parser.parse_args()
    if not options.source.is_file():
        raise SystemExit(f"{options.source} does not exist; name the full schema with --source")
    options.target.write_text(cut(options.source.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {options.target}, {options.target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
