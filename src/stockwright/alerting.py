"""Between a look at a product and the store: who waits for it, and what the look leads to, in the caller's transaction.

A wave is opened in the transaction in which the offer is paused for the same stock: neither is without the other.
"""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Protocol

from stockwright.automations.availability import counted
from stockwright.automations.notify_back_in_stock import rule_of, stock_of
from stockwright.automations.notify_options import NotifyOptions
from stockwright.deps import Deps
from stockwright.model import EffectId, JsonObject, ProductGid, RunId, ShopId
from stockwright.notify.catalogue import ShownProduct
from stockwright.notify.restock import Back, Look, Seen
from stockwright.offering import OfferChange, apply_stock, note_variants
from stockwright.situations import Loaded, product_checks
from stockwright.store import inbox, offers, runs, wake, waves
from stockwright.store.database import Connection
from stockwright.store.ids import new_id
from stockwright.store.pools import Conflict
from stockwright.store.runs import EffectRow
from stockwright.store.waves import BackRow, SeenRow

_PAGE = 500  # products put on the list in one transaction
_PAGES = 1000


class _ListProducts(Protocol):
    """A page of product ids, in their order, after one."""

    def __call__(
        self, conn: Connection, shop_id: ShopId, /, *, after: str, limit: int
    ) -> Awaitable[list[str]]: ...


def tells_news(loaded: Loaded, look: Look) -> bool:
    """Whether a look found anything else than the last one; offers are told of every look."""
    known = loaded.situation.alerts
    if known.is_offered or look.wave_id or look.gone:
        return True
    before = {(one.variant_id, one.is_in, one.wave_seq) for one in known.watched}
    return before != {(one.variant_id, one.is_in, one.wave_seq) for one in look.seen}


# --- what a look leads to ----------------------------------------------------------------------------------------


async def save_look(
    conn: Connection,
    loaded: Loaded,
    look: Look,
    product: ShownProduct | None,
    *,
    run_id: RunId,
    at: datetime,
) -> tuple[OfferChange, ...]:
    """Store what was seen, what it does to offers, and the wave; what happened to offers.

    Raises:
        Conflict: the wave was opened or ended by somebody else meanwhile.
    """
    shop_id, product_id = loaded.key.shop_id, loaded.key.subject
    told = await _apply_to_offers(conn, loaded, product, at)
    if look.wave_id:
        await _save_wave(conn, shop_id, product_id, look, product, run_id=run_id, at=at)
    if product is not None:
        seen = [_seen_row(one) for one in look.seen]
        await waves.see(conn, shop_id, product_id, product_title=product.title, seen=seen, at=at)
    if look.gone:
        reason = "The product was deleted." if look.is_product_gone else "The variant was deleted."
        await waves.forget_variants(conn, shop_id, look.gone, reason=reason, at=at)
    return told


async def _apply_to_offers(
    conn: Connection, loaded: Loaded, product: ShownProduct | None, at: datetime
) -> tuple[OfferChange, ...]:
    if product is None:
        await note_variants(conn, loaded.key.shop_id, loaded.key.subject, [])
        return ()
    options: NotifyOptions = loaded.situation.options
    stock = stock_of(product, counted(loaded.situation.shop, options.location_names), options)
    back_at = rule_of(options).quantity
    return await apply_stock(conn, loaded.key.shop_id, product, stock, back_at=back_at, now=at)


async def note_offers(
    conn: Connection, loaded: Loaded, run_id: RunId, changes: Sequence[OfferChange], at: datetime
) -> None:
    """Write what happened to offers among the effects of the run."""
    for one in changes:
        effect = EffectRow(
            effect_id=EffectId(new_id("eff", at)),
            kind="offer",
            payload={"offer_id": one.offer_id, "name": one.name, "because": one.because},
            state="done",
            created_at=at,
            finished_at=at,
        )
        await runs.add_effect(conn, loaded.key, run_id, effect)


async def _save_wave(
    conn: Connection,
    shop_id: ShopId,
    product_id: str,
    look: Look,
    product: ShownProduct | None,
    *,
    run_id: RunId,
    at: datetime,
) -> None:
    if look.opens:
        await _open(conn, shop_id, product_id, look, product, run_id=run_id, at=at)
    elif await waves.lock_wave(conn, shop_id, look.wave_id) is None:
        raise Conflict(f"the wave {look.wave_id} has ended")
    if look.back:
        assert look.ready_at is not None, "who is back is told at some time"
        rows = [_back_row(one) for one in look.back]
        await waves.join_wave(conn, shop_id, look.wave_id, rows, ready_at=look.ready_at)
    if look.settle_until is not None and not look.opens:
        await waves.settle_longer(conn, shop_id, look.wave_id, look.settle_until)
    if look.over:
        await waves.end_variants(conn, shop_id, look.wave_id, look.over, at=at)


async def _open(
    conn: Connection,
    shop_id: ShopId,
    product_id: str,
    look: Look,
    product: ShownProduct | None,
    *,
    run_id: RunId,
    at: datetime,
) -> None:
    assert look.settle_until is not None and product is not None, "a wave is of a product that was read"
    opened = await waves.open_wave(
        conn,
        shop_id,
        look.wave_id,
        product_id,
        product_title=product.title,
        reason="It waits whether the stock stays.",
        settle_until=look.settle_until,
        run_id=run_id,
        at=at,
    )
    if not opened:
        raise Conflict(f"the product {product_id} has a wave already")


def _seen_row(one: Seen) -> SeenRow:
    return SeenRow(**vars(one))


def _back_row(one: Back) -> BackRow:
    return BackRow(variant_id=one.variant_id, title=one.title, seq=one.seq, available=one.available)


async def wake_hand_out(conn: Connection, loaded: Loaded, look: Look) -> None:
    """Have the wave handed out when it is due. Jobs are the last locks of a transaction."""
    if not look.wave_id:
        return
    shop_id = loaded.key.shop_id
    at = await waves.look_at_wave_by(conn, shop_id, look.wave_id, look.ready_at or loaded.situation.now)
    if at is not None:
        await wake.wake(conn, [(waves.hand_out_key(shop_id, loaded.key.subject), at)])


# --- all that wait ---------------------------------------------------------------------------------------------


async def check_waiting(deps: Deps, loaded: Loaded, *, offers_too: bool) -> int:
    """Have every product looked at that people wait for, and with `offers_too` those of offers; how many."""
    reason = {"because": "people wait for it"}
    found = await _check(deps, loaded, waves.waited_for, reason)
    if offers_too:
        found += await _check(deps, loaded, offers.watched_products, {"because": "an offer has it"})
    return found


async def _check(deps: Deps, loaded: Loaded, list_products: _ListProducts, reason: JsonObject) -> int:
    """Page by page, each page one transaction; a second event of a key that waits already costs no second look."""
    after, found = "", 0
    for _ in range(_PAGES):
        async with deps.database.connection() as conn, conn.transaction():
            ids = await list_products(conn, loaded.key.shop_id, after=after, limit=_PAGE)
            events = product_checks(loaded, [ProductGid(one) for one in ids], reason, deps.clock())
            if events:
                await inbox.receive(conn, events)
        found += len(ids)
        if len(ids) < _PAGE:
            break
        after = ids[-1]
    return found
