"""/shops: which shops there are, and whether all is well with each."""

from stockwright.store import api_reads, shops
from stockwright.store.api_reads import ShopLine
from stockwright.store.database import Connection
from stockwright.store.shops import Shop as ShopRow
from stockwright.web.api import schemas
from stockwright.web.api.operations import AnyOperation, Call, Nothing, Operation, PageQuery, Reply
from stockwright.web.api.paging import decode
from stockwright.web.api.problems import ApiProblem, not_found


async def shop_named(conn: Connection, domain: str) -> ShopRow:
    """The shop of a domain.

    Raises:
        ApiProblem: there is none.
    """
    found = await shops.find(conn, domain)
    if found is None:
        raise no_shop(domain)
    return found


def no_shop(domain: str) -> ApiProblem:
    """There is no shop of that domain."""
    return not_found(f"There is no shop {domain!r}. See GET /api/v1/shops.")


async def list_shops(call: Call[PageQuery, Nothing]) -> Reply:
    """One page of shops."""
    limit = call.query.limit
    async with call.api.deps.database.connection() as conn:
        found = await api_reads.shops_after(
            conn, after=decode(call.url_path, call.query.cursor), limit=limit + 1
        )
    more = call.next_page(found[limit - 1].domain) if len(found) > limit else None
    return Reply(content=schemas.ShopPage(items=[_shop(line) for line in found[:limit]], next=more))


async def get_shop(call: Call[Nothing, Nothing]) -> Reply:
    """One shop."""
    domain = call.path["domain"].lower()
    async with call.api.deps.database.connection() as conn:
        found = await api_reads.shops_after(conn, domain=domain, limit=1)
    if not found:
        raise no_shop(domain)
    return Reply(content=_shop(found[0]))


def _shop(line: ShopLine) -> schemas.Shop:
    return schemas.Shop(
        domain=line.domain,
        name=line.name,
        status=line.status,
        reason=line.status_reason,
        pools=line.pools,
        frozen=line.frozen,
        read_at=line.read_at,
        api_url=line.api_url,
        plan=line.plan,
        timezone=line.timezone,
        on_unknown=line.on_unknown,
        scopes=line.scopes,
        locations=[schemas.Location.model_validate(place) for place in line.locations],
        created_at=line.created_at,
    )


OPERATIONS: tuple[AnyOperation, ...] = (
    Operation(
        id="listShops",
        method="GET",
        path="/shops",
        tag="Shops",
        scope="read",
        summary="List the shops, by domain.",
        handler=list_shops,
        query=PageQuery,
        body=Nothing,
        answer=schemas.ShopPage,
    ),
    Operation(
        id="getShop",
        method="GET",
        path="/shops/{domain}",
        tag="Shops",
        scope="read",
        summary="Show a shop.",
        handler=get_shop,
        query=Nothing,
        body=Nothing,
        answer=schemas.Shop,
    ),
)
