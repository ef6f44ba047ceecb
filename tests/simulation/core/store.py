"""The simulated database: pools with version and journal, events, timers, leases, effects, deliveries.

Everything here survives a crash. Each method is one transaction: it happens whole or not at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from stockwright.ledger.state import Entry, MemberId, PoolState

LEASE_S = 15.0


class Event(NamedTuple):
    """One row of the inbox. A webhook names a level and what it showed; a sweep names nothing."""

    number: int
    member: MemberId | None = None
    available: int | None = None


@dataclass(slots=True)
class PoolRecord:
    """What is stored of one pool: its state, its history, what waits for it, and its sendable effects."""

    state: PoolState | None = None
    journal: list[Entry] = field(default_factory=list)
    wake_at_s: float | None = None
    events: list[Event] = field(default_factory=list)
    arrived: int = 0
    pending_effects: set[str] = field(default_factory=set)


class Backup(NamedTuple):
    """A copy of the database as it was at one moment."""

    pools: Mapping[str, PoolRecord]
    deliveries: frozenset[str]


class Lease(NamedTuple):
    """Who works on a key, and until when others keep away."""

    holder: str
    until_s: float


class Store:
    """One durable database, shared by all workers. Keys are pool ids."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.pools: Mapping[str, PoolRecord] = {key: PoolRecord() for key in keys}
        self.deliveries: set[str] = set()
        self._leases: dict[str, Lease] = {}

    # --- the inbox ---

    def receive(self, key: str, *, member: MemberId | None = None, available: int | None = None) -> None:
        """Note that something may have happened to the pool."""
        record = self.pools[key]
        record.arrived += 1
        record.events.append(Event(record.arrived, member, available))

    def is_new_delivery(self, delivery_id: str) -> bool:
        """Whether this delivery is seen for the first time; remembers it."""
        new = delivery_id not in self.deliveries
        self.deliveries.add(delivery_id)
        return new

    def has_work(self, key: str, *, now_s: float) -> bool:
        """Whether a sweep would start a job: an event that waits or a timer that is due."""
        record = self.pools[key]
        return bool(record.events) or (record.wake_at_s is not None and record.wake_at_s <= now_s)

    # --- leases ---

    def claim(self, key: str, *, worker: str, now_s: float) -> bool:
        """Take the key for a while, unless somebody else holds it."""
        if self.is_held(key, now_s=now_s):
            return False
        self.take(key, worker=worker, now_s=now_s)
        return True

    def is_held(self, key: str, *, now_s: float) -> bool:
        lease = self._leases.get(key)
        return lease is not None and lease.until_s > now_s

    def take(self, key: str, *, worker: str, now_s: float) -> None:
        """Hold the key from now on, whoever held it (also: a worker that is alive renews its lease)."""
        self._leases[key] = Lease(worker, now_s + LEASE_S)

    def release(self, key: str, *, worker: str) -> None:
        """Give the key back, if it is still ours."""
        lease = self._leases.get(key)
        if lease is not None and lease.holder == worker:
            del self._leases[key]

    def release_all(self, *, worker: str) -> None:
        """A worker that starts again gives back what its former life held."""
        for key in [key for key, lease in self._leases.items() if lease.holder == worker]:
            del self._leases[key]

    # --- backups ---

    def backup(self) -> Backup:
        return Backup(_copied(self.pools), frozenset(self.deliveries))

    def restore(self, backup: Backup) -> None:
        """All that was stored since is gone."""
        self.pools = _copied(backup.pools)
        self.deliveries = set(backup.deliveries)

    # --- steps ---

    def save(
        self,
        key: str,
        *,
        was: PoolState | None,
        state: PoolState | None,
        entries: Sequence[Entry],
        fenced: bool,
    ) -> bool:
        """Store a step if nobody stored another one meanwhile; False and no change otherwise."""
        record = self.pools[key]
        if fenced and _version(record.state) != _version(was):
            return False
        record.state = state
        record.journal.extend(entries)
        return True

    def done(self, key: str, *, upto: int, wake_at_s: float | None) -> None:
        """Part of the step's transaction: its events are answered, and when to come back."""
        record = self.pools[key]
        record.events = [event for event in record.events if event.number > upto]
        record.wake_at_s = wake_at_s

    def wake_by(self, key: str, at_s: float) -> None:
        """Come back no later than this."""
        record = self.pools[key]
        record.wake_at_s = at_s if record.wake_at_s is None else min(at_s, record.wake_at_s)


def _copied(pools: Mapping[str, PoolRecord]) -> Mapping[str, PoolRecord]:
    """States and entries never change, so they are shared; the lists that grow are not."""
    return {
        key: replace(
            record,
            journal=list(record.journal),
            events=list(record.events),
            pending_effects=set(record.pending_effects),
        )
        for key, record in pools.items()
    }


def _version(state: PoolState | None) -> int:
    return 0 if state is None else state.version
