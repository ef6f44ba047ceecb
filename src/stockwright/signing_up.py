"""A shopper asks to be told when a variant is back: the server judges from fresh stock, and stores one request.

The answer is the same whoever's address it is and whatever is known of it. Everything that is stored of a sign-up,
its mail included, is one transaction. Knows nothing of HTTP.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

import structlog

from stockwright import notify_settings
from stockwright.automations.notify_options import NotifyOptions
from stockwright.deps import Deps
from stockwright.fresh_products import FreshProducts, Look
from stockwright.model import ItemGid, JsonObject, ProductGid, VariantGid
from stockwright.notify.addresses import AddressRefused, Refusal, checked_name, normalise
from stockwright.notify.catalogue import ShownProduct, ShownVariant
from stockwright.notify.gating import Gate, Why
from stockwright.notify.limits import Buckets, Limits, Who, buckets, window_of
from stockwright.notify.links import variant_url
from stockwright.notify.mail_data import product_data
from stockwright.notify.texts import Words, words
from stockwright.notify_settings import Enabled
from stockwright.offering import gate
from stockwright.signup_mail import NO_PUBLIC_URL, Told, ask_again, ask_to_confirm, confirm_request
from stockwright.store import signups, storefront_texts, suppressions
from stockwright.store.database import Collided, Connection, Unreachable
from stockwright.store.ids import new_id
from stockwright.store.shops import Shop
from stockwright.store.signups import NewRequest, RequestRow

LOG = structlog.get_logger(__name__)

MOST_UNITS = 1000
_TRIES = 3  # of a transaction that met another
_WORDING_LIMIT = 1000
_PAGE_LIMIT = 500
_ASKED_TO_STOP = frozenset({"unsubscribed", "erased"})  # by the person: a confirmed sign-up lifts it


class Said(StrEnum):
    """What the shopper is told: names of storefront texts."""

    SIGNED_UP = "signed_up"
    CHECK_MAIL = "check_mail"
    IN_STOCK = "in_stock"
    EMAIL_MISSING = "email_missing"
    INVALID_EMAIL = "invalid_email"
    NAME_INVALID = "name_invalid"
    TOO_MANY = "too_many"
    TOO_FAST = "too_fast"
    NOT_OFFERED = "not_offered"
    SIGN_IN_FIRST = "sign_in_first"
    UNAVAILABLE = "unavailable"


TAKEN = frozenset({Said.SIGNED_UP, Said.CHECK_MAIL})
FIELDS = {Said.EMAIL_MISSING: "email", Said.INVALID_EMAIL: "email", Said.NAME_INVALID: "first_name"}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a form says, as it came: nothing is checked yet but types and lengths."""

    email: str
    variant_id: str  # gid
    source: str  # proxy | direct
    product_id: str = ""  # gid; "" = to be found out
    first_name: str = ""
    quantity: int = 1
    locale: str = "en"  # checked
    page: str = ""
    wording: str = ""  # what the page said that people agree to; "" = our text
    customer_id: str = ""  # gid; "" = guest. Only from a signed request
    client: str = ""  # network address; "" = not known
    trap: str = ""  # a field that people do not see
    elapsed_s: float | None = None  # from the opening of the form; None = the page does not tell


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of it."""

    said: Said
    link: str = ""  # to the item that is in stock
    item: str = ""


@dataclass(frozen=True, kw_only=True)
class _Item:
    """The variant that somebody may ask about."""

    product: ShownProduct
    variant: ShownVariant
    offer_id: str


@dataclass(frozen=True, kw_only=True)
class _Case:
    """All that a sign-up is stored by."""

    shop: Shop
    found: Enabled
    wish: Wish  # its address and name checked
    item: _Item
    words: Words
    address_hash: bytes
    at: datetime

    @property
    def options(self) -> NotifyOptions:
        return self.found.options

    @property
    def said(self) -> Said:
        """What everybody is told who signs up now."""
        return Said.CHECK_MAIL if self.options.double_opt_in else Said.SIGNED_UP


class _OverLimit(Exception):
    """A counter is full; the transaction must leave nothing."""


async def sign_up(deps: Deps, products: FreshProducts, shop: Shop, wish: Wish) -> Answer:
    """Take a sign-up, or say why not."""
    try:
        wish = replace(wish, email=normalise(wish.email), first_name=checked_name(wish.first_name))
    except AddressRefused as error:
        return Answer(said=_refused(error.why))
    async with deps.database.connection() as conn:
        found = await notify_settings.enabled(conn, shop.shop_id)
    if found is None:
        return Answer(said=Said.NOT_OFFERED)
    if (early := _before_judging(deps, found.options, wish)) is not None:
        return Answer(said=early)
    judged = await _judge(deps, products, shop, wish)
    if isinstance(judged, Answer):
        return judged
    return await _take(deps, shop, found, wish, judged)


def _refused(why: Refusal) -> Said:
    return Said(why.value)


def _before_judging(deps: Deps, options: NotifyOptions, wish: Wish) -> Said | None:
    """What needs no look at the stock. A robot that fills every field is told that all went well."""
    if wish.trap:
        return Said.CHECK_MAIL if options.double_opt_in else Said.SIGNED_UP
    if wish.elapsed_s is not None and wish.elapsed_s < options.minimum_form_s:
        return Said.TOO_FAST
    if not options.guests and not wish.customer_id:
        return Said.SIGN_IN_FIRST
    if options.double_opt_in and deps.mailing.public_url is None:
        LOG.error("nobody can sign up", reason=NO_PUBLIC_URL)
        return Said.UNAVAILABLE
    return None


# --- may it be asked about? -----------------------------------------------------------------------------------


async def _judge(deps: Deps, products: FreshProducts, shop: Shop, wish: Wish) -> _Item | Answer:
    """The item, by its stock now; by what was last known when the shop does not answer."""
    product_id = wish.product_id or await _product_of(deps, products, shop, wish.variant_id)
    if not product_id:
        return Answer(said=Said.NOT_OFFERED)
    async with deps.database.connection() as conn:
        is_known = await signups.last_known(conn, shop.shop_id, product_id, wish.variant_id)
    if is_known is None:  # no offer has it: nothing that the shop could say would change that
        return Answer(said=Said.NOT_OFFERED)
    look = await products.look(shop.shop_id, product_id)
    product = (
        look.product
        if look.is_fresh
        else _stand_in(look, product_id, wish.variant_id, is_known, deps.clock())
    )
    variant = product.variant(wish.variant_id) if product else None
    if product is None or variant is None:
        return Answer(said=Said.NOT_OFFERED)
    if not look.is_fresh and is_known.is_in:
        return _in_stock(shop, product, variant)
    async with deps.database.connection() as conn:
        gates = await gate(conn, shop, product, deps.clock(), customer_id=wish.customer_id)
    return _by_gate(shop, product, variant, gates[variant.id])


async def _product_of(deps: Deps, products: FreshProducts, shop: Shop, variant_id: str) -> str:
    async with deps.database.connection() as conn:
        known = await signups.product_of_variant(conn, shop.shop_id, variant_id)
    return known or await products.product_of(shop.shop_id, variant_id)


def _stand_in(
    look: Look, product_id: str, variant_id: str, known: signups.LastKnown, now: datetime
) -> ShownProduct:
    """The product while its shop is silent: as it was last read; its stock as it was last seen, or none."""
    variant = look.product.variant(variant_id) if look.product else None
    if look.product is not None and variant is not None:
        levels = () if known.is_watched else variant.levels
        others = tuple(one for one in look.product.variants if one.id != variant_id)
        return replace(look.product, variants=(*others, replace(variant, levels=levels)))
    title = known.variant_title or "Default Title"
    return ShownProduct(
        id=ProductGid(product_id),
        title=known.product_title,
        handle="",
        status="ACTIVE",
        is_gift_card=False,
        variants=(ShownVariant(id=VariantGid(variant_id), title=title, item_id=ItemGid(""), tracked=True),),
        read_at=now,
    )


def _by_gate(shop: Shop, product: ShownProduct, variant: ShownVariant, found: Gate) -> _Item | Answer:
    if found.notify:
        return _Item(product=product, variant=variant, offer_id=found.offer_id)
    if found.reason in (Why.IN_STOCK, Why.UNTRACKED):
        return _in_stock(shop, product, variant)
    return Answer(said=Said.NOT_OFFERED)


def _in_stock(shop: Shop, product: ShownProduct, variant: ShownVariant) -> Answer:
    link = variant_url(product_page(shop, product), variant.id)
    return Answer(said=Said.IN_STOCK, link=link, item=_item_name(product.title, variant.name))


def product_page(shop: Shop, product: ShownProduct) -> str:
    """Where customers see a product; "" while its handle is not known."""
    if product.url or not product.handle:
        return product.url
    return f"https://{shop.primary_host or shop.domain}/products/{product.handle}"


def _item_name(product_title: str, variant_title: str) -> str:
    return f"{product_title} – {variant_title}" if variant_title else product_title


# --- storing it -----------------------------------------------------------------------------------------------


async def _take(deps: Deps, shop: Shop, found: Enabled, wish: Wish, item: _Item) -> Answer:
    async with deps.database.connection() as conn:
        own = await storefront_texts.own_texts(conn, shop.shop_id)
    case = _Case(
        shop=shop,
        found=found,
        wish=wish,
        item=item,
        words=words(wish.locale, own),
        address_hash=deps.keyring.address_hash(shop.shop_id, wish.email),
        at=deps.clock(),
    )
    said = await _in_transaction(deps, case)
    return Answer(said=said, item=_item_name(item.product.title, item.variant.name))


async def _in_transaction(deps: Deps, case: _Case) -> Said:
    """Store it; who meets another writer tries again. What cannot be stored is told, and nothing of it stays."""
    for _ in range(_TRIES):
        try:
            async with deps.database.connection() as conn, conn.transaction():
                return await _store(deps, conn, case)
        except _OverLimit:
            return Said.TOO_MANY
        except Collided:
            continue
        except Unreachable as error:
            LOG.warning("a sign-up could not be stored", shop=case.shop.domain, error=str(error))
            return Said.UNAVAILABLE
    LOG.warning("a sign-up met other writers again and again", shop=case.shop.domain)
    return Said.UNAVAILABLE


async def _store(deps: Deps, conn: Connection, case: _Case) -> Said:
    counters = _counters(deps, case)
    await _refuse_over_limit(conn, case, counters)
    await suppressions.hold(conn, [case.address_hash])
    reason = await suppressions.get(conn, case.shop.shop_id, case.address_hash)
    new = _request(case, reason)
    for _ in range(_TRIES):
        if await signups.insert(conn, case.shop.shop_id, new):
            await _use(conn, case, counters)
            await _follow(deps, conn, case, new)
            return case.said
        if new.state == "suppressed":
            return case.said
        row = await signups.lock_waiting(conn, case.shop.shop_id, case.address_hash, new.variant_id)
        if row is not None:
            await _again(deps, conn, case, row, needs_confirming=new.state == "unconfirmed")
            return case.said
    LOG.warning("a waiting request came and went", shop=case.shop.domain)
    return Said.UNAVAILABLE


def _request(case: _Case, suppressed: str) -> NewRequest:
    wish, item = case.wish, case.item
    needs_confirming = case.options.double_opt_in or suppressed in _ASKED_TO_STOP
    state, reason = ("unconfirmed", "") if needs_confirming else ("pending", "")
    if suppressed and suppressed not in _ASKED_TO_STOP:
        state, reason = "suppressed", f"The address is not mailed: it is {suppressed}."
    return NewRequest(
        subscriber_id=new_id("sub", case.at),
        email=wish.email,
        address_hash=case.address_hash,
        product_id=item.product.id,
        variant_id=item.variant.id,
        product_title=item.product.title,
        variant_title=item.variant.name,
        offer_id=item.offer_id,
        state=state,
        reason=reason,
        locale=wish.locale,
        first_name=wish.first_name,
        customer_id=wish.customer_id,
        quantity=min(max(wish.quantity, 1), MOST_UNITS),
        source=wish.source,
        page=_page(wish.page),
        consent=_consent(case),
        at=case.at,
    )


def _page(text: str) -> str:
    """The path of a page; what else an address can hold, such as a user's name or a campaign, is not kept."""
    try:
        return urlsplit(text).path[:_PAGE_LIMIT]
    except ValueError:
        return ""


