"""Resolvers of inventory items, levels, quantities, locations and adjustment groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shopify_emulator.fields.connections import Arguments, Fields, SortKey, count, page, sort_for, time
from shopify_emulator.model import (
    ON_HAND_PARTS,
    QUANTITY_NAMES,
    AdjustmentGroup,
    Change,
    Item,
    Level,
    Location,
)
from shopify_emulator.paging import Connection
from shopify_emulator.request import request_of

LOCATION_SORTS: dict[str, SortKey | None] = {
    "ID": None,
    "RELEVANCE": None,
    "NAME": lambda location: location.name.casefold(),
}


@dataclass(frozen=True)
class Quantity:
    """One named quantity of a level, as it is answered."""

    level: Level
    name: str
    quantity: int
    updated_at: datetime | None


def quantities(level: Level, info: Any, *, names: list[str]) -> list[Quantity]:
    """A lagging read gives `available` and its stamp as they were before the last movement."""
    lagging = request_of(info).lagging
    return [_quantity(level, name, lagging=lagging) for name in names if name in QUANTITY_NAMES]


def _quantity(level: Level, name: str, *, lagging: bool) -> Quantity:
    if name == "available" and lagging and level.before is not None:
        return Quantity(level, name, *level.before)
    return Quantity(level, name, level.quantity(name), level.stamps.get(name))


def _level_stamp(level: Level, info: Any) -> str | None:
    if request_of(info).lagging and level.before is not None:
        return time(level.before[1])
    return time(level.updated_at)


def inventory_items(_root: Any, info: Any, **arguments: Any) -> Connection:
    return page(info, list(request_of(info).state.items.values()), arguments)


def locations(_root: Any, info: Any, **arguments: Any) -> Connection:
    """Inactive ones only when asked for; there are no fulfilment-service locations here."""
    rows = list(request_of(info).state.locations.values())
    shown = [location for location in rows if location.active or arguments.get("includeInactive")]
    return page(info, shown, arguments, sort=sort_for(arguments, LOCATION_SORTS, default="NAME"))


def locations_count(_root: Any, info: Any, **arguments: Any) -> Arguments:
    active = [location for location in request_of(info).state.locations.values() if location.active]
    return count(info, active, arguments, of="locations")


def _shown(levels: Iterable[Level], arguments: Arguments) -> list[Level]:
    return [level for level in levels if level.active or arguments.get("includeInactive")]


def levels_of_item(item: Item, info: Any, **arguments: Any) -> Connection:
    return page(info, _shown(item.levels.values(), arguments), arguments)


def levels_of_location(location: Location, info: Any, **arguments: Any) -> Connection:
    levels = (level for level in request_of(info).state.levels.values() if level.location is location)
    return page(info, _shown(levels, arguments), arguments)


def level_at(item: Item, _info: Any, **arguments: Any) -> Level | None:
    level = item.levels.get(arguments["locationId"])
    return level if level is not None and _shown([level], arguments) else None


def level_of(location: Location, info: Any, **arguments: Any) -> Level | None:
    item = request_of(info).state.items.get(arguments["inventoryItemId"])
    level = item.levels.get(location.gid) if item is not None else None
    return level if level is not None and _shown([level], arguments) else None


def changes(group: AdjustmentGroup, _info: Any, **arguments: Any) -> list[Change]:
    items, places = arguments.get("inventoryItemIds"), arguments.get("locationIds")
    names = arguments.get("quantityNames")
    return [
        change
        for change in group.changes
        if (items is None or change.item.gid in items)
        and (places is None or change.location.gid in places)
        and (names is None or change.name in names)
    ]


def _other_active(level: Level) -> bool:
    return any(other.active for other in level.item.levels.values() if other is not level)


def quantity_names(_root: Any, _info: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "displayName": name.replace("_", " ").capitalize(),
            "isInUse": name in ("available", "committed", "on_hand"),
            "belongsTo": ["on_hand"] if name in ON_HAND_PARTS else [],
            "comprises": list(ON_HAND_PARTS) if name == "on_hand" else [],
        }
        for name in QUANTITY_NAMES
    ]


ITEM: Fields = {
    "createdAt": lambda i, _i: time(i.created_at),
    "id": lambda i, _i: i.gid,
    "inventoryLevel": level_at,
    "inventoryLevels": levels_of_item,
    "legacyResourceId": lambda i, _i: str(i.number),
    "locationsCount": lambda i, _i: {"count": len(_shown(i.levels.values(), {})), "precision": "EXACT"},
    "requiresShipping": lambda _item, _i: True,
    "sku": lambda i, _i: i.sku,
    "tracked": lambda i, _i: i.tracked,
    "updatedAt": lambda i, _i: time(i.updated_at),
    "variant": lambda i, _i: i.variant,
    "variants": lambda i, info, **a: page(info, [i.variant], a),
}

LEVEL: Fields = {
    "canDeactivate": lambda level, _i: level.active and _other_active(level),
    "createdAt": lambda level, _i: time(level.created_at),
    "deactivationAlert": lambda level, _i: (
        None if _other_active(level) else "The product would be stocked at no location."
    ),
    "id": lambda level, _i: level.gid,
    "isActive": lambda level, _i: level.active,
    "item": lambda level, _i: level.item,
    "location": lambda level, _i: level.location,
    "quantities": quantities,
    "updatedAt": _level_stamp,
}

QUANTITY: Fields = {
    "id": lambda q, _i: (
        f"gid://shopify/InventoryQuantity/{q.level.number}?inventory_item_id="
        f"{q.level.item.number}&name={q.name}"
    ),
    "name": lambda q, _i: q.name,
    "quantity": lambda q, _i: q.quantity,
    "updatedAt": lambda q, _i: time(q.updated_at),
}

LOCATION: Fields = {
    "createdAt": lambda loc, _i: time(loc.created_at),
    "deactivatedAt": lambda loc, _i: time(loc.deactivated_at),
    "fulfillsOnlineOrders": lambda loc, _i: loc.fulfills_online,
    "hasActiveInventory": lambda loc, i: any(
        level.active and level.available
        for level in request_of(i).state.levels.values()
        if level.location is loc
    ),
    "id": lambda loc, _i: loc.gid,
    "inventoryLevel": level_of,
    "inventoryLevels": levels_of_location,
    "isActive": lambda loc, _i: loc.active,
    "isFulfillmentService": lambda _loc, _i: False,
    "isPrimary": lambda loc, _i: loc.primary,
    "legacyResourceId": lambda loc, _i: str(loc.number),
    "name": lambda loc, _i: loc.name,
    "shipsInventory": lambda loc, _i: loc.active,
    "updatedAt": lambda loc, _i: time(loc.updated_at),
}

GROUP: Fields = {
    "app": lambda _g, i: request_of(i).parts.identity,
    "changes": changes,
    "createdAt": lambda g, _i: time(g.created_at),
    "id": lambda g, _i: g.gid,
    "reason": lambda g, _i: g.reason,
    "referenceDocumentUri": lambda g, _i: g.reference_document_uri,
}

CHANGE: Fields = {
    "delta": lambda c, _i: c.delta,
    "item": lambda c, _i: c.item,
    "ledgerDocumentUri": lambda c, _i: c.ledger_document_uri,
    "location": lambda c, _i: c.location,
    "name": lambda c, _i: c.name,
    "quantityAfterChange": lambda _c, _i: None,
}
