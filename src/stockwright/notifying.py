"""The third step of a restock: tell the people in line of a wave, a batch at a time, each batch one transaction.

A batch takes people out of the line, writes why, and queues one message per person; sending is the mail queue's.
Runs of one product are serialised by their key and by the lock on the wave's row: a second start does nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from stockwright.alert_letters import Letters, Recipient
from stockwright.deps import Deps
from stockwright.guarding import House, glance, house_of
from stockwright.mail.addresses import MailRefused
from stockwright.mailing import NO_SERVER, account_for, new_message
from stockwright.model import Key, ShopId, StockwrightError, VariantGid
from stockwright.notify import handout
from stockwright.notify.catalogue import ShownProduct
from stockwright.notify.handout import BATCH, Candidate, Close, Give, Hold, Left, Wave, WaveVariant
from stockwright.notify.restock import Stock
from stockwright.schedules import time_zone
from stockwright.store import alert_mail, mail_settings, messages, shops, wake, waves
from stockwright.store.database import Connection
from stockwright.store.ids import new_id
from stockwright.store.messages import NewMessage
from stockwright.store.waves import TakenRow, ToldRow, WaitingRow, WaveRow

LOG = structlog.get_logger(__name__)

_BATCHES = 40  # of one turn of a key; then other keys come first
_UTC = ZoneInfo("UTC")


async def hand_out(deps: Deps, key: Key) -> None:
    """Tell whoever is next of a product's open wave; may be called again at any point."""
    letters, since = Letters(deps), deps.clock()
    for _ in range(_BATCHES):
        if not await _next_batch(deps, key, letters, since=since):
            return
    async with deps.database.connection() as conn, conn.transaction():
        await wake.wake(conn, [(key, None)])


async def wake_waves(deps: Deps) -> None:
    """Wake the hand-out of every wave whose time has come: what a lost wake-up left behind."""
    async with deps.database.connection() as conn, conn.transaction():
        await wake.wake(conn, [(key, None) for key in await waves.to_look_at(conn)])


async def _next_batch(deps: Deps, key: Key, letters: Letters, *, since: datetime) -> bool:
    """One batch, or what keeps it from being told; whether to go on at once."""
    if not await _may_read(deps, key):
        return False
    seen = await glance(deps, key.shop_id, key.subject, since=since)
    async with deps.database.connection() as conn, conn.transaction():
        standing = await _standing(deps, conn, key)
        if standing is None:
            return False
        if seen.trouble:
            until = deps.clock() + handout.LOOK_AGAIN
            return await _rest(
                conn, deps, key, standing, Hold(state="held", reason=seen.trouble, until=until)
            )
        if seen.product is None:
            close = Close(state="dropped", reason="The product no longer exists.")
            return await _close(conn, deps, key, standing, close)
        return await _tell(conn, deps, key, standing, seen.product, letters)


@dataclass(frozen=True, kw_only=True)
class _Standing:
    """A locked wave with everything that decides how it goes on."""

    row: WaveRow
    wave: Wave
    house: House
    on_the_way: int

    @property
    def zone(self) -> ZoneInfo:
        return time_zone(self.house.shop.timezone) or _UTC


async def _standing(deps: Deps, conn: Connection, key: Key) -> _Standing | None:
    row = await waves.lock_wave_of(conn, key.shop_id, key.subject)
    shop = await shops.get(conn, key.shop_id)
    if row is None or shop is None:
        return None
    house = await house_of(deps, conn, shop)
    variants = await waves.variants_of_wave(conn, key.shop_id, row.wave_id)
    wave = Wave(
        wave_id=row.wave_id,
        settle_until=row.settle_until,
        variants=tuple(
            WaveVariant(
                variant_id=VariantGid(one.variant_id),
                ready_at=one.ready_at,
                told=one.told,
                told_in_turn=one.told_in_turn,
                turn_at=one.turn_at,
                turn_limit=one.turn_limit,
            )
            for one in variants
            if not one.over
        ),
        told=sum(one.told for one in variants),
    )
    return _Standing(
        row=row,
        wave=wave,
        house=replace(house, sending=replace(house.sending, no_server=await _no_server(deps, conn, house))),
        on_the_way=await waves.on_the_way(conn, key.shop_id, row.wave_id),
    )


