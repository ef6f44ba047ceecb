"""/automations and /automation-kinds: install, change, run, preview, export, import. Rules live in `installing`."""

import hashlib
from contextlib import aclosing
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from pydantic import Field
from pydantic_core import to_json

from stockwright import installing, upkeep
from stockwright.automations import KINDS
from stockwright.model import Fault, StockwrightError
from stockwright.previewing import preview
from stockwright.store import api_reads, automations, shops
from stockwright.store.api_reads import AutomationLine
from stockwright.store.automations import AutomationRow
from stockwright.store.database import Connection
from stockwright.store.shops import Shop as ShopRow
from stockwright.web.api import schemas
from stockwright.web.api.operations import AnyOperation, ApiDeps, Call, Nothing, Operation, PageQuery, Reply
from stockwright.web.api.paging import decode
from stockwright.web.api.problems import ApiProblem, Kind, invalid, not_found
from stockwright.web.api.reading import QueryBool, QueryInt
from stockwright.web.api.shops import shop_named

_TAG = "Automations"


class AutomationsQuery(PageQuery):
    """Which automations."""

    shop: str | None = Field(
        default=None, max_length=255, description="Only those of this shop (its domain)."
    )
    kind: str | None = Field(default=None, max_length=100, description="Only those of this kind.")
    enabled: QueryBool | None = Field(
        default=None, description="Only those at work, or only those that are not."
    )


class PreviewQuery(Nothing):
    """How much to look at."""

    limit: QueryInt = Field(default=50, ge=1, le=200, description="How many products at most.")


# --- kinds ----------------------------------------------------------------------------------------------------


async def list_kinds(_call: Call[Nothing, Nothing]) -> Reply:
    """Every kind, with the JSON Schema of its options."""
    return Reply(content=schemas.AutomationKinds(items=[_kind(name) for name in KINDS]))


async def get_kind(call: Call[Nothing, Nothing]) -> Reply:
    """One kind."""
    name = call.path["kind"]
    if name not in KINDS:
        raise not_found(f"There is no automation kind {name!r}. Kinds: {', '.join(KINDS)}.")
    return Reply(content=_kind(name))


def _kind(name: str) -> schemas.AutomationKind:
    kind = KINDS[name]
    return schemas.AutomationKind(
        kind=name,
        title=kind.title,
        summary=kind.summary,
        topics=list(kind.topics),
        options=kind.options.model_json_schema(),
    )


# --- reading --------------------------------------------------------------------------------------------------


async def list_automations(call: Call[AutomationsQuery, Nothing]) -> Reply:
    """One page of automations."""
    query = call.query
    after = decode(call.url_path, query.cursor)
    async with call.api.deps.database.connection() as conn:
        shop = await shop_named(conn, query.shop) if query.shop is not None else None
        found = await api_reads.automations_after(
            conn,
            shop_id=shop.shop_id if shop else None,
            kind=query.kind,
            enabled=query.enabled,
            after=after,
            limit=query.limit + 1,
        )
    more = call.next_page(found[query.limit - 1].automation_id) if len(found) > query.limit else None
    items = [schemas.Automation(**_shape(line)) for line in found[: query.limit]]
    return Reply(content=schemas.AutomationPage(items=items, next=more))


async def get_automation(call: Call[Nothing, Nothing]) -> Reply:
    """One automation, with its ETag."""
    async with call.api.deps.database.connection() as conn:
        line = await _line(conn, call.path["automation_id"])
    return Reply(content=schemas.Automation(**_shape(line)), headers={"ETag": _etag(line)})


async def _line(conn: Connection, automation_id: str) -> AutomationLine:
    found = await api_reads.automations_after(conn, automation_id=automation_id, limit=1)
    if not found:
        raise _no_automation(automation_id)
    return found[0]


async def _row(call: Call[Any, Any]) -> AutomationRow:
    """The automation of the path, as it is at this moment.

    Raises:
        ApiProblem: there is none, or it is not the one of If-Match any more.
    """
    automation_id = call.path["automation_id"]
    async with call.api.deps.database.connection() as conn:
        row = await automations.find(conn, automation_id)
        line = await _line(conn, automation_id)
    if row is None:
        raise _no_automation(automation_id)
    if call.if_match is not None and not {"*", _etag(line)} & _tags(call.if_match):
        detail = f"{line.name!r} was changed since you read it. Read it again, then decide."
        raise ApiProblem(kind=Kind.CHANGED, detail=detail, headers={"ETag": _etag(line)})
    return row


def _no_automation(automation_id: str) -> ApiProblem:
    return not_found(f"There is no automation {automation_id!r}. See GET /api/v1/automations.")


def _shape(line: AutomationLine) -> dict[str, Any]:
    values = asdict(line)
    return {**values, "id": values.pop("automation_id")}


def _etag(line: AutomationLine) -> str:
    """Stands for the content: the same until somebody changes something."""
    return f'"{hashlib.sha256(to_json(asdict(line))).hexdigest()[:32]}"'


def _tags(if_match: str) -> set[str]:
    return {tag.strip() for tag in if_match.split(",")}


# --- changing -------------------------------------------------------------------------------------------------


