"""/shops/{domain}/demand, imports, and everything about one address: export and erasure."""

from pydantic import BaseModel, ConfigDict, Field

from stockwright import importing
from stockwright import people as service
from stockwright.importing import REFUSALS_SHOWN
from stockwright.notify.addresses import normalise
from stockwright.people_files import demand_json
from stockwright.store import demand, imports, shops
from stockwright.store.database import Connection
from stockwright.store.imports import ImportRow
from stockwright.web.api import schemas_people as schemas
from stockwright.web.api.operations import AnyOperation, Call, Nothing, Operation, Reply
from stockwright.web.api.problems import Kind, not_found
from stockwright.web.api.reading import QueryInt
from stockwright.web.api.shops import shop_named

_TAG = "Subscribers"


class DemandQuery(BaseModel):
    """How much of the report, in which order."""

    model_config = ConfigDict(extra="forbid")

    limit: QueryInt = Field(default=200, ge=1, le=1000, description="How many variants at most.")
    order: str = Field(
        default="people",
        pattern="^(people|units|revenue|oldest)$",
        description="people, units, revenue or oldest: the most first.",
    )


async def get_demand(call: Call[DemandQuery, Nothing]) -> Reply:
    """What people wait for."""
    query = call.query
    async with call.api.deps.database.connection() as conn:
        shop = await shop_named(conn, call.path["domain"].lower())
        rows = await demand.demand(conn, shop.shop_id, order=query.order, limit=query.limit)
        totals = await demand.totals(conn, shop.shop_id)
    return Reply(
        content=schemas.DemandReport(
            items=[schemas.Demand.model_validate(demand_json(row)) for row in rows],
            variants=totals.variants,
            people=totals.people,
            units=totals.units,
            revenue=dict(totals.revenue),
        )
    )


# --- one address ------------------------------------------------------------------------------------------------


async def export_person(call: Call[Nothing, schemas.OneAddress]) -> Reply:
    """All that is kept of an address."""
    address = normalise(call.body.email)
    async with call.api.deps.database.connection() as conn:
        shop = await shop_named(conn, call.path["domain"].lower())
    data = await service.data_of(call.api.deps, shop, [address])
    return Reply(content=schemas.PersonData.model_validate(data))


async def erase_person(call: Call[Nothing, schemas.OneAddress]) -> Reply:
    """Erase an address."""
    address = normalise(call.body.email)
    async with call.api.deps.database.connection() as conn:
        shop = await shop_named(conn, call.path["domain"].lower())
    done = await service.erase(call.api.deps, shop, address, by=call.actor)
    return Reply(content=schemas.Erased(subscribers=done.subscribers, messages=done.messages))


# --- imports ----------------------------------------------------------------------------------------------------


async def add_import(call: Call[Nothing, schemas.NewImport]) -> Reply:
    """Take a file in."""
    body = call.body
    async with call.api.deps.database.connection() as conn:
        shop = await shop_named(conn, call.path["domain"].lower())
    row = await importing.begin(
        call.api.deps,
        shop,
        name=body.file_name,
        data=body.csv.encode(errors="replace"),
        check=body.check,
        consent=body.consent,
        by=call.actor,
    )
    return await _reply(call, row.import_id)


async def get_import(call: Call[Nothing, Nothing]) -> Reply:
    """How far an import is."""
    return await _reply(call, call.path["import_id"])


async def start_import(call: Call[Nothing, schemas.StartImport]) -> Reply:
    """Import what was checked."""
    async with call.api.deps.database.connection() as conn:
        row = await _row(conn, call.path["import_id"])
    await importing.start(call.api.deps, row, consent=call.body.consent, by=call.actor)
    return await _reply(call, row.import_id)


async def cancel_import(call: Call[Nothing, Nothing]) -> Reply:
    """Stop an import."""
    async with call.api.deps.database.connection() as conn:
        row = await _row(conn, call.path["import_id"])
    await importing.cancel(call.api.deps, row, by=call.actor)
    return await _reply(call, row.import_id)


async def _row(conn: Connection, import_id: str) -> ImportRow:
    row = await imports.get(conn, import_id)
    if row is None:
        raise not_found(f"There is no import {import_id!r}. They are forgotten after a week.")
    return row


async def _reply(call: Call, import_id: str) -> Reply:  # type: ignore[type-arg]
    async with call.api.deps.database.connection() as conn:
        row = await _row(conn, import_id)
        shop = await shops.get(conn, row.shop_id)
        refused = await imports.refusals(conn, row.shop_id, row.import_id, limit=REFUSALS_SHOWN)
    content = schemas.Import(
        import_id=row.import_id,
        shop=shop.domain if shop else "",
        file_name=row.file_name,
        state=row.state,
        reason=row.reason,
        consent=row.consent,
        lines=row.total_rows,
        lines_done=row.next_row,
        added=row.added,
        doubles=row.doubles,
        refused=row.refused,
        refused_lines=[schemas.RefusedLine(line=one.line, reason=one.reason) for one in refused],
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
    return Reply(content=content)


OPERATIONS: tuple[AnyOperation, ...] = (
    Operation(
        id="getDemand",
        method="GET",
        path="/shops/{domain}/demand",
        tag=_TAG,
        scope="read",
        summary="Report what people wait for, by variant, with what it is worth.",
        handler=get_demand,
        query=DemandQuery,
        body=Nothing,
        answer=schemas.DemandReport,
    ),
    Operation(
        id="exportPerson",
        method="POST",
        path="/shops/{domain}/people/export",
        tag=_TAG,
        scope="read",
        summary="Give all that is kept of a mail address. POST, so that no log holds the address.",
        handler=export_person,
        query=Nothing,
        body=schemas.OneAddress,
        answer=schemas.PersonData,
    ),
    Operation(
        id="erasePerson",
        method="POST",
        path="/shops/{domain}/people/erase",
        tag=_TAG,
        scope="write",
        summary="Erase a mail address from everything that is kept; only its keyed hash stays suppressed.",
        handler=erase_person,
        query=Nothing,
        body=schemas.OneAddress,
        answer=schemas.Erased,
    ),
    Operation(
        id="addSubscriberImport",
        method="POST",
        path="/shops/{domain}/subscriber-imports",
        tag=_TAG,
        scope="write",
        status=202,
        summary="Import people from CSV, or only check it; a worker goes through it.",
        handler=add_import,
        query=Nothing,
        body=schemas.NewImport,
        answer=schemas.Import,
        problems=(Kind.CONFLICT,),
        is_repeatable=True,
    ),
    Operation(
        id="getSubscriberImport",
        method="GET",
        path="/subscriber-imports/{import_id}",
        tag=_TAG,
        scope="read",
        summary="Show how far an import is, and the lines that were refused.",
        handler=get_import,
        query=Nothing,
        body=Nothing,
        answer=schemas.Import,
    ),
    Operation(
        id="startSubscriberImport",
        method="POST",
        path="/subscriber-imports/{import_id}/start",
        tag=_TAG,
        scope="write",
        status=202,
        summary="Import a file that was checked.",
        handler=start_import,
        query=Nothing,
        body=schemas.StartImport,
        answer=schemas.Import,
        problems=(Kind.CONFLICT,),
    ),
    Operation(
        id="cancelSubscriberImport",
        method="POST",
        path="/subscriber-imports/{import_id}/cancel",
        tag=_TAG,
        scope="write",
        summary="Stop an import; who was imported so far stays.",
        handler=cancel_import,
        query=Nothing,
        body=Nothing,
        answer=schemas.Import,
        problems=(Kind.CONFLICT,),
    ),
)
