"""One seed: calm adoption, a storm of faults, calm again; then a person answers what froze, and one sale more.

A process dies by an exception that nothing catches, raised at a seam: before or after a request or a
transaction. What other workers and the next start do then is production code.
"""

import random
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from shopify_emulator import ManualClock
from shopify_emulator.documents import Documents
from shopify_emulator.fields.schema import executable_schema
from stockwright.ledger.state import FreezeCode, Resolution
from stockwright.model import StockwrightError
from stockwright.resolving import Decision, resolve_pool
from stockwright.store import shops
from stockwright.store.database import Pool, Unreachable
from stockwright.upkeep import Upkeep
from tests.journey.checking import check_everything
from tests.journey.database_clock import DatabaseClock
from tests.journey.service import PUBLIC_URL, TOKEN, Service, handle_key, new_shop, serving
from tests.simulation.whole.diary import Diary, Tell, untold
from tests.simulation.whole.judge import Judge, Judged, Violation
from tests.simulation.whole.outside import Outside
from tests.simulation.whole.scenario import Scenario, scenario_of
from tests.simulation.whole.weather import Died, Weather

RECONCILE_S = 300.0
SLICE_S = 150.0
LAST_RETRY_S = 4.5 * 3600  # then Shopify tries no delivery again
WITHOUT_ORDERS = ("read_products", "write_products", "read_inventory", "write_inventory", "read_locations")

_DOCUMENTS = Documents(executable_schema())  # parsed once per process, not once per seed


@dataclass(kw_only=True)
class Result:
    """What one seed showed. `failure` is empty when every invariant held."""

    seed: int
    failure: str = ""
    faults: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    calm_requests: int = 0  # of the one sale at the end
    calm_pools: int = 0


async def play_seed(
    seed: int, connections: Pool, database_clock: DatabaseClock, tell: Tell = untold
) -> Result:
    """One run in an empty database. A broken invariant, or any exception, becomes the result's failure."""
    scenario, result = scenario_of(seed), Result(seed=seed)
    scopes = {} if scenario.reads_orders else {"scopes": WITHOUT_ORDERS}
    shop = new_shop(ManualClock(), seed=seed, switches=scenario.switches, **scopes)
    shop.api.documents = _DOCUMENTS
    diary = Diary(shop, tell)
    diary.tell(f"the scenario: {scenario}")
    try:
        async with serving(
            connections,
            database_clock,
            shop,
            policy=scenario.policy,
            seed=seed,
            renews_token=scenario.renews_token,
            round_trip_s=0.2,
            handle_key=handle_key,
        ) as service:
            await Storm(scenario, service, result, diary).play()
    except Violation as violation:
        result.failure = str(violation)
    except Exception:  # noqa: BLE001 - every defect of the code under test is a finding, not a crash of ours
        result.failure = traceback.format_exc(limit=-6)
    result.faults.update({str(kind): count for kind, count in shop.faults.injected.items()})
    return result


