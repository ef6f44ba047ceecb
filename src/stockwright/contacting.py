"""What people do through the links in their mail: confirm, stop one item, stop everything, be erased.

A link proves who it was sent to and to nobody else; looking changes nothing. Every act may be repeated.
Knows nothing of HTTP.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

import structlog

from stockwright import notify_settings, people
from stockwright.deps import Deps
from stockwright.mailing import queue_mail
from stockwright.model import ShopId
from stockwright.notify.texts import DEFAULT_LOCALE, Words, words
from stockwright.notify.tokens import Purpose, Token
from stockwright.signup_mail import Told, ask_again
from stockwright.store import erasure, mail_settings, shops, signups, storefront_texts, suppressions
from stockwright.store.audit import Actor
from stockwright.store.database import Connection
from stockwright.store.shops import Shop
from stockwright.store.signups import RequestRow

LOG = structlog.get_logger(__name__)

THE_PERSON = Actor(user_id=None, name="the person")
_BY_PAGE = "The person unsubscribed on our page."
_BY_CLICK = "The person unsubscribed with the mail program's button."


@dataclass(frozen=True, kw_only=True)
class Contact:
    """Who a link was sent to, and what about."""

    shop: Shop
    token: Token
    row: RequestRow | None  # None: the request is not kept any more
    waiting: Sequence[RequestRow]  # what the address waits for; () for a confirm link
    words: Words

    @property
    def item(self) -> str:
        """What the mail was about; "" once it is not kept any more."""
        return self.row.item if self.row else ""


async def open_contact(deps: Deps, text: str, purpose: Purpose, *, locale: str = "") -> Contact | None:
    """What a token stands for; None: we did not make it, or the shop is gone. Changes nothing.

    `locale` is that of the visitor's browser, for when the request, which says it better, is gone.
    """
    token = deps.keyring.read_token(text, purpose)
    if token is None:
        return None
    async with deps.database.connection() as conn:
        shop = await shops.get(conn, token.shop_id)
        if shop is None:
            return None
        row = await signups.get(conn, shop.shop_id, token.subscriber_id)
        waiting: Sequence[RequestRow] = ()
        if purpose is Purpose.UNSUBSCRIBE:
            waiting = await signups.waiting_of(conn, shop.shop_id, token.content)
        own = await storefront_texts.own_texts(conn, shop.shop_id)
    told = words(row.locale if row else locale or DEFAULT_LOCALE, own)
    return Contact(shop=shop, token=token, row=row, waiting=waiting, words=told)


# --- unsubscribing --------------------------------------------------------------------------------------------


class Stop(StrEnum):
    """What a person may ask for."""

    ITEM = "item"
    ALL = "all"
    ERASE = "erase"


async def one_click_scope(deps: Deps, shop_id: ShopId) -> Stop:
    """What the mail program's button ends in this shop."""
    async with deps.database.connection() as conn:
        found = await notify_settings.enabled(conn, shop_id)
    return Stop(found.options.unsubscribe_scope) if found else Stop.ALL


async def stop(
    deps: Deps, contact: Contact, what: Stop, *, one_click: bool = False, subscriber_id: str = ""
) -> None:
    """Do what the person asks for. `subscriber_id`: another of her requests, with ITEM."""
    reason = _BY_CLICK if one_click else _BY_PAGE
    match what:
        case Stop.ITEM:
            row = await _stop_item(deps, contact, subscriber_id or contact.token.subscriber_id, reason)
        case Stop.ALL:
            await _stop_all(deps, contact, reason)
            row = contact.row
        case Stop.ERASE:
            await _erase(deps, contact)
            return
    if not one_click and row is not None and row.email:
        await _confirm_by_mail(deps, contact.shop, row, what)


async def _stop_item(deps: Deps, contact: Contact, subscriber_id: str, reason: str) -> RequestRow | None:
    """The request that was stopped, if it is this address's."""
    shop_id, now = contact.shop.shop_id, deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        row = await signups.lock(conn, shop_id, subscriber_id)
        if row is None or row.address_hash != contact.token.content:
            return None
        await signups.unsubscribe_item(conn, shop_id, row, reason=reason, at=now)
    return row


async def _stop_all(deps: Deps, contact: Contact, reason: str) -> None:
    shop_id, token, now = contact.shop.shop_id, contact.token, deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        await suppressions.hold(conn, [token.content])
        await suppressions.unsubscribe(conn, shop_id, token.content, at=now)
        await signups.unsubscribe_all(
            conn, shop_id, token.content, subscriber_id=token.subscriber_id, reason=reason, at=now
        )


