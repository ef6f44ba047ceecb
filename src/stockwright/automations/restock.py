"""What is remembered of a product between two looks at it, and of the publishing under way. Pure values.

A wave is one return to stock (or one fall below it): its channels, which of them Shopify confirmed, and when
it goes on. It is stored before anything is sent, so that a crash leaves a wave to be gone on with.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from stockwright.model import Channel, ProductGid, PublicationGid

ANSWER_LIMIT_S = 240.0  # a request that was not answered by then, waits for points included, will not be
FIRST_PAUSE_S = 10.0  # after a second request without an answer; doubles
LONGEST_PAUSE_S = 900.0
SENDS = 20  # of one wave, before it is given up
REFUSED_PAUSE_S = 60.0  # after a first refusal; five times longer each time
REFUSALS = 4  # before the refused channels are given up until the next return to stock


class Action(StrEnum):
    """What a wave does to a product."""

    PUBLISH = "publish"
    UNPUBLISH = "unpublish"


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A channel that did not take a product, and why, as Shopify said it."""

    channel: Channel
    message: str


@dataclass(frozen=True, kw_only=True)
class Wave:
    """One publishing (or taking down) of one product, from the decision to its end."""

    wave_id: str
    action: Action
    title: str  # of the product
    quantity: int  # available when it was decided
    wanted: tuple[Channel, ...]
    opened_at: datetime
    by_scan: bool  # a scan sends it, not the product's own run
    wants_mail: bool
    confirmed: tuple[Channel, ...] = ()
    refused: tuple[Refused, ...] = ()
    sent: tuple[Channel, ...] = ()  # what the newest request asked for
    sends: int = 0
    refusals: int = 0
    sending_until: datetime | None = None  # an answer may still come
    not_before: datetime | None = None  # nothing is sent before this
    retry_refused_at: datetime | None = None
    closed: str = ""  # how it ended; "" while it is open

    @property
    def remaining(self) -> tuple[Channel, ...]:
        """Channels that Shopify has not confirmed."""
        return tuple(one for one in self.wanted if one not in self.confirmed)

    @property
    def fresh(self) -> tuple[Channel, ...]:
        """Remaining channels that have not refused."""
        said_no = {one.channel for one in self.refused}
        return tuple(one for one in self.remaining if one not in said_no)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What an automation remembers of one product. `version` counts its changes; 0 = not stored yet."""

    product_id: ProductGid
    title: str = ""
    version: int = 0
    quantity: int | None = None  # available stock at the last look; None = never looked
    counted_at: str = ""  # the location names that it was counted at; another choice begins anew
    below_since: datetime | None = None  # since when it waits to be taken down
    given_up: tuple[Refused, ...] = ()  # channels not tried again until it comes back to stock once more
    wave: Wave | None = None  # the open one


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A memory after a step, the wave as it stands, and when to come back (None: no need)."""

    memory: Memory
    wave: Wave
    next_at: datetime | None = None


def wave_id(nonce: str, product_id: str) -> str:
    """An id that only this decision can have given; the key of the restock everywhere."""
    return "restock_" + uuid.uuid5(uuid.NAMESPACE_URL, f"{nonce} {product_id}").hex[:20]


def mail_key(wave_ids: Collection[str]) -> str:
    """The key of the one mail about these waves."""
    return "restocks_" + uuid.uuid5(uuid.NAMESPACE_URL, " ".join(sorted(wave_ids))).hex[:20]


# --- steps of a wave ------------------------------------------------------------------------------------


def sending(wave: Wave, channels: tuple[Channel, ...], now: datetime) -> Wave:
    """About to ask for these channels."""
    return replace(
        wave,
        sent=channels,
        sends=wave.sends + 1,
        sending_until=now + timedelta(seconds=ANSWER_LIMIT_S),
        not_before=None,
        retry_refused_at=None if wave.refused and set(channels) & _channels(wave) else wave.retry_refused_at,
    )


def _channels(wave: Wave) -> set[Channel]:
    return {one.channel for one in wave.refused}


def seen(wave: Wave, published_on: Collection[PublicationGid]) -> Wave:
    """What a read proves: channels where the product stands as the wave wants it."""
    wanted = wave.action is Action.PUBLISH
    there = [one for one in wave.wanted if (one.id in published_on) == wanted]
    confirmed = (*wave.confirmed, *(one for one in there if one not in wave.confirmed))
    refused = tuple(one for one in wave.refused if one.channel not in confirmed)
    return replace(wave, confirmed=confirmed, refused=refused)


