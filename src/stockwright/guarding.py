"""The re-check right before a message goes out that tells people of a restock: what is known now, no older than 5 s.

Reads the shop between transactions, people inside the one that begins the attempt. Decides nothing itself
(`notify.recheck` does).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from stockwright import notify_settings
from stockwright.automations.availability import counted
from stockwright.automations.notify_back_in_stock import rule_of, stock_of
from stockwright.automations.notify_options import NotifyOptions
from stockwright.deps import Deps, shop_as_read
from stockwright.model import Key, ProductGid, ShopId, StockwrightError
from stockwright.notify import DISABLED
from stockwright.notify.catalogue import ShownProduct
from stockwright.notify.handout import Policy, Sending
from stockwright.notify.recheck import Request, against
from stockwright.notify.restock import Stock
from stockwright.schedules import time_zone
from stockwright.shelf import FRESH_FOR, Glance
from stockwright.store import alert_mail, shops, suppressions, wake, waves
from stockwright.store.alert_mail import AlertRow, Dropped
from stockwright.store.database import Connection
from stockwright.store.messages import Claimed
from stockwright.store.shops import Shop

_UTC = ZoneInfo("UTC")
# Answers to people on our pages, and which reasons for not mailing an address stop them. Who asked to be left alone is
# still asked to confirm a later sign-up.
_BY_OTHERS = frozenset({"bounced", "complained", "refused"})
_STOPPED_BY = {
    "signup_confirmation": _BY_OTHERS | {"unsubscribed", "erased"},
    "double_opt_in": _BY_OTHERS,
    "unsubscribed": _BY_OTHERS,
}
NO_ADDRESS = (
    "STOCKWRIGHT_PUBLIC_URL is not set: a mail without a link to unsubscribe is not sent. Set it to the https "
    "address under which this service is reached."
)


@dataclass(frozen=True, kw_only=True)
class House:
    """What a shop's settings say of mail to shoppers."""

    shop: Shop
    options: NotifyOptions  # the defaults when no automation is enabled
    policy: Policy
    sending: Sending

    def stock_of(self, product: ShownProduct) -> Stock:
        """Units of each variant at the locations that count."""
        where = counted(shop_as_read(self.shop), self.options.location_names)
        return stock_of(product, where, self.options)


async def house_of(deps: Deps, conn: Connection, shop: Shop) -> House:
    """The shop's settings as they are now."""
    found = await notify_settings.enabled(conn, shop.shop_id)
    options = found.options if found else NotifyOptions()
    return House(
        shop=shop,
        options=options,
        policy=policy_of(options),
        sending=Sending(
            is_uninstalled=shop.status == "uninstalled",
            plan=shop.plan,
            disabled="" if found else DISABLED,
            no_address="" if deps.mailing.public_url else NO_ADDRESS,
            paused_shop=f"The shop is paused: {shop.status_reason}" if shop.status == "paused" else "",
        ),
    )


def policy_of(options: NotifyOptions) -> Policy:
    """What the options say of the hand-out."""
    return Policy(
        rule=rule_of(options),
        per_unit=options.people_per_unit if options.policy == "per_unit" else None,
        interval=timedelta(minutes=options.interval_minutes),
        paused=options.paused,
        quiet_from=options.quiet_from,
        quiet_until=options.quiet_until,
    )


async def glance(deps: Deps, shop_id: ShopId, product_id: str, *, since: datetime) -> Glance:
    """A product as it was at most 5 s ago, read at `since` or later.

    A read that failed counts as one, so that it is not repeated at once.
    """
    at = deps.clock()
    found = deps.shelf.fresh(shop_id, product_id, now=at, since=since)
    if found is None:
        found = await _read(deps, shop_id, product_id, at)
        deps.shelf.put(shop_id, product_id, found)
    return found


async def _read(deps: Deps, shop_id: ShopId, product_id: str, at: datetime) -> Glance:
    try:
        client = await deps.clients.for_shop(shop_id)
        product = await client.read_shown_product(ProductGid(product_id))
    except StockwrightError as error:
        return Glance(product=None, at=at, trouble=f"The shop could not be asked: {error}")
    return Glance(product=product, at=at)


# --- messages that are about to be sent -----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What speaks against messages: some are dropped, others wait until the shop answers; the rest may go."""

    dropped: tuple[Dropped, ...] = ()
    postponed: tuple[tuple[Claimed, str], ...] = ()
    touched: tuple[AlertRow, ...] = ()  # whose message is dropped


