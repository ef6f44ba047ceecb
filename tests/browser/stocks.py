"""Shared stocks for pages to show: driven through the real protocol, so that journal and state belong together."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from zlib import crc32

from stockwright.automations.contract import PoolChange
from stockwright.bookkeeping import Owner, save_change
from stockwright.deps import Deps
from stockwright.ledger import protocol
from stockwright.ledger.state import (
    Input,
    MemberId,
    Observation,
    Outcome,
    Policy,
    PoolState,
    Reply,
    Seen,
    Step,
    Tick,
)
from stockwright.model import AutomationId, PoolId, ProductGid, RunId, ShopId, gid
from tests.browser.site import RunningSite

AUTOMATION = AutomationId("aut_sample")
LOCATION = gid("Location", 1)


@dataclass(kw_only=True)
class Story:
    """One stock from its adoption on; each method is something that happens a minute later."""

    pool_id: str
    title: str
    names: Sequence[str]
    at: datetime
    item_ids: Sequence[str] = ()
    location_id: str = LOCATION
    product_id: str = ""
    policy: Policy = field(default_factory=lambda: Policy(on_unknown="certain", raise_settle_s=0))
    steps: list[Step] = field(default_factory=list)
    state: PoolState | None = None
    levels: dict[MemberId, int] = field(default_factory=dict)

    def ids(self) -> list[MemberId]:
        """The levels, in the order of their names."""
        items = self.item_ids or [gid("InventoryItem", f"{crc32(self.pool_id.encode()) % 90_000 + 10_000}{n}")
                                  for n, _ in enumerate(self.names)]  # fmt: skip
        return [MemberId(item, self.location_id) for item in items]

    def adopted(self, stock: int) -> "Story":
        """All levels stand at this number."""
        self.levels = dict.fromkeys(self.ids(), stock)
        self._feed(self._read())
        return self

    def sold(self, name: str, quantity: int, *, answer: Outcome = Outcome.APPLIED) -> "Story":
        """A sale, the correction that follows, and how Shopify answered."""
        self.levels[self.ids()[list(self.names).index(name)]] -= quantity
        self._feed(self._read())
        assert self.state is not None
        assert self.state.intent is not None
        intent = self.state.intent
        self._feed(Reply(at=self.at, key=intent.key, outcome=answer, detail="the connection broke"))
        if answer is Outcome.APPLIED:
            self.levels.update({row.member: row.after for row in intent.rows})
        return self

    def settled(self) -> "Story":
        """The levels are found as if the lost correction had been applied."""
        assert self.state is not None
        assert self.state.intent is not None
        self.levels.update({row.member: row.after for row in self.state.intent.rows})
        self.at -= timedelta(seconds=50)
        self._feed(self._read(), minutes=0)
        self._feed(self._read(), minutes=5)
        return self

    def waited(self) -> "Story":
        """The dead time passes without an answer, and the levels prove nothing."""
        for (
            member
        ) in self.levels:  # each was sold once: none shows what it was before the correction, or after
            self.levels[member] -= 1
        self._feed(self._read(), minutes=5)
        self._feed(Tick(at=self.at), minutes=5)
        self._feed(self._read())
        return self

    def _read(self) -> Observation:
        seen = tuple(
            Seen(id=id, units=1, available=level, stamp=self.at) for id, level in sorted(self.levels.items())
        )
        return Observation(at=self.at, seen=seen, key=f"key-{len(self.steps)}")

    def _feed(self, given: Input, *, minutes: float = 1) -> None:
        self.at += timedelta(minutes=minutes)
        step = protocol.step(self.state, replace(given, at=self.at), self.policy, pool_id=self.pool_id)
        self.steps.append(step)
        self.state = step.state or self.state

    async def save(self, deps: Deps, shop_id: int) -> None:
        """Store every step as a run would."""
        version: int | None = None
        run = 0
        owner = Owner(shop_id=ShopId(shop_id), automation_id=AUTOMATION)
        async with deps.database.connection() as conn, conn.transaction():
            for step in self.steps:
                if not step.entries or step.state is None:
                    continue
                change = PoolChange(
                    pool_id=PoolId(self.pool_id),
                    product_id=ProductGid(self.product_id or gid("Product", crc32(self.pool_id.encode()))),
                    place="*",
                    title=self.title,
                    titles=dict(zip(self.ids(), self.names, strict=True)),
                    step=step,
                    was_version=version,
                )
                run += any(entry.kind in ("adopted", "observed") for entry in step.entries)
                run_id = RunId(f"run_{self.pool_id}_{run}")
                await save_change(conn, owner, change, run_id=run_id, at=step.entries[-1].at)
                version = step.state.version


def add_automation(site: RunningSite, shop_id: int) -> None:
    """The automation that the stocks belong to."""
    site.execute(
        "insert into automations (shop_id, automation_id, kind, name, options, topics, enabled)"
        " values (%s, %s, 'sync-across-variants', 'Posters share their stock',"
        " '{\"product_types\": [\"Art print\"]}', '{}', true) on conflict do nothing",
        shop_id,
        AUTOMATION,
    )


def fill_stock(site: RunningSite, shop_id: int) -> dict[str, str]:
    """Stocks of all sorts; the values of the placeholders in the samples of Stock."""
    frozen = frozen_story(at(site, minutes=90))

    async def work(deps: Deps) -> None:
        started = at(site, minutes=600)
        for number in range(60):
            title = (
                f"Poster {number}, {'a rather long title of a limited edition, ' * (number % 3)}50 x 70 cm"
            )
            story = Story(pool_id=f"pool_{number:04}", title=title, names=["Framed", "Unframed"], at=started)
            await story.adopted(12 + number).sold("Framed", 2).sold("Unframed", 1).save(deps, shop_id)
        names = [
            f"{size} / {frame}"
            for size in ("30 x 40", "50 x 70", "70 x 100")
            for frame in ("Oak", "Black", "None")
        ]
        wide = Story(pool_id="pool_wide", title="The round tower", names=names, at=started).adopted(4)
        await wide.sold("50 x 70 / Oak", 1).save(deps, shop_id)
        await frozen.save(deps, shop_id)
        await assumed_story(started).save(deps, shop_id)

    site.run(work)
    assert frozen.state is not None
    assert frozen.state.frozen is not None
    since = quote(frozen.state.frozen.since.isoformat(), safe="")
    return {
        "pool": "pool_wide",
        "frozen_pool": frozen.pool_id,
        "assumed_pool": "pool_assumed",
        "since": since,
    }


def at(site: RunningSite, *, minutes: float) -> datetime:
    """So many minutes ago."""
    return site.deps.clock() - timedelta(minutes=minutes)


def frozen_story(started: datetime, **given: Any) -> Story:
    """A stock that froze: the answer to a correction was lost, and the levels moved meanwhile."""
    story = Story(**{"pool_id": "pool_frozen", "title": "Nyhavn at dawn", "names": ["Framed", "Unframed"], "at": started, **given})  # fmt: skip
    return story.adopted(12).sold("Framed", 2).sold("Framed", 2, answer=Outcome.UNKNOWN).waited()


def assumed_story(started: datetime, **given: Any) -> Story:
    """A stock with one outcome that was booked by rule."""
    story = Story(
        **{"pool_id": "pool_assumed", "title": "Bicycles & rain", "names": ["Framed", "Unframed"], "at": started, **given},
        policy=Policy(),
    )  # fmt: skip
    return story.adopted(9).sold("Unframed", 1, answer=Outcome.UNKNOWN).settled()