class Storm:
    """One scenario on one service."""

    def __init__(self, scenario: Scenario, service: Service, result: Result, diary: Diary) -> None:
        self._scenario = scenario
        self._service = service
        self._result = result
        self._diary = diary
        self._rng = random.Random(f"storm {scenario.seed}")
        self._outside = Outside(scenario, service.shop, self._rng, diary.tell)
        self._weather = Weather(scenario, service, self._outside, self._rng, diary.tell)
        self._judge = Judge(
            service.shop,
            service.shop_id,
            orders_only=scenario.orders_only,
            once=scenario.options["bulk_raise"] == "once",
        )
        self._upkeep = Upkeep(deps=service.deps, public_url=PUBLIC_URL)

    async def play(self) -> None:
        """All phases in order."""
        try:
            await self._adopt()
            await self._storm()
            await self._converge()
            await self._answer_for_a_person()
            await self._one_calm_sale()
        finally:
            self._result.faults.update(self._weather.counts + self._outside.counts)
            self._result.requests = len(self._service.requests)
            await self._diary.tell_journals(self._service.database, self._service.shop_id)
        await check_everything(self._service.database, self._service.shop_id)
        self._result.events.update(self._judge.counts)

    async def _adopt(self) -> None:
        scenario, service = self._scenario, self._service
        async with service.database.connection() as conn:
            await shops.set_settings(conn, service.shop_id, plan="premium", on_unknown=scenario.on_unknown)
        await service.add(scenario.kind, **scenario.options)
        if {pool.place for pool in await self._pools()} != self._outside.shared().keys():
            raise Violation("not every product was adopted")

    # --- the storm --------------------------------------------------------------------------------------

    async def _storm(self) -> None:
        service = self._service
        service.shop.faults.webhook_delay_s = self._rng.choice((30.0, 900.0))
        service.shop.faults.rates(self._scenario.rates)
        service.seam, service.shop.deliver = self._seam, self._deliver
        self._outside.plan()
        passed_s = 0.0
        while passed_s < self._scenario.storm_s + SLICE_S:
            await self._pass(SLICE_S)
            passed_s += SLICE_S
        service.seam, service.shop.deliver = _calm, service.deliver
        service.shop.faults.clear()

    async def _seam(self, point: str) -> None:
        try:
            await self._weather.strike(point)
        finally:
            self._diary.look(self._service.requests)

    async def _deliver(self, uri: str, headers: Mapping[str, str], body: bytes) -> int:
        """As the inbox does while it can store nothing: refused at once, so that the shop tries again."""
        return 503 if self._weather.database_away else await self._service.deliver(uri, headers, body)

    async def _pass(self, delay_s: float) -> None:
        """Let time pass, through as many deaths of the worker as come; then do what is done from time to time."""
        service = self._service
        until_s = service.clock.now().timestamp() + delay_s
        while (left_s := until_s - service.clock.now().timestamp()) > 0:
            await self._through_death(lambda left_s=left_s: service.wait(left_s))
        if self._rng.random() < 0.5:
            self._give_a_new_token()
        for chore in (self._upkeep.look_at_paused, service.sweep, service.reconcile):
            await self._through_death(chore)
        self._check_errors()

    async def _through_death(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except Died:
            await self._start_again()
        except Unreachable as error:  # a chore is tried again at its next time
            self._diary.tell(f"put off: {error}")

    async def _start_again(self) -> None:
        """After seconds, or after minutes; nothing strikes in between."""
        away_s = self._rng.uniform(0.2, 5.0)
        if self._rng.random() < 0.1:
            away_s = self._rng.uniform(60.0, 600.0)
            self._result.faults["outage"] += 1
        self._diary.tell(f"a new worker starts in {away_s:.1f} s")
        await self._service.move(away_s)
        await self._service.restart()
        self._upkeep = Upkeep(deps=self._service.deps, public_url=PUBLIC_URL)

    def _give_a_new_token(self) -> None:
        """What a merchant does who is told that the shop refuses our token; a grant renews its own."""
        if not self._scenario.renews_token and not self._service.shop.tokens.accepts(TOKEN):
            self._diary.tell("a person gives a new token")
            self._service.shop.tokens.restore()

    def _check_errors(self) -> None:
        """Runs may fail for what the shop or the database does, never for a defect of ours."""
        for error in self._service.errors:
            if not isinstance(error, (StockwrightError, *Unreachable)):
                raise error
            self._result.events[f"failed run: {type(error).__name__}"] += 1
        self._service.errors.clear()

    # --- calm again -------------------------------------------------------------------------------------

    async def _converge(self) -> None:
        """I5: within two reconcile periods every pool that is not frozen shows the truth."""
        self._diary.tell("calm begins")
        self._give_a_new_token()
        await self._upkeep.look_at_paused()
        await self._reconcile_twice()
        if self._make_equal(await self._pools()):
            await self._reconcile_twice()
        self._check_errors()
        found = await self._pools()
        self._judge_scope(found)
        for pool in found:
            self._judge_settled(pool)
        await self._judge_nothing_left()

    async def _reconcile_twice(self) -> None:
        for _ in range(2):
            await self._service.reconcile()
            await self._service.wait(RECONCILE_S)

    def _make_equal(self, found: Sequence[Judged]) -> bool:
        """What is shared anew and differs is reported and left alone until staff have made it equal."""
        known = {pool.place for pool in found}
        unequal = [
            levels
            for place, levels in self._outside.shared().items()
            if place not in known and len({self._service.shop.level(*level) for level in levels}) > 1
        ]
        for levels in unequal:
            self._result.events["unequal at adoption"] += 1
            self._outside.make_equal(levels)
        return bool(unequal)

    def _judge_scope(self, found: Sequence[Judged]) -> None:
        """Who shares is who should; but a pool stays until it is known what became of its last correction."""
        shared = self._outside.shared()
        places = {pool.place for pool in found}
        staying = {pool.place for pool in found if pool.state.frozen and pool.state.intent}
        if shared.keys() - places or places - shared.keys() - staying:
            raise Violation(f"stock is shared at {sorted(places)} and should be at {sorted(shared)}")
        for pool in found:
            if pool.state.frozen is None:
                self._judge.judge_members(pool, shared[pool.place])

    def _judge_settled(self, pool: Judged) -> None:
        if pool.state.frozen is None and pool.state.intent is not None:
            raise Violation(f"I5: {pool.row.title} still has an open correction")
        if pool.tainted:
            self._result.events["tainted pools"] += 1
        elif pool.state.frozen is None:
            self._judge.judge_at_rest(pool)
            self._result.events["settled pools"] += 1

    async def _judge_nothing_left(self) -> None:
        async with self._service.database.connection() as conn:
            for what, query in _LEFTOVERS.items():
                row = await (await conn.execute(query)).fetchone()
                if row is not None and row[0]:
                    raise Violation(f"{row[0]} {what} are left over")

    async def _answer_for_a_person(self) -> None:
        """Whoever looks at a frozen pool, or one that was booked wrongly, and knows the truth says it."""
        found = await self._pools()
        frozen = [pool for pool in found if pool.state.frozen is not None]
        orders = "with orders" if self._scenario.reads_orders else "without orders"
        self._result.events[f"frozen, {self._scenario.on_unknown}, {orders}"] += len(frozen)
        for pool in found:
            if pool.state.frozen is not None or pool.tainted:
                decision = self._decision(pool)
                self._diary.tell(f"a person says of {pool.row.title}: {decision}")
                await resolve_pool(self._service.deps, pool.row, decision)
                self._result.events["answered by a person"] += 1
        await self._service.wait(30)
        await self._judge_all()

    async def _judge_all(self) -> None:
        found = await self._pools()
        self._judge_scope(found)
        for pool in found:
            if pool.state.frozen is not None or pool.tainted:
                raise Violation(f"{pool.row.title} is still in question after a person has answered")
            self._judge.judge_at_rest(pool)

    def _decision(self, pool: Judged) -> Decision:
        """A pool that is half written can only be counted; else it is enough to know what became of it."""
        frozen, intent = pool.state.frozen, pool.state.intent
        half = intent is not None and self._judge.half_applied(pool, intent.key)
        self._result.faults["half_applied"] += half
        if pool.tainted or half or (frozen is not None and frozen.code is FreezeCode.PARTIAL):
            truth = self._judge.truth(pool)
            return Decision(resolution=Resolution.ADOPT_LEVELS, stock=truth, by="the simulation")
        was = intent is not None and bool(self._judge.applied(intent.key))
        resolution = Resolution.WAS_APPLIED if was else Resolution.WAS_NOT_APPLIED
        return Decision(resolution=resolution, stock=None, by="the simulation")

    async def _one_calm_sale(self) -> None:
        """One sale costs at most two requests, its echo none, and then there is silence (I6)."""
        service = self._service
        await service.wait(LAST_RETRY_S)
        await service.subscribe()  # deliveries refused to the end cost the subscription; the hourly repair
        found = await self._pools()
        if not found:
            self._result.events["nothing shared at the end"] += 1
            return
        before = len(service.requests)
        id = min(found[0].state.members)
        self._outside.sell_one((id.item_id, id.location_id))
        await service.wait(60)
        self._result.calm_requests = len(service.requests) - before
        self._result.calm_pools = 1
        if self._result.calm_requests > 2:
            sent = [request.operation for request in service.requests[before:]]
            raise Violation(f"a calm sale cost {sent}")
        await self._judge_all()
        await service.wait(600)
        if len(service.requests) - before > 2:
            raise Violation("I6: something was sent although nothing happened")

    async def _pools(self) -> list[Judged]:
        self._diary.look(self._service.requests)
        self._judge.counts.clear()
        async with self._service.database.connection() as conn:
            return await self._judge.pools(conn)


async def _calm(point: str) -> None:
    """Nothing strikes any more."""


_LEFTOVERS = {
    "events": "select count(*) from work where done_at is null",
    "running jobs": "select count(*) from procrastinate_jobs where status = 'doing'",
    "effects of no open correction": """
        select count(*) from effects e where e.state = 'pending' and not exists (
            select from pools p where p.product_id = e.subject and p.in_doubt)
    """,
}
