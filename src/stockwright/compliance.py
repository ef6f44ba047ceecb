"""Answers what Shopify asks for people's privacy: customers/data_request, customers/redact, shop/redact.

The webhooks come through the inbox like all others, so that a forged one never gets here. Each is written down with
its due date first, then done, then emptied; a crash on the way means that it is done again, which changes nothing.
"""

import hashlib
import json
from datetime import datetime, timedelta

import structlog

from stockwright import people, upkeep
from stockwright.deps import Deps
from stockwright.model import Conflicting, Json, JsonObject, ShopId, StockwrightError, gid
from stockwright.notify.addresses import AddressRefused, normalise
from stockwright.store import compliance, shops
from stockwright.store.audit import Actor, audit
from stockwright.store.compliance import Request, Webhook
from stockwright.store.database import Connection
from stockwright.store.shops import Shop

LOG = structlog.get_logger(__name__)

DATA_REQUEST = "shopify/customers/data_request"
CUSTOMER_REDACT = "shopify/customers/redact"
SHOP_REDACT = "shopify/shop/redact"
SHOPIFY = Actor(user_id=None, name="Shopify")
DUE_IN = timedelta(days=30)
KEEP_DATA = timedelta(days=30)  # after it was handed over

_AT_ONCE = 20
_BATCH = 5000
_HAND_OVER = "Download the file and give it to the customer."
_IS_BACK = (
    "The app was installed again after it was removed, so nothing was deleted by itself. Decide: delete all data of "
    "the shop, or close this request."
)


# --- the leading worker's chores --------------------------------------------------------------------------------


async def answer_webhooks(deps: Deps) -> None:
    """Do what the privacy webhooks ask that came since, and go on with what a crash cut short."""
    async with deps.database.connection() as conn:
        found = await compliance.waiting_webhooks(conn, limit=_AT_ONCE)
    for webhook in found:
        await answer(deps, webhook)
    async with deps.database.connection() as conn:
        going = await compliance.shops_to_delete(conn, limit=_AT_ONCE)
    for request in going:
        await delete_shop(deps, request, by=SHOPIFY)


async def forget_data(deps: Deps) -> None:
    """Delete files that were handed over long ago."""
    async with deps.database.connection() as conn:
        await compliance.forget_data(conn, before=deps.clock() - KEEP_DATA)


# --- one webhook ------------------------------------------------------------------------------------------------


async def answer(deps: Deps, webhook: Webhook) -> None:
    """Write down what is asked, do it, and forget what the webhook says of the person."""
    request_id = request_id_of(webhook)
    addresses, customer_id = whom(webhook.payload)
    hashes = [deps.keyring.address_hash(webhook.shop_id, one) for one in addresses]
    async with deps.database.connection() as conn:
        await compliance.register(
            conn,
            webhook,
            request_id,
            address_hash=hashes[0] if hashes else None,
            customer_id=customer_id,
            due_at=webhook.received_at + DUE_IN,
        )
    LOG.info("a privacy webhook is being answered", topic=webhook.topic, shop=webhook.domain)
    match webhook.topic:
        case topic if topic == DATA_REQUEST:
            await _gather(deps, webhook, request_id, addresses, customer_id)
        case topic if topic == CUSTOMER_REDACT:
            await _redact(deps, webhook, request_id, addresses, customer_id)
        case _:
            await _redact_shop(deps, webhook, request_id)


def request_id_of(webhook: Webhook) -> str:
    """The same for a webhook that comes twice."""
    asked = webhook.payload.get("data_request")
    number = asked.get("id") if isinstance(asked, dict) else None
    natural = number or webhook.shopify_event_id or webhook.event_id
    text = json.dumps([webhook.topic, str(natural)])
    return f"prv_{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def whom(payload: JsonObject) -> tuple[list[str], str]:
    """Whom a webhook is about: normalised addresses, and the customer's gid ("" for a guest)."""
    customer = payload.get("customer")
    customer = customer if isinstance(customer, dict) else {}
    number = customer.get("id")
    is_number = isinstance(number, int) and not isinstance(number, bool) and number > 0
    return _addresses(customer.get("email")), gid("Customer", number) if is_number else ""  # type: ignore[arg-type]


def _addresses(email: Json) -> list[str]:
    try:
        return [normalise(email)] if isinstance(email, str) else []
    except AddressRefused:
        return []  # nobody can have signed up with it


async def _gather(
    deps: Deps, webhook: Webhook, request_id: str, addresses: list[str], customer_id: str
) -> None:
    shop = await _shop(deps, webhook.shop_id)
    data = await people.data_of(deps, shop, addresses, customer_id=customer_id)
    counts = {"subscriptions": len(data["subscriptions"]), "messages": len(data["messages"])}
    sealed = deps.mailing.seal_password(as_text(data))
    async with deps.database.connection() as conn, conn.transaction():
        await compliance.save_data(
            conn, webhook.shop_id, request_id, data=sealed, result=counts, note=_HAND_OVER
        )
        await compliance.empty(conn, webhook)


