"""Scans of the kinds that share stock: page by page, find products to adopt, to look at, or to report.

Pure. A scan's read is only a hint for pools that exist: it wakes their products, which are read again one
by one. For products without a pool it is as good a start as any, so pools are adopted from it directly.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from stockwright.automations import shared_stock
from stockwright.automations.contract import (
    Claim,
    Effect,
    Emit,
    Facts,
    PagePlan,
    Plan,
    PoolChange,
    PoolView,
    Situation,
    Tally,
    Unequal,
)
from stockwright.automations.places import Place, Sharing, seen_at
from stockwright.ledger.state import MemberId, Next
from stockwright.model import (
    ENABLED,
    RECONCILE,
    SET_CACHE,
    USER_TRIGGER,
    JsonObject,
    ProductGid,
    ProductRead,
)

_ADOPTING = frozenset({USER_TRIGGER, SET_CACHE, ENABLED, RECONCILE})
_LEFT_OUT = "left_out"  # what is counted besides: variants of adopted products that have no stock to share
_LISTED = 250  # products that one error lists

NOT_READ = "These products could not be read whole, so they were left alone. All others were looked at."

Situated = Situation[Any]


@dataclass
class _Page:
    changes: list[PoolChange] = field(default_factory=list)
    wake: list[ProductGid] = field(default_factory=list)
    unequal: list[Unequal] = field(default_factory=list)
    unknown: list[JsonObject] = field(default_factory=list)
    in_scope: int = 0
    in_step: int = 0
    left_out: int = 0


def decide_page(
    sharing: Sharing, situation: Situated, page: Sequence[ProductRead], claims: Sequence[Claim]
) -> PagePlan:
    """What one page of products leads to."""
    found = _Page()
    for product in page:
        _look_at(found, sharing, situation, product, claims)
    effects: tuple[Effect, ...] = (
        (Emit(topic=SET_CACHE, payload={"products": found.unknown}),) if found.unknown else ()
    )
    return PagePlan(
        changes=tuple(found.changes),
        effects=effects,
        wake=tuple(found.wake),
        unequal=tuple(found.unequal),
        in_scope=found.in_scope,
        in_step=found.in_step,
        adopted=len({change.product_id for change in found.changes}),
        sent_on=len(found.unknown),
        counts={_LEFT_OUT: found.left_out} if found.left_out else {},
    )


def _look_at(
    found: _Page, sharing: Sharing, situation: Situated, product: ProductRead, claims: Sequence[Claim]
) -> None:
    pools = {pool.place: pool for pool in situation.pools if pool.product_id == product.id}
    if product.is_gift_card or sharing.out_of_scope(product):
        found.wake += [product.id] if any(not _waits_for_a_person(pool) for pool in pools.values()) else []
        return
    found.in_scope += 1
    unknown = [
        place for place in sharing.places if place.id not in pools and _shareable(place, product, claims)
    ]
    settled = all(_in_step(sharing, pool, product, situation.now) for pool in pools.values())
    adopts = not sharing.adopt_by_event or any(event.topic in _ADOPTING for event in situation.events)
    if not settled or (unknown and pools and not adopts):
        found.wake.append(product.id)
    elif unknown and adopts:
        _adopt(found, sharing, situation, product, claims, unknown)
    elif unknown:
        found.unknown.append(_missing(product, unknown))
    else:
        found.in_step += 1


def _shareable(place: Place, product: ProductRead, claims: Sequence[Claim]) -> bool:
    levels = seen_at(place, product, claims)
    return levels.any_eligible or bool(levels.claimed_by)


def _waits_for_a_person(pool: PoolView) -> bool:
    """Whether the pool is frozen with no correction in doubt, that orders could prove to have happened or not."""
    return pool.state.frozen is not None and pool.state.intent is None


def _in_step(sharing: Sharing, pool: PoolView, product: ProductRead, now: datetime) -> bool:
    """Whether the pool's levels are what the ledger expects and nothing waits but for a person."""
    place = next((place for place in sharing.places if place.id == pool.place), None)
    state = pool.state
    if state.frozen is not None:
        return _waits_for_a_person(pool)
    if place is None or state.intent is not None or state.raise_wait is not None:
        return False
    shown = {seen.id: seen.available for seen in seen_at(place, product, ()).seen if not seen.why_not}
    excluded = {id for id, exclusion in state.excluded.items() if now < exclusion.until}
    expected = {id: member.expected for id, member in state.members.items()}
    return {id: level for id, level in shown.items() if id not in excluded} == expected and all(
        level == state.stock // state.members[id].units for id, level in expected.items()
    )


