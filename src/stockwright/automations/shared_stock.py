"""From one product as read to the next step of each of its pools: the same for every kind that shares stock.

Pure. A kind says where stock is shared (`places.Sharing`); the protocol in `ledger` says what to write.
"""

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from stockwright.automations.contract import (
    Claim,
    Correct,
    Effect,
    Facts,
    Need,
    NoRead,
    Plan,
    PoolChange,
    PoolView,
    ReadProduct,
    Scan,
    Situation,
)
from stockwright.automations.places import ALL_AS_ONE, LevelsAt, Place, Sharing, place_of, seen_at
from stockwright.ledger import protocol
from stockwright.ledger.membership import dissolve
from stockwright.ledger.state import MemberId, Next, Observation, PoolState, Step, Tick
from stockwright.model import (
    INVENTORY_UPDATE,
    SET_CACHE,
    WHOLE_SHOP,
    Event,
    JsonObject,
    PoolId,
    ProductGid,
    ProductRead,
    gid,
    gid_number,
)

NO_DATA = "No products with missing cache were passed to this event."
OUT_OF_STEP = (
    "Variant inventory levels are not in sync for these products. "
    "Manually ensure everything is at the same level so they may be managed by this automation."
)
_IDS_PER_SEARCH = 50

Situated = Situation[Any]


def needs(sharing: Sharing, situation: Situated) -> Need:
    """What must be read: a product, a scan, or nothing when every event is an echo of what we know."""
    if situation.subject == WHOLE_SHOP:
        return _scan(sharing, situation)
    if _reads_nothing(sharing, situation):
        return NoRead()
    return ReadProduct(product_id=ProductGid(situation.subject))


def _scan(sharing: Sharing, situation: Situated) -> Need:
    if any(event.topic != SET_CACHE for event in situation.events):
        return Scan(searches=(sharing.search,), whole=True)
    numbers = [id.rsplit("/", 1)[-1] for id in passed_products(situation.events)]
    if not numbers:
        return NoRead()
    chunks = (numbers[i : i + _IDS_PER_SEARCH] for i in range(0, len(numbers), _IDS_PER_SEARCH))
    return Scan(searches=tuple(" OR ".join(f"id:{number}" for number in chunk) for chunk in chunks))


def passed_products(events: Iterable[Event]) -> list[str]:
    """The product gids that set_cache events carry, as gids or as objects with `product_id`."""
    found: dict[str, None] = {}
    for event in events:
        products = event.payload.get("products") if event.topic == SET_CACHE else None
        for product in products if isinstance(products, list) else ():
            id = product.get("product_id") if isinstance(product, dict) else product
            if isinstance(id, str) and id.rsplit("/", 1)[-1].isdigit():
                found[id] = None
    return list(found)


# --- events that need no read ---------------------------------------------------------------------------


def _reads_nothing(sharing: Sharing, situation: Situated) -> bool:
    if any(_wants_read(pool, situation) for pool in situation.pools):
        return False
    return all(_is_known(sharing, situation, event) for event in situation.events)


def _wants_read(pool: PoolView, situation: Situated) -> bool:
    state = pool.state
    if state.intent is not None:
        return state.intent.resend_at is None and not _waits_for_proof(pool, situation)
    if pool.wake_at is not None and pool.wake_at <= situation.now:
        return True
    return state.raise_wait is not None and bool(situation.events)


def _waits_for_proof(pool: PoolView, situation: Situated) -> bool:
    """A lost answer was looked into, and no read can settle it before the pool's wake-up, which reads it all."""
    intent = pool.state.intent
    return (
        intent is not None
        and intent.first_read is not None
        and pool.state.frozen is None
        and pool.wake_at is not None
        and pool.wake_at > situation.now
    )


def _is_known(sharing: Sharing, situation: Situated, event: Event) -> bool:
    if event.topic != INVENTORY_UPDATE:
        return False
    member = member_of(event)
    if member is None:
        return False
    place = next((place for place in sharing.places if place.holds(member.location_id)), None)
    if place is None:
        return True
    pool = next((pool for pool in situation.pools if pool.place == place.id), None)
    if pool is None:
        return any(claim.member == member and not claim.is_asleep for claim in situation.claims)
    available = event.payload.get("available")
    return _waits_for_proof(pool, situation) or protocol.is_echo(pool.state, member, available)


def member_of(event: Event) -> MemberId | None:
    """The level that an inventory_levels payload is about."""
    item, location = event.payload.get("inventory_item_id"), event.payload.get("location_id")
    if not isinstance(item, int) or not isinstance(location, int):
        return None
    return MemberId(gid("InventoryItem", item), gid("Location", location))