async def _no_server(deps: Deps, conn: Connection, house: House) -> str:
    """Why there is no account to send from; "" = there is one."""
    row = await mail_settings.get(conn, house.shop.shop_id)
    try:
        account = account_for(deps.mailing, house.shop, row)
    except StockwrightError as error:
        return str(error)
    return "" if account is not None else NO_SERVER


async def _may_read(deps: Deps, key: Key) -> bool:
    """Whether the product has to be looked at; what can be said without is stored."""
    async with deps.database.connection() as conn, conn.transaction():
        standing = await _standing(deps, conn, key)
        if standing is None:
            return False
        said = handout.before_reading(
            standing.house.policy,
            standing.house.sending,
            standing.wave,
            on_the_way=standing.on_the_way,
            now=deps.clock(),
            zone=standing.zone,
        )
        return said is None or await _end_turn(conn, deps, key, standing, said)


async def _end_turn(conn: Connection, deps: Deps, key: Key, standing: _Standing, said: Hold | Close) -> bool:
    match said:
        case Hold():
            return await _rest(conn, deps, key, standing, said)
        case Close():
            return await _close(conn, deps, key, standing, said)


async def _rest(conn: Connection, deps: Deps, key: Key, standing: _Standing, hold: Hold) -> bool:
    until = max(hold.until, deps.clock())
    wave_id = standing.row.wave_id
    await waves.rest(conn, key.shop_id, wave_id, state=hold.state, reason=hold.reason, next_at=until)
    await wake.wake(conn, [(key, until)])
    return False


async def _close(conn: Connection, deps: Deps, key: Key, standing: _Standing, close: Close) -> bool:
    wave_id, at = standing.row.wave_id, deps.clock()
    await waves.close(conn, key.shop_id, wave_id, state=close.state, reason=close.reason, at=at)
    LOG.info("a restock is over", shop_id=key.shop_id, wave=wave_id, state=close.state, reason=close.reason)
    return False


# --- one batch ------------------------------------------------------------------------------------------------------


async def _tell(
    conn: Connection,
    deps: Deps,
    key: Key,
    standing: _Standing,
    product: ShownProduct,
    letters: Letters,
) -> bool:
    now, stock = deps.clock(), standing.house.stock_of(product)
    if now < standing.wave.settle_until:
        said: Hold | Close | Give = Hold(
            state="settling", reason="It waits whether the stock stays.", until=standing.wave.settle_until
        )
    else:
        said = handout.turn(standing.house.policy, standing.wave, product, stock, now=now)
    if not isinstance(said, Give):
        return await _end_turn(conn, deps, key, standing, said)
    chosen = await _choose(conn, deps, key.shop_id, standing, said)
    if not chosen:
        return await _when_nobody(conn, deps, key, standing, said, stock)
    told = await _queue_messages(conn, deps, key, standing, product, chosen, letters)
    await waves.count_told(conn, key.shop_id, standing.row.wave_id, _told_rows(said, told))
    reason = "People are told of it."
    await waves.rest(conn, key.shop_id, standing.row.wave_id, state="sending", reason=reason, next_at=now)
    await wake.wake(conn, [(messages.queue_key(key.shop_id), None)])
    return True


async def _choose(
    conn: Connection, deps: Deps, shop_id: ShopId, standing: _Standing, give: Give
) -> list[list[WaitingRow]]:
    """The next requests, by person."""
    options, since = standing.house.options, _told_since(deps, standing)
    shares = _taken(give)
    rows = await waves.in_line(
        conn, shop_id, shares, newest_first=options.order == "newest", told_since=since, limit=BATCH
    )
    addresses = list(dict.fromkeys(row.address_hash for row in rows))
    more = await waves.besides(conn, shop_id, shares, addresses, told_since=since) if rows else []
    by_id = {row.subscriber_id: row for row in (*rows, *more)}
    left = {VariantGid(one.variant_id): one.most for one in shares}
    people = handout.choose([_candidate(row) for row in rows], [_candidate(row) for row in more], left)
    return [[by_id[one.subscriber_id] for one in person] for person in people]


def _taken(give: Give) -> list[TakenRow]:
    return [TakenRow(variant_id=one.variant_id, units=one.units, most=one.most) for one in give.shares]


def _told_since(deps: Deps, standing: _Standing) -> datetime:
    return deps.clock() - timedelta(minutes=standing.house.options.cool_down_minutes)


