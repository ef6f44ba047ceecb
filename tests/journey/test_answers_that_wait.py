"""An answer of the shop that cannot be stored at once: the database is away, or the run is cancelled meanwhile."""

import asyncio

import psycopg

from tests.journey.service import Service, play
from tests.journey.test_shared_stock import start, stored_pools


class Outage:
    """The database is away for the next `tries` transactions after a correction was answered."""

    def __init__(self, service: Service, *, tries: int) -> None:
        self._service = service
        self._left = tries
        self.begun = asyncio.Event()

    async def __call__(self, point: str) -> None:
        writes = self._service.writes
        if point == "storing" and writes and writes[-1].answered and self._left:
            self._left -= 1
            self.begun.set()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    @property
    def is_over(self) -> bool:
        """Whether the database was away as often as it should be."""
        return not self._left


def test_an_answer_waits_until_the_database_is_back(database) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        outage = Outage(service, tries=5)
        service.seam = outage
        poster.sell("A")
        await service.settle()
        assert outage.is_over
        assert service.errors == []
        assert poster.levels() == [9, 9, 9]
        assert await kinds_of_entries(service) == ["adopted", "observed", "intent_opened", "intent_applied"]

    play(database, story)


def test_an_answer_is_stored_even_when_its_run_is_cancelled(database) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        outage = Outage(service, tries=3)
        service.seam = outage
        poster.sell("A")
        running = asyncio.create_task(service.settle())
        await outage.begun.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        async with asyncio.timeout(10):
            while (await stored_pools(service))[0].in_doubt:  # noqa: ASYNC110 - only the database knows
                await asyncio.sleep(0.01)
        assert running.cancelled()
        assert await kinds_of_entries(service) == ["adopted", "observed", "intent_opened", "intent_applied"]

    play(database, story)


async def kinds_of_entries(service: Service) -> list[str]:
    """The journal of the only pool, without what reads alone wrote."""
    async with service.database.connection() as conn:
        cursor = await conn.execute("select kind from journal where kind <> 'stamped' order by seq")
        return [row[0] for row in await cursor.fetchall()]