class Guard:
    """Looks at messages of one batch of a shop; reads what they are about anew, then every 5 s."""

    def __init__(self, deps: Deps, shop_id: ShopId) -> None:
        self._deps = deps
        self._shop_id = shop_id
        self._since = deps.clock()
        self._house: tuple[datetime, House] | None = None
        self._products: dict[str, str] = {}  # message id -> product id

    async def meet(self, conn: Connection, claimed: Sequence[Claimed]) -> None:
        """Learn which products messages are about; once, when they are claimed."""
        ids = [one.message_id for one in claimed if one.kind == alert_mail.KIND]
        rows = await alert_mail.alerts_of(conn, self._shop_id, ids) if ids else []
        self._products = {row.message_id: row.product_id for row in rows}

    def must_read(self, claimed: Sequence[Claimed]) -> bool:
        """Whether something has to be read before these messages can be judged."""
        now = self._deps.clock()
        products = self._products_of(claimed)
        is_known = all(self._seen(one, now) for one in products)
        return bool(products) and not (is_known and self._house_at(now))

    def _seen(self, product_id: str, now: datetime) -> Glance | None:
        return self._deps.shelf.fresh(self._shop_id, product_id, now=now, since=self._since)

    def _house_at(self, now: datetime) -> House | None:
        if self._house is None or abs(now - self._house[0]) > FRESH_FOR:
            return None
        return self._house[1]

    async def read(self, claimed: Sequence[Claimed]) -> None:
        """Read what is needed to judge these messages. Not within a transaction."""
        now = self._deps.clock()
        if self._house_at(now) is None:
            async with self._deps.database.connection() as conn:
                shop = await shops.get(conn, self._shop_id)
                self._house = (now, await house_of(self._deps, conn, shop)) if shop else None
        for product_id in self._products_of(claimed):
            await glance(self._deps, self._shop_id, product_id, since=self._since)

    def _products_of(self, claimed: Sequence[Claimed]) -> list[str]:
        found = (self._products.get(one.message_id) for one in claimed)
        return sorted({one for one in found if one is not None})

    async def judge(self, conn: Connection, claimed: Sequence[Claimed]) -> Verdicts:
        """What speaks against these messages, in the transaction that begins the attempts."""
        ours = [one for one in claimed if one.kind == alert_mail.KIND]
        dropped = await self._unwanted(conn, claimed)
        if not ours:
            return Verdicts(dropped=tuple(dropped))
        ids = [one.message_id for one in ours]
        rows: dict[str, list[AlertRow]] = defaultdict(list)
        await alert_mail.hold(conn, self._shop_id, ids)
        for row in await alert_mail.alerts_of(conn, self._shop_id, ids):
            rows[row.message_id].append(row)
        postponed, touched = [], []
        for one in ours:
            why, is_trouble = self._against(rows[one.message_id])
            if is_trouble:
                postponed.append((one, why))
            elif why:
                dropped.append(Dropped(message_id=one.message_id, fence=one.fence, reason=why))
                touched += rows[one.message_id]
        return Verdicts(dropped=tuple(dropped), postponed=tuple(postponed), touched=tuple(touched))

    async def _unwanted(self, conn: Connection, claimed: Sequence[Claimed]) -> list[Dropped]:
        """Answers to people who must not be mailed since they were made."""
        answers = [one for one in claimed if one.kind in _STOPPED_BY]
        if not answers:
            return []
        hashes = [self._deps.keyring.address_hash(self._shop_id, one.recipient) for one in answers]
        reasons = await suppressions.among(conn, self._shop_id, hashes)
        found = [
            (one, reasons.get(address_hash, "")) for one, address_hash in zip(answers, hashes, strict=True)
        ]
        return [
            Dropped(
                message_id=one.message_id,
                fence=one.fence,
                reason=f"The address is not mailed: it is {reason}.",
            )
            for one, reason in found
            if reason in _STOPPED_BY[one.kind]
        ]

    def _against(self, rows: Sequence[AlertRow]) -> tuple[str, bool]:
        """Why a message must not go, and whether that is only that the shop did not answer."""
        now, house = self._deps.clock(), self._house[1] if self._house else None
        if house is None or not rows:
            return "Nobody waits for this message any more.", False
        seen = self._seen(rows[0].product_id, now)
        if seen is None or seen.trouble:
            return (seen.trouble if seen else "The shop was not asked in time."), True
        product = seen.product
        stock = house.stock_of(product) if product is not None else {}
        zone = time_zone(house.shop.timezone) or _UTC
        requests = [_request(row) for row in rows]
        why = against(house.policy, house.sending, product, stock, requests, now=now, zone=zone)
        return why, False


def _request(row: AlertRow) -> Request:
    return Request(
        variant_id=row.variant_id,
        quantity=row.quantity,
        waits=row.state == "queued",
        has_address=row.has_address,
        is_suppressed=row.is_suppressed,
        is_told=row.telling in ("sent", "unknown"),
    )


async def look_anew(conn: Connection, shop_id: ShopId, touched: Sequence[AlertRow], at: datetime) -> None:
    """Have the waves looked at whose people wait on, or their products where the wave is over. Wakes keys."""
    keys: list[tuple[Key, datetime | None]] = []
    without: set[str] = set()
    for product_id, wave_id in sorted({(row.product_id, row.wave_id) for row in touched}):
        if await waves.look_at_wave_by(conn, shop_id, wave_id, at) is None:
            without.add(product_id)
        else:
            keys.append((waves.hand_out_key(shop_id, product_id), at))
    await wake.wake(conn, keys)
    found = await notify_settings.enabled(conn, shop_id) if without else None
    if found is not None:
        await notify_settings.look_at(conn, shop_id, found, sorted(without), at=at)