def as_text(data: JsonObject) -> str:
    """A person's data as JSON that people can read."""
    return json.dumps(data, indent=2, ensure_ascii=False, default=_plain)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


async def _redact(
    deps: Deps, webhook: Webhook, request_id: str, addresses: list[str], customer_id: str
) -> None:
    erased = await people.erase_person(deps, webhook.shop_id, addresses, customer_id=customer_id, by=SHOPIFY)
    async with deps.database.connection() as conn, conn.transaction():
        result = {"subscriptions": erased.subscribers, "messages": erased.messages}
        await compliance.finish(conn, webhook.shop_id, request_id, result=result, at=deps.clock())
        await compliance.empty(conn, webhook)


async def _redact_shop(deps: Deps, webhook: Webhook, request_id: str) -> None:
    """Mark it to be deleted. A shop that came back after it had removed the app is at work: a person decides."""
    is_back = webhook.was_uninstalled and webhook.status == "active"
    async with deps.database.connection() as conn, conn.transaction():
        if is_back:
            await compliance.put_note(conn, webhook.shop_id, request_id, _IS_BACK)
        else:
            await _close_door(conn, webhook.shop_id)
        await compliance.empty(conn, webhook)


async def _close_door(conn: Connection, shop_id: ShopId) -> None:
    if await shops.get(conn, shop_id) is not None:
        await shops.set_status(conn, shop_id, "uninstalled", reason="Its data is being deleted.")


# --- what a person does -----------------------------------------------------------------------------------------


async def confirm_deletion(deps: Deps, request: Request, *, by: Actor) -> None:
    """A person wants the data of a shop deleted that came back; a worker goes on with it should we not end.

    Raises:
        Conflicting: there is nothing to decide (any more).
    """
    if request.topic != SHOP_REDACT or request.done_at is not None:
        raise Conflicting("This request is not about deleting a shop, or it is done already.")
    async with deps.database.connection() as conn, conn.transaction():
        await compliance.put_note(conn, request.shop_id, request.request_id, "")
        await _close_door(conn, request.shop_id)
    await delete_shop(deps, request, by=by)


async def delete_shop(deps: Deps, request: Request, *, by: Actor) -> None:
    """Delete everything of a shop, in batches; what was asked and done stays written down."""
    shop_id = request.shop_id
    async with deps.database.connection() as conn:
        shop = await shops.get(conn, shop_id)
    deleted = 0
    for sql in compliance.LARGE:
        deleted += await _delete_all(deps, shop_id, sql)
    if shop is not None:
        await upkeep.forget_shop(deps, shop)
    for sql in compliance.LARGE:  # what came in meanwhile
        deleted += await _delete_all(deps, shop_id, sql)
    async with deps.database.connection() as conn, conn.transaction():
        await compliance.delete_rest(conn, shop_id)
        await compliance.finish(conn, shop_id, request.request_id, result={"rows": deleted}, at=deps.clock())
        await audit(conn, by, "shop.redact", request.domain, {"rows": deleted}, at=deps.clock())


async def _delete_all(deps: Deps, shop_id: ShopId, sql: bytes) -> int:
    deleted = 0
    while True:
        async with deps.database.connection() as conn:
            found = await compliance.delete_some(conn, shop_id, sql, limit=_BATCH)
        deleted += found
        if found < _BATCH:
            return deleted


async def hand_over(deps: Deps, request: Request, *, by: Actor) -> str:
    """The file of a data request, as JSON; the request is done with it.

    Raises:
        Conflicting: there is none (any more).
    """
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        sealed = await compliance.data_of(conn, request.request_id)
        if sealed is None:
            raise Conflicting(
                "There is no file for this request: it is deleted 30 days after it was handed over."
            )
        text = deps.mailing.open_password(sealed)
        result = request.result or {}
        await compliance.finish(conn, request.shop_id, request.request_id, result=result, at=now)
        detail = {"request_id": request.request_id}
        await audit(conn, by, "privacy.download", request.domain, detail, at=now)
    return text


async def close(deps: Deps, request: Request, *, by: Actor) -> None:
    """A person decided that nothing (more) is to be done.

    Raises:
        Conflicting: it is done already.
    """
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        result = {**(request.result or {}), "closed_by": by.name}
        if not await compliance.finish(conn, request.shop_id, request.request_id, result=result, at=now):
            raise Conflicting("This request is done already.")
        detail = {"request_id": request.request_id}
        await audit(conn, by, "privacy.close", request.domain, detail, at=now)


async def _shop(deps: Deps, shop_id: ShopId) -> Shop:
    async with deps.database.connection() as conn:
        shop = await shops.get(conn, shop_id)
    if shop is None:
        raise StockwrightError("The shop was removed meanwhile.")
    return shop
