"""How a wave is handed out: when the next people are told, of which variants, and how many. Pure.

Everything that speaks against telling anybody now has a reason that people read.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from stockwright.model import VariantGid
from stockwright.notify.catalogue import ShownProduct
from stockwright.notify.quiet import quiet_until
from stockwright.notify.restock import Rule, Stock

BATCH = 50  # people told in one transaction
ON_THE_WAY = 1000  # messages of a wave that wait to be sent; more people are told when there are fewer
LOOK_AGAIN = timedelta(minutes=1)  # at what holds a wave
LET_SEND = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the options say of the hand-out."""

    rule: Rule
    per_unit: float | None  # people told per unit and turn; None = everyone at once
    interval: timedelta
    paused: bool = False
    quiet_from: str = ""
    quiet_until: str = ""


@dataclass(frozen=True, kw_only=True)
class Sending:
    """Whether this shop may mail shoppers at all; every text is "" when nothing speaks against it."""

    is_uninstalled: bool = False
    plan: str = "premium"
    disabled: str = ""  # why no automation of the feature is at work
    no_server: str = ""
    no_address: str = ""  # without an address of ours nobody could unsubscribe
    paused_shop: str = ""


@dataclass(frozen=True, kw_only=True)
class WaveVariant:
    """A variant of a wave that is not over."""

    variant_id: VariantGid
    ready_at: datetime
    told: int = 0  # people of the wave
    told_in_turn: int = 0
    turn_at: datetime | None = None  # when the current turn began
    turn_limit: int | None = None  # people of the current turn


@dataclass(frozen=True, kw_only=True)
class Wave:
    """An open wave."""

    wave_id: str
    settle_until: datetime
    variants: tuple[WaveVariant, ...]
    told: int = 0  # people so far, of variants that are over too


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Tell nobody now; look again at `until`."""

    state: str  # settling | sending | resting | held
    reason: str
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Close:
    """The wave is over."""

    state: str  # done | dropped
    reason: str


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many more people may be told of a variant now, and what turn that is."""

    variant_id: VariantGid
    units: int | None  # in stock; None = it never runs out
    most: int | None  # None: as many as wait
    turn_at: datetime | None = None
    turn_limit: int | None = None
    begins: bool = False  # a new turn


@dataclass(frozen=True, kw_only=True)
class Give:
    """Tell the next people of these variants."""

    shares: tuple[Share, ...]
    next_turn: datetime | None = None  # when those that have had their turn go on


Turn = Hold | Close | Give


def before_reading(
    policy: Policy, sending: Sending, wave: Wave, *, on_the_way: int, now: datetime, zone: ZoneInfo
) -> Hold | Close | None:
    """What can be said without looking at the product; None: look."""
    if sending.is_uninstalled:
        return Close(state="dropped", reason="The app was uninstalled from the shop.")
    why = why_held(policy, sending)
    if why:
        return Hold(state="held", reason=why, until=now + LOOK_AGAIN)
    if now < wave.settle_until:
        reason = "It waits whether the stock stays."
        return Hold(state="settling", reason=reason, until=wave.settle_until)
    quiet = quiet_until(policy.quiet_from, policy.quiet_until, now=now, zone=zone)
    if quiet is not None:
        return Hold(state="held", reason=f"Quiet hours until {policy.quiet_until}.", until=quiet)
    if on_the_way >= ON_THE_WAY:
        reason = f"{on_the_way} messages wait to be sent; more are made when there are fewer."
        return Hold(state="sending", reason=reason, until=now + LET_SEND)
    return None


def why_held(policy: Policy, sending: Sending) -> str:
    """What keeps the whole shop from being mailed for; "" = nothing."""
    if sending.paused_shop:
        return sending.paused_shop
    if sending.plan != "premium":
        return "The shop is on the free plan; back-in-stock notifications need the premium plan."
    if sending.disabled:
        return sending.disabled
    if policy.paused:
        return "Notifications are paused (option “Pause all notifications”)."
    return sending.no_server or sending.no_address


def turn(policy: Policy, wave: Wave, product: ShownProduct, stock: Stock, *, now: datetime) -> Turn:
    """What the stock allows now. `stock` has every variant of the product."""
    going_on = [
        one for one in wave.variants if one.variant_id in stock and not _is_out(stock[one.variant_id])
    ]
    if not going_on:
        state = "done" if wave.told else "dropped"
        return Close(state=state, reason="All its variants are sold out again, or deleted.")
    if not product.is_published:
        return Hold(state="held", reason="The product is not published.", until=now + LOOK_AGAIN)
    ready = [one for one in going_on if one.ready_at <= now]
    if not ready:
        reason = "It waits whether the stock stays."
        return Hold(state="settling", reason=reason, until=min(one.ready_at for one in going_on))
    enough = [one for one in ready if policy.rule.is_at_threshold(stock[one.variant_id])]
    if not enough:
        return Hold(state="held", reason=_too_few(policy, ready, stock), until=now + LOOK_AGAIN)
    return _shared(policy, enough, stock, now)


