"""`publish-back-in-stock`: a product whose available stock reaches a quantity is published to sales channels.

Staff get one mail per return to stock, after Shopify confirmed it. Optionally, what falls below is taken down.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from stockwright.automations import availability, places, restock
from stockwright.automations.channels import channels_named
from stockwright.automations.contract import (
    Claim,
    Effect,
    Facts,
    Names,
    Need,
    NoRead,
    PagePlan,
    Place,
    Plan,
    ReadProduct,
    Remember,
    RestockMail,
    Scan,
    Situation,
    Tally,
)
from stockwright.automations.options import NameList
from stockwright.automations.options import Options as AnyOptions
from stockwright.automations.restock import Memory
from stockwright.automations.restocking import Look, Moment, Rule, look
from stockwright.automations.stock_scan import NOT_READ
from stockwright.model import (
    ENABLED,
    INVENTORY_UPDATE,
    STAFF_MAIL,
    USER_TRIGGER,
    WHOLE_SHOP,
    Event,
    JsonObject,
    ProductGid,
    ProductRead,
    ShopRead,
    gid,
)

QUIET_S = 5.0  # a mail waits until nothing was published for this long,
LONGEST_WAIT_S = 60.0  # but never longer than this after the first product that it tells of
HELD_LIMIT_S = 3600.0  # products that a scan found wait for its end, but never longer than this
_MAILED_AT_ONCE = 5000  # products of one mail; it lists the first of them


def _an_address(text: object) -> object:
    """Only what cannot be an address is refused; whether one receives mail is seen by sending."""
    if not isinstance(text, str):
        return "" if text is None else text
    text = text.strip()
    name, _, host = text.rpartition("@")
    if text and (not name or "." not in host or any(c.isspace() or c in ",;<>" for c in text)):
        raise ValueError("this is not one e-mail address, such as stock@example.com")
    return text


class Options(AnyOptions):
    """When a product counts as back in stock, where it is published, and who is told."""

    quantity: int = Field(
        default=1,
        ge=1,
        le=1_000_000,
        title="Back-in-stock quantity",
        description="A product is in stock when at least this many are available in all.",
    )
    sales_channel_names: NameList = Field(
        min_length=1,
        title="Sales channels",
        description="Names of the sales channels to publish to, exactly as the shop shows them.",
    )
    include_tags: NameList = Field(
        default=(),
        title="Only products with any of these tags",
        description="None = all products. Upper and lower case are alike.",
    )
    exclude_tags: NameList = Field(
        default=(),
        title="Never products with any of these tags",
        description="These win over the tags above. Upper and lower case are alike.",
    )
    location_names: NameList = Field(
        default=(),
        title="Locations",
        description="Exact names of the locations whose stock counts; none = all active locations.",
    )
    email: Annotated[str, BeforeValidator(_an_address)] = Field(
        default="",
        max_length=254,
        title="Staff mail address",
        description="Who is told of products that were published; empty = nobody.",
    )
    when: Literal["is_in_stock", "becomes_in_stock"] = Field(
        default="is_in_stock",
        title="Publish when a product",
        description="is_in_stock: whatever is in stock at a look is published, also what somebody hid. "
        "becomes_in_stock: only a return from below the quantity publishes, so what somebody hid stays hidden; "
        "running it by hand publishes whatever is in stock.",
    )
    unpublish_below: bool = Field(
        default=False,
        title="Take products down that fall below the quantity",
        description="Unpublish a product from the same channels when less than the quantity is left.",
    )
    unpublish_grace_s: float = Field(
        default=900.0,
        ge=0,
        le=2_592_000,
        title="Grace time before a product is taken down, in seconds",
        description="A product that comes back within this time stays published.",
    )


class PublishBackInStock:
    """See the module."""

    kind = "publish-back-in-stock"
    title = "Publish back-in-stock products"
    summary = "A product that is back in stock is published to sales channels, and staff get one mail."
    options: type[Options] = Options
    topics: tuple[str, ...] = (INVENTORY_UPDATE, USER_TRIGGER, "mechanic/scheduler/hourly")
    scopes: tuple[str, ...] = (
        "read_products",
        "read_inventory",
        "read_locations",
        "read_publications",
        "write_publications",
    )
    shares_stock = False
    watches_restocks = True
    tells_shoppers = False

    def names(self, options: Options) -> Names:
        """The names that must exist in the shop."""
        return Names(locations=options.location_names, sales_channels=options.sales_channel_names)

    def search(self, options: Options) -> str:
        """The product search that finds what is in scope; what it finds is read and judged one by one."""
        tagged = places.any_of("tag", options.include_tags)
        return f"status:active AND {tagged}" if tagged else "status:active"

    def location_ids(self, options: Options, shop: ShopRead) -> frozenset[str]:
        """The locations whose stock counts."""
        return places.locations_of(places.places_named(shop, options.location_names))

    def needs(self, situation: Situation[Options]) -> Need:
        """What must be read for these events; nothing when none of them can change anything."""
        if situation.subject == STAFF_MAIL:
            return NoRead()
        rule = _rule(situation)  # wrong names are told before anything is read
        channels = max(1, len(situation.shop.channels))
        if situation.subject == WHOLE_SHOP:
            return Scan(searches=(self.search(situation.options),), channels=channels)
        memory = situation.memory_of(ProductGid(situation.subject))
        if _is_due(rule, memory, situation.now) or any(_matters(rule, one) for one in situation.events):
            return ReadProduct(product_id=memory.product_id, channels=channels)
        return NoRead()

    def decide(self, situation: Situation[Options], facts: Facts) -> Plan:
        """What to do about one product, or which products to tell staff of."""
        if situation.subject == STAFF_MAIL:
            return _staff_mail(situation)
        memory = situation.memory_of(ProductGid(situation.subject))
        if isinstance(self.needs(situation), NoRead):
            return _without_read(_rule(situation), memory, situation)
        if facts.product is None:
            return _gone(memory)
        looked = look(_rule(situation), memory, facts.product, _moment(situation))
        return Plan(
            because=looked.because,
            remember=_remember(memory, looked),
            effects=_effects(memory.product_id, looked),
            wake_at=looked.wake_at,
            title=facts.product.title,
        )

    def decide_page(
        self,
        situation: Situation[Options],
        page: Sequence[ProductRead],
        claims: Sequence[Claim],  # noqa: ARG002 - publishing holds no level
    ) -> PagePlan:
        """What to do about one page of products."""
        rule, moment = _rule(situation), replace(_moment(situation), by_scan=True)
        remember: list[Remember] = []
        effects: list[Effect] = []
        counts: dict[str, int] = {}
        for product in page:
            memory = situation.memory_of(product.id)
            looked = look(rule, memory, product, moment)
            remember += _remember(memory, looked)
            effects += _effects(product.id, looked)
            counts[looked.outcome] = counts.get(looked.outcome, 0) + 1
        return PagePlan(remember=tuple(remember), effects=tuple(effects), in_scope=len(page), counts=counts)

    def conclude(self, situation: Situation[Options], tally: Tally) -> Plan:
        """What to say of a whole scan."""
        return Plan(because=_told(situation, tally), error=_complaint(tally))


def _rule(situation: Situation[Options]) -> Rule:
    options, shop = situation.options, situation.shop
    places.check_locations(shop, options.location_names)
    return Rule(
        quantity=options.quantity,
        channels=channels_named(shop, options.sales_channel_names),
        where=availability.counted(shop, options.location_names),
        include_tags=options.include_tags,
        exclude_tags=options.exclude_tags,
        crossing_only=options.when == "becomes_in_stock",
        unpublish=options.unpublish_below,
        grace_s=options.unpublish_grace_s,
        wants_mail=bool(options.email),
    )


def _moment(situation: Situation[Options]) -> Moment:
    asked = [event.payload.get("asked_by", event.topic) for event in situation.events]
    return Moment(
        now=situation.now,
        nonce=situation.nonce,
        manual=USER_TRIGGER in asked,
        observing=bool(asked) and all(topic == ENABLED for topic in asked),
    )


# --- events that need no read ---------------------------------------------------------------------------


def _matters(rule: Rule, event: Event) -> bool:
    """False only for a level at a location that does not count: it cannot bring the product back."""
    location = event.payload.get("location_id") if event.topic == INVENTORY_UPDATE else None
    return not isinstance(location, int) or rule.where.holds(gid("Location", location))


def _is_due(rule: Rule, memory: Memory, now: datetime) -> bool:
    at = _next_at(rule, memory, now)
    return at is not None and at <= now


def _next_at(rule: Rule, memory: Memory, now: datetime) -> datetime | None:
    """When the product is looked at without an event: a wave goes on, or its grace time ends."""
    wave = memory.wave
    if wave is not None and wave.sending_until is not None and not wave.by_scan:
        return now  # its own last run ended before the answer came
    if wave is not None:
        return restock.next_at(wave, now)
    if memory.below_since is None or not rule.unpublish:
        return None
    return memory.below_since + timedelta(seconds=rule.grace_s)


def _without_read(rule: Rule, memory: Memory, situation: Situation[Options]) -> Plan:
    because = (
        "The level that changed is at a location whose stock does not count here: nothing was read."
        if situation.events
        else "Nothing waits for this product."
    )
    return Plan(because=because, title=memory.title, wake_at=_next_at(rule, memory, situation.now))


# --- one product ------------------------------------------------------------------------------------------


def _gone(memory: Memory) -> Plan:
    waves = (restock.closed(memory.wave, "the product no longer exists"),) if memory.wave else ()
    forget = Remember(product_id=memory.product_id, was_version=memory.version, memory=None, waves=waves)
    return Plan(
        because="The product no longer exists: nothing to do.",
        remember=(forget,) if memory.version else (),
        title=memory.title,
    )


def _remember(memory: Memory, looked: Look) -> tuple[Remember, ...]:
    """What changed, if anything did: an event that tells nothing new costs no write."""
    if looked.memory == memory and not looked.waves:
        return ()
    return (
        Remember(
            product_id=memory.product_id,
            was_version=memory.version,
            memory=looked.memory,
            waves=looked.waves,
        ),
    )


def _effects(product_id: ProductGid, looked: Look) -> tuple[Effect, ...]:
    return (Place(product_id=product_id, wave=looked.send),) if looked.send else ()


# --- the mail -----------------------------------------------------------------------------------------------


def _staff_mail(situation: Situation[Options]) -> Plan:
    """One mail of everything that was confirmed, once it is quiet; scans are told of as a whole."""
    now = situation.now
    held_limit = now - timedelta(seconds=HELD_LIMIT_S)
    ready = [one for one in situation.unmailed if not one.held or one.confirmed_at <= held_limit]
    held = [one.confirmed_at + timedelta(seconds=HELD_LIMIT_S) for one in situation.unmailed if one.held]
    if not ready or not situation.options.email:
        return Plan(because="No product waits to be told of.", wake_at=min(held, default=None))
    times = [one.confirmed_at for one in ready]
    due = min(max(times) + timedelta(seconds=QUIET_S), min(times) + timedelta(seconds=LONGEST_WAIT_S))
    if now < due:
        return Plan(because="More products may come.", wake_at=due)
    told = ready[:_MAILED_AT_ONCE]
    mail = RestockMail(
        key=restock.mail_key([one.wave_id for one in told]),
        to=situation.options.email,
        products=tuple(told),
    )
    return Plan(
        because=f"{_count(len(told), 'product')} back in stock and published: one mail to {mail.to}.",
        effects=(mail,),
        again=len(told) < len(ready),
        wake_at=min(held, default=None),
        title="Staff mail",
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


# --- a whole scan -------------------------------------------------------------------------------------------


def _told(situation: Situation[Options], tally: Tally) -> str:
    count = tally.counts
    first = (
        "This first look only took notes. "
        if situation.events and all(event.topic == ENABLED for event in situation.events)
        else ""
    )
    parts = [
        f"{_count(count.get('publish', 0), 'product')} published",
        f"{count.get('published', 0)} in stock that needed nothing",
        f"{count.get('below', 0)} below the quantity",
        f"{count.get('left', 0)} left alone",
    ]
    if count.get("unpublish"):
        parts.insert(1, f"{count['unpublish']} taken down")
    if count.get("waiting"):
        parts.append(f"{count['waiting']} in stock and not published yet")
    if tally.woken:
        parts.append(f"{tally.woken} to be looked at one by one")
    return f"{first}Looked at {tally.in_scope} active products: {', '.join(parts)}."


def _complaint(tally: Tally) -> JsonObject | None:
    if tally.refused_count:
        more = tally.refused_count - len(tally.refused)
        return {
            "message": "Some sales channels refused some products. They are tried again a few times.",
            "products_refused": list(tally.refused),
            **({"and_more": more} if more else {}),
        }
    if tally.unread_count:
        return {"message": NOT_READ, "products_not_read": list(tally.unread)}
    return None
