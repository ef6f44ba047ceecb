"""Reads what `explaining` puts into words: everything that the database knows of a run."""

from stockwright.explaining import RunStory, titles_of
from stockwright.store import pools, runs
from stockwright.store.database import Connection
from stockwright.store.runs import RunRow


async def load_story(conn: Connection, run: RunRow) -> RunStory:
    """Everything that the database knows of a run."""
    pool_ids = [pool["pool_id"] for pool in (run.plan or {}).get("pools", ())]
    held = await pools.members_of(conn, run.shop_id, pool_ids)
    members = [(m.item_id, m.location_id, m.title) for rows in held.values() for m in rows]
    history = {
        pool_id: await pools.newest_journal(conn, run.shop_id, pool_id, limit=5000) for pool_id in pool_ids
    }
    return RunStory(
        run=run,
        events=await runs.events(conn, run.shop_id, run.run_id),
        effects=await runs.effects(conn, run.shop_id, run.run_id),
        attempts=await runs.attempts(conn, run.shop_id, run.run_id),
        history={
            pool_id: [row for row in rows if row.run_id == run.run_id] for pool_id, rows in history.items()
        },
        titles=titles_of(members),
    )
