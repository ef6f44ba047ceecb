"""Small reads: the shop itself, owners of items, product types and tags, whether a search finds anything."""

from dataclasses import dataclass

from stockwright.model import ItemGid, Location, LocationGid, ProductGid, ShopRead, VariantGid
from stockwright.shopify.budget import Priority
from stockwright.shopify.calls import Caller
from stockwright.shopify.errors import ErrorCode, ShopifyError
from stockwright.shopify.sizes import MAX_PAGE
from stockwright.shopify.wire import Node, listed, location, next_cursor

MAX_LIST_PAGES = 100  # 25,000 types, tags or locations


@dataclass(frozen=True, kw_only=True)
class ShopAnswer:
    """What a read of the shop showed, and the scopes that the app was granted."""

    domain: str
    shop: ShopRead
    scopes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ItemOwner:
    """The variant that sells an inventory item; `title` is product and variant title for a person."""

    product_id: ProductGid
    variant_id: VariantGid
    title: str


async def read_shop(caller: Caller) -> ShopAnswer:
    """Name, time zone, scopes, default (primary) location and all locations, inactive ones too."""
    locations: list[Location] = []
    after: str | None = None
    for _ in range(MAX_LIST_PAGES):
        variables = {"locations": MAX_PAGE, "after": after}
        data = await caller.read("read_shop", variables, priority=Priority.EVENT)
        locations += listed(data.child("locations"), location)
        if (after := next_cursor(data.child("locations"))) is None:
            return _shop_answer(data, tuple(locations))
    raise _too_long("locations")


async def granted_scopes(caller: Caller) -> tuple[str, ...]:
    """The scopes that the shop has granted, sorted; needs none itself."""
    data = await caller.read("granted_scopes", {}, priority=Priority.EVENT)
    return _scopes(data)


async def find_product_of_item(caller: Caller, item_id: ItemGid) -> ItemOwner | None:
    """Which product and variant an inventory item belongs to; None when it was deleted."""
    data = await caller.read("product_of_item", {"id": item_id}, priority=Priority.EVENT)
    item = data.optional_child("inventoryItem")
    variants = item.optional_child("variants") if item else None
    for variant in variants.children("nodes") if variants else []:
        product = variant.child("product")
        return ItemOwner(
            product_id=ProductGid(product.text("id")),
            variant_id=VariantGid(variant.text("id")),
            title=f"{product.text('title')} - {variant.text('title')}",
        )
    return None


async def any_product_matching(caller: Caller, search: str) -> tuple[ProductGid, str] | None:
    """Id and title of some product that the search finds, or None."""
    data = await caller.read("any_product", {"search": search or None}, priority=Priority.EVENT)
    for product in data.child("products").children("nodes"):
        return ProductGid(product.text("id")), product.text("title")
    return None


async def list_texts(caller: Caller, name: str, root: str) -> tuple[str, ...]:
    """All texts of a StringConnection, sorted, each once.

    Raises:
        ShopifyError: LIMIT above 25,000.
    """
    found: set[str] = set()
    after: str | None = None
    for _ in range(MAX_LIST_PAGES):
        data = await caller.read(name, {"size": MAX_PAGE, "after": after}, priority=Priority.EVENT)
        connection = data.optional_child(root)
        if connection is None:
            break
        found.update(connection.texts("nodes"))
        if (after := next_cursor(connection)) is None:
            break
    else:
        raise _too_long(root)
    return tuple(sorted(found - {""}))


def _shop_answer(data: Node, locations: tuple[Location, ...]) -> ShopAnswer:
    shop = data.child("shop")
    primary = data.optional_child("location")
    return ShopAnswer(
        domain=shop.text("myshopifyDomain"),
        shop=ShopRead(
            name=shop.text("name"),
            timezone=shop.text("ianaTimezone"),
            primary_host=shop.child("primaryDomain").text("host").lower(),
            locations=locations,
            default_location_id=LocationGid(primary.text("id")) if primary else None,
        ),
        scopes=_scopes(data),
    )


def _scopes(data: Node) -> tuple[str, ...]:
    scopes = data.child("currentAppInstallation").children("accessScopes")
    return tuple(sorted(scope.text("handle") for scope in scopes))


def _too_long(what: str) -> ShopifyError:
    message = f"The shop has more than {MAX_LIST_PAGES * MAX_PAGE} {what}; the list was not used."
    return ShopifyError(ErrorCode.LIMIT, message, permanent=True)
