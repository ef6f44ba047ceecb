"""What must hold after every story: journals explain the state, and records explain the plans.

Reads the database only. A failure names the pool or run.
"""

from stockwright.automations import recording
from stockwright.engine import plan_to_json
from stockwright.ledger import journal, wire
from stockwright.model import ShopId
from stockwright.store import pools, runs
from stockwright.store.database import Connection, Pool


async def check_everything(database: Pool, shop_id: ShopId) -> None:
    """All checks that hold for every shop at any time."""
    async with database.connection() as conn:
        await check_journals(conn, shop_id)
        await check_records(conn, shop_id)
        await check_rows(conn, shop_id)


async def check_journals(conn: Connection, shop_id: ShopId) -> int:
    """I8: replaying each pool's journal from nothing gives the stored state, bit for bit. How many pools."""
    rows = await pools.list_pools(conn, shop_id, product_id=None, only_frozen=False, limit=100_000)
    for row in rows:
        history = await pools.journal(conn, shop_id, row.pool_id)
        assert [line.seq for line in history] == list(range(1, row.version + 1)), row.title
        replayed = journal.replay(wire.entry_from_json(line.data) for line in history)
        assert wire.state_to_json(replayed) == row.state, f"the journal of {row.title} tells another story"
        assert row.stock == replayed.stock, row.title
    return len(rows)


async def check_records(conn: Connection, shop_id: ShopId) -> int:
    """Each recorded decision, made again from its record alone, is the same plan. How many."""
    decided = 0
    for listed in await runs.list_runs(conn, shop_id=shop_id, limit=100_000):
        run = await runs.get(conn, listed.run_id)
        if run is None or run.input is None:
            continue
        plan = recording.decide_again(run.kind, run.input)
        assert plan_to_json(plan) == run.plan, f"{run.run_id} decides otherwise from its record"
        assert plan.because == run.because
        decided += 1
    return decided


async def check_rows(conn: Connection, shop_id: ShopId) -> None:
    """The columns beside the state say what the state says, and claims are the members."""
    for row in await pools.list_pools(conn, shop_id, product_id=None, only_frozen=False, limit=100_000):
        state = wire.state_from_json(row.state)
        assert (row.status == "frozen") == (state.frozen is not None), row.title
        assert row.in_doubt == (state.intent is not None), row.title
        held = (await pools.members_of(conn, shop_id, [row.pool_id])).get(row.pool_id, [])
        claimed = {(member.item_id, member.location_id): member.expected for member in held}
        expected = {(id.item_id, id.location_id): member.expected for id, member in state.members.items()}
        assert claimed == expected, f"the claims of {row.title} are not its members"
