"""One look at a product: publish it, take it down, go on with a wave, or leave it alone, and why.

Pure. It compares what was read now with what is remembered; what an answer means is in `restock`.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from stockwright.automations import restock
from stockwright.automations.availability import Counted, Stock, stock_of, why_left_alone
from stockwright.automations.channels import told
from stockwright.automations.restock import Action, Memory, Wave
from stockwright.model import Channel, ProductRead, PublicationGid


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What the options say, with every name found in the shop."""

    quantity: int  # the least that counts as in stock
    channels: tuple[Channel, ...]
    where: Counted
    include_tags: tuple[str, ...]
    exclude_tags: tuple[str, ...]
    crossing_only: bool  # only a return to stock publishes, not being in stock
    unpublish: bool
    grace_s: float  # below for this long before it is taken down
    wants_mail: bool


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The circumstances of a look."""

    now: datetime
    nonce: str
    manual: bool = False  # a person asked: the level decides, and what was given up is tried again
    observing: bool = False  # the automation was just installed or changed: nothing is written to the shop
    by_scan: bool = False


@dataclass(frozen=True, kw_only=True)
class Look:
    """What comes of it: words, the new memory, waves touched, and the wave to be sent."""

    because: str
    memory: Memory
    waves: tuple[Wave, ...] = ()
    send: Wave | None = None
    wake_at: datetime | None = None
    outcome: str = ""  # for the counts of a scan: publish, unpublish, published, below, left, waiting


def look(rule: Rule, memory: Memory, product: ProductRead, moment: Moment) -> Look:
    """What to do about a product that exists.

    Raises:
        ValueError: where it is published was not read.
    """
    if product.published_on is None:
        raise ValueError(f"{product.id} was read without where it is published")
    stock = stock_of(product, rule.where)
    facts = _Facts(
        rule=rule,
        product=product,
        stock=stock,
        published_on=product.published_on,
        why_not=why_left_alone(
            product, stock, include_tags=rule.include_tags, exclude_tags=rule.exclude_tags
        ),
        was=memory.quantity if memory.counted_at == rule.where.names else None,
        moment=moment,
    )
    memory = _remembered(facts, memory)
    if memory.wave is not None:
        return _go_on(facts, memory, memory.wave)
    return _decide(facts, memory)


@dataclass(frozen=True, kw_only=True)
class _Facts:
    rule: Rule
    product: ProductRead
    stock: Stock
    published_on: Collection[PublicationGid]
    why_not: str  # why it is left alone; "" = it is not
    was: int | None  # stock at the last look, counted alike
    moment: Moment

    @property
    def in_stock(self) -> bool:
        return self.stock.quantity >= self.rule.quantity

    @property
    def came_back(self) -> bool:
        """A crossing that was seen from both sides."""
        return self.was is not None and self.was < self.rule.quantity <= self.stock.quantity

    @property
    def fell(self) -> bool:
        return self.was is not None and self.stock.quantity < self.rule.quantity <= self.was

    @property
    def level_counts(self) -> bool:
        """Whether standing on one side is enough, without a crossing."""
        return self.moment.manual or not self.rule.crossing_only

    def told(self) -> str:
        """The stock in words, with what was not counted."""
        place = f" at {self.rule.where.names}" if self.rule.where.names else ""
        left = (
            f" ({len(self.stock.untracked)} untracked variant(s) not counted)" if self.stock.untracked else ""
        )
        return f"{self.stock.quantity} available{place}{left}"


def _remembered(facts: _Facts, memory: Memory) -> Memory:
    """What this look adds to the memory, whatever is decided."""
    fresh = not facts.in_stock or facts.moment.manual
    return replace(
        memory,
        title=facts.product.title,
        quantity=facts.stock.quantity,
        counted_at=facts.rule.where.names,
        below_since=_below_since(facts, memory),
        given_up=() if fresh else memory.given_up,
    )


def _below_since(facts: _Facts, memory: Memory) -> datetime | None:
    if facts.in_stock or facts.why_not or not facts.rule.unpublish:
        return None
    if memory.below_since is not None:
        return memory.below_since
    return facts.moment.now if facts.fell or facts.level_counts else None


# --- a wave that is open ----------------------------------------------------------------------------------


def _go_on(facts: _Facts, memory: Memory, wave: Wave) -> Look:
    chosen = {one.id for one in facts.rule.channels}
    wave = replace(wave, wanted=tuple(one for one in wave.wanted if one.id in chosen))
    wave = restock.seen(wave, facts.published_on)
    if not wave.remaining:
        return _over(memory, restock.closed(wave, "done"), _confirmed_by_reading(facts, wave))
    unfit = _why_unfit(facts, wave)
    if unfit:
        after = _decide(facts, replace(memory, wave=None))
        waves = (restock.closed(wave, unfit), *after.waves)
        return replace(after, because=f"Stopped: {unfit}. {after.because}", waves=waves)
    waits = _waits(facts, wave)
    if waits is not None:
        because = f"Under way since {wave.opened_at:%H:%M:%S} UTC; goes on at {waits:%H:%M:%S} UTC."
        kept = replace(memory, wave=wave)
        return Look(because=because, memory=kept, waves=(wave,), wake_at=waits, outcome="waiting")
    if wave.sends >= restock.SENDS:
        settled = restock.give_up(memory, wave)
        return _over(settled.memory, settled.wave, f"Given up after {wave.sends} tries without an answer.")
    channels = wave.fresh or wave.remaining
    return _send(facts, memory, wave, channels, f"The last try left {told(channels)} open; trying again.")


def _confirmed_by_reading(facts: _Facts, wave: Wave) -> str:
    done = "published to" if wave.action is Action.PUBLISH else "off"
    return (
        f"The shop shows it {done} {told(wave.confirmed)}: nothing is left to be done, with {facts.told()}."
    )


def _over(memory: Memory, wave: Wave, because: str) -> Look:
    return Look(because=because, memory=replace(memory, wave=None), waves=(wave,), outcome="published")


def _why_unfit(facts: _Facts, wave: Wave) -> str:
    if facts.why_not:
        return facts.why_not
    if wave.action is Action.PUBLISH and not facts.in_stock:
        return f"only {facts.told()} now"
    if wave.action is Action.UNPUBLISH and facts.in_stock:
        return f"{facts.told()} again"
    if wave.action is Action.UNPUBLISH and not facts.rule.unpublish:
        return "products are not taken down any more"
    return ""


def _waits(facts: _Facts, wave: Wave) -> datetime | None:
    """When the wave may go on; None: now. A request of this product's own last run was not answered."""
    now, sender_gone = facts.moment.now, not wave.by_scan and not facts.moment.by_scan
    if wave.sending_until is not None and wave.sending_until > now and not sender_gone:
        return wave.sending_until
    if wave.not_before is not None and wave.not_before > now:
        return wave.not_before
    if not wave.fresh and wave.retry_refused_at is not None and wave.retry_refused_at > now:
        return None if facts.moment.manual else wave.retry_refused_at
    return None


