"""Offers at work: which variants have a Notify Me button, and what a look at a product's stock does to its offers.

`gate` and `apply_stock` are what sign-up, storefront and restock call; both take a connection, so that they stand
in the caller's transaction. What people do with offers is in `offer_desk`.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from stockwright import notify_settings
from stockwright.automations.availability import counted
from stockwright.automations.notify_options import NotifyOptions
from stockwright.deps import shop_as_read
from stockwright.model import JsonObject, ShopId
from stockwright.notify.catalogue import ShownProduct
from stockwright.notify.gating import Counts, Gate, Shopwide, Standing, Stock, gates
from stockwright.notify.offers import Item, Mode, Offer, Pause, Status, Terms
from stockwright.notify.stopping import Look, SeenVariant, look, offer_after
from stockwright.store import offer_themes, offers
from stockwright.store.audit import Actor, audit
from stockwright.store.database import Connection
from stockwright.store.offers import Covering, ItemRow, OfferRow, SeenRow
from stockwright.store.shops import Shop

_LOOKED_AT_ONCE = 250
SERVICE = Actor(user_id=None, name="Stockwright")  # changes that nobody makes by hand


# --- which variants have a button ----------------------------------------------------------------------------


async def gate(
    conn: Connection, shop: Shop, product: ShownProduct, now: datetime, *, customer_id: str = ""
) -> dict[str, Gate]:
    """Whether each variant of a product has a Notify Me button and can be ordered ahead, and why; by variant id.

    `product` must be read fresh: the stock in it decides. `customer_id` is a gid, "" for guests.
    """
    options = await enabled_options(conn, shop.shop_id)
    covering = await offers.covering(conn, shop.shop_id, product.id, customer_id=customer_id)
    standings = [_standing(row, covering) for row in covering.offers]
    stock = stock_of(product, shop, options or NotifyOptions())
    return gates(product, stock, standings, _shopwide(shop, options), now)


async def enabled_options(conn: Connection, shop_id: ShopId) -> NotifyOptions | None:
    """What the shop's automation of the feature says; None when none is enabled."""
    found = await notify_settings.enabled(conn, shop_id)
    return found.options if found else None


def stock_of(product: ShownProduct, shop: Shop, options: NotifyOptions) -> Stock:
    """Units of each variant at the chosen locations, or at all active ones; None = not tracked."""
    where = counted(shop_as_read(shop), options.location_names)
    places = {
        level.location_id
        for variant in product.variants
        for level in variant.levels
        if where.holds(level.location_id)
    }
    return {variant.id: variant.available(places) for variant in product.variants}


def _shopwide(shop: Shop, options: NotifyOptions | None) -> Shopwide:
    return Shopwide(
        is_premium=shop.plan == "premium",
        is_enabled=options is not None,
        is_installed=shop.status != "uninstalled",
        takes_sign_ups=options is not None and options.sign_ups,
        exclude_tags=options.exclude_tags if options else (),
        continue_selling_counts=options is not None and options.continue_selling_counts,
    )


def _standing(row: OfferRow, covering: Covering) -> Standing:
    total, by_customer = covering.counts.get(row.offer_id, (0, 0))
    return Standing(
        offer=offer_of(row),
        items=tuple(item_of(item) for item in covering.items[row.offer_id]),
        stopped=covering.stopped[row.offer_id],
        counts=Counts(total=total, by_customer=by_customer),
    )


# --- what stock does to offers -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OfferChange:
    """What a look at a product did to one offer; `because` is a sentence for people."""

    offer_id: str
    name: str
    because: str


async def apply_stock(
    conn: Connection, shop_id: ShopId, product: ShownProduct, stock: Stock, *, back_at: int, now: datetime
) -> tuple[OfferChange, ...]:
    """Auto-disable: stop, take up again, pause and resume by the stock of a product that was just read.

    To be called at every look at a product, in the transaction that stores what was seen: a wave that opens for the
    same stock is then kept whatever becomes of the offer. `stock` as of `stock_of`; `back_at` units or more are back.
    Takes the locks of the product's offers, by id.
    """
    rows = await offers.lock_watching(conn, shop_id, product.id)
    await note_variants(conn, shop_id, product.id, [variant.id for variant in product.variants])
    covering = await offers.covering(conn, shop_id, product.id) if rows else None
    changes = []
    for row in rows:
        assert covering is not None
        covered = _covered(covering.items[row.offer_id], product, stock)
        changes += await _look(conn, row, product, covered, back_at=back_at, now=now)
    return tuple(changes)


async def note_variants(conn: Connection, shop_id: ShopId, product_id: str, variant_ids: list[str]) -> None:
    """Note which variants a product still has; none at all when it was deleted. Offers keep what is missing."""
    touched = await offers.mark_missing(
        conn, shop_id, product_id, variant_ids=variant_ids, exists=bool(variant_ids)
    )
    if touched:
        await offer_themes.mark(conn, shop_id)