# --- one product --------------------------------------------------------------------------------------


def decide(sharing: Sharing, situation: Situated, facts: Facts) -> Plan:
    """The next step of each pool of the product."""
    if situation.subject == WHOLE_SHOP:
        return _without_products(situation)
    need = needs(sharing, situation)
    if isinstance(need, NoRead):
        return _without_read(sharing, situation)
    product = facts.product
    out = _why_left_alone(sharing, product)
    if out:
        return _let_go_all(sharing, situation, facts, out)
    assert product is not None, "a product that is gone is left alone"
    return _step_all(sharing, situation, facts, product)


def _why_left_alone(sharing: Sharing, product: ProductRead | None) -> str:
    if product is None:
        return "the product no longer exists"
    return "gift cards have no stock to share" if product.is_gift_card else sharing.out_of_scope(product)


def _without_products(situation: Situated) -> Plan:
    if not situation.events:  # woken after a crash, when its work was done already
        return Plan(because="Nothing waits for the whole shop.")
    return Plan(because=NO_DATA, error={"message": NO_DATA})


def _without_read(sharing: Sharing, situation: Situated) -> Plan:
    ticks = [_tick(sharing, situation, pool) for pool in situation.pools if pool.state.intent is not None]
    if ticks:
        return _plan(ticks, now=situation.now, title=_title_of(situation), error=None)
    return Plan(because=_why_nothing(sharing, situation), title=_title_of(situation))


def _why_nothing(sharing: Sharing, situation: Situated) -> str:
    if not situation.events:
        return "Nothing waits for this product."
    held = sorted({claim.automation_name for claim in situation.claims if not claim.is_asleep})
    if held:
        return f"Left to the automation {' and '.join(held)}, which holds these levels: nothing was read."
    elsewhere = _elsewhere(sharing, situation)
    if elsewhere:
        return f"At {' and '.join(elsewhere)}, where this automation shares no stock: nothing was read."
    return (
        "Echo: each level stands where the ledger expects it, so nothing was read and nothing is to be done."
    )


def _elsewhere(sharing: Sharing, situation: Situated) -> list[str]:
    """Locations that the events name and that were not chosen, by name."""
    names: dict[str, str] = {location.id: location.name for location in situation.shop.locations}
    ids = {member.location_id for event in situation.events if (member := member_of(event)) is not None}
    not_chosen = {id for id in ids if not any(place.holds(id) for place in sharing.places)}
    return sorted(names.get(id, f"a location that the shop does not show ({id})") for id in not_chosen)


def _title_of(situation: Situated) -> str:
    return next((pool.title for pool in situation.pools), "")


def _tick(sharing: Sharing, situation: Situated, pool: PoolView) -> PoolChange:
    step = protocol.step(pool.state, Tick(at=situation.now), sharing.policy, pool_id=pool.pool_id)
    return _change(
        pool.pool_id, pool.product_id, pool.place, pool.title, pool.titles, step, pool, at=situation.now
    )


# --- stocks that nobody shares any more ---------------------------------------------------------------


def _let_go_all(sharing: Sharing, situation: Situated, facts: Facts, why: str) -> Plan:
    """The product is not shared any more: its stocks end, once nothing of them is open."""
    changes = [_let_go(sharing, situation, facts, pool, why) for pool in situation.pools]
    ended = sum(change.dissolve for change in changes)
    kept = [_named(change) for change in changes if not change.dissolve]
    told = f"Left alone: {why}."
    freed = f" Its {ended} shared stock(s) were dissolved." if ended else ""
    plan = _plan(changes, now=situation.now, title=facts.product.title if facts.product else "", error=None)
    return replace(plan, because=" ".join((told + freed, *kept)))


def _let_go(sharing: Sharing, situation: Situated, facts: Facts, pool: PoolView, why: str) -> PoolChange:
    """Dissolve a pool at rest; settle one in doubt first, without a new correction; a frozen one waits for a person.

    Where the product is gone there is nothing left to settle, and nothing for a person to decide.
    """
    is_open = facts.product is not None and (pool.state.intent is not None or pool.state.frozen is not None)
    step = Step(state=pool.state, entries=(), next=Next.REST, because="")
    if facts.product is not None and is_open:
        step = _settle(sharing, situation, facts, facts.product, pool)
    state = step.state
    assert state is not None, "a pool that exists has a state"
    kept = is_open and (state.intent is not None or state.frozen is not None)
    if kept:
        then = "A person must decide before it can end" if state.frozen else "It ends when that is settled"
        step = replace(step, because=f"{step.because} {then}: {why}.")
    change = _change(
        pool.pool_id, pool.product_id, pool.place, pool.title, pool.titles, step, pool, at=situation.now
    )
    return change if kept or change.dissolve else _ended(change, state, situation.now, why)