async def create_automation(call: Call[Nothing, schemas.NewAutomation]) -> Reply:
    """Install an automation."""
    body = call.body
    _check_kind(body.kind, "kind")
    shop = await _shop_of_body(call.api, body.shop)
    row = await installing.add(
        call.api.deps,
        shop.shop_id,
        kind=body.kind,
        options=body.options,
        name=body.name,
        topics=body.topics,
        enabled=body.enabled,
        by=call.actor,
    )
    return await _saved(call, row, new=True)


async def import_automation(call: Call[Nothing, schemas.Import]) -> Reply:
    """Install an exported automation, disabled."""
    _check_kind(call.body.automation.kind, "automation.kind")
    shop = await _shop_of_body(call.api, call.body.shop)
    data = call.body.automation.model_dump()
    row = await installing.import_one(call.api.deps, shop.shop_id, data, by=call.actor)
    return await _saved(call, row, new=True)


async def change_automation(call: Call[Nothing, schemas.AutomationChange]) -> Reply:
    """Change options, name or topics."""
    body = call.body
    if not body.model_fields_set:
        raise invalid(
            "body", [Fault(path="", message="Give options, name or topics: there is nothing to change.")]
        )
    row = await installing.change(
        call.api.deps,
        await _row(call),
        **{name: getattr(body, name) for name in body.model_fields_set},
        by=call.actor,
    )
    return await _saved(call, row, new=False)


async def enable_automation(call: Call[Nothing, Nothing]) -> Reply:
    """Let an automation work."""
    row = await installing.change(call.api.deps, await _row(call), enabled=True, by=call.actor)
    return await _saved(call, row, new=False)


async def disable_automation(call: Call[Nothing, Nothing]) -> Reply:
    """Stop an automation."""
    row = await installing.change(call.api.deps, await _row(call), enabled=False, by=call.actor)
    return await _saved(call, row, new=False)


async def remove_automation(call: Call[Nothing, Nothing]) -> Reply:
    """Remove an automation with its shared stocks."""
    row = await _row(call)
    await installing.remove(call.api.deps, row, by=call.actor)
    await _subscribe(call.api, row)
    return Reply(content=None)


def _check_kind(kind: str, path: str) -> None:
    if kind not in KINDS:
        message = f"There is no automation kind {kind!r}. Kinds: {', '.join(KINDS)}."
        raise invalid("body", [Fault(path=path, message=message)])


async def _shop_of_body(api: ApiDeps, domain: str) -> ShopRow:
    async with api.deps.database.connection() as conn:
        found = await shops.find(conn, domain)
    if found is None:
        message = f"There is no shop {domain!r}. See GET /api/v1/shops."
        raise invalid("body", [Fault(path="shop", message=message)])
    return found


async def _saved(call: Call[Any, Any], row: AutomationRow, *, new: bool) -> Reply:
    warnings = await _subscribe(call.api, row)
    async with call.api.deps.database.connection() as conn:
        line = await _line(conn, row.automation_id)
    location = {"Location": f"/api/v1/automations/{quote(row.automation_id)}"} if new else {}
    content = schemas.SavedAutomation(**_shape(line), warnings=warnings)
    return Reply(content=content, headers={"ETag": _etag(line), **location})


async def _subscribe(api: ApiDeps, row: AutomationRow) -> list[str]:
    """Compare the shop's webhook subscriptions; what keeps webhooks away is told, and the change stands."""
    async with api.deps.database.connection() as conn:
        shop = await shops.get(conn, row.shop_id)
    if shop is None:
        return []
    try:
        found = await upkeep.subscribe(api.deps, shop, public_url=api.public_url)
    except StockwrightError as error:
        return [f"No webhooks yet: {error}"]
    return [f"No webhooks for {one.topic}: {one.problem}" for one in found if one.problem]


# --- using ----------------------------------------------------------------------------------------------------


async def run_automation(call: Call[Nothing, Nothing]) -> Reply:
    """Run an automation as soon as a worker is free."""
    row = await _row(call)
    event_id = await installing.trigger(call.api.deps, row, by=call.actor)
    return Reply(content=schemas.Started(events=[event_id], automation=row.automation_id))


async def preview_automation(call: Call[PreviewQuery, Nothing]) -> Reply:
    """What an automation would do now."""
    products: list[schemas.PreviewedProduct] = []
    complete = True
    found = preview(call.api.deps, await _row(call))
    async with aclosing(found):
        async for one in found:
            if len(products) == call.query.limit:
                complete = False
                break
            products.append(schemas.PreviewedProduct.model_validate(vars(one)))
    return Reply(content=schemas.Preview(products=products, complete=complete))


async def export_automation(call: Call[Nothing, Nothing]) -> Reply:
    """An automation as a file."""
    data = installing.export(await _row(call))
    return Reply(content=schemas.AutomationFile.model_validate(data))


# --- the table ------------------------------------------------------------------------------------------------

_SAVING = (Kind.CONFLICT, Kind.INVALID, Kind.SHOP)