def _consent(case: _Case) -> JsonObject:
    """What the person agreed to: the wording that the page showed."""
    wording = " ".join(case.wish.wording.split())[:_WORDING_LIMIT] or case.words.texts["consent"]
    return {
        "wording": wording,
        "version": hashlib.sha256(wording.encode(errors="replace")).hexdigest()[:12],
        "locale": case.words.locale,
        "at": case.at.isoformat(),
    }


async def _follow(deps: Deps, conn: Connection, case: _Case, new: NewRequest) -> None:
    """What a new request leads to, in the same transaction; jobs are woken last."""
    shop_id = case.shop.shop_id
    await signups.add_step(conn, shop_id, new.subscriber_id, "signed_up", detail=new.reason, at=case.at)
    match new.state:
        case "pending":
            await notify_settings.look_at(conn, shop_id, case.found, [new.product_id], at=case.at)
            if case.options.confirmation_mail:
                await confirm_request(
                    deps, conn, case.shop, new.subscriber_id, case.address_hash, _told(case), at=case.at
                )
        case "unconfirmed":
            await ask_to_confirm(deps, conn, case.shop, new.subscriber_id, _told(case), at=case.at)


async def _again(
    deps: Deps, conn: Connection, case: _Case, row: RequestRow, *, needs_confirming: bool
) -> None:
    """Somebody who waits already signs up again: no row, no limit used."""
    if row.state != "unconfirmed":
        return
    shop_id = case.shop.shop_id
    if not needs_confirming:
        await signups.activate(conn, shop_id, row.subscriber_id, confirmed_at=None)
        detail = "Addresses need not be confirmed any more."
        await signups.add_step(conn, shop_id, row.subscriber_id, "confirmed", detail=detail, at=case.at)
        await notify_settings.look_at(conn, shop_id, case.found, [row.product_id], at=case.at)
    else:
        await ask_again(deps, conn, case.shop, row, _told(case), at=case.at)