def closed(wave: Wave, how: str) -> Wave:
    """The same wave, over."""
    return replace(wave, closed=how, sending_until=None, not_before=None, retry_refused_at=None)


class AnswerKind(StrEnum):
    """What came back for one product."""

    DONE = "done"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to one request, for one product."""

    kind: AnswerKind
    detail: str = ""
    refused: Mapping[int, str] = field(default_factory=dict)  # index into `sent` -> message
    product_missing: bool = False
    retry_after_s: float | None = None


def answered(memory: Memory, answer: Answer, now: datetime) -> Settled:
    """The memory after the answer to what its open wave sent.

    Raises:
        ValueError: no wave is open.
    """
    if memory.wave is None:
        raise ValueError(f"nothing was sent for {memory.product_id}")
    wave = replace(memory.wave, sending_until=None)
    match answer.kind:
        case AnswerKind.DONE:
            return _settled(memory, _confirmed(wave), now)
        case AnswerKind.REFUSED if answer.product_missing:
            return _closed(memory, wave, "the product no longer exists")
        case AnswerKind.REFUSED:
            return _settled(memory, _refused(wave, answer, now), now)
        case AnswerKind.NOT_SENT | AnswerKind.UNKNOWN:
            return _settled(memory, _unanswered(wave, answer, now), now)


def _confirmed(wave: Wave) -> Wave:
    confirmed = (*wave.confirmed, *(one for one in wave.sent if one not in wave.confirmed))
    refused = tuple(one for one in wave.refused if one.channel not in confirmed)
    return replace(wave, confirmed=confirmed, refused=refused)


def _refused(wave: Wave, answer: Answer, now: datetime) -> Wave:
    """Rows that were named are refused; what became of the others is shown by the next read."""
    said = {no: text for no, text in answer.refused.items() if no < len(wave.sent)}
    said = said or dict.fromkeys(range(len(wave.sent)), answer.detail)
    new = [Refused(channel=wave.sent[no], message=text) for no, text in sorted(said.items())]
    kept = [one for one in wave.refused if one.channel not in {each.channel for each in new}]
    pause_s = REFUSED_PAUSE_S * 5.0**wave.refusals
    return replace(
        wave,
        refused=(*kept, *new),
        refusals=wave.refusals + 1,
        retry_refused_at=now + timedelta(seconds=pause_s),
    )


def _unanswered(wave: Wave, answer: Answer, now: datetime) -> Wave:
    """A first unknown outcome is read again at once; later ones wait."""
    pause_s = min(FIRST_PAUSE_S * 2.0 ** min(wave.sends - 1, 20), LONGEST_PAUSE_S)
    if answer.kind is AnswerKind.UNKNOWN and wave.sends == 1:
        pause_s = 0.0
    return replace(wave, not_before=now + timedelta(seconds=max(pause_s, answer.retry_after_s or 0.0)))


def _settled(memory: Memory, wave: Wave, now: datetime) -> Settled:
    if not wave.remaining:
        return _closed(memory, wave, "done")
    if (wave.refusals >= REFUSALS and not wave.fresh) or wave.sends >= SENDS:
        return give_up(memory, wave)
    return Settled(memory=replace(memory, wave=wave), wave=wave, next_at=next_at(wave, now))


def _closed(memory: Memory, wave: Wave, how: str) -> Settled:
    over = closed(wave, how)
    return Settled(memory=replace(memory, wave=None), wave=over)


def give_up(memory: Memory, wave: Wave) -> Settled:
    """Stop trying: what refused or never answered is left alone until the product comes back once more."""
    silent = [Refused(channel=one, message="no answer came") for one in wave.fresh]
    over = closed(replace(wave, refused=(*wave.refused, *silent)), "given up")
    return Settled(memory=replace(memory, wave=None, given_up=over.refused), wave=over)


def next_at(wave: Wave, now: datetime) -> datetime | None:
    """When an open wave goes on without an event."""
    if wave.sending_until is not None:
        return wave.sending_until
    if wave.not_before is not None and wave.not_before > now:
        return wave.not_before
    return now if wave.fresh else wave.retry_refused_at or now