# --- no wave ----------------------------------------------------------------------------------------------


def _decide(facts: _Facts, memory: Memory) -> Look:
    if facts.why_not:
        return Look(because=f"Left alone: {facts.why_not}.", memory=memory, outcome="left")
    return _in_stock(facts, memory) if facts.in_stock else _below(facts, memory)


def _in_stock(facts: _Facts, memory: Memory) -> Look:
    rule = facts.rule
    missing = tuple(one for one in rule.channels if one.id not in facts.published_on)
    if not missing:
        because = f"{facts.told()}, and published to {told(rule.channels)} already: nothing to do."
        return Look(because=because, memory=memory, outcome="published")
    if not facts.came_back and not facts.level_counts:
        because = (
            f"{facts.told()}, as before: only a return to stock publishes, so what somebody hid from "
            f"{told(missing)} stays hidden."
        )
        return Look(because=because, memory=memory, outcome="published")
    if facts.moment.observing:
        because = f"{facts.told()}, but not published to {told(missing)}. This first look only takes notes."
        return Look(because=because, memory=memory, outcome="waiting")
    given_up = {one.channel for one in memory.given_up}
    open_to = tuple(one for one in missing if one not in given_up)
    if not open_to:
        return Look(because=_refused_before(facts, memory), memory=memory, outcome="left")
    wave = _opened(facts, Action.PUBLISH, open_to, wants_mail=rule.wants_mail)
    because = f"{facts.told()}, at least {rule.quantity} needed: publish to {told(open_to)}."
    return _send(facts, memory, wave, open_to, because)


def _refused_before(facts: _Facts, memory: Memory) -> str:
    said = "; ".join(f"{one.channel.name}: {one.message}" for one in memory.given_up)
    return (
        f"{facts.told()}, but the channels that are left refused it again and again ({said}). They are tried "
        "again when it comes back to stock once more, or when somebody runs the automation."
    )


def _below(facts: _Facts, memory: Memory) -> Look:
    rule, now = facts.rule, facts.moment.now
    because = f"{facts.told()}, at least {rule.quantity} needed to publish it."
    shown = tuple(one for one in rule.channels if one.id in facts.published_on)
    if memory.below_since is None or not shown:
        return Look(because=because, memory=memory, outcome="below")
    due = memory.below_since + timedelta(seconds=rule.grace_s)
    if now < due or facts.moment.observing:
        because += f" It is taken down at {due:%Y-%m-%d %H:%M:%S} UTC unless it comes back before."
        return Look(because=because, memory=memory, wake_at=due, outcome="below")
    wave = _opened(facts, Action.UNPUBLISH, shown, wants_mail=False)
    if rule.crossing_only:
        memory = replace(memory, below_since=None)  # what a person publishes again meanwhile stays
    return _send(facts, memory, wave, shown, f"{because} Take it down from {told(shown)}.")


def _opened(facts: _Facts, action: Action, channels: tuple[Channel, ...], *, wants_mail: bool) -> Wave:
    return Wave(
        wave_id=restock.wave_id(facts.moment.nonce, facts.product.id),
        action=action,
        title=facts.product.title,
        quantity=facts.stock.quantity,
        wanted=channels,
        opened_at=facts.moment.now,
        by_scan=facts.moment.by_scan,
        wants_mail=wants_mail,
    )


def _send(facts: _Facts, memory: Memory, wave: Wave, channels: tuple[Channel, ...], because: str) -> Look:
    wave = replace(wave, by_scan=facts.moment.by_scan)
    wave = restock.sending(wave, channels, facts.moment.now)
    return Look(
        because=because,
        memory=replace(memory, wave=wave),
        waves=(wave,),
        send=wave,
        wake_at=wave.sending_until,
        outcome=wave.action.value,
    )
