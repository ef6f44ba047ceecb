"""What the admin site needs done from time to time: statistics counted, sessions and tries forgotten."""

from dataclasses import dataclass

from stockwright import access
from stockwright.deps import Deps
from stockwright.store import stats


@dataclass(frozen=True, kw_only=True)
class SiteUpkeep:
    """The passes; each may be done twice or by two at once."""

    deps: Deps

    async def count(self) -> None:
        """Bring the hourly statistics up to date."""
        async with self.deps.database.connection() as conn:
            await stats.count_hours(conn, now=self.deps.clock())

    async def forget(self) -> None:
        """Delete sessions and sign-in tries that count no more."""
        async with self.deps.database.connection() as conn:
            await access.forget_old(conn, now=self.deps.clock())
