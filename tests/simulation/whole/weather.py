"""What strikes at the seams: death, a standstill, a sale in between, a database that is away, a read that lags.

Knows the seams of `tests.journey.service` and draws from one seed. Decides no phase of a run.
"""

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg

from shopify_emulator import Fault
from tests.journey.service import Service
from tests.simulation.whole.outside import Outside
from tests.simulation.whole.scenario import Scenario

LAG_S = 5.0
"""How far a read may lag behind. Orders and dead time are weighed with more than this."""
WRITES_DIE_MORE = 5
"""A run has few writes, and each of their seams is to be a place of death."""
ASKED_AWAY_S = 8.0  # how long a worker waits for a database that is away


class Died(BaseException):
    """The worker process is gone. Nothing but the simulation may catch it."""


class Weather:
    """The seams of one service. `counts` are the faults that struck; `tell` hears of each."""

    def __init__(
        self,
        scenario: Scenario,
        service: Service,
        outside: Outside,
        rng: random.Random,
        tell: Callable[[str], None],
    ) -> None:
        self._scenario = scenario
        self._service = service
        self._outside = outside
        self._rng = rng
        self._tell = tell
        self._held = False
        self._away_until: datetime | None = None
        self.counts: Counter[str] = Counter()

    @property
    def database_away(self) -> bool:
        """Whether no connection can be had now."""
        return self._away_until is not None and self._service.clock.now() < self._away_until

    async def strike(self, point: str) -> None:
        """What happens at this seam."""
        if point in ("storing", "stored"):
            await self._database(point)
        self._death(point)
        if point == "reading":
            self._lag()
        if point == "sending" and self._rng.random() < self._scenario.sale_between_rate:
            self._struck("sale_between")
            self._outside.act_between()
        if not self._held and point != "asking" and self._rng.random() < self._scenario.hold_rate:
            await self._hold_up(point)

    def _struck(self, kind: str) -> None:
        self.counts[kind] += 1
        self._tell(f"fault: {kind}")

    def _death(self, point: str) -> None:
        more = WRITES_DIE_MORE if point in ("sending", "executed") else 1
        if self._rng.random() < self._scenario.crash_rate * more:
            self._struck(f"crash_{point}")
            raise Died(point)

    def _lag(self) -> None:
        """The read shows a copy that is up to five seconds old."""
        if self._rng.random() >= self._scenario.lag_rate:
            return
        since = self._service.clock.now() - timedelta(seconds=LAG_S)
        for level in self._service.shop.state.levels.values():
            if level.stamps["available"] < since:
                level.before = None
        self._service.shop.faults.next("*", Fault.LAGGING_READ)

    async def _database(self, point: str) -> None:
        """No connection, a commit whose answer is lost, or no connection for a while."""
        if self.database_away:
            await self._service.move(ASKED_AWAY_S)
            raise psycopg.OperationalError("the database is away")
        if self._held or self._rng.random() >= self._scenario.database_rate:
            return
        if point == "stored":
            self._struck("database_lost")
            raise psycopg.OperationalError("the connection is lost; what was committed is committed")
        if self._rng.random() < 0.3:
            self._struck("database_away")
            self._away_until = self._service.clock.now() + timedelta(seconds=self._rng.choice((5.0, 30.0)))
        else:
            self._struck("database_refused")
        raise psycopg.OperationalError("the database takes no connection")

    async def _hold_up(self, point: str) -> None:
        """The worker stands still; others take it for dead, run its keys, and then it goes on.

        A request that leaves later than the dead time would break what the rules build on: at most a minute then.
        """
        self._struck("held_up")
        self.counts[f"held_up_{point}"] += 1
        self._held = True
        try:
            await self._service.bury()
            longest_s = () if point == "sending" else (200.0,)
            await self._service.move(self._rng.choice((2.0, 25.0, 60.0, *longest_s)))
            await self._service.settle()
        finally:
            self._held = False