async def look_soon(conn: Connection, row: OfferRow, *, at: datetime) -> None:
    """Have the stock of an offer's products looked at, so that auto-disable knows from where a variant comes back.

    The first 250 products at once; the others when all are looked at from time to time. Wakes keys: call it last.
    """
    if not row.auto_disable or row.status != Status.ACTIVE:
        return
    found = await notify_settings.enabled(conn, row.shop_id)
    items = await offers.items(conn, row.shop_id, row.offer_id)
    products = list(dict.fromkeys(item.product_id for item in items if not item.is_missing))[:_LOOKED_AT_ONCE]
    if found is not None and products:
        await notify_settings.look_at(conn, row.shop_id, found, products, at=at, because="an offer has it")


def _covered(items: tuple[ItemRow, ...], product: ShownProduct, stock: Stock) -> Stock:
    covers = [item_of(item) for item in items]
    return {
        id: available
        for id, available in stock.items()
        if any(item.covers(product.id, id) for item in covers)
    }


async def _look(
    conn: Connection, row: OfferRow, product: ShownProduct, stock: Stock, *, back_at: int, now: datetime
) -> list[OfferChange]:
    before = await offers.seen(conn, row.shop_id, row.offer_id, product.id)
    was = {one.variant_id: SeenVariant(is_out=one.is_out, is_stopped=bool(one.stopped_at)) for one in before}
    one = look(was, stock, back_at=back_at, resumes=row.resume)
    if one.seen == was:
        return []
    await offers.save_seen(conn, row.shop_id, row.offer_id, product.id, _seen_rows(one, now))
    all_back = await offers.is_all_back(conn, row.shop_id, row.offer_id)
    after = offer_after(offer_of(row), one, all_back=all_back)
    because = _because(product, one, offer_of(row), after)
    if after != offer_of(row):
        await save(conn, row, after, now=now)
    if not because:
        return []
    await audit_offer(conn, SERVICE, "offer.stock", row, {"because": because}, at=now)
    return [OfferChange(offer_id=row.offer_id, name=row.name, because=because)]


def _seen_rows(one: Look, now: datetime) -> list[SeenRow]:
    return [
        SeenRow(variant_id=id, is_out=seen.is_out, stopped_at=now if seen.is_stopped else None)
        for id, seen in one.seen.items()
    ]


def _because(product: ShownProduct, one: Look, before: Offer, after: Offer) -> str:
    said = []
    if one.stopped:
        said.append(f"{_named(product, one.stopped)} back in stock: the pre-order stops.")
    if one.resumed:
        said.append(f"{_named(product, one.resumed)} sold out again: the pre-order goes on.")
    if after.pause is Pause.AUTO and before.pause is not Pause.AUTO:
        said.append("All its variants are back: the offer is paused.")
    if before.pause is Pause.AUTO and after.status is Status.ACTIVE:
        said.append("The offer is active again.")
    return " ".join(said)


def _named(product: ShownProduct, variant_ids: tuple[str, ...]) -> str:
    found = [product.variant(id) for id in variant_ids]
    names = [variant.name for variant in found if variant is not None and variant.name]
    return (
        f"{product.title} ({', '.join(names[:5])}{', …' if len(names) > 5 else ''})"
        if names
        else product.title
    )


# --- rows and offers -----------------------------------------------------------------------------------------


def offer_of(row: OfferRow) -> Offer:
    """An offer as the pure rules know it."""
    return Offer(
        offer_id=row.offer_id,
        terms=terms_of(row),
        status=Status(row.status),
        pause=Pause(row.pause_reason),
    )


def terms_of(row: OfferRow) -> Terms:
    """What a person has set of an offer."""
    return Terms(
        name=row.name,
        description=row.description,
        mode=Mode(row.mode),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        auto_disable=row.auto_disable,
        resume=row.resume,
        limit_total=row.limit_total,
        limit_per_customer=row.limit_per_customer,
        limit_per_order=row.limit_per_order,
        pause_at_limit=row.pause_at_limit,
    )


def item_of(row: ItemRow) -> Item:
    """A product or variant of an offer as the pure rules know it."""
    return Item(**vars(row))


async def save(conn: Connection, row: OfferRow, offer: Offer, *, now: datetime) -> OfferRow:
    """Store an offer that this transaction has locked, and have the theme told; the row as it is then."""
    began = offer.status is Status.ACTIVE and row.status not in (Status.ACTIVE, Status.PAUSED)
    ended = offer.status is Status.COMPLETED and row.status != Status.COMPLETED
    saved = replace(
        row,
        **{**vars(offer.terms), "mode": offer.terms.mode.value},
        status=offer.status.value,
        pause_reason=offer.pause.value,
        updated_at=now,
        activated_at=now if began else row.activated_at,
        completed_at=now if ended else row.completed_at,
    )
    await offers.update(conn, saved)
    await offer_themes.mark(conn, row.shop_id)
    return replace(saved, version=row.version + 1)


async def audit_offer(
    conn: Connection, by: Actor, action: str, row: OfferRow, detail: JsonObject, *, at: datetime
) -> None:
    """Write a change of an offer into the log."""
    await audit(conn, by, action, row.name, {"offer_id": row.offer_id, **detail}, at=at)
