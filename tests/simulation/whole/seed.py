"""One seed: calm adoption, a storm of faults, calm again; then a person answers what froze, and one sale more.

A process dies by an exception that nothing catches, raised at a seam: before or after a request or a
transaction. What other workers and the next start do then is production code.
"""

import random
import traceback
from collections import Counter
from dataclasses import dataclass, field

from shopify_emulator import ManualClock
from shopify_emulator.documents import Documents
from shopify_emulator.fields.schema import executable_schema
from stockwright.ledger.state import FreezeCode, Resolution
from stockwright.model import StockwrightError
from stockwright.resolving import Decision, resolve_pool
from stockwright.store import shops
from stockwright.store.database import Pool
from tests.journey.checking import check_everything
from tests.journey.database_clock import DatabaseClock
from tests.journey.service import Service, handle_key, new_shop, serving
from tests.simulation.whole.judge import Judge, Judged, Violation
from tests.simulation.whole.outside import Outside
from tests.simulation.whole.scenario import Scenario, scenario_of

RECONCILE_S = 300.0
SLICE_S = 150.0
LAST_RETRY_S = 4.5 * 3600  # then Shopify tries no delivery again
WITHOUT_ORDERS = ("read_products", "write_products", "read_inventory", "write_inventory", "read_locations")

_DOCUMENTS = Documents(executable_schema())  # parsed once per process, not once per seed


class Died(BaseException):
    """The worker process is gone. Nothing but the simulation may catch it."""


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


async def play_seed(seed: int, connections: Pool, database_clock: DatabaseClock) -> Result:
    """One run in an empty database. A broken invariant, or any exception, becomes the result's failure."""
    scenario, result = scenario_of(seed), Result(seed=seed)
    scopes = {} if scenario.reads_orders else {"scopes": WITHOUT_ORDERS}
    shop = new_shop(ManualClock(), seed=seed, switches=scenario.switches, **scopes)
    shop.api.documents = _DOCUMENTS
    try:
        async with serving(
            connections,
            database_clock,
            shop,
            policy=scenario.policy,
            seed=seed,
            round_trip_s=0.2,
            handle_key=handle_key,
        ) as service:
            await Storm(scenario, service, result).play()
    except Violation as violation:
        result.failure = str(violation)
    except Exception:  # noqa: BLE001 - every defect of the code under test is a finding, not a crash of ours
        result.failure = traceback.format_exc(limit=-6)
    result.faults.update({str(kind): count for kind, count in shop.faults.injected.items()})
    return result