def _settle(
    sharing: Sharing, situation: Situated, facts: Facts, product: ProductRead, pool: PoolView
) -> Step:
    """One look at a pool that is to end: what is open may be settled, nothing new is corrected."""
    place = place_of(pool, situation.shop)
    read = _observation(situation, facts, place, product, seen_at(place, product, facts.claims), pool)
    return protocol.step(pool.state, read, replace(sharing.policy, rows_per_intent=0), pool_id=pool.pool_id)


# --- the stocks of a product ----------------------------------------------------------------------------


def _step_all(sharing: Sharing, situation: Situated, facts: Facts, product: ProductRead) -> Plan:
    places = {place.id for place in sharing.places}
    gone = [pool for pool in situation.pools if pool.place not in places]
    why = "the location is not chosen any more, or not active"
    changes = [_let_go(sharing, situation, facts, pool, why) for pool in gone]
    kept = [claim for change in changes if not change.dissolve for claim in _claims_of(situation, change)]
    facts = replace(facts, claims=(*facts.claims, *kept))
    changes += [
        change
        for place in sharing.places
        if (change := step_place(sharing, situation, facts, product, place)) is not None
    ]
    error = _complaint(sharing, facts, product, changes)
    return _plan(changes, now=situation.now, title=product.title, error=error)


def _claims_of(situation: Situated, change: PoolChange) -> list[Claim]:
    """The levels of a stock that cannot end yet, and so are not free for another place."""
    members = change.step.state.members if change.step.state else ()
    return [
        Claim(member=id, automation_name=situation.name, title=change.title, pool_id=change.pool_id)
        for id in members
    ]


def step_place(
    sharing: Sharing, situation: Situated, facts: Facts, product: ProductRead, place: Place
) -> PoolChange | None:
    """The step of one place of a product; None where nothing is and nothing can be shared."""
    pool = next((pool for pool in situation.pools if pool.place == place.id), None)
    levels = seen_at(place, product, facts.claims)
    if pool is None and not levels.any_eligible:
        return None
    pool_id = pool.pool_id if pool else new_pool_id(situation, product, place)
    step = protocol.step(
        pool.state if pool else None,
        _observation(situation, facts, place, product, levels, pool),
        sharing.policy,
        pool_id=pool_id,
    )
    title = product.title if place.name in ("", product.title) else f"{product.title}, {place.name}"
    change = _change(pool_id, product.id, place.id, title, levels.titles, step, pool, at=situation.now)
    return replace(change, takes_over=_taken_over(facts.claims, change))


def _taken_over(claims: Sequence[Claim], change: PoolChange) -> tuple[PoolId, ...]:
    members = change.step.state.members if change.step.state else ()
    taken = {claim.pool_id for claim in claims if claim.is_asleep and claim.member in members}
    return tuple(sorted(id for id in taken if id is not None))


def new_pool_id(situation: Situated, product: ProductRead, place: Place) -> PoolId:
    """An id that only this decision can have given."""
    return PoolId("pool_" + _derived(situation, product.id, place.id).hex[:20])


def _derived(situation: Situated, *parts: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, " ".join((situation.nonce, *parts)))


def _observation(
    situation: Situated,
    facts: Facts,
    place: Place,
    product: ProductRead,
    levels: LevelsAt,
    pool: PoolView | None,
) -> Observation:
    changed = (member_of(event) for event in situation.events if event.topic == INVENTORY_UPDATE)
    return Observation(
        at=situation.now,
        seen=levels.seen,
        key=str(_derived(situation, "key", product.id, place.id)),
        changed=frozenset(id for id in changed if id is not None and id in levels.titles),
        order_moves=_moves_of(pool, facts),
        refunds=facts.refunds,
    )


def _moves_of(pool: PoolView | None, facts: Facts) -> Mapping[MemberId, int] | None:
    """What orders moved, where they were asked for this pool's correction; they say nothing of any other."""
    intent, moves = pool.state.intent if pool else None, facts.order_moves
    if intent is None or moves is None or any(row.member not in moves for row in intent.rows):
        return None
    return moves


