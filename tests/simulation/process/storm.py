"""One seed against real processes: sells over HTTP, kills parts of the service, waits, and has it judged."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.real_processes import (
    Part,
    RunningShop,
    Service,
    running_service,
    running_shop,
    wait_until,
)
from tests.simulation.process import judging
from tests.simulation.process.judging import OURS, ServiceFacts, ShopFacts, Verdict
from tests.simulation.process.schedule import LOCATIONS, STOCK, VARIANTS, Order, Round, Schedule

Json = dict[str, Any]

SETTINGS = {
    # The shop is on this machine: it applies a call at once or never. A correction is sent within a quarter of this
    # after its read or not at all; a starved machine with twenty keys in work took four seconds for that.
    "STOCKWRIGHT_DEAD_TIME_S": "20",
    "STOCKWRIGHT_ORDER_LAG_S": "0",
    "STOCKWRIGHT_RECONCILE_EVERY_S": "30",
    "STOCKWRIGHT_SWEEP_EVERY_S": "5",
    "STOCKWRIGHT_LOG_LEVEL": "warning",
}
_KIND = "keep-in-sync-within-products"
_OPTIONS = {"raise_settle_s": 0.5, "bulk_raise": "sum"}
_WORK_AGAIN_LIMIT_S = 60.0
_CONVERGE_LIMIT_S = 300.0
_BUYERS = 8


class NotConverged(AssertionError):
    """The service was not done in time."""


@dataclass(kw_only=True)
class Outcome:
    """What one seed showed."""

    schedule: Schedule
    verdict: Verdict
    kills: Counter[Part]
    converged_after_s: float  # since the last order
    took_s: float


@dataclass(kw_only=True)
class Storm:
    """The running processes of one seed."""

    schedule: Schedule
    shop: RunningShop
    service: Service
    webhook_log: Path
    initial: Json  # the shop's state before the first order
    kills: Counter[Part] = field(default_factory=Counter)
    _history: list[Json] = field(default_factory=list)

    def run(self) -> Outcome:
        """All rounds, then the calm, then the verdict."""
        begun = time.monotonic()
        with ThreadPoolExecutor(_BUYERS) as buyers:
            for one in self.schedule.rounds:
                self._round(one, buyers)
            self._sell(self.schedule.calm, buyers)
        calm_since = time.monotonic()
        shop, deliveries, facts = self._until_converged()
        converged_after_s = time.monotonic() - calm_since
        verdict = judging.judge(shop, facts, deliveries)
        state = self.shop.state()
        moved = replace(self._shop_facts(), history=self._history[: state["movements"]])
        if judging.levels_of(state) != moved.levels():
            verdict.violations.append("the shop's levels are not the sum of its history")
        needless = verdict.counts["frozen"] - verdict.counts["frozen, undecidable"]
        if needless and not self.schedule.may_freeze:
            verdict.violations.append(f"{needless} stocks froze although orders were spread")
        return Outcome(
            schedule=self.schedule,
            verdict=verdict,
            kills=self.kills,
            converged_after_s=converged_after_s,
            took_s=time.monotonic() - begun,
        )

    # --- selling and killing --------------------------------------------------------------------------

    def _round(self, one: Round, buyers: ThreadPoolExecutor) -> None:
        for burst in one.bursts[:-1]:
            self._sell(burst, buyers)
            time.sleep(one.pause_s)
        self._until_working()
        killing = buyers.submit(self._kill, one)
        self._sell(one.bursts[-1], buyers)
        killing.result()

    def _kill(self, one: Round) -> None:
        time.sleep(one.kill.delay_s)
        self.service.kill(one.kill.part)
        self.kills[one.kill.part] += 1
        if one.kill.part is Part.SERVICE:
            self.service.start()

    def _sell(self, orders: Sequence[Order], buyers: ThreadPoolExecutor) -> None:
        for _ in buyers.map(self._buy, orders):
            pass

    def _buy(self, order: Order) -> None:
        lines = [
            {"variant": self._variant(line.product, line.variant), "quantity": line.quantity}
            for line in order.lines
        ]
        made = self.shop.post("sell", {"lines": lines, "location": self._location(order.location)})
        if order.refunded is not None:
            self.shop.post("refund", {"order": made["id"], "lines": [lines[order.refunded]]})

    def _variant(self, product: int, variant: int) -> str:
        found: str = self.initial["products"][product]["variants"][variant]["id"]
        return found

    def _location(self, number: int) -> str:
        found: str = self.initial["locations"][number]["id"]
        return found

    def _until_working(self) -> None:
        """Until the service corrects again or has nothing to correct: the next kill strikes work and not a start."""
        before = self._corrections()
        wait_until(
            lambda: self._corrections() > before or self._is_in_step(),
            limit_s=_WORK_AGAIN_LIMIT_S,
            what="the service corrects a level again",
        )

    def _corrections(self) -> int:
        return sum(moved["cause"] == OURS for moved in self._shop_facts().history)

    def _is_in_step(self) -> bool:
        """Whether every stock is right, or waits for a person."""
        wrong = self._shop_facts().wrong().keys()
        return not wrong or wrong <= judging.frozen_places(self.service.dsn())

    # --- the end --------------------------------------------------------------------------------------

    def _until_converged(self) -> tuple[ShopFacts, list[tuple[str, str]], ServiceFacts]:
        """Until each shared stock is in step or frozen, and nothing waits to be done; all as of one moment.

        Echoes and retries still arrive: the deliveries are read before what is stored of them, and nothing may
        have moved while the database was read.
        """
        deadline = time.monotonic() + _CONVERGE_LIMIT_S
        while True:
            shop, deliveries = self._shop_facts(), self._deliveries()
            facts = judging.service_facts(self.service.dsn())
            frozen = {pool.place for pool in facts.pools if pool.frozen}
            wrong = {place: levels for place, levels in shop.wrong().items() if place not in frozen}
            if not wrong and not facts.waiting and self._shop_facts().history == shop.history:
                return shop, deliveries, facts
            if time.monotonic() > deadline:
                raise NotConverged(
                    f"{_CONVERGE_LIMIT_S:g} s after the last order {len(wrong)} stocks are out of step and "
                    f"{facts.waiting} things wait: {wrong}"
                )
            time.sleep(0.1)

    def _shop_facts(self) -> ShopFacts:
        self._history += self.shop.history(since=len(self._history))
        return ShopFacts(
            initial=judging.levels_of(self.initial),
            product_of=judging.products_of(self.initial),
            history=tuple(self._history),
        )

    def _deliveries(self) -> list[tuple[str, str]]:
        lines = self.webhook_log.read_text().splitlines()
        return [(webhook_id, status) for webhook_id, status in map(str.split, lines)]


@contextmanager
def storm(schedule: Schedule) -> Iterator[Storm]:
    """Shop and service of one seed, with every shared stock adopted."""
    with TemporaryDirectory(prefix="stockwright-storm-") as folder:
        log = Path(folder, "webhooks.log")
        log.touch()
        arguments = ["--seed", str(schedule.seed), "--webhook-log", str(log)]
        if not schedule.order_evidence:
            arguments.append("--without-orders")
        module = "tests.simulation.process.shop"
        with (
            running_shop(_catalogue(schedule.products), module=module, arguments=arguments) as shop,
            running_service(SETTINGS) as service,
        ):
            service.add_shop(shop)
            service.add_automation(_KIND, shop, **_OPTIONS)
            service.until_adopted(schedule.products * len(LOCATIONS))
            yield Storm(schedule=schedule, shop=shop, service=service, webhook_log=log, initial=shop.state())


def _catalogue(count: int) -> Json:
    variants = [{"title": f"Listing {number}"} for number in range(VARIANTS)]
    products = [
        {"title": f"Print {number}", "variants": variants, "levels": STOCK} for number in range(count)
    ]
    return {"locations": [{"name": name} for name in LOCATIONS], "products": products}
