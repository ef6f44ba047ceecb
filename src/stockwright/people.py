"""What a merchant does with people who wait: cancel, erase by address, hand out all that is kept.

Every change of many rows goes in batches, each whole in itself; a crash between two leaves less to do, nothing
half done. Erasing suppresses the address first, so that nothing is mailed meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stockwright import notify_settings
from stockwright.automations.notify_options import NotifyOptions, notify_options
from stockwright.deps import Deps
from stockwright.model import JsonObject, ShopId, gid_number
from stockwright.notify import KIND
from stockwright.notify.addresses import normalise
from stockwright.store import automations, compliance, erasure, messages, people, suppressions
from stockwright.store.audit import Actor, audit
from stockwright.store.automations import AutomationRow
from stockwright.store.database import Connection
from stockwright.store.people import PersonRow, Wanted
from stockwright.store.shops import Shop

UNINSTALLED = "The app was uninstalled from the shop."
BULK_LIMIT = 10_000  # people of one bulk action
_BATCH = 500
_OF_ONE_PERSON = 10_000  # rows of one address that are handed out


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of a wish for several people."""

    done: int
    left: tuple[tuple[str, str], ...] = ()  # (subscriber id, why nothing was done), the first hundred
    left_count: int = 0


@dataclass(frozen=True, kw_only=True)
class Erased:
    """How much named a person, and does not any more."""

    subscribers: int
    messages: int
    events: int = 0

    @property
    def told(self) -> str:
        """The counts in words."""
        return f"Erased: {_count(self.subscribers, 'request')} and {_count(self.messages, 'mail')}."


def _count(count: int, one: str) -> str:
    return f"{count:,} {one}{'' if count == 1 else 's'}"


async def settings_of(conn: Connection, shop_id: ShopId) -> tuple[AutomationRow | None, NotifyOptions]:
    """The shop's notification automation, the one in force first, and its options; the defaults without one."""
    rows = [row for row in await automations.list_all(conn, shop_id) if row.kind == KIND]
    row = next((row for row in rows if row.enabled), rows[0] if rows else None)
    return row, notify_options(row.options) if row else NotifyOptions()


async def look_again(deps: Deps, conn: Connection, shop_id: ShopId, product_ids: Sequence[str]) -> None:
    """Have the automation look at these products: somebody waits for one who did not before. Call it late."""
    found = await notify_settings.enabled(conn, shop_id)
    if found is not None and product_ids:
        await notify_settings.look_at(conn, shop_id, found, product_ids, at=deps.clock())


# --- cancelling -------------------------------------------------------------------------------------------------


async def cancel(
    deps: Deps, shop_id: ShopId, subscriber_ids: Sequence[str], *, by: Actor, why: str = ""
) -> Done:
    """End the waiting of these people; nothing is mailed to them for these requests."""
    done = 0
    left: list[str] = []
    for start in range(0, len(subscriber_ids), _BATCH):
        batch = subscriber_ids[start : start + _BATCH]
        ended = await _cancel_batch(deps, shop_id, batch, by=by, reason=why or f"{by.name} cancelled it.")
        done += len(ended)
        left += sorted(set(batch) - set(ended))
    told = tuple((one, "It does not wait, or is being mailed this moment.") for one in left[:100])
    return Done(done=done, left=told, left_count=len(left))


async def _cancel_batch(
    deps: Deps, shop_id: ShopId, batch: Sequence[str], *, by: Actor, reason: str
) -> list[str]:
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        ended = await people.cancel(conn, shop_id, batch, reason=reason, actor=by.name, at=now)
        if ended:
            detail = {"people": len(ended), "first": ended[0]}
            await audit(conn, by, "subscriber.cancel", "people who waited", detail, at=now)
    return ended


async def stop_mail(deps: Deps, shop_id: ShopId) -> None:
    """The app was removed: no mail goes out any more; who waited for a mail waits on, should the app come back."""
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        await messages.cancel_waiting(conn, shop_id, UNINSTALLED)
        await compliance.back_in_line(conn, shop_id, reason=UNINSTALLED, at=now)


# --- many at once -------------------------------------------------------------------------------------------------


async def ids_fitting(deps: Deps, wanted: Wanted) -> list[str]:
    """The ids of up to BULK_LIMIT people who fit, newest first."""
    found: list[str] = []
    while len(found) < BULK_LIMIT:
        async with deps.database.connection() as conn:
            rows = await people.people(conn, wanted, before=found[-1] if found else None, limit=_BATCH)
        found += [row.subscriber_id for row in rows]
        if len(rows) < _BATCH:
            break
    return found[:BULK_LIMIT]