async def _erase(deps: Deps, contact: Contact) -> None:
    """Erase the address; without one only the hash is there, and it stays suppressed."""
    shop_id, address_hash = contact.shop.shop_id, contact.token.content
    async with deps.database.connection() as conn:
        address = await signups.email_of(conn, shop_id, address_hash)
        if not address:
            async with conn.transaction():
                await suppressions.hold(conn, [address_hash])
                await erasure.suppress(conn, shop_id, [address_hash], at=deps.clock())
    if address:
        await people.erase_person(deps, shop_id, [address], by=THE_PERSON)


async def _confirm_by_mail(deps: Deps, shop: Shop, row: RequestRow, what: Stop) -> None:
    """One last mail, where the shop wants it; once per request and kind of stop."""
    async with deps.database.connection() as conn, conn.transaction():
        found = await notify_settings.enabled(conn, shop.shop_id)
        if found is None or not found.options.unsubscribed_mail:
            return
        settings = await mail_settings.get(conn, shop.shop_id)
        await queue_mail(
            conn,
            shop,
            kind="unsubscribed",
            key=f"unsubscribed:{row.subscriber_id}:{what}",
            to=row.email,
            data={
                "products": [plain_product(row)],
                "customer": {"first_name": row.first_name},
                "is_all": what is Stop.ALL,
                "postal_address": settings.postal_address,
            },
            at=deps.clock(),
            locale=row.locale,
        )


def plain_product(row: RequestRow) -> Mapping[str, object]:
    """A template's product from what a request holds of it."""
    variant = {"title": row.variant_title, "options": "", "price": "", "compare_at_price": "", "buy_url": ""}
    return {"title": row.product_title, "url": "", "image_url": "", "variants": [variant]}


# --- confirming -----------------------------------------------------------------------------------------------


class Standing(Enum):
    """How a confirm link stands."""

    OPEN = "it can be confirmed"
    EXPIRED = "it is too old, or a newer link was sent"
    DONE = "it is confirmed"
    OVER = "there is nothing to confirm any more"


def standing(deps: Deps, contact: Contact) -> Standing:
    """What the page of a confirm link shows. Changes nothing."""
    return _standing(deps, contact.row, contact.token)


def _standing(deps: Deps, row: RequestRow | None, token: Token) -> Standing:
    if row is None or row.state not in ("unconfirmed", "pending", "queued"):
        return Standing.OVER
    if row.state != "unconfirmed":
        return Standing.DONE
    expected = row.confirm_hash or b""
    fits = hmac.compare_digest(deps.keyring.confirm_hash(token.content), expected)
    is_late = row.confirm_expires_at is None or row.confirm_expires_at <= deps.clock()
    return Standing.EXPIRED if is_late or not fits else Standing.OPEN


async def confirm(deps: Deps, contact: Contact) -> Standing:
    """Have the request wait; the address may be mailed again if the person had asked not to be."""
    shop_id, token, now = contact.shop.shop_id, contact.token, deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        row = await signups.lock(conn, shop_id, token.subscriber_id)
        found = _standing(deps, row, token)
        if row is None or found is not Standing.OPEN:
            return found
        await signups.activate(conn, shop_id, row.subscriber_id, confirmed_at=now)
        await signups.add_step(conn, shop_id, row.subscriber_id, "confirmed", at=now)
        await suppressions.lift(conn, shop_id, row.address_hash)
        await _look(conn, shop_id, row, deps)
    return Standing.DONE


async def _look(conn: Connection, shop_id: ShopId, row: RequestRow, deps: Deps) -> None:
    if (found := await notify_settings.enabled(conn, shop_id)) is not None:
        await notify_settings.look_at(conn, shop_id, found, [row.product_id], at=deps.clock())


class Sent(Enum):
    """What came of asking for a new link."""

    SENT = "a new link is on its way"
    WAIT = "one was sent less than a minute ago, or enough were sent in this hour"
    OVER = "there is nothing to confirm any more"


async def send_link_again(deps: Deps, contact: Contact) -> Sent:
    """Send a new confirm link to the address of this very request; the old one is void."""
    shop_id, now = contact.shop.shop_id, deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        row = await signups.lock(conn, shop_id, contact.token.subscriber_id)
        if row is None or row.state != "unconfirmed" or not row.email:
            return Sent.OVER
        told = Told(email=row.email, first_name=row.first_name, locale=row.locale, product=plain_product(row))
        sent = await ask_again(deps, conn, contact.shop, row, told, at=now)
    return Sent.SENT if sent else Sent.WAIT