def _change(
    pool_id: PoolId,
    product_id: ProductGid,
    place: str,
    title: str,
    titles: Mapping[MemberId, str],
    step: Step,
    pool: PoolView | None,
    *,
    at: datetime,
) -> PoolChange:
    change = PoolChange(
        pool_id=pool_id,
        product_id=product_id,
        place=place,
        title=title,
        titles=titles,
        step=step,
        was_version=pool.state.version if pool else None,
    )
    state = step.state
    if pool is None or state is None or state.members or state.intent is not None or state.frozen is not None:
        return change
    return _ended(change, state, at, "no level is left to show it")


def _ended(change: PoolChange, state: PoolState, at: datetime, why: str) -> PoolChange:
    """The change, with the end of the pool as its last entry."""
    end = dissolve(state, at, why=why)
    told = f"{change.step.because} {end.because}".strip()
    step = replace(end, entries=(*change.step.entries, *end.entries), because=told)
    return replace(change, step=step, dissolve=True)


def _complaint(
    sharing: Sharing, facts: Facts, product: ProductRead, changes: Sequence[PoolChange]
) -> JsonObject | None:
    """What the owner must hear: levels that differ at the start, or levels that another automation holds."""
    held = {
        claim.holder: claim
        for place in sharing.places
        for claim in seen_at(place, product, facts.claims).claimed_by
    }
    if held:
        return {"message": _tell_held(product, held), "product_id": product.id}
    unequal = [change for change in changes if change.step.unequal]
    if not unequal:
        return None
    return {"message": OUT_OF_STEP, "products_out_of_sync": [unequal_product(change) for change in unequal]}


def _tell_held(product: ProductRead, held: Mapping[str, Claim]) -> str:
    stuck = [claim for claim in held.values() if not claim.is_enabled]
    told = f"Levels of {product.title!r} already share stock in the automation {' and '.join(sorted(held))}. "
    if not stuck:
        return f"{told}A level belongs to one pool: change the products or locations of one of the two."
    removed = " and ".join(f"stockwright automation remove {claim.automation_id}" for claim in stuck)
    return (
        f"{told}That automation is disabled, but its stock there is frozen or in doubt, so it is not taken over. "
        f"Enable it and settle that first, or give it up: {removed}"
    )


def unequal_product(change: PoolChange) -> JsonObject:
    """A product left alone because its levels differ, for the error that lists it."""
    return {
        "product_id": change.product_id,
        "title": change.title,
        "quantities": {
            change.titles.get(seen.id, seen.id.item_id): seen.available for seen in change.step.unequal
        },
    }


def _plan(changes: Sequence[PoolChange], *, now: datetime, title: str, error: JsonObject | None) -> Plan:
    wakes = [at for change in changes if (at := change.wake_at(now)) is not None]
    effects: list[Effect] = [
        Correct(pool_id=change.pool_id, key=change.step.state.intent.key)
        for change in changes
        if change.step.next is Next.SEND
        and change.step.state is not None
        and change.step.state.intent is not None
    ]
    return Plan(
        because=_because(changes),
        changes=tuple(changes),
        effects=tuple(effects),
        error=error,
        wake_at=min(wakes) if wakes else None,
        again=any(change.step.next is Next.READ for change in changes),
        title=title,
    )


def _because(changes: Sequence[PoolChange]) -> str:
    if not changes:
        return "No variant of the product has stock that could be shared at the chosen locations."
    news = [
        change
        for change in changes
        if change.step.entries or change.step.unequal or change.step.next is not Next.REST
    ]
    told = news or changes
    return " ".join(_named(change) for change in told)


def _named(change: PoolChange) -> str:
    """The protocol's sentence with variant titles in place of item numbers."""
    text = change.step.because + _tell_summed(change)
    for id, title in change.titles.items():
        name = title.rsplit(" at ", 1)[0] if change.place == ALL_AS_ONE else title
        literal = name.replace("\\", "\\\\")  # a backslash in a title is no group reference
        text = re.sub(rf"\bitem {gid_number(id.item_id)}\b", literal, text)
    return f"{change.title}: {text}" if change.title else text


def _tell_summed(change: PoolChange) -> str:
    """Two rises by the same amount are two restocks or one that was typed in twice: nobody can tell from levels."""
    moves = [
        move["to"] - move["from"]
        for entry in change.step.entries
        if entry.kind == "observed" and not entry.data["surplus"] and not entry.data.get("refunded")
        for move in cast(list[dict[str, int]], entry.data["moves"])
        if move["to"] > move["from"]
    ]
    if len(moves) < 2 or len(set(moves)) > 1:
        return ""
    return (
        f" {len(moves)} levels rose by {moves[0]} each and all of it was counted, {sum(moves)}; "
        "if it was one restock, lower one of them again."
    )
