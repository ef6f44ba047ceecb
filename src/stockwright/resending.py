"""Sending again by a merchant's wish: a failed mail once more, a place in line, or a new mail to confirm."""

from collections.abc import Sequence

from stockwright.contacting import plain_product
from stockwright.deps import Deps
from stockwright.model import Conflicting, ShopId
from stockwright.notify.states import WAITING, State
from stockwright.people import Done, look_again
from stockwright.signup_mail import Told, ask_again
from stockwright.store import messages, people, shops, signups, suppressions, wake
from stockwright.store.audit import Actor, audit
from stockwright.store.database import Connection
from stockwright.store.people import PersonRow

_LISTED = 100


async def send_again(deps: Deps, shop_id: ShopId, subscriber_ids: Sequence[str], *, by: Actor) -> Done:
    """Each of these, with the reason where nothing could be done."""
    done = 0
    left: list[tuple[str, str]] = []
    for subscriber_id in subscriber_ids:
        try:
            await send_one_again(deps, shop_id, subscriber_id, by=by)
        except Conflicting as error:
            left.append((subscriber_id, str(error)))
        else:
            done += 1
    return Done(done=done, left=tuple(left[:_LISTED]), left_count=len(left))


async def send_one_again(deps: Deps, shop_id: ShopId, subscriber_id: str, *, by: Actor) -> str:
    """Send a failed or doubtful message once more, or put an ended request in line again; what was done, in words.

    Raises:
        Conflicting: the person waits already, must not be mailed, or is erased.
    """
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        row = await people.get(conn, subscriber_id)
        if row is None or row.shop_id != shop_id:
            raise Conflicting("There is no such subscriber any more.")
        if row.email:
            await suppressions.hold(conn, [deps.keyring.address_hash(shop_id, row.email)])
        await _refuse_unwanted(conn, row)
        await audit(conn, by, "subscriber.resend", _titled(row), {"subscriber_id": subscriber_id}, at=now)
        if row.state == State.UNCONFIRMED:
            return await _ask_to_confirm(deps, conn, row)
        return await _again(deps, conn, row, by=by)


async def _refuse_unwanted(conn: Connection, row: PersonRow) -> None:
    if not row.email:
        raise Conflicting("This person was erased: there is no address any more.")
    if row.state in WAITING - {State.UNCONFIRMED}:
        raise Conflicting("This person waits already and is told at the next restock.")
    if row.state == State.UNSUBSCRIBED or row.unsubscribed_at is not None:
        raise Conflicting("This person unsubscribed. Only they can sign up again, on the product page.")
    found = await people.suppression(conn, row.shop_id, row.subscriber_id)
    if found is not None and row.state != State.UNCONFIRMED:
        raise Conflicting(f"This address is on the suppression list ({found.reason}), so it is not mailed.")


async def _ask_to_confirm(deps: Deps, conn: Connection, row: PersonRow) -> str:
    shop = await shops.get(conn, row.shop_id)
    waiting = await signups.lock(conn, row.shop_id, row.subscriber_id)
    if shop is None or waiting is None:
        raise Conflicting("There is no such subscriber any more.")
    told = Told(email=row.email, first_name=row.first_name, locale=row.locale, product=plain_product(waiting))
    if not await ask_again(deps, conn, shop, waiting, told, at=deps.clock()):
        raise Conflicting(
            "No mail was made: one went out less than a minute ago, enough went out in this hour, or "
            "STOCKWRIGHT_PUBLIC_URL is not set."
        )
    return "A new mail asks to confirm the address; the link of the old one no longer works."


async def _again(deps: Deps, conn: Connection, row: PersonRow, *, by: Actor) -> str:
    now = deps.clock()
    if row.state in (State.FAILED, State.UNKNOWN) and row.message_id:
        who = await people.again_by_message(conn, row.shop_id, row.message_id, actor=by.name, at=now)
        if row.subscriber_id in who:
            await wake.wake(conn, [(messages.queue_key(row.shop_id), None)])
            return "The same message is queued once more."
    made = await people.ask_again(conn, row.shop_id, row.subscriber_id, actor=by.name, at=now)
    if made is None:
        raise Conflicting("This address waits for this variant already.")
    await look_again(deps, conn, row.shop_id, [row.product_id])
    return "Put in line again: told as soon as the variant is in stock."


def _titled(row: PersonRow) -> str:
    return " - ".join(text for text in (row.product_title, row.variant_title) if text) or row.variant_id
