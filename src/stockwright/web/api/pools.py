"""/pools: shared stocks, their history, and the way out of a freeze."""

from collections.abc import Mapping, Sequence

from pydantic import Field

from stockwright.explaining import Titles, history_lines, pool_json, pool_state, titles_of
from stockwright.ledger.hypotheses import Hypothesis, hypotheses
from stockwright.ledger.state import PoolState, Resolution
from stockwright.model import Fault, gid, gid_number
from stockwright.resolving import Decision, resolve_pool
from stockwright.store import api_reads, pools
from stockwright.store.api_reads import PoolLine
from stockwright.store.database import Connection
from stockwright.web.api import schemas
from stockwright.web.api.operations import AnyOperation, Call, Nothing, Operation, PageQuery, Reply
from stockwright.web.api.paging import decode
from stockwright.web.api.problems import ApiProblem, Kind, invalid, not_found
from stockwright.web.api.reading import QueryBool, QueryInt
from stockwright.web.api.shops import shop_named

_TAG = "Shared stocks"


class PoolsQuery(PageQuery):
    """Which stocks."""

    shop: str | None = Field(
        default=None, max_length=255, description="Only those of this shop (its domain)."
    )
    product: str | None = Field(
        default=None, max_length=255, description="Only those of this product (a gid or its number)."
    )
    frozen: QueryBool | None = Field(
        default=None, description="Only those that wait for a person, or only the others."
    )


class HistoryQuery(Nothing):
    """How far back."""

    entries: QueryInt = Field(
        default=200, ge=1, le=5000, description="The newest journal entries to tell of."
    )


async def list_pools(call: Call[PoolsQuery, Nothing]) -> Reply:
    """One page of stocks."""
    query = call.query
    after = decode(call.url_path, query.cursor)
    async with call.api.deps.database.connection() as conn:
        shop = await shop_named(conn, query.shop) if query.shop is not None else None
        found = await api_reads.pools_after(
            conn,
            shop_id=shop.shop_id if shop else None,
            product_id=_product(query.product),
            status=None if query.frozen is None else "frozen" if query.frozen else "active",
            after=after,
            limit=query.limit + 1,
        )
        titles = await _titles(conn, found[: query.limit])
    items = [
        schemas.Pool(**pool_json(line, titles[line.pool_id], shop=line.shop)) for line in found[: query.limit]
    ]
    more = call.next_page(found[query.limit - 1].pool_id) if len(found) > query.limit else None
    return Reply(content=schemas.PoolPage(items=items, next=more))


def _product(text: str | None) -> str | None:
    return gid("Product", text) if text and text.isdecimal() else text


async def get_pool(call: Call[Nothing, Nothing]) -> Reply:
    """One stock."""
    async with call.api.deps.database.connection() as conn:
        line = await _line(conn, call.path["pool_id"])
        titles = (await _titles(conn, [line]))[line.pool_id]
    content = schemas.PoolDetail(
        **pool_json(line, titles, shop=line.shop), hypotheses=_hypotheses(pool_state(line.state), titles)
    )
    return Reply(content=content)


async def get_history(call: Call[HistoryQuery, Nothing]) -> Reply:
    """How a stock came to its number."""
    async with call.api.deps.database.connection() as conn:
        line = await _line(conn, call.path["pool_id"])
        titles = (await _titles(conn, [line]))[line.pool_id]
        entries = await pools.newest_journal(conn, line.shop_id, line.pool_id, limit=call.query.entries)
    told = [
        schemas.HistoryLine(time=one.at, text=one.text, run_id=one.run_id)
        for one in history_lines(entries, titles)
    ]
    return Reply(
        content=schemas.History(
            pool=line.pool_id, title=line.title, stock=line.stock, status=line.status, lines=told
        )
    )


async def resolve(call: Call[Nothing, schemas.Resolve]) -> Reply:
    """Book a decision about a frozen stock."""
    body = call.body
    resolution = Resolution(body.resolution)
    if body.stock is not None and resolution is not Resolution.ADOPT_LEVELS:
        raise invalid("body", [Fault(path="stock", message="goes with adopt_levels only")])
    async with call.api.deps.database.connection() as conn:
        row = await pools.find(conn, call.path["pool_id"])
    if row is None:
        raise _no_pool(call.path["pool_id"])
    decision = Decision(resolution=resolution, stock=body.stock, by=call.actor.name)
    told = await resolve_pool(call.api.deps, row, decision, actor=call.actor)
    return Reply(content=schemas.Resolved(told=told))


async def _line(conn: Connection, pool_id: str) -> PoolLine:
    found = await api_reads.pools_after(conn, pool_id=pool_id, limit=1)
    if not found:
        raise _no_pool(pool_id)
    return found[0]


def _no_pool(pool_id: str) -> ApiProblem:
    return not_found(f"There is no shared stock {pool_id!r}. See GET /api/v1/pools.")


async def _titles(conn: Connection, lines: Sequence[PoolLine]) -> Mapping[str, Titles]:
    """Titles of the members of each stock."""
    found: dict[str, Titles] = {line.pool_id: {} for line in lines}
    for shop_id in {line.shop_id for line in lines}:
        held = await pools.members_of(conn, shop_id, [one.pool_id for one in lines if one.shop_id == shop_id])
        for pool_id, members in held.items():
            found[pool_id] = titles_of((one.item_id, one.location_id, one.title) for one in members)
    return found


def _hypotheses(state: PoolState, titles: Titles) -> schemas.Hypotheses | None:
    both = hypotheses(state)
    if both is None:
        return None
    return schemas.Hypotheses(
        if_applied=_reading(both.if_applied, titles), if_not=_reading(both.if_not, titles)
    )


def _reading(reading: Hypothesis, titles: Titles) -> schemas.Reading:
    moves = {titles.get(id) or gid_number(id.item_id): by for id, by in reading.moves.items()}
    return schemas.Reading(stock=reading.stock, moves=moves)


OPERATIONS: tuple[AnyOperation, ...] = (
    Operation(
        id="listPools",
        method="GET",
        path="/pools",
        tag=_TAG,
        scope="read",
        summary="List the shared stocks, by id.",
        handler=list_pools,
        query=PoolsQuery,
        body=Nothing,
        answer=schemas.PoolPage,
        problems=(Kind.NOT_FOUND,),
    ),
    Operation(
        id="getPool",
        method="GET",
        path="/pools/{pool_id}",
        tag=_TAG,
        scope="read",
        summary="Show a shared stock: levels, the stock S, and both readings of a correction in doubt.",
        handler=get_pool,
        query=Nothing,
        body=Nothing,
        answer=schemas.PoolDetail,
    ),
    Operation(
        id="getPoolHistory",
        method="GET",
        path="/pools/{pool_id}/history",
        tag=_TAG,
        scope="read",
        summary="Tell how a shared stock came to its number, from the journal.",
        handler=get_history,
        query=HistoryQuery,
        body=Nothing,
        answer=schemas.History,
    ),
    Operation(
        id="resolvePool",
        method="POST",
        path="/pools/{pool_id}/resolve",
        tag=_TAG,
        scope="write",
        summary="End the freeze of a shared stock.",
        description="The decision is journaled with the token's name; the next run reads the levels and corrects them.",
        handler=resolve,
        query=Nothing,
        body=schemas.Resolve,
        answer=schemas.Resolved,
        problems=(Kind.CONFLICT, Kind.SHOP),
    ),
)