# --- limits ---------------------------------------------------------------------------------------------------


def _counters(deps: Deps, case: _Case) -> Buckets:
    limits = Limits(per_client=case.options.limit_per_client, per_address=case.options.limit_per_address)
    who = Who(client=case.wish.client, address=case.wish.email, variant_id=case.item.variant.id)
    return buckets(deps.keyring, case.shop.shop_id, limits, who)


async def _refuse_over_limit(conn: Connection, case: _Case, counters: Buckets) -> None:
    """Before anything is known of the address, so that a full counter tells nothing of it.

    Who repeats a sign-up of this window is not refused: the first answer is given once more.
    """
    if counters.own is None:
        return
    names = [*counters.limits, counters.own]
    counts = await signups.counts(conn, case.shop.shop_id, names, window_at=window_of(case.at))
    if counters.own not in counts and any(
        counts.get(name, 0) >= most for name, most in counters.limits.items()
    ):
        raise _OverLimit


async def _use(conn: Connection, case: _Case, counters: Buckets) -> None:
    """Count a new request; in one order, so that two of them never wait for each other."""
    most = dict(counters.limits)
    if counters.own is not None:
        most[counters.own] = 2**31 - 1
    for name in sorted(most):
        if not await signups.use(
            conn, case.shop.shop_id, name, window_at=window_of(case.at), most=most[name]
        ):
            raise _OverLimit


def _told(case: _Case) -> Told:
    url = product_page(case.shop, case.item.product)
    return Told(
        email=case.wish.email,
        first_name=case.wish.first_name,
        locale=case.wish.locale,
        product=product_data(case.item.product, [case.item.variant.id], url=url),
    )
