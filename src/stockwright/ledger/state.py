"""The nouns of shared stock: pools, members, intents, and what goes in and out of the protocol.

Values only: nothing here reads a clock, a network, a database or a random number, and nothing may.
Quantities are whole units as Shopify counts them; "base units" are the units of the shared stock
(`units` of them make one sold unit of a member: 1, or the pack size). Times are aware UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, NamedTuple


class LedgerError(Exception):
    """An identity of the ledger is broken: a defect or a damaged journal, never a state of the shop."""


class MemberId(NamedTuple):
    """One level: an inventory item at a location. Never a variant: several may share an item."""

    item_id: str  # gid://shopify/InventoryItem/...
    location_id: str  # gid://shopify/Location/...


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """What we know of one level of a pool. `expected` is always base + confirmed + external."""

    id: MemberId
    units: int  # base units in one sold unit, at least 1
    base: int  # level at adoption, at joining or at the last checkpoint
    confirmed: int = 0  # sum of our own corrections known to be applied
    external: int = 0  # sum of movements made by others that we have seen and accepted
    stamp: datetime | None = None  # newest `updatedAt` of `available` that was accepted
    overwrote: datetime | None = None  # the stamp that our last confirmed correction has replaced
    wrote_at: datetime | None = None  # when that correction was confirmed

    @property
    def expected(self) -> int:
        """The level that we last saw or wrote."""
        return self.base + self.confirmed + self.external


@dataclass(frozen=True, kw_only=True, slots=True)
class IntentRow:
    """One row of a correction: `delta` is added to the level if it still is `from_quantity`."""

    member: MemberId
    delta: int
    from_quantity: int
    stamp: datetime | None  # the level's stamp in the read that gave `from_quantity`

    @property
    def after(self) -> int:
        """The level that the row leaves behind when nobody else moves it."""
        return self.from_quantity + self.delta


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstRead:
    """The read made at once after a failure whose outcome is unknown."""

    at: datetime
    all_at_after_value: bool
    """Every row stood exactly at its after-value, stamped after the row and not before the send; the read
    fell within `settle_window_s` of the send; and no order that we know of moved any of the rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """A correction that was decided: durable before it is sent, closed by its outcome."""

    key: str  # idempotency key, new for each intent
    rows: tuple[IntentRow, ...]
    opened_at: datetime  # when its levels were read: orders since then are evidence; no send is earlier
    sent_at: datetime  # the newest send that may have happened (when it was stored, until a resend)
    attempts: int = 0  # answers received so far that kept the intent open (throttled)
    unknown_since: datetime | None = None  # set when an answer was lost
    first_read: FirstRead | None = None
    resend_at: datetime | None = None  # asked to wait: nothing is on its way, not to be sent before this


@dataclass(frozen=True, kw_only=True, slots=True)
class Closed:
    """The intent that was closed last, kept to notice an answer that contradicts how it was closed."""

    key: str
    applied: bool


class AssumedRow(NamedTuple):
    """One row of a correction that was assumed to be applied."""

    member: MemberId
    delta: int
    external: int  # what others had moved on the level, as it was booked at the assumption
    stamp: datetime | None  # the level's stamp in the read that the correction was made from


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumption:
    """A correction booked as applied by rule. Orders may tell later whether it was (see `weighing`)."""

    key: str
    at: datetime  # when it was assumed
    opened_at: datetime  # the intent's: orders since then count
    rows: tuple[AssumedRow, ...]


class FreezeCode(StrEnum):
    """Why a pool stopped writing. A person, or later evidence, ends it."""

    OUTCOME_UNKNOWN = "outcome_unknown"
    KEY_MISMATCH = "key_mismatch"
    REFUSED = "refused"
    PARTIAL = "partial"
    HISTORY_BEHIND = "history_behind"  # the shop shows stamps or values that a restored backup cannot know


@dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    """Reading and journaling go on, writing does not."""

    code: FreezeCode
    reason: str  # for a person: what happened, to which levels, both hypotheses with numbers
    since: datetime
    levels: Mapping[MemberId, int] = field(default_factory=dict)  # last read while a correction is in doubt