def _candidate(row: WaitingRow) -> Candidate:
    return Candidate(
        subscriber_id=row.subscriber_id, address=row.address_hash, variant_id=VariantGid(row.variant_id)
    )


async def _when_nobody(
    conn: Connection, deps: Deps, key: Key, standing: _Standing, give: Give, stock: Stock
) -> bool:
    """Nobody can be told now: the wave rests or is over."""
    now, options = deps.clock(), standing.house.options
    going_on = [one for one in standing.wave.variants if one.variant_id in stock]
    ready = [one for one in going_on if one.ready_at <= now]
    shares = [TakenRow(variant_id=one.variant_id, units=stock[one.variant_id], most=None) for one in ready]
    found = await waves.left_in_line(
        conn,
        key.shop_id,
        shares,
        told_since=_told_since(deps, standing),
        rest=timedelta(minutes=options.cool_down_minutes),
    )
    left = Left(people=found.people, rested_at=found.rested_at, too_many=found.too_many)
    later = min((one.ready_at for one in going_on if one.ready_at > now), default=None)
    said = handout.when_nobody(give, left, told=standing.wave.told, later=later, now=now)
    return await _end_turn(conn, deps, key, standing, said)


def _told_rows(give: Give, told: Sequence[WaitingRow]) -> list[ToldRow]:
    counts: dict[str, int] = {}
    for row in told:
        counts[row.variant_id] = counts.get(row.variant_id, 0) + 1
    return [
        ToldRow(
            variant_id=one.variant_id,
            people=counts.get(one.variant_id, 0),
            turn_at=one.turn_at,
            turn_limit=one.turn_limit,
            begins=one.begins,
        )
        for one in give.shares
    ]


# --- the messages ------------------------------------------------------------------------------------------------------


async def _queue_messages(
    conn: Connection,
    deps: Deps,
    key: Key,
    standing: _Standing,
    product: ShownProduct,
    chosen: Sequence[Sequence[WaitingRow]],
    letters: Letters,
) -> list[WaitingRow]:
    """Take the people out of the line and queue their messages; the requests that are told of."""
    now, wave_id = deps.clock(), standing.row.wave_id
    planned = [(new_id("msg", now), person) for person in chosen]
    wanted = {row.subscriber_id: message_id for message_id, person in planned for row in person}
    detail = f"{product.title} is in stock: the mail is queued."
    claimed = await waves.claim_people(conn, key.shop_id, wave_id, wanted, detail=detail, at=now)
    kept = [(id, [row for row in person if row.subscriber_id in claimed]) for id, person in planned]
    people = [(id, person) for id, person in kept if person]
    keys = await _keys(conn, key.shop_id, standing.row, [person[0].address_hash for _, person in people])
    made: list[tuple[str, NewMessage]] = []
    for message_id, person in people:
        recipient = _recipient(keys[person[0].address_hash], person)
        try:
            message = await letters.message(conn, standing.house.shop, product, recipient)
        except MailRefused as error:
            ids = [row.subscriber_id for row in person]
            await alert_mail.fail_people(conn, key.shop_id, ids, reason=str(error), at=now)
            continue
        made.append((message_id, new_message(message)))
    stored = await messages.insert_all(conn, key.shop_id, alert_mail.KIND, made, now)
    assert len(stored) == len(made), "a message's key was free in this transaction, and the wave is locked"
    return [row for _, person in people for row in person]


async def _keys(
    conn: Connection, shop_id: ShopId, row: WaveRow, addresses: Sequence[bytes]
) -> Mapping[bytes, str]:
    """The key of each person's message in this wave; one who is told of another variant later has a further one."""
    plain = {address: f"alert:{row.wave_id}:{address.hex()[:20]}" for address in addresses}
    taken = await alert_mail.keys_taken(conn, shop_id, list(plain.values()))
    return {address: f"{key}:{row.fence + 1}" if key in taken else key for address, key in plain.items()}


def _recipient(key: str, person: Sequence[WaitingRow]) -> Recipient:
    first = person[0]
    return Recipient(
        key=key,
        subscriber_id=first.subscriber_id,
        address=first.email,
        address_hash=first.address_hash,
        first_name=first.first_name,
        locale=first.locale,
        variant_ids=frozenset(row.variant_id for row in person),
    )
