"""The mails of sign-ups: a request is confirmed, an address is asked to confirm, once more if need be.

Each is queued in the caller's transaction, with links whose secrets are stored as hashes only.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from stockwright.deps import Deps
from stockwright.mailing import queue_mail
from stockwright.model import JsonObject
from stockwright.notify.limits import CONFIRM_AGAIN_AFTER, CONFIRM_MAILS, confirm_bucket, window_of
from stockwright.notify.links import confirm_url, contact_url, unsubscribe_headers
from stockwright.store import mail_settings, signups
from stockwright.store.database import Connection
from stockwright.store.shops import Shop
from stockwright.store.signups import RequestRow

LOG = structlog.get_logger(__name__)

CONFIRM_FOR = timedelta(days=7)  # a confirm link is good for this long
NO_PUBLIC_URL = "Sign-ups need links in mail. Set STOCKWRIGHT_PUBLIC_URL to the address of this service."
_SECRET_BYTES = 20


@dataclass(frozen=True, kw_only=True)
class Told:
    """To whom and of what a mail speaks."""

    email: str
    first_name: str
    locale: str
    product: JsonObject  # one of the template's products


async def confirm_request(
    deps: Deps,
    conn: Connection,
    shop: Shop,
    subscriber_id: str,
    address_hash: bytes,
    told: Told,
    *,
    at: datetime,
) -> None:
    """Say by mail that a request is taken. Every mail can be unsubscribed from, so it needs our address."""
    base = deps.mailing.public_url
    if base is None:
        LOG.error("a sign-up is not confirmed by mail", shop=shop.domain, reason=NO_PUBLIC_URL)
        return
    link = contact_url(base, deps.keyring.unsubscribe_token(shop.shop_id, subscriber_id, address_hash))
    await queue_mail(
        conn,
        shop,
        kind="signup_confirmation",
        key=f"signup:{subscriber_id}",
        to=told.email,
        data=await _data(conn, shop, told, {"unsubscribe": link, "unsubscribe_all": link}),
        at=at,
        locale=told.locale,
        headers=unsubscribe_headers(link),
    )


async def ask_again(
    deps: Deps, conn: Connection, shop: Shop, row: RequestRow, told: Told, *, at: datetime
) -> bool:
    """Send a new link to an unconfirmed request that this transaction has locked; False: not so soon again."""
    if row.confirm_sent_at is not None and row.confirm_sent_at > at - CONFIRM_AGAIN_AFTER:
        return False
    counter = confirm_bucket(deps.keyring, shop.shop_id, row.address_hash)
    if not await signups.use(conn, shop.shop_id, counter, window_at=window_of(at), most=CONFIRM_MAILS):
        return False
    return await ask_to_confirm(deps, conn, shop, row.subscriber_id, told, at=at)


async def ask_to_confirm(
    deps: Deps, conn: Connection, shop: Shop, subscriber_id: str, told: Told, *, at: datetime
) -> bool:
    """Make a new confirm key and queue the mail with its link; False: the last was made less than 60 s ago.

    The time is stamped before the mail is made, so that two at once make one.
    """
    base = deps.mailing.public_url
    if base is None:
        LOG.error("an address cannot be confirmed", shop=shop.domain, reason=NO_PUBLIC_URL)
        return False
    secret = await _new_secret(deps, conn, shop, subscriber_id, at)
    if secret is None:
        return False
    await signups.add_step(conn, shop.shop_id, subscriber_id, "asked_to_confirm", at=at)
    link = confirm_url(base, deps.keyring.confirm_token(shop.shop_id, subscriber_id, secret))
    await queue_mail(
        conn,
        shop,
        kind="double_opt_in",
        key=f"confirm:{subscriber_id}:{deps.keyring.confirm_hash(secret).hex()[:16]}",
        to=told.email,
        data=await _data(conn, shop, told, {"confirm": link}),
        at=at,
        locale=told.locale,
    )
    return True


async def _new_secret(
    deps: Deps, conn: Connection, shop: Shop, subscriber_id: str, at: datetime
) -> bytes | None:
    """A secret whose hash is stored from now on; None: the last is too young, or there is nothing to confirm."""
    secret = secrets.token_bytes(_SECRET_BYTES)
    stored = await signups.set_confirm_key(
        conn,
        shop.shop_id,
        subscriber_id,
        confirm_hash=deps.keyring.confirm_hash(secret),
        expires_at=at + CONFIRM_FOR,
        rested_since=at - CONFIRM_AGAIN_AFTER,
        at=at,
    )
    return secret if stored else None


async def _data(conn: Connection, shop: Shop, told: Told, links: JsonObject) -> JsonObject:
    row = await mail_settings.get(conn, shop.shop_id)
    return {
        "products": [told.product],
        "customer": {"first_name": told.first_name},
        "links": links,
        "postal_address": row.postal_address,
    }
