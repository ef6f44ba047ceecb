"""A shop and an engine in a few lines of plain Python, to drive automations without database or network.

It does in memory what the engine and the effects do with rows: gather, decide, store the step, send, step.
"""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from stockwright.automations import kind_named
from stockwright.automations.contract import (
    Claim,
    Correct,
    Emit,
    Facts,
    Plan,
    PoolChange,
    PoolView,
    ReadProduct,
    Scan,
    Situation,
    Tally,
)
from stockwright.automations.options import read_options
from stockwright.automations.stock_scan import add
from stockwright.ledger import protocol
from stockwright.ledger.state import Next, Outcome, Policy, Reply
from stockwright.model import (
    INVENTORY_UPDATE,
    PRODUCT_CHECK,
    SET_CACHE,
    USER_TRIGGER,
    WHOLE_SHOP,
    Event,
    EventId,
    ItemGid,
    LevelRead,
    Location,
    LocationGid,
    ProductGid,
    ProductRead,
    ShopRead,
    Source,
    VariantGid,
    VariantRead,
    gid,
)

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
TORONTO, MONTREAL = LocationGid(gid("Location", 1)), LocationGid(gid("Location", 2))
PRODUCT = ProductGid(gid("Product", 900))


@dataclass
class SmallShop:
    """Levels by (variant name, location), one product unless more are added."""

    kind: str
    options: dict[str, Any]
    levels: dict[tuple[str, str], int | None]
    product_type: str = "Print"
    tags: frozenset[str] = frozenset({"shared"})
    status: str = "ACTIVE"
    untracked: set[str] = field(default_factory=set)
    gift_card: bool = False
    policy: Policy = field(default_factory=Policy)
    claims: tuple[Claim, ...] = ()
    default_location: LocationGid | None = TORONTO
    is_missing_from_search: bool = False  # its index lags
    deactivated: set[str] = field(default_factory=set)  # names of locations
    pools: dict[str, PoolView] = field(default_factory=dict)
    now: datetime = START
    writes: list[dict[str, int]] = field(default_factory=list)  # variant -> delta, per mutation
    reads: int = 0
    emitted: list[Emit] = field(default_factory=list)
    before_send: list[Callable[["SmallShop"], Outcome | None]] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self._stamps = dict.fromkeys(self.levels, START)
        self.names = sorted({name for name, _ in self.levels})

    # --- what people and Shopify do

    def move(self, name: str, delta: int, location: str = TORONTO) -> Event:
        """Somebody else changes a level; the webhook that tells of it."""
        level = self.levels[name, location]
        assert level is not None
        return self.put(name, level + delta, location)

    def put(self, name: str, available: int, location: str = TORONTO) -> Event:
        """A level is set by hand; the webhook that tells of it."""
        self.now += timedelta(seconds=1)
        self.levels[name, location] = available
        self._stamps[name, location] = self.now
        self.names = sorted({*self.names, name})
        return self.webhook(name, location)

    def webhook(self, name: str, location: str = TORONTO, available: int | None = None) -> Event:
        """inventory_levels/update with the level of now, or an older one."""
        payload = {
            "inventory_item_id": self._number(name),
            "location_id": int(location.rsplit("/", 1)[1]),
            "available": self.levels[name, location] if available is None else available,
        }
        return self.event(INVENTORY_UPDATE, payload)

    def event(self, topic: str, payload: dict[str, Any] | None = None) -> Event:
        """Any event."""
        return Event(
            event_id=EventId(f"evt_{next(self._numbers)}"),
            topic=topic,
            payload=payload or {},
            source=Source.SHOPIFY,
            received_at=self.now,
        )

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += timedelta(seconds=seconds)

    # --- what the engine does

    def run(self, *events: Event, rounds: int = 6) -> Plan:
        """The product's key runs until nothing is to be done at once; the first plan."""
        first: Plan | None = None
        for _ in range(rounds):
            self.now += timedelta(seconds=1)
            plan = self._run_once(events)
            first = first or plan
            again = plan.again
            for effect in plan.effects:
                if isinstance(effect, Correct):
                    again = self._send(effect.pool_id) or again
            events = ()
            if not again:
                break
        assert first is not None
        return first

    def _run_once(self, events: Sequence[Event]) -> Plan:
        automation = kind_named(self.kind)
        situation = self._situation(PRODUCT, events)
        need = automation.needs(situation)
        facts = Facts()
        if isinstance(need, ReadProduct):
            self.reads += 1
            facts = Facts(product=self.product(), claims=self.claims)
        plan = automation.decide(situation, facts)
        for change in plan.changes:
            self._store(change)
        return plan

    def scan(self, topic: str = USER_TRIGGER, payload: dict[str, Any] | None = None) -> Plan:
        """The whole-shop key runs on one event: one page with the one product."""
        automation = kind_named(self.kind)
        situation = self._situation(WHOLE_SHOP, [self.event(topic, payload)])
        need = automation.needs(situation)
        if not isinstance(need, Scan):
            return automation.decide(situation, Facts())
        shown = [self.product()] if any(self._is_found_by(search) for search in need.searches) else []
        page = automation.decide_page(
            replace(situation, pools=tuple(self.pools.values())), shown, self.claims
        )
        for change in page.changes:
            self._store(change)
        self.emitted += [effect for effect in page.effects if isinstance(effect, Emit)]
        plan = automation.conclude(situation, add(Tally(), page, seen=len(shown)))
        if page.wake or (need.whole and self.pools and not shown):
            self.run(self.event(PRODUCT_CHECK))
        for emit in page.effects:
            if isinstance(emit, Emit) and topic != SET_CACHE:
                self.scan(emit.topic, dict(emit.payload))
        return plan

    def _is_found_by(self, search: str) -> bool:
        """As far as the searches of the kinds go: any of some tags, types or ids, and perhaps the status."""
        if self.is_missing_from_search:
            return False
        wanted = re.findall(r'(tag|product_type):"([^"]*)"|id:(\d+)', search)
        is_one = any(
            id == PRODUCT.rsplit("/", 1)[1]
            or (field == "tag" and value.casefold() in {tag.casefold() for tag in self.tags})
            or (field == "product_type" and value.casefold() == self.product_type.casefold())
            for field, value, id in wanted
        )
        return (is_one or not wanted) and ("status:active" not in search or self.status == "ACTIVE")

    def _situation(self, subject: str, events: Sequence[Event]) -> Situation[Any]:
        automation = kind_named(self.kind)
        return Situation(
            name="the automation",
            subject=subject,
            events=tuple(events),
            options=read_options(automation.options, self.options),
            shop=self.shop_read(),
            policy=self.policy,
            pools=tuple(self.pools.values()) if subject == PRODUCT else (),
            now=self.now,
            nonce=f"nonce {next(self._numbers)}",
            claims=() if self.pools else self.claims,
        )

    def shop_read(self) -> ShopRead:
        """The shop with its two locations."""
        locations = tuple(
            Location(id=id, name=name, is_active=name not in self.deactivated)
            for id, name in ((TORONTO, "Toronto"), (MONTREAL, "Montreal"))
        )
        return ShopRead(
            name="Prints", timezone="UTC", locations=locations, default_location_id=self.default_location
        )

    def product(self) -> ProductRead:
        """The product as a complete read shows it now."""
        return ProductRead(
            id=PRODUCT,
            title="Poster",
            status=self.status,
            product_type=self.product_type,
            tags=self.tags,
            is_gift_card=self.gift_card,
            variants=tuple(self._variant(name) for name in self.names),
            read_at=self.now,
        )

    def _variant(self, name: str) -> VariantRead:
        levels = tuple(
            LevelRead(location_id=LocationGid(place), available=available, stamp=self._stamps[owner, place])
            for (owner, place), available in self.levels.items()
            if owner == name
        )
        number = self._number(name)
        return VariantRead(
            id=VariantGid(gid("ProductVariant", number)),
            title=name,
            item_id=ItemGid(gid("InventoryItem", number)),
            tracked=name not in self.untracked,
            levels=levels,
        )

    def _number(self, name: str) -> int:
        return 100 + sum(ord(letter) << (8 * n) for n, letter in enumerate(name))

    def _store(self, change: PoolChange) -> None:
        if change.step.state is None:
            return
        if change.dissolve:
            self.pools.pop(change.place, None)
            return
        self.pools[change.place] = PoolView(
            pool_id=change.pool_id,
            product_id=change.product_id,
            place=change.place,
            title=change.title,
            titles=change.titles,
            state=change.step.state,
            wake_at=change.wake_at(self.now),
        )

    def _send(self, pool_id: str) -> bool:
        place, pool = next((place, pool) for place, pool in self.pools.items() if pool.pool_id == pool_id)
        intent = pool.state.intent
        assert intent is not None
        outcome = self.before_send.pop(0)(self) if self.before_send else None
        if outcome is None:
            outcome = self._apply(intent.rows)
        self.now += timedelta(seconds=0.1)
        reply = Reply(at=self.now, key=intent.key, outcome=outcome)
        step = protocol.step(pool.state, reply, self.policy, pool_id=pool.pool_id)
        assert step.state is not None
        wake_at = self.now if step.next is Next.READ else step.wake_at
        self.pools[place] = replace(pool, state=step.state, wake_at=wake_at)
        return step.next is not Next.REST

    def _apply(self, rows: Sequence[Any]) -> Outcome:
        names = {gid("InventoryItem", self._number(name)): name for name in self.names}
        places = [(names[row.member.item_id], row.member.location_id) for row in rows]
        if any(self.levels[place] != row.from_quantity for place, row in zip(places, rows, strict=True)):
            return Outcome.STALE
        for place, row in zip(places, rows, strict=True):
            level = self.levels[place]
            assert level is not None
            self.levels[place] = level + row.delta
            self._stamps[place] = self.now
        self.writes.append({place[0]: row.delta for place, row in zip(places, rows, strict=True)})
        return Outcome.APPLIED

    def apply_open_intent(self) -> None:
        """Apply what the open intent asks for, as Shopify does when only the answer is lost."""
        for pool in self.pools.values():
            if pool.state.intent is not None:
                self._apply(pool.state.intent.rows)

    def at(self, location: str = TORONTO) -> list[int | None]:
        """The levels at a location in the order of the variants' names."""
        return [self.levels[name, place] for name, place in sorted(self.levels) if place == location]
