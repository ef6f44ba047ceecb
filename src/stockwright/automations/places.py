"""Where stock is shared: places, and the levels of a product as seen at one.

Pure. A place is one location, or all chosen locations treated as one level.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from stockwright.automations.contract import Claim, PoolView
from stockwright.automations.options import SharedStockOptions
from stockwright.ledger.state import MemberId, Policy, Seen
from stockwright.model import JsonObject, ProductRead, ShopRead, StockwrightError, VariantRead

ALL_AS_ONE = "*"
_LISTED = 50  # names that one message lists


class NameNotFound(StockwrightError):
    """Options name something that the shop does not have; the message lists what exists, and so does `detail`."""

    def __init__(self, message: str, *, detail: JsonObject | None = None) -> None:
        super().__init__(message)
        self.detail = detail or {}


@dataclass(frozen=True, kw_only=True)
class Place:
    """One stock per product: a location, or several as one."""

    id: str  # a location gid, or "*"
    name: str
    location_names: Mapping[str, str]  # location gid -> name

    def holds(self, location_id: str) -> bool:
        """Whether levels at this location belong here."""
        return location_id in self.location_names


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """What a kind decides about shared stock; all else is the same for every kind."""

    search: str  # finds the products in scope; "" = all
    places: tuple[Place, ...]
    out_of_scope: Callable[[ProductRead], str]  # why a product is not in scope; "" = it is
    policy: Policy
    adopt_by_event: bool  # a scheduled scan sends unknown products to the custom event
    nothing_found: str  # the error when a scan finds no product


def policy(
    given: Policy,
    options: SharedStockOptions,
    unequal_at_start: Literal["report", "take_changed", "take_lowest", "take_highest"],
) -> Policy:
    """The shop's policy with the options of an automation."""
    return replace(
        given,
        unequal_at_start=unequal_at_start,
        raise_settle_s=options.raise_settle_s,
        bulk_raise=options.bulk_raise,
    )


def any_of(field: str, values: Sequence[str]) -> str:
    """A product search for any of these values, quoted; "" when there are none."""
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    terms = [f'{field}:"{value}"' for value in escaped]
    return terms[0] if len(terms) == 1 else f"({' OR '.join(terms)})" if terms else ""


def type_out_of_scope(product_types: Sequence[str], product: ProductRead) -> str:
    """Why the product's type is not among those chosen; "" when it is, or none was chosen."""
    chosen = {name.casefold() for name in product_types}
    if not chosen or product.product_type.casefold() in chosen:
        return ""
    return f"the product type {product.product_type!r} is not one of the chosen types"


def default_place(shop: ShopRead) -> tuple[Place, ...]:
    """The shop's default location.

    Raises:
        NameNotFound: the shop shows none.
    """
    found = next((place for place in shop.locations if place.id == shop.default_location_id), None)
    if found is None:
        raise NameNotFound(
            "The shop shows no default location. Choose locations=named and name one of: "
            + ", ".join(location.name for location in shop.locations if location.is_active),
            detail={"available_location_names": sorted(location.name for location in shop.locations)},
        )
    return (Place(id=found.id, name=found.name, location_names={found.id: found.name}),)


def places_named(shop: ShopRead, names: Sequence[str]) -> tuple[Place, ...]:
    """A place per active location, of those named when any is.

    Raises:
        NameNotFound: a name is not a location of the shop, or names two of them; or all named are deactivated.
    """
    check_locations(shop, names)
    active = [location for location in shop.locations if location.is_active]
    chosen = [location for location in active if location.name in names] if names else active
    if names and not chosen:
        check_active(shop, names)
    return tuple(Place(id=one.id, name=one.name, location_names={one.id: one.name}) for one in chosen)


def check_locations(shop: ShopRead, names: Iterable[str]) -> None:
    """Refuse location names that the shop does not have, or has twice."""
    existing = [location.name for location in shop.locations]
    detail = {"available_location_names": sorted(existing)}
    for name in names:
        if existing.count(name) > 1:
            raise NameNotFound(
                f"The shop has {existing.count(name)} locations named {name!r}. Rename one of them.",
                detail=detail,
            )
        if name not in existing:
            raise NameNotFound(
                f"There is no location named {name!r}. Each location name must exactly match a location of the shop. "
                f"Available locations: {listed(sorted(existing))}.",
                detail=detail,
            )