@dataclass(frozen=True, kw_only=True, slots=True)
class Exclusion:
    """A level that Shopify refused to correct. It does not join again before `until`."""

    reason: str
    until: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class RaiseWait:
    """Rises that were seen but not accepted yet; they settle so that one read holds a bulk edit whole."""

    since: datetime  # when the first of them was seen
    changed_at: datetime  # when the set of risen levels last changed
    levels: Mapping[MemberId, int]  # the risen levels at `changed_at`
    peaks: Mapping[MemberId, int]
    """How far each level was seen above `expected` at most, also where it has fallen since."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolState:
    """All that the protocol remembers of one pool. Rebuilt bit for bit by replaying its journal."""

    pool_id: str
    version: int  # journal entries applied so far; the fencing number
    s0: int  # base units at adoption or at the last checkpoint
    t: int = 0  # base units moved on members that have left, less surplus of equal raises
    members: Mapping[MemberId, Member] = field(default_factory=dict)
    intent: Intent | None = None
    frozen: Frozen | None = None
    raise_wait: RaiseWait | None = None
    stale_streak: int = 0  # stale answers in a row; an alarm at 5
    assumed: int = 0  # outcomes booked by rule instead of proof, still to be reviewed
    assumptions: tuple[Assumption, ...] = ()  # those of them that orders have not been asked about in the end
    failed_streak: int = 0  # corrections in a row that could not be sent or were given up; sets the pause
    excluded: Mapping[MemberId, Exclusion] = field(default_factory=dict)
    closed: Closed | None = None

    @property
    def stock(self) -> int:
        """S: the shared stock now, in base units."""
        return self.s0 + self.t + sum(m.units * m.external for m in self.members.values())


# --- what goes in -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One level in one read. `available` is None when it has none, is inactive or is untracked."""

    id: MemberId
    units: int
    available: int | None
    stamp: datetime | None
    why_not: str = ""  # why it cannot be a member ("untracked", "inactive", "gift card"); "" = it can


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """One complete read of a pool's levels: every level in scope, members or not."""

    at: datetime  # when the read was asked for, not when its answer came: waits are counted from it
    seen: tuple[Seen, ...]
    key: str  # a fresh random key, used if this observation opens an intent
    changed: frozenset[MemberId] = frozenset()  # members that events named as changed (used at adoption)
    order_moves: Mapping[MemberId, int] | None = None
    """Net movement per intent row by orders and refunds since the read that opened the intent; a row that
    is left out was moved by none. None when orders cannot be read completely or no intent is in doubt."""
    refunds: Mapping[MemberId, int] | None = None
    """Units that refunds put back on each level in the minutes before a rise of every level was seen; a level
    that is left out got none. None when nobody asked (see `asks_for_refunds`) or orders cannot be read."""


class Outcome(StrEnum):
    """What an answer to a sent intent says."""

    APPLIED = "applied"
    STALE = "stale"  # CAS refused: nothing was written
    NOT_SENT = "not_sent"  # connection refused, DNS failed, budget gave up: surely not executed
    THROTTLED = "throttled"  # not executed; same key after the wait
    IN_PROGRESS = "in_progress"  # IDEMPOTENCY_CONCURRENT_REQUEST: another request with our key is running
    KEY_MISMATCH = "key_mismatch"
    PREVIOUS_FAILED = "previous_failed"  # read, new key
    REFUSED = "refused"  # another userError: nothing was written
    PARTIAL = "partial"  # some rows were written and others refused: nothing can be booked
    UNKNOWN = "unknown"  # time-out, 5xx, cut answer, SERVICE_UNAVAILABLE, crash


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """The answer to the intent with this key."""

    at: datetime
    key: str
    outcome: Outcome
    detail: str = ""  # code and message as Shopify sent them
    offenders: tuple[MemberId, ...] = ()  # members that a refusal named (they leave, with the reason)
    stamp_hint: datetime | None = None
    retry_after_s: float = 0.0  # how long the shop asks us to wait


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """Time has passed (a wake-up without a read)."""

    at: datetime


class Resolution(StrEnum):
    """A person's way out of a frozen pool."""

    WAS_APPLIED = "was_applied"
    WAS_NOT_APPLIED = "was_not_applied"
    ADOPT_LEVELS = "adopt_levels"  # take the levels of the given observation as the new start


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolve:
    """A decision by a person, journaled with the name."""

    at: datetime
    by: str
    resolution: Resolution
    stock: int | None = None  # with ADOPT_LEVELS: the shared stock to take, when levels differ
    observation: Observation | None = None  # with ADOPT_LEVELS: the read to adopt


Input = Observation | Reply | Tick | Resolve


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The options that the protocol obeys. Durations in seconds."""

    unequal_at_start: Literal["report", "take_changed", "take_lowest", "take_highest"] = "report"
    raise_settle_s: float = 5.0
    bulk_raise: Literal["once", "sum"] = "once"
    on_unknown: Literal["settle", "certain"] = "settle"
    dead_time_s: float = 120.0  # after this a request that was sent can no longer be applied
    settle_window_s: float = 30.0  # the first read must fall within this of the send
    order_lag_s: float = 300.0  # a list of orders may lack those of the last so many seconds
    clock_skew_s: float = 5.0  # how far Shopify's clock may be behind ours
    rows_per_intent: int = 250


# --- what comes out ---------------------------------------------------------------------------


class Next(StrEnum):
    """What the driver does after storing a step."""

    REST = "rest"  # in step, or nothing can be done now; see wake_at
    SEND = "send"  # send state.intent now (same key, same rows)
    READ = "read"  # read all levels again now and observe


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """The answer of the protocol to one input: store `entries`, then do `next`."""

    state: PoolState | None  # the state after the entries; None when no pool was adopted
    entries: tuple["Entry", ...]  # appended to the journal, in order
    next: Next
    because: str  # one sentence for a person
    wake_at: datetime | None = None  # come back then (raise settles, dead time, pause before a resend)
    unequal: tuple[Seen, ...] = ()  # levels that differ at adoption when `report` left them alone


# --- the journal --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line of the append-only history. `apply(state, entry)` is the only way a state changes."""

    kind: str  # one of ENTRY_KINDS in journal.py
    at: datetime
    data: Mapping[str, object]  # JSON values only
