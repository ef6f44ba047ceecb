"""Adding, changing and removing locations, products, variants and levels.

Changes State and announces what happened; knows no GraphQL and no orders.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shopify_emulator.model import (
    STATUSES,
    Gid,
    Item,
    Level,
    Levels,
    Location,
    Picture,
    Policy,
    Product,
    Publication,
    ShopError,
    Status,
    Variant,
    VariantSpec,
)
from shopify_emulator.state import State

MAX_VARIANTS = 2048


def add_publication(state: State, name: str, *, handle: str, future_publishing: bool) -> Publication:
    gid, number = state.new_gid("Publication")
    publication = Publication(
        gid=gid, number=number, name=name, handle=handle, future_publishing=future_publishing
    )
    state.publications[gid] = state.nodes[gid] = publication
    return publication


def remove_publication(state: State, gid: Gid) -> None:
    """A sales channel is gone, and with it everything that was published there."""
    publication = state.find(state.publications, gid, what="publication")
    if publication.handle == "online_store":
        raise ShopError("the Online Store cannot be deleted: the bundled shop's pages are published there")
    del state.publications[gid], state.nodes[gid]
    for product in state.products.values():
        for placed in (product.publications, *(variant.publications for variant in product.variants)):
            placed.pop(gid, None)
    state.announce("channels/delete", publication, event=state.new_uuid())


def add_location(state: State, name: str, *, active: bool, fulfills_online: bool, primary: bool) -> Location:
    gid, number = state.new_gid("Location")
    now = state.clock.now()
    location = Location(
        gid=gid,
        number=number,
        name=name,
        active=active,
        fulfills_online=fulfills_online,
        primary=primary or not state.locations,
        created_at=now,
        updated_at=now,
        deactivated_at=None if active else now,
    )
    if primary:
        for other in state.locations.values():
            other.primary = False
    state.locations[gid] = state.nodes[gid] = location
    state.announce("locations/create", location, event=state.new_uuid())
    return location


def set_primary(state: State, gid: Gid) -> None:
    chosen = state.location(gid)
    for location in state.locations.values():
        location.primary = location is chosen


def set_location_active(state: State, gid: Gid, *, active: bool) -> None:
    location = state.location(gid)
    if location.active == active:
        return
    location.active = active
    location.updated_at = state.clock.now()
    location.deactivated_at = None if active else location.updated_at
    topic = "locations/activate" if active else "locations/deactivate"
    state.announce(topic, location, event=state.new_uuid())


def remove_location(state: State, gid: Gid) -> None:
    """Deletes a location that is not active any more, with the levels that were left there."""
    location = state.location(gid)
    if location.active:
        raise ShopError(f"{location.name} is active; deactivate it before it is deleted")
    for level in [level for level in state.levels.values() if level.location is location]:
        del level.item.levels[gid], state.levels[level.gid], state.nodes[level.gid]
    del state.locations[gid], state.nodes[gid]
    state.announce("locations/delete", location, event=state.new_uuid())


def rename_location(state: State, gid: Gid, name: str) -> None:
    location = state.location(gid)
    location.name, location.updated_at = name, state.clock.now()
    state.announce("locations/update", location, event=state.new_uuid())


def handle_of(title: str, taken: set[str]) -> str:
    """A URL handle as Shopify makes it: lower case, dashes, numbered when it is taken."""
    stem = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "product"
    handle, number = stem, 0
    while handle in taken:
        number += 1
        handle = f"{stem}-{number}"
    return handle


def add_product(
    state: State,
    title: str,
    *,
    variants: Sequence[VariantSpec],
    product_type: str,
    tags: Sequence[str],
    status: Status,
    vendor: str,
    levels: Levels,
    is_gift_card: bool,
    requires_selling_plan: bool,
    option_names: Sequence[str] = (),
    image_url: str = "",
) -> Product:
    if not variants:
        raise ShopError(f"product {title!r} needs at least one variant")
    gid, number = state.new_gid("Product")
    now, event = state.clock.now(), state.new_uuid()
    product = Product(
        gid=gid,
        number=number,
        title=title,
        handle=handle_of(title, state.handles),
        product_type=product_type,
        vendor=vendor,
        tags=clean_tags(tags),
        status=check_status(status),
        is_gift_card=is_gift_card,
        requires_selling_plan=requires_selling_plan,
        created_at=now,
        updated_at=now,
        option_names=tuple(option_names) or ("Title",),
        image=picture(state, image_url, alt=title),
    )
    state.products[gid] = state.nodes[gid] = product
    state.handles.add(product.handle)
    for spec in variants:
        _new_variant(state, product, spec, levels=levels, event=event)
    state.announce("products/create", product, event=event)
    return product


def picture(state: State, url: str, *, alt: str) -> Picture | None:
    """An image at this address; none without one."""
    if not url:
        return None
    gid, number = state.new_gid("MediaImage")
    return Picture(gid=gid, number=number, url=url, alt=alt)


def add_variant(state: State, product_gid: Gid, spec: VariantSpec, *, levels: Levels) -> Variant:
    product, event = state.product(product_gid), state.new_uuid()
    variant = _new_variant(state, product, spec, levels=levels, event=event)
    touch(state, product, event=event)
    return variant


def _new_variant(state: State, product: Product, spec: VariantSpec, *, levels: Levels, event: str) -> Variant:
    if len(product.variants) >= MAX_VARIANTS:
        raise ShopError(f"{product.title!r} has {MAX_VARIANTS} variants, the most that a product may have")
    item = _new_item(state, spec, event=event)
    gid, number = state.new_gid("ProductVariant")
    now = state.clock.now()
    variant = Variant(
        gid=gid,
        number=number,
        title=spec.title,
        price=spec.price,
        policy=spec.policy,
        requires_components=spec.requires_components,
        product=product,
        item=item,
        position=len(product.variants) + 1,
        created_at=now,
        updated_at=now,
        compare_at_price=spec.compare_at_price,
        image=picture(state, spec.image_url, alt=f"{product.title}, {spec.title}"),
    )
    item.variant = variant
    product.variants.append(variant)
    state.variants[gid] = state.nodes[gid] = variant
    for location, available in _stocked(state, spec.levels if spec.levels is not None else levels):
        connect(state, item, location, available=available, event=event)
    return variant


def _new_item(state: State, spec: VariantSpec, *, event: str) -> Item:
    gid, number = state.new_gid("InventoryItem")
    now = state.clock.now()
    item = Item(gid=gid, number=number, sku=spec.sku, tracked=spec.tracked, created_at=now, updated_at=now)
    state.items[gid] = state.nodes[gid] = item
    state.announce("inventory_items/create", item, event=event)
    return item


def _stocked(state: State, levels: Levels) -> list[tuple[Location, int]]:
    """One number means that number at every active location."""
    if isinstance(levels, int):
        return [(location, levels) for location in state.locations.values() if location.active]
    return [(state.location(gid), available) for gid, available in levels.items()]


def connect(
    state: State, item: Item, location: Location, *, available: int = 0, active: bool = True, event: str
) -> Level:
    """Makes the level of an item at a location, or activates the one that is there, as it was."""
    now, level = state.clock.now(), item.levels.get(location.gid)
    if level is None:
        level = _new_level(state, item, location, available=available, active=active)
    elif level.active:
        raise ShopError(f"item {item.gid} is already stocked at {location.name}")
    else:
        level.active, level.updated_at = active, now
    if level.active:
        state.announce("inventory_levels/connect", level, event=event)
    return level


def _new_level(state: State, item: Item, location: Location, *, available: int, active: bool) -> Level:
    stem, number = state.new_gid("InventoryLevel")
    now = state.clock.now()
    level = Level(
        gid=f"{stem}?inventory_item_id={item.number}",
        number=number,
        item=item,
        location=location,
        active=active,
        start=available,
        quantities={"available": available},
        created_at=now,
        updated_at=now,
        stamps={"available": now},
    )
    item.levels[location.gid] = level
    state.levels[level.gid] = state.nodes[level.gid] = level
    return level


def disconnect(state: State, level: Level, *, event: str) -> None:
    """Deactivates a level, which keeps its quantities; the last one of an item has to stay."""
    others = [other for other in level.item.levels.values() if other.active and other is not level]
    if not others:
        raise ShopError("the last level of an item cannot be deactivated; stock it elsewhere first")
    level.active, level.updated_at = False, state.clock.now()
    state.announce("inventory_levels/disconnect", level, event=event)


def remove_variant(state: State, gid: Gid) -> None:
    variant, event = state.variant(gid), state.new_uuid()
    if len(variant.product.variants) == 1:
        raise ShopError(f"{variant.product.title!r} has no other variant; remove the product instead")
    _drop_variant(state, variant, event=event)
    variant.product.variants.remove(variant)
    for position, other in enumerate(variant.product.variants, start=1):
        other.position = position
    touch(state, variant.product, event=event)


def remove_product(state: State, gid: Gid) -> None:
    product, event = state.product(gid), state.new_uuid()
    for variant in product.variants:
        _drop_variant(state, variant, event=event)
    del state.products[gid], state.nodes[gid]
    state.handles.discard(product.handle)
    state.announce("products/delete", product, event=event)


def _drop_variant(state: State, variant: Variant, *, event: str) -> None:
    item = variant.item
    for level in item.levels.values():
        del state.levels[level.gid], state.nodes[level.gid]
    del state.items[item.gid], state.nodes[item.gid], state.variants[variant.gid], state.nodes[variant.gid]
    state.announce("inventory_items/delete", item, event=event)


def touch(state: State, product: Product, *, event: str | None = None) -> None:
    """Marks a product as changed now and announces it."""
    product.updated_at = state.clock.now()
    state.announce("products/update", product, event=event or state.new_uuid())


def check_status(status: Status) -> Status:
    if status not in STATUSES:
        raise ShopError(f"there is no product status {status!r}; it is one of {', '.join(STATUSES)}")
    return status


def set_status(state: State, gid: Gid, status: Status) -> None:
    product = state.product(gid)
    product.status = check_status(status)
    touch(state, product)


def clean_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags without blanks around them, each once in any case, in alphabetical order."""
    by_fold: dict[str, str] = {}
    for tag in tags:
        if tag.strip():
            by_fold.setdefault(tag.strip().casefold(), tag.strip())
    return tuple(sorted(by_fold.values(), key=str.casefold))


def set_tags(state: State, gid: Gid, tags: Sequence[str]) -> None:
    product = state.product(gid)
    product.tags = clean_tags(tags)
    touch(state, product)


def set_type(state: State, gid: Gid, product_type: str) -> None:
    product = state.product(gid)
    product.product_type = product_type
    touch(state, product)


def set_policy(state: State, variant_gid: Gid, policy: Policy) -> None:
    variant = state.variant(variant_gid)
    variant.policy, variant.updated_at = policy, state.clock.now()
    touch(state, variant.product)


def set_tracked(state: State, item_gid: Gid, *, tracked: bool) -> None:
    item = state.item(item_gid)
    _touch_item(state, item, tracked=tracked, sku=item.sku)


def set_sku(state: State, item_gid: Gid, sku: str) -> None:
    item = state.item(item_gid)
    _touch_item(state, item, tracked=item.tracked, sku=sku)


def _touch_item(state: State, item: Item, *, tracked: bool, sku: str) -> None:
    event = state.new_uuid()
    item.tracked, item.sku, item.updated_at = tracked, sku, state.clock.now()
    state.announce("inventory_items/update", item, event=event)
    touch(state, item.variant.product, event=event)