def check_active(shop: ShopRead, names: Iterable[str]) -> None:
    """Refuse location names that are deactivated: their levels cannot be changed."""
    active = sorted(location.name for location in shop.locations if location.is_active)
    for name in names:
        if name not in active:
            raise NameNotFound(
                f"The location {name!r} is deactivated. Activate it in the shop, or choose another. "
                f"Active locations: {listed(active)}.",
                detail={"available_location_names": active},
            )


def listed(names: Sequence[str]) -> str:
    """Names for a message: as many as a person reads."""
    more = len(names) - _LISTED
    told = ", ".join(names[:_LISTED]) or "none"
    return f"{told} and {more} more" if more > 0 else told


def as_one(places: Sequence[Place]) -> tuple[Place, ...]:
    """All these places as one level."""
    names = {id: name for place in places for id, name in place.location_names.items()}
    return (Place(id=ALL_AS_ONE, name="all chosen locations", location_names=names),)


def place_of(pool: PoolView, shop: ShopRead) -> Place:
    """The place of a pool that exists, whatever the options choose now."""
    names: dict[str, str] = {location.id: location.name for location in shop.locations}
    held = sorted({id.location_id for id in pool.state.members}) if pool.place == ALL_AS_ONE else [pool.place]
    name = "all chosen locations" if pool.place == ALL_AS_ONE else names.get(pool.place, "")
    return Place(id=pool.place, name=name, location_names={id: names.get(id, id) for id in held})


def locations_of(places: Sequence[Place]) -> frozenset[str]:
    """The gids of all locations of these places."""
    return frozenset(id for place in places for id in place.location_names)


# --- the levels of a product at a place ---------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LevelsAt:
    """The levels of one product at one place, and what a person calls them."""

    seen: tuple[Seen, ...]
    titles: Mapping[MemberId, str]
    claimed_by: tuple[Claim, ...]  # one of each stock that holds some of them

    @property
    def any_eligible(self) -> bool:
        """Whether any of them can be a member."""
        return any(not seen.why_not for seen in self.seen)


def seen_at(place: Place, product: ProductRead, claims: Sequence[Claim]) -> LevelsAt:
    """Every level of the product at the place. Two variants on one inventory item are one member."""
    holders = {claim.member: claim for claim in claims if not claim.is_asleep}
    seen: dict[MemberId, Seen] = {}
    titles: dict[MemberId, str] = {}
    for variant in product.variants:
        for location_id, location in place.location_names.items():
            id = MemberId(variant.item_id, location_id)
            if id in seen:
                titles[id] = f"{titles[id]} / {variant.title}"
                continue
            seen[id] = _seen(id, variant, location_id, product, holders.get(id))
            titles[id] = variant.title if place.id != ALL_AS_ONE else f"{variant.title} at {location}"
    held = {holders[id].holder: holders[id] for id in seen if id in holders}
    return LevelsAt(
        seen=tuple(seen.values()), titles=titles, claimed_by=tuple(held[name] for name in sorted(held))
    )


def _seen(
    id: MemberId, variant: VariantRead, location_id: str, product: ProductRead, holder: Claim | None
) -> Seen:
    level = variant.level(location_id)
    why_not = _why_not(variant, product, holder)
    if level is None or not level.is_active or level.available is None:
        return Seen(id=id, units=1, available=None, stamp=None, why_not=why_not or "not stocked here")
    return Seen(id=id, units=1, available=level.available, stamp=level.stamp, why_not=why_not)


def _why_not(variant: VariantRead, product: ProductRead, holder: Claim | None) -> str:
    if product.is_gift_card:
        return "gift card"
    if not variant.tracked:
        return "inventory not tracked"
    if variant.requires_components:
        return "bundle: its stock follows its components"
    return f"belongs to the automation {holder.holder}" if holder else ""