OPERATIONS: tuple[AnyOperation, ...] = (
    Operation(
        id="listAutomationKinds",
        method="GET",
        path="/automation-kinds",
        tag=_TAG,
        scope="read",
        summary="List the kinds of automation with the JSON Schema of their options.",
        handler=list_kinds,
        query=Nothing,
        body=Nothing,
        answer=schemas.AutomationKinds,
    ),
    Operation(
        id="getAutomationKind",
        method="GET",
        path="/automation-kinds/{kind}",
        tag=_TAG,
        scope="read",
        summary="Show a kind of automation.",
        handler=get_kind,
        query=Nothing,
        body=Nothing,
        answer=schemas.AutomationKind,
    ),
    Operation(
        id="listAutomations",
        method="GET",
        path="/automations",
        tag=_TAG,
        scope="read",
        summary="List the automations, oldest first.",
        handler=list_automations,
        query=AutomationsQuery,
        body=Nothing,
        answer=schemas.AutomationPage,
        problems=(Kind.NOT_FOUND,),
    ),
    Operation(
        id="createAutomation",
        method="POST",
        path="/automations",
        tag=_TAG,
        scope="write",
        status=201,
        summary="Install an automation.",
        description="Every name in the options must exist in the shop; no level may belong to another automation (409).",
        handler=create_automation,
        query=Nothing,
        body=schemas.NewAutomation,
        answer=schemas.SavedAutomation,
        problems=_SAVING,
        has_etag=True,
        has_location=True,
        is_repeatable=True,
    ),
    Operation(
        id="importAutomation",
        method="POST",
        path="/automations/import",
        tag=_TAG,
        scope="write",
        status=201,
        summary="Install an exported automation, disabled.",
        handler=import_automation,
        query=Nothing,
        body=schemas.Import,
        answer=schemas.SavedAutomation,
        problems=_SAVING,
        has_etag=True,
        has_location=True,
        is_repeatable=True,
    ),
    Operation(
        id="getAutomation",
        method="GET",
        path="/automations/{automation_id}",
        tag=_TAG,
        scope="read",
        summary="Show an automation.",
        handler=get_automation,
        query=Nothing,
        body=Nothing,
        answer=schemas.Automation,
        has_etag=True,
    ),
    Operation(
        id="changeAutomation",
        method="PATCH",
        path="/automations/{automation_id}",
        tag=_TAG,
        scope="write",
        summary="Change options, name or topics; what is not named stays.",
        description="Two who change at once never undo each other: the second gets 412 with If-Match, else 409.",
        handler=change_automation,
        query=Nothing,
        body=schemas.AutomationChange,
        answer=schemas.SavedAutomation,
        problems=_SAVING,
        takes_if_match=True,
        has_etag=True,
    ),
    Operation(
        id="removeAutomation",
        method="DELETE",
        path="/automations/{automation_id}",
        tag=_TAG,
        scope="write",
        status=204,
        summary="Remove an automation with its shared stocks; runs and history stay, levels stay as they are.",
        handler=remove_automation,
        query=Nothing,
        body=Nothing,
        answer=None,
        takes_if_match=True,
    ),
    Operation(
        id="enableAutomation",
        method="POST",
        path="/automations/{automation_id}/enable",
        tag=_TAG,
        scope="write",
        summary="Let an automation work; it looks at the shop at once.",
        handler=enable_automation,
        query=Nothing,
        body=Nothing,
        answer=schemas.SavedAutomation,
        problems=_SAVING,
        takes_if_match=True,
        has_etag=True,
    ),
    Operation(
        id="disableAutomation",
        method="POST",
        path="/automations/{automation_id}/disable",
        tag=_TAG,
        scope="write",
        summary="Stop an automation; what waits for it is dropped, its shared stocks are kept.",
        handler=disable_automation,
        query=Nothing,
        body=Nothing,
        answer=schemas.SavedAutomation,
        problems=_SAVING,
        takes_if_match=True,
        has_etag=True,
    ),
    Operation(
        id="runAutomation",
        method="POST",
        path="/automations/{automation_id}/run",
        tag=_TAG,
        scope="write",
        status=202,
        summary="Run an automation as soon as a worker is free.",
        description="See GET /runs?automation=ID for what comes of it.",
        handler=run_automation,
        query=Nothing,
        body=Nothing,
        answer=schemas.Started,
        problems=(Kind.CONFLICT,),
        is_repeatable=True,
    ),
    Operation(
        id="previewAutomation",
        method="GET",
        path="/automations/{automation_id}/preview",
        tag=_TAG,
        scope="read",
        summary="Show what an automation would do now, product by product; nothing is written.",
        description="Reads the shop, so it takes as long as the shop needs and uses its API budget.",
        handler=preview_automation,
        query=PreviewQuery,
        body=Nothing,
        answer=schemas.Preview,
        problems=(Kind.SHOP,),
    ),
    Operation(
        id="exportAutomation",
        method="GET",
        path="/automations/{automation_id}/export",
        tag=_TAG,
        scope="read",
        summary="Get an automation as a file that can be imported here or elsewhere.",
        handler=export_automation,
        query=Nothing,
        body=Nothing,
        answer=schemas.AutomationFile,
    ),
)
