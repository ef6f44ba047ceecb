"""Deletes what is old, in batches small enough to disturb nobody. The journal of stock is kept for ever."""

from datetime import datetime

from psycopg import AsyncConnection

from stockwright.store.queries import queries

SQL = queries("retention")


async def delete_events(conn: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` events received before, with their finished work; how many."""
    return (await conn.execute(SQL.delete_events, {"before": before, "limit": limit})).rowcount


async def delete_deliveries(conn: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Forget up to `limit` webhook ids received before; how many."""
    return (await conn.execute(SQL.delete_deliveries, {"before": before, "limit": limit})).rowcount


async def delete_runs(conn: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` finished runs started before, with effects and attempts; how many."""
    return (await conn.execute(SQL.delete_runs, {"before": before, "limit": limit})).rowcount


async def delete_idle_keys(conn: AsyncConnection, *, limit: int) -> int:
    """Delete up to `limit` keys that wait for nothing, and so do not fail now; how many."""
    return (await conn.execute(SQL.delete_idle_keys, {"limit": limit})).rowcount
