"""Automations as a list shows them: with the newest run of each, and how many failed lately. Read only."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import AutomationId, ShopId
from stockwright.store.queries import queries

SQL = queries("automation_lines")

FAILED_COUNTED = 1000  # more failed runs than this are not counted


@dataclass(frozen=True, kw_only=True)
class InstalledLine:
    """One automation; the run is None when it never ran, or its runs were deleted."""

    shop_id: ShopId
    automation_id: AutomationId
    kind: str
    name: str
    enabled: bool
    last_run_id: str | None
    last_run_at: datetime | None
    last_run_state: str | None
    failed_runs: int


async def installed(conn: AsyncConnection, *, failed_since: datetime) -> list[InstalledLine]:
    """All automations by shop, oldest first."""
    values = {"failed_since": failed_since, "failed_limit": FAILED_COUNTED}
    async with conn.cursor(row_factory=class_row(InstalledLine)) as cursor:
        await cursor.execute(SQL.installed, values)
        return await cursor.fetchall()