# --- one address --------------------------------------------------------------------------------------------------


async def erase(deps: Deps, shop: Shop, address: str, *, by: Actor) -> Erased:
    """Take an address out of everything that is kept of a shop; only its keyed hash stays, so that it is not mailed.

    Raises:
        AddressRefused: it is no mail address.
    """
    return await erase_person(deps, shop.shop_id, [normalise(address)], by=by)


async def erase_person(
    deps: Deps, shop_id: ShopId, addresses: Sequence[str], *, customer_id: str = "", by: Actor
) -> Erased:
    """Erase by normalised addresses and by customer (gid), and by the addresses that the customer signed up with."""
    addresses, hashes = await _known_addresses(deps, shop_id, addresses, customer_id)
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        await suppressions.hold(conn, hashes)
        await erasure.suppress(conn, shop_id, hashes, at=now)
    subscribers = mails = events = 0
    while True:
        async with deps.database.connection() as conn, conn.transaction():
            found = await erasure.erase_people(
                conn, shop_id, hashes, customer_id=customer_id, actor=by.name, at=now, limit=_BATCH
            )
        subscribers += found
        if found < _BATCH:
            break
    for address in addresses:
        mails += await _erase_messages(deps, shop_id, address)
    number = gid_number(customer_id) if customer_id else ""
    events = await _erase_events(deps, shop_id, addresses, number)
    await _erase_traces(deps, shop_id, addresses, hashes, customer_id)
    erased = Erased(subscribers=subscribers, messages=mails, events=events)
    async with deps.database.connection() as conn:
        await audit(conn, by, "person.erase", "one person", vars(erased), at=now)
    return erased


async def _known_addresses(
    deps: Deps, shop_id: ShopId, addresses: Sequence[str], customer_id: str
) -> tuple[list[str], list[bytes]]:
    known = list(addresses)
    if customer_id:
        async with deps.database.connection() as conn:
            known += await erasure.addresses_of(conn, shop_id, customer_id, limit=_OF_ONE_PERSON)
    known = list(dict.fromkeys(known))
    return known, [deps.keyring.address_hash(shop_id, address) for address in known]


async def _erase_messages(deps: Deps, shop_id: ShopId, address: str) -> int:
    count = 0
    while True:
        async with deps.database.connection() as conn, conn.transaction():
            found = await erasure.erase_messages(conn, shop_id, address, limit=_BATCH)
        count += found
        if found < _BATCH:
            return count


async def _erase_events(deps: Deps, shop_id: ShopId, addresses: Sequence[str], number: str) -> int:
    count = 0
    while True:
        async with deps.database.connection() as conn:
            found = await erasure.erase_events(conn, shop_id, addresses, customer_number=number, limit=_BATCH)
        count += found
        if found < _BATCH:
            return count


async def _erase_traces(
    deps: Deps, shop_id: ShopId, addresses: Sequence[str], hashes: Sequence[bytes], customer_id: str
) -> None:
    async with deps.database.connection() as conn, conn.transaction():
        await erasure.erase_traces(conn, shop_id, addresses, hashes, customer_id=customer_id)


async def data_of(deps: Deps, shop: Shop, addresses: Sequence[str], *, customer_id: str = "") -> JsonObject:
    """All that is kept of normalised addresses or of a customer (gid), as JSON for the person."""
    addresses, hashes = await _known_addresses(deps, shop.shop_id, addresses, customer_id)
    shop_id, limit = shop.shop_id, _OF_ONE_PERSON
    async with deps.database.connection() as conn:
        rows = await people.of_address(conn, shop_id, hashes, customer_id=customer_id, limit=limit)
        steps = {row.subscriber_id: await people.steps(conn, shop_id, row.subscriber_id) for row in rows}
        return {
            "shop": shop.domain,
            "made_at": deps.clock(),
            "addresses": addresses,
            "customer_id": customer_id,
            "subscriptions": [
                {**_personal(row), "steps": [vars(step) for step in steps[row.subscriber_id]]} for row in rows
            ],
            "messages": await erasure.messages_to(conn, shop_id, addresses, limit=limit),
            "preorders": await erasure.preorders_of(conn, shop_id, customer_id, limit=limit),
            "not_mailed_because": await erasure.suppressions_of(conn, shop_id, hashes),
        }


def _personal(row: PersonRow) -> JsonObject:
    return {name: value for name, value in vars(row).items() if name not in ("shop_id", "message_id")}