def _is_out(available: int | None) -> bool:
    return available is not None and available <= 0


def _too_few(policy: Policy, ready: Sequence[WaveVariant], stock: Stock) -> str:
    most = max((stock[one.variant_id] or 0) for one in ready)
    return f"{most} available, at least {policy.rule.quantity} needed."


def _shared(policy: Policy, variants: Sequence[WaveVariant], stock: Stock, now: datetime) -> Hold | Give:
    shares = [_share(policy, one, stock[one.variant_id], now) for one in variants]
    giving = tuple(one for one in shares if one.most is None or one.most > 0)
    waiting = [
        one.turn_at + policy.interval for one in shares if one not in giving and one.turn_at is not None
    ]
    next_turn = min(waiting, default=None)
    if not giving:
        assert next_turn is not None, "a share is used up in a turn"
        reason = f"The people told have the stock to themselves for {_minutes(policy.interval)}."
        return Hold(state="resting", reason=reason, until=next_turn)
    return Give(shares=giving, next_turn=next_turn)


def _share(policy: Policy, variant: WaveVariant, units: int | None, now: datetime) -> Share:
    if policy.per_unit is None or units is None:
        return Share(variant_id=variant.variant_id, units=units, most=None)
    begins = variant.turn_at is None or now >= variant.turn_at + policy.interval
    if begins:
        limit = people_for(units, policy.per_unit)
        return Share(
            variant_id=variant.variant_id, units=units, most=limit, turn_at=now, turn_limit=limit, begins=True
        )
    limit = variant.turn_limit or 0
    return Share(
        variant_id=variant.variant_id,
        units=units,
        most=max(0, limit - variant.told_in_turn),
        turn_at=variant.turn_at,
        turn_limit=limit,
    )


def people_for(units: int, per_unit: float) -> int:
    """How many people are told of so many units: at most `units * per_unit`, but one where that is less."""
    return max(1, math.floor(round(units * per_unit, 6)))


def _minutes(interval: timedelta) -> str:
    minutes = round(interval.total_seconds() / 60)
    return f"{minutes} minute" if minutes == 1 else f"{minutes} minutes"


# --- nobody is left who could be told now --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Left:
    """People who still wait for a variant of the wave and were not chosen."""

    people: int = 0
    rested_at: datetime | None = None  # when the first of those told lately may be told again
    too_many: int = 0  # who want more units than there are


def when_nobody(give: Give, left: Left, *, told: int, later: datetime | None, now: datetime) -> Hold | Close:
    """What becomes of the wave; `later`: when a variant that came back after the others is ready."""
    waits = [at for at in (give.next_turn, left.rested_at, later) if at is not None]
    if left.people or later is not None:
        reason = "Those who wait were told of the variant a short while ago, or have another turn."
        return Hold(state="resting", reason=reason, until=max(min(waits, default=now), now + LET_SEND))
    if left.too_many:
        people = "person wants" if left.too_many == 1 else "people want"
        return Close(
            state="done", reason=f"{left.too_many} {people} more units than there are; they go on waiting."
        )
    reason = "Everybody who waited was told." if told else "Nobody waits any more."
    return Close(state="done", reason=reason)


# --- choosing people -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One request that waits in line."""

    subscriber_id: str
    address: bytes  # keyed hash: the same for all requests of one person
    variant_id: VariantGid


def choose(
    in_line: Sequence[Candidate], besides: Sequence[Candidate], shares: Mapping[VariantGid, int | None]
) -> list[list[Candidate]]:
    """The requests to be told of, by person, in the order of the line and within each variant's share.

    `besides` are the other requests of those people; they are told of in the same message.
    """
    left = dict(shares)
    chosen: dict[bytes, list[Candidate]] = {}
    for one in in_line:
        if _takes(left, one):
            chosen.setdefault(one.address, []).append(one)
    for one in besides:
        if one.address in chosen and one not in chosen[one.address] and _takes(left, one):
            chosen[one.address].append(one)
    return list(chosen.values())


def _takes(left: dict[VariantGid, int | None], one: Candidate) -> bool:
    most = left.get(one.variant_id, 0)
    if most is None:
        return True
    left[one.variant_id] = max(0, most - 1)
    return most > 0
