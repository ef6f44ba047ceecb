"""What a person does with offers: create, change, add and remove products, activate and all that follows, delete.

Each deed is one transaction with its line in the audit log, checked against the offer as it is at that moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from stockwright import offering
from stockwright.deps import Deps
from stockwright.model import Conflicting, Fault, FaultyFields, Json, JsonObject, ShopId, gid, gid_number
from stockwright.notify.offers import (
    MAX_ITEMS,
    Mode,
    Offer,
    Status,
    Terms,
    Verb,
    after,
    changed,
    check,
    faults,
)
from stockwright.offering import audit_offer, offer_of, terms_of
from stockwright.shopify.picking import MAX_NAMED, NamedItem
from stockwright.store import offer_orders, offer_themes, offers
from stockwright.store.audit import COMMAND_LINE, Actor
from stockwright.store.database import Connection
from stockwright.store.ids import new_id
from stockwright.store.offers import ItemRow, OfferRow

_KINDS = ("Product", "ProductVariant")
_DEFAULT_TITLE = "Default Title"
_NAMED_IN_LOG = 20


async def create(
    deps: Deps, shop_id: ShopId, terms: Terms, *, items: Sequence[str] = (), by: Actor = COMMAND_LINE
) -> OfferRow:
    """Make a draft; `items` are gids of products and variants.

    Raises:
        FaultyFields: something is wrong with the terms, or an item does not exist.
    """
    _check_terms(terms)
    named = await _named(deps, shop_id, items)
    now = deps.clock()
    row = OfferRow(
        shop_id=shop_id,
        offer_id=new_id("off", now),
        status=Status.DRAFT.value,
        pause_reason="",
        created_at=now,
        updated_at=now,
        **_columns(terms),
    )
    async with deps.database.connection() as conn, conn.transaction():
        await offers.insert(conn, row)
        await _put(conn, row, named)
        detail = {"terms": told(terms), "items": [_item_told(item) for item in named[:_NAMED_IN_LOG]]}
        await audit_offer(conn, by, "offer.create", row, detail, at=now)
    return row


async def change(
    deps: Deps, row: OfferRow, terms: Terms, *, by: Actor = COMMAND_LINE, expected: int | None = None
) -> OfferRow:
    """Save new terms. `expected` is the version that the person saw; None = the one of `row`.

    Raises:
        FaultyFields: something is wrong with the terms.
        Conflicting: it is archived, or was changed or deleted since.
    """
    _check_terms(terms)
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        locked = await _locked(conn, row)
        _check_version(locked, row.version if expected is None else expected)
        was = offer_of(locked)
        _check_changeable(was, terms, now)
        saved = await offering.save(conn, locked, changed(was, terms, now=now), now=now)
        if not terms.auto_disable or terms.mode is not Mode.OUT_OF_STOCK:
            await offers.forget_seen(conn, row.shop_id, row.offer_id)
        if difference := _difference(was.terms, terms):
            await audit_offer(conn, by, "offer.change", saved, {"changed": difference}, at=now)
        await _begin_counting(conn, saved, now)
        await offering.look_soon(conn, saved, at=now)
    return saved


async def do(deps: Deps, row: OfferRow, verb: Verb, *, by: Actor = COMMAND_LINE) -> OfferRow:
    """Activate, unschedule, pause, resume, complete or archive an offer; what it is afterwards.

    Raises:
        Conflicting: not possible in its status or under its terms, or it was deleted meanwhile.
    """
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        locked = await _locked(conn, row)
        present, _ = await offers.count_items(conn, row.shop_id, row.offer_id)
        ordered = await offers.ordered(conn, row.shop_id, row.offer_id)
        offer = after(offer_of(locked), verb, now=now, has_items=present > 0, ordered=ordered)
        saved = await offering.save(conn, locked, offer, now=now)
        if verb in (Verb.ACTIVATE, Verb.RESUME):
            await offers.forget_seen(conn, row.shop_id, row.offer_id)
            await _begin_counting(conn, saved, now)
        ended = await end(conn, saved, by=by, now=now) if verb is Verb.COMPLETE else 0
        detail = {"status": saved.status, **({"stopped_waiting": ended} if ended else {})}
        await audit_offer(conn, by, f"offer.{verb.value}", saved, detail, at=now)
        await offering.look_soon(conn, saved, at=now)
    return saved


async def delete(deps: Deps, row: OfferRow, *, by: Actor = COMMAND_LINE) -> None:
    """Delete a draft, completed or archived offer with its counts; people who wait keep waiting unless chosen else.

    Raises:
        Conflicting: it is scheduled, active or paused, or was deleted meanwhile.
    """
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        locked = await _locked(conn, row)
        check(offer_of(locked), Verb.DELETE)
        await end(conn, locked, by=by, now=now)
        await audit_offer(conn, by, "offer.delete", locked, {}, at=now)
        await offers.delete(conn, row.shop_id, row.offer_id)
        await offer_themes.mark(conn, row.shop_id)


async def end(conn: Connection, row: OfferRow, *, by: Actor, now: datetime) -> int:
    """What the end of an offer means for people who wait under it; how many stopped waiting."""
    options = await offering.enabled_options(conn, row.shop_id)
    if options is None or not options.cancel_when_offer_ends:
        return 0
    reason = f"The offer {row.name!r} ended."
    return await offers.cancel_waiting(
        conn, row.shop_id, row.offer_id, reason=reason, actor=by.name if by.user_id else "", now=now
    )


# --- products and variants -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ItemsChange:
    """How many of the given items changed something, and how many were so already."""

    done: int
    unchanged: int


async def add_items(
    deps: Deps, row: OfferRow, items: Sequence[str], *, by: Actor = COMMAND_LINE
) -> ItemsChange:
    """Add products (all their variants) and single variants, given by gid.

    Raises:
        FaultyFields: one does not exist in the shop, or they are too many.
        Conflicting: the offer is archived, or was deleted meanwhile.
    """
    named = await _named(deps, row.shop_id, items)
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        locked = await _locked(conn, row)
        _check_open(locked)
        done = await _put(conn, locked, named)
        if done:
            await _items_changed(conn, locked, "offer.add_items", named, by=by, now=now)
    return ItemsChange(done=done, unchanged=len(named) - done)


async def remove_items(
    deps: Deps, row: OfferRow, items: Sequence[str], *, by: Actor = COMMAND_LINE
) -> ItemsChange:
    """Take products and variants out. Taking out a product takes out its single variants too.

    Raises:
        FaultyFields: an id is none of a product or variant.
        Conflicting: a variant is there by its whole product, the offer is archived, or was deleted meanwhile.
    """
    wanted = checked_ids(items)
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        locked = await _locked(conn, row)
        _check_open(locked)
        found = await offers.items(conn, row.shop_id, row.offer_id)
        gone = [item for item in found if item.product_id in wanted or item.variant_id in wanted]
        for item in gone:
            await offers.remove_item(conn, row.shop_id, row.offer_id, item.product_id, item.variant_id)
            await offers.forget_product(conn, row.shop_id, row.offer_id, item.product_id)
        if gone:
            named = [_named_row(item) for item in gone]
            await _items_changed(conn, locked, "offer.remove_items", named, by=by, now=now)
    matched = {item.product_id for item in gone} | {item.variant_id for item in gone}
    return ItemsChange(done=len(gone), unchanged=len([id for id in wanted if id not in matched]))


def checked_ids(items: Sequence[str]) -> list[str]:
    """Gids of products and variants, each once.

    Raises:
        FaultyFields: one is something else, or they are more than one request takes.
    """
    wrong = [
        Fault(
            path=f"items.{no}",
            message=f"{id!r} is no id of a product or variant, such as gid://shopify/Product/123.",
        )
        for no, id in enumerate(items)
        if not _is_item_gid(id)
    ]
    if len(items) > MAX_NAMED:
        wrong = [Fault(path="items", message=f"Give at most {MAX_NAMED} products and variants at once.")]
    if wrong:
        raise FaultyFields(wrong[0].message, wrong)
    return list(dict.fromkeys(items))


def _is_item_gid(id: str) -> bool:
    number = gid_number(id)
    return number.isascii() and number.isdecimal() and id in {gid(kind, number) for kind in _KINDS}


async def _named(deps: Deps, shop_id: ShopId, items: Sequence[str]) -> list[NamedItem]:
    """The items as the shop calls them."""
    ids = checked_ids(items)
    if not ids:
        return []
    client = await deps.clients.for_shop(shop_id)
    found = await client.name_items(ids)
    missing = [
        Fault(path=f"items.{no}", message=f"The shop has no {id}.")
        for no, id in enumerate(ids)
        if id not in found
    ]
    if missing:
        raise FaultyFields(" ".join(fault.message for fault in missing[:5]), missing)
    return [found[id] for id in ids]


async def _put(conn: Connection, row: OfferRow, named: Sequence[NamedItem]) -> int:
    """Add items, whole products first; how many were new."""
    have = {
        item.product_id for item in await offers.items(conn, row.shop_id, row.offer_id) if not item.variant_id
    }
    done = 0
    for item in sorted(named, key=lambda one: one.variant_id != ""):
        if item.variant_id and item.product_id in have:
            continue  # its product is there with all variants
        have |= set() if item.variant_id else {item.product_id}
        done += await offers.put_item(conn, row.shop_id, row.offer_id, _item_row(item))
    _, total = await offers.count_items(conn, row.shop_id, row.offer_id)
    if total > MAX_ITEMS:
        message = f"{row.name!r} would have {total} products and variants; at most {MAX_ITEMS} fit. Nothing was added."
        raise FaultyFields(message, [Fault(path="items", message=message)])
    return done


def _item_row(item: NamedItem) -> ItemRow:
    return ItemRow(
        product_id=item.product_id,
        variant_id=item.variant_id,
        product_title=item.product_title,
        variant_title="" if item.variant_title == _DEFAULT_TITLE else item.variant_title,
    )


def _named_row(item: ItemRow) -> NamedItem:
    return NamedItem(**{name: value for name, value in vars(item).items() if name != "is_missing"})


async def _items_changed(
    conn: Connection, row: OfferRow, action: str, named: Sequence[NamedItem], *, by: Actor, now: datetime
) -> None:
    await offering.save(conn, row, offer_of(row), now=now)
    items = [_item_told(item) for item in named[:_NAMED_IN_LOG]]
    await audit_offer(conn, by, action, row, {"items": items, "count": len(named)}, at=now)
    await offering.look_soon(conn, row, at=now)


def _item_told(item: NamedItem) -> str:
    is_named = item.variant_title and item.variant_title != _DEFAULT_TITLE
    return f"{item.product_title} / {item.variant_title}" if is_named else item.product_title


# --- checks ----------------------------------------------------------------------------------------------------


def _check_terms(terms: Terms) -> None:
    if wrong := faults(terms):
        raise FaultyFields("\n".join(f"{fault.path}: {fault.message}" for fault in wrong), wrong)


def _check_changeable(offer: Offer, terms: Terms, now: datetime) -> None:
    if offer.status is Status.ARCHIVED:
        raise Conflicting(f"{offer.terms.name!r} is archived. An archived offer can only be deleted.")
    is_running = offer.status in (Status.SCHEDULED, Status.ACTIVE, Status.PAUSED)
    if is_running and terms.ends_at is not None and terms.ends_at <= now:
        message = "The end is in the past. Choose a later one; to end the offer now, complete it."
        raise FaultyFields(f"ends_at: {message}", [Fault(path="ends_at", message=message)])


def _check_open(row: OfferRow) -> None:
    if row.status == Status.ARCHIVED:
        raise Conflicting(f"{row.name!r} is archived. An archived offer can only be deleted.")


def _check_version(row: OfferRow, expected: int) -> None:
    if row.version != expected:
        raise Conflicting(
            f"{row.name!r} ({row.offer_id}) was changed by somebody else meanwhile. Look at it again, then decide."
        )


async def _locked(conn: Connection, row: OfferRow) -> OfferRow:
    locked = await offers.lock(conn, row.shop_id, row.offer_id)
    if locked is None:
        raise Conflicting(f"{row.name!r} ({row.offer_id}) was deleted meanwhile.")
    return locked


async def _begin_counting(conn: Connection, row: OfferRow, now: datetime) -> None:
    if row.limit_total is not None or row.limit_per_customer is not None:
        await offer_orders.begin(conn, row.shop_id, now)


# --- words -----------------------------------------------------------------------------------------------------


def told(terms: Terms) -> JsonObject:
    """Terms as JSON, times in UTC."""
    return {name: _plain(value) for name, value in vars(terms).items()}


def _plain(value: Json) -> Json:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Mode) else value


def _columns(terms: Terms) -> dict[str, Json]:
    return {**vars(terms), "mode": terms.mode.value}


def _difference(was: Terms, now: Terms) -> JsonObject:
    before = told(was)
    return {name: value for name, value in told(now).items() if before[name] != value}


def with_changes(row: OfferRow, changes: JsonObject) -> Terms:
    """An offer's terms with some of them replaced."""
    return replace(terms_of(row), **changes)