def _adopt(
    found: _Page,
    sharing: Sharing,
    situation: Situated,
    product: ProductRead,
    claims: Sequence[Claim],
    places: Sequence[Place],
) -> None:
    facts = Facts(product=product, claims=tuple(claims))
    for place in places:
        change = shared_stock.step_place(sharing, situation, facts, product, place)
        if change is None or seen_at(place, product, claims).claimed_by:
            found.wake.append(product.id)  # its own run names the other automation
        elif change.step.unequal:
            found.unequal.append(_unequal(change))
        elif change.step.next is Next.REST and change.step.entries:
            found.changes.append(change)
            found.left_out += sum(bool(seen.why_not) for seen in seen_at(place, product, claims).seen)
        else:
            found.wake.append(product.id)


def _unequal(change: PoolChange) -> Unequal:
    return Unequal(
        product_id=change.product_id,
        title=change.title,
        place=change.place,
        quantities={_name(change, seen.id): seen.available for seen in change.step.unequal},
    )


def _name(change: PoolChange, id: MemberId) -> str:
    return change.titles.get(id, id.item_id)


def _missing(product: ProductRead, places: Sequence[Place]) -> JsonObject:
    return {
        "product_id": product.id,
        "title": product.title,
        "quantities": {
            place.name: [seen.available for seen in seen_at(place, product, ()).seen if not seen.why_not]
            for place in places
        },
    }


# --- the whole scan -----------------------------------------------------------------------------------


def add(tally: Tally, page: PagePlan, *, seen: int, unread: Sequence[JsonObject] = ()) -> Tally:
    """The tally after one more page of `seen` products, and of those that could not be read whole."""
    return replace(
        tally,
        seen=tally.seen + seen,
        in_scope=tally.in_scope + page.in_scope,
        in_step=tally.in_step + page.in_step,
        adopted=tally.adopted + page.adopted,
        woken=tally.woken + len(page.wake),
        sent_on=tally.sent_on + page.sent_on,
        unequal_count=tally.unequal_count + len(page.unequal),
        unequal=(*tally.unequal, *page.unequal)[:_LISTED],
        unread_count=tally.unread_count + len(unread),
        unread=(*tally.unread, *unread)[:_LISTED],
        counts=dict(Counter(tally.counts) + Counter(page.counts)),
    )


def conclude(sharing: Sharing, tally: Tally) -> Plan:
    """What to say of a whole scan: its numbers, and one error that lists all products left alone."""
    because = (
        f"Looked at {tally.in_scope} products in scope: {tally.in_step} in step, {tally.adopted} adopted, "
        f"{tally.woken} to be looked at one by one, {tally.sent_on} sent to be adopted, "
        f"{tally.unequal_count} left alone because their levels differ."
    )
    if left_out := tally.counts.get(_LEFT_OUT):
        because += f" {left_out} variants of those adopted were left out: not stocked there, or not tracked."
    return Plan(because=because, error=_complaint(sharing, tally))


def _complaint(sharing: Sharing, tally: Tally) -> JsonObject | None:
    if tally.in_scope == 0 and sharing.search and not tally.unread_count:
        return {"message": sharing.nothing_found, "search_query": sharing.search}
    if tally.unequal_count:
        return {"message": shared_stock.OUT_OF_STEP, **_out_of_sync(tally), **_not_read(tally)}
    if tally.unread_count:
        return {"message": NOT_READ, **_not_read(tally)}
    return None


def _out_of_sync(tally: Tally) -> JsonObject:
    listed = [
        {"product_id": one.product_id, "title": one.title, "quantities": one.quantities}
        for one in tally.unequal
    ]
    more = tally.unequal_count - len(listed)
    return {"products_out_of_sync": listed, **({"and_more": more} if more else {})}


def _not_read(tally: Tally) -> JsonObject:
    if not tally.unread_count:
        return {}
    more = tally.unread_count - len(tally.unread)
    return {"products_not_read": list(tally.unread), **({"and_more_not_read": more} if more else {})}