class Storm:
    """One scenario on one service."""

    def __init__(self, scenario: Scenario, service: Service, result: Result) -> None:
        self._scenario = scenario
        self._service = service
        self._result = result
        self._rng = random.Random(f"storm {scenario.seed}")
        self._outside = Outside(scenario, service.shop, self._rng)
        self._judge = Judge(
            service.shop, service.shop_id, stock=scenario.stock, orders_only=scenario.orders_only
        )
        self._held = False

    async def play(self) -> None:
        """All phases in order."""
        await self._adopt()
        await self._storm()
        await self._converge()
        await self._answer_for_a_person()
        await self._one_calm_sale()
        await check_everything(self._service.database, self._service.shop_id)
        self._result.events.update(self._judge.counts)
        self._result.requests = len(self._service.requests)

    async def _adopt(self) -> None:
        scenario, service = self._scenario, self._service
        async with service.database.connection() as conn:
            await shops.set_settings(conn, service.shop_id, plan="premium", on_unknown=scenario.on_unknown)
        await service.add(scenario.kind, **scenario.options)
        places = 1 if scenario.options.get("locations_as_one") else scenario.locations
        if len(await self._pools()) != scenario.products * places:
            raise Violation("not every product was adopted")

    # --- the storm --------------------------------------------------------------------------------------

    async def _storm(self) -> None:
        service = self._service
        service.shop.faults.webhook_delay_s = self._rng.choice((30.0, 900.0))
        service.shop.faults.rates(self._scenario.rates)
        service.seam = self._seam
        self._outside.plan()
        passed_s = 0.0
        while passed_s < self._scenario.storm_s + SLICE_S:
            await self._pass(SLICE_S)
            passed_s += SLICE_S
        service.seam = _calm
        service.shop.faults.clear()

    async def _pass(self, delay_s: float) -> None:
        """Let time pass, through as many deaths of the worker as come; then sweep and reconcile."""
        service = self._service
        until_s = service.clock.now().timestamp() + delay_s
        while (left_s := until_s - service.clock.now().timestamp()) > 0:
            try:
                await service.wait(left_s)
            except Died:
                await self._start_again()
        try:
            await service.sweep()
            await service.reconcile()
        except Died:
            await self._start_again()
        self._check_errors()

    async def _start_again(self) -> None:
        """After seconds, or after minutes; nothing strikes in between."""
        away_s = self._rng.uniform(0.2, 5.0)
        if self._rng.random() < 0.1:
            away_s = self._rng.uniform(60.0, 600.0)
            self._result.faults["outage"] += 1
        await self._service.move(away_s)
        await self._service.restart()

    def _check_errors(self) -> None:
        """Runs may fail for what the shop does, never for a defect of ours."""
        for error in self._service.errors:
            if not isinstance(error, StockwrightError):
                raise error
            self._result.events[f"failed run: {type(error).__name__}"] += 1
        self._service.errors.clear()

    async def _seam(self, point: str) -> None:
        if self._rng.random() < self._scenario.crash_rate:
            self._result.faults["crash"] += 1
            self._result.faults[f"crash_{point}"] += 1
            raise Died(point)
        if point == "sending" and self._rng.random() < self._scenario.sale_between_rate:
            self._result.faults["sale_between"] += 1
            self._outside.sell()
        if not self._held and self._rng.random() < self._scenario.hold_rate:
            await self._hold_up(point)

    async def _hold_up(self, point: str) -> None:
        """The worker stands still; others take it for dead, run its keys, and then it goes on."""
        self._result.faults["held_up"] += 1
        self._result.faults[f"held_up_{point}"] += 1
        self._held = True
        try:
            await self._service.bury()
            await self._service.move(self._rng.choice((2.0, 25.0, 60.0, 200.0)))
            await self._service.settle()
        finally:
            self._held = False

    # --- calm again -------------------------------------------------------------------------------------

    async def _converge(self) -> None:
        """I5: within two reconcile periods every pool that is not frozen shows the truth."""
        for _ in range(2):
            await self._service.reconcile()
            await self._service.wait(RECONCILE_S)
        self._check_errors()
        for pool in await self._pools():
            self._judge_settled(pool)
        await self._judge_nothing_left()

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
        """Whoever looks at a frozen pool and knows the truth says it, and the pool goes on."""
        frozen = [pool for pool in await self._pools() if pool.state.frozen is not None]
        orders = "with orders" if self._scenario.reads_orders else "without orders"
        self._result.events[f"frozen, {self._scenario.on_unknown}, {orders}"] += len(frozen)
        for pool in frozen:
            intent = pool.state.intent
            if intent is None or pool.tainted:
                continue
            await resolve_pool(self._service.deps, pool.row, self._decision(pool, intent.key))
            self._result.events["answered by a person"] += 1
        await self._service.wait(30)
        for pool in await self._pools():
            if not pool.tainted:
                self._judge.judge_at_rest(pool)

    def _decision(self, pool: Judged, key: str) -> Decision:
        """A pool that seems half written can only be counted; else it is enough to know what became of it."""
        if pool.state.frozen is not None and pool.state.frozen.code is FreezeCode.PARTIAL:
            truth = self._judge.truth(pool)
            return Decision(resolution=Resolution.ADOPT_LEVELS, stock=truth, by="the simulation")
        was = self._judge.applied(key)
        resolution = Resolution.WAS_APPLIED if was else Resolution.WAS_NOT_APPLIED
        return Decision(resolution=resolution, stock=None, by="the simulation")

    async def _one_calm_sale(self) -> None:
        """One sale costs at most two requests, its echo none, and then there is silence (I6)."""
        service = self._service
        await service.wait(LAST_RETRY_S)
        await service.subscribe()  # deliveries refused to the end cost the subscription; the hourly repair
        before = len(service.requests)
        listing = self._outside.listings[0]
        listing.sell("A", location=self._outside.locations[0])
        await service.wait(60)
        self._result.calm_requests = len(service.requests) - before
        self._result.calm_pools = 1
        if self._result.calm_requests > 2:
            sent = [request.operation for request in service.requests[before:]]
            raise Violation(f"a calm sale cost {sent}")
        for pool in await self._pools():
            if not pool.tainted:
                self._judge.judge_at_rest(pool)
        await service.wait(600)
        if len(service.requests) - before > 2:
            raise Violation("I6: something was sent although nothing happened")

    async def _pools(self) -> list[Judged]:
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
