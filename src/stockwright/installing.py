"""Automations from outside: add, change, enable, disable, remove, import and export, each checked first.

What is saved is whole: options parsed, every name found in the shop, no level claimed twice, topics routed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from stockwright.automations import kind_named
from stockwright.automations.channels import channels_named
from stockwright.automations.contract import Automation, missing_scopes
from stockwright.automations.options import read_options
from stockwright.automations.places import NameNotFound, check_active, check_locations, listed
from stockwright.bookkeeping import Owner, dissolve_all
from stockwright.deps import Deps, refresh_shop
from stockwright.model import (
    ENABLED,
    USER_TRIGGER,
    WHOLE_SHOP,
    AutomationId,
    Conflicting,
    EventId,
    Fault,
    FaultyFields,
    Json,
    JsonObject,
    NewEvent,
    ShopId,
    ShopRead,
    Source,
    StockwrightError,
    Subscription,
    parse_subscription,
)
from stockwright.shopify.client import ShopifyClient
from stockwright.store import automations, inbox, keys, shops
from stockwright.store.audit import COMMAND_LINE, Actor, audit
from stockwright.store.automations import AutomationRow
from stockwright.store.database import Connection
from stockwright.store.ids import new_id

EXPORT_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An automation as somebody wants it."""

    kind: str
    name: str
    options: Mapping[str, Json]
    topics: Sequence[str]
    enabled: bool


async def add(
    deps: Deps,
    shop_id: ShopId,
    *,
    kind: str,
    options: Mapping[str, Json],
    name: str = "",
    topics: Sequence[str] = (),
    enabled: bool = True,
    by: Actor = COMMAND_LINE,
) -> AutomationRow:
    """Install an automation, and let it look at the shop at once when it is enabled.

    Raises:
        FaultyFields: wrong options or topics, or names that the shop does not have.
        Conflicting: another automation holds the levels.
        StockwrightError: there is no such kind.
    """
    automation = kind_named(kind)
    now = deps.clock()
    row = AutomationRow(
        shop_id=shop_id,
        automation_id=AutomationId(new_id("aut", now)),
        kind=kind,
        name=name or automation.title,
        options=dict(options),
        topics=list(topics or automation.topics),
        enabled=enabled,
        created_at=now,
        updated_at=now,
    )
    return await _save(deps, row, was=None, by=by)


async def change(
    deps: Deps,
    row: AutomationRow,
    *,
    options: Mapping[str, Json] | None = None,
    name: str | None = None,
    topics: Sequence[str] | None = None,
    enabled: bool | None = None,
    by: Actor = COMMAND_LINE,
) -> AutomationRow:
    """Save an automation with some things changed; what is not named stays.

    Raises:
        FaultyFields: as for `add`.
        Conflicting: as for `add`, or somebody changed or removed it since `row` was read.
    """
    changed = replace(
        row,
        options=row.options if options is None else {**row.options, **options},
        name=row.name if name is None else name,
        topics=row.topics if topics is None else list(topics),
        enabled=row.enabled if enabled is None else enabled,
    )
    return await _save(deps, changed, was=row, by=by)


async def remove(deps: Deps, row: AutomationRow, *, by: Actor = COMMAND_LINE) -> None:
    """Delete an automation with its pools; its runs and the journal stay."""
    async with deps.database.connection() as conn, conn.transaction():
        await automations.lock(conn, row.shop_id, row.automation_id)
        await _audit(deps, conn, by, "automation.remove", row, {"kind": row.kind})
        owner = Owner(shop_id=row.shop_id, automation_id=row.automation_id)
        await dissolve_all(conn, owner, why=f"the automation {row.name!r} was removed", at=deps.clock())
        await automations.remove(conn, row.shop_id, row.automation_id)


async def trigger(
    deps: Deps, row: AutomationRow, payload: JsonObject | None = None, *, by: Actor = COMMAND_LINE
) -> EventId:
    """The Run button: an event like any other.

    Raises:
        Conflicting: the automation is disabled.
    """
    if not row.enabled:
        raise Conflicting(
            f"{row.name!r} is disabled. Enable it first: stockwright automation enable {row.automation_id}"
        )
    async with deps.database.connection() as conn, conn.transaction():
        await _audit(deps, conn, by, "automation.run", row, {})
        return await _send(deps, conn, row, USER_TRIGGER, Source.PERSON, payload or {})


async def _send(
    deps: Deps, conn: Connection, row: AutomationRow, topic: str, source: Source, payload: JsonObject
) -> EventId:
    event_id = EventId(new_id("evt", deps.clock()))
    event = NewEvent(
        shop_id=row.shop_id,
        event_id=event_id,
        topic=topic,
        payload=payload,
        source=source,
        subject=WHOLE_SHOP,
        automation_id=row.automation_id,
    )
    await inbox.receive(conn, [event])
    return event_id


def export(row: AutomationRow) -> JsonObject:
    """An automation as a file that `import` reads, in this shop or another."""
    return {
        "stockwright_automation": EXPORT_FORMAT,
        "kind": row.kind,
        "name": row.name,
        "options": dict(row.options),
        "topics": list(row.topics),
    }


async def import_one(deps: Deps, shop_id: ShopId, data: Json, *, by: Actor = COMMAND_LINE) -> AutomationRow:
    """Install an exported automation, disabled.

    Raises:
        StockwrightError: the file is not an exported automation, or `add` refuses it.
    """
    if not isinstance(data, dict) or data.get("stockwright_automation") != EXPORT_FORMAT:
        raise StockwrightError(
            'This is not an exported automation: the key "stockwright_automation" with the value 1 is missing. '
            "Make one with: stockwright automation export ID"
        )
    return await add(
        deps,
        shop_id,
        kind=str(data.get("kind", "")),
        options=data.get("options") or {},
        name=str(data.get("name", "")),
        topics=data.get("topics") or (),
        enabled=False,
        by=by,
    )


# --- saving -----------------------------------------------------------------------------------------------


async def _save(deps: Deps, row: AutomationRow, *, was: AutomationRow | None, by: Actor) -> AutomationRow:
    automation = kind_named(row.kind)
    options = _options(automation, row)
    row = replace(row, options=options.model_dump(mode="json"))
    topics = [_topic(no, text) for no, text in enumerate(row.topics)]
    _check_delays(topics)
    await _check(deps, row, automation, options)
    async with deps.database.connection() as conn, conn.transaction():
        if was is not None:
            await _check_unchanged(conn, was)
        await _audit(deps, conn, by, _action(row, was), row, _told(row, was))
        await automations.save(conn, row, new=was is None)
        await automations.route(conn, row.shop_id, row.automation_id, topics if row.enabled else ())
        if row.enabled:
            await _send(deps, conn, row, ENABLED, Source.PERSON, {})
        else:
            await keys.cancel(conn, row.shop_id, row.automation_id)
    return row


async def _audit(
    deps: Deps, conn: Connection, by: Actor, action: str, row: AutomationRow, detail: JsonObject
) -> None:
    told = {"automation_id": row.automation_id, **detail}
    await audit(conn, by, action, row.name, told, at=deps.clock())


def _action(row: AutomationRow, was: AutomationRow | None) -> str:
    if was is None:
        return "automation.add"
    if row.enabled == was.enabled:
        return "automation.change"
    return "automation.enable" if row.enabled else "automation.disable"


def _told(row: AutomationRow, was: AutomationRow | None) -> JsonObject:
    """What the log says of a saved automation: all of a new one, of another what changed."""
    if was is None:
        return {"kind": row.kind, "options": dict(row.options), "enabled": row.enabled}
    options = {name: value for name, value in row.options.items() if was.options.get(name) != value}
    return {
        **({"options": options} if options else {}),
        **({"name": row.name, "was_named": was.name} if row.name != was.name else {}),
        **({"topics": list(row.topics)} if list(row.topics) != list(was.topics) else {}),
    }


def _options(automation: Automation[Any], row: AutomationRow) -> Any:
    try:
        return read_options(automation.options, dict(row.options))
    except FaultyFields as error:
        faults = [replace(fault, path=f"options.{fault.path}".rstrip(".")) for fault in error.faults]
        raise FaultyFields(str(error), faults) from error


def _topic(no: int, text: str) -> Subscription:
    try:
        return parse_subscription(text)
    except StockwrightError as error:
        raise _faulty(f"topics.{no}", str(error)) from error


def _check_delays(topics: Sequence[Subscription]) -> None:
    """A topic has one delay."""
    delays: dict[str, Subscription] = {}
    for no, topic in enumerate(topics):
        if delays.setdefault(topic.topic, topic) != topic:
            raise _faulty(
                f"topics.{no}",
                f"The topic {topic.topic!r} is named twice, as {str(delays[topic.topic])!r} and {str(topic)!r}. "
                "An event leads to one run: keep one of them.",
            )


def _faulty(path: str, message: str) -> FaultyFields:
    return FaultyFields(message, [Fault(path=path, message=message)])


async def _check_unchanged(conn: Connection, was: AutomationRow) -> None:
    """Two who change the same automation must not undo each other."""
    now = await automations.lock(conn, was.shop_id, was.automation_id)
    if now is None or _content(now) != _content(was):
        raise Conflicting(
            f"{was.name!r} ({was.automation_id}) was {'changed' if now else 'removed'} by somebody else meanwhile. "
            "Look at it again, then decide."
        )


def _content(row: AutomationRow) -> tuple[Json, ...]:
    return row.name, dict(row.options), list(row.topics), row.enabled


async def _check(deps: Deps, row: AutomationRow, automation: Automation[Any], options: BaseModel) -> None:
    """Names exist; nobody else holds the levels."""
    shop = await refresh_shop(deps, row.shop_id)
    client = await deps.clients.for_shop(row.shop_id)
    names = automation.names(options)
    await _check_scopes(deps, row, automation)
    try:
        check_locations(shop, names.locations)
        check_active(shop, names.locations)
    except NameNotFound as error:
        raise _faulty("options.location_names", str(error)) from error
    try:
        channels_named(shop, names.sales_channels)
    except NameNotFound as error:
        raise _faulty("options.sales_channel_names", str(error)) from error
    if names.product_types:
        _check_types(names.product_types, await client.list_product_types())
    if automation.tells_shoppers and row.enabled:
        await _check_alone(deps, row)
    if automation.shares_stock and row.enabled:
        async with deps.database.connection() as conn:
            others = await automations.list_all(conn, row.shop_id)
        await _check_overlap(client, shop, row, others)


async def _check_alone(deps: Deps, row: AutomationRow) -> None:
    """One automation holds all that the merchant sets of the people who wait."""
    async with deps.database.connection() as conn:
        others = await automations.list_all(conn, row.shop_id)
    for other in others:
        if other.kind == row.kind and other.enabled and other.automation_id != row.automation_id:
            raise Conflicting(
                f"{other.name!r} ({other.automation_id}) already tells the shoppers of this shop. Change its options, "
                f"or disable it first: stockwright automation disable {other.automation_id}"
            )


async def _check_scopes(deps: Deps, row: AutomationRow, automation: Automation[Any]) -> None:
    """The app may do what the kind does; as read a moment ago."""
    async with deps.database.connection() as conn:
        shop = await shops.get(conn, row.shop_id)
    missing = missing_scopes(shop.scopes if shop else (), automation.scopes)
    if shop is not None and missing:
        raise Conflicting(
            f"{row.name!r} needs the access scopes {', '.join(missing)}, which {shop.domain} has not granted. "
            "Grant them in the app's configuration, install the new version, then run: "
            f"stockwright shop check {shop.domain}"
        )


def _check_types(names: Iterable[str], existing: Sequence[str]) -> None:
    known = {name.casefold() for name in existing}
    missing = [name for name in names if name.casefold() not in known]
    if missing:
        raise _faulty(
            "options.product_types",
            f"No product has the type {', '.join(map(repr, missing))}. "
            f"Product types of this shop: {listed(existing)}.",
        )


async def _check_overlap(
    client: ShopifyClient, shop: ShopRead, row: AutomationRow, others: Sequence[AutomationRow]
) -> None:
    """A level belongs to one pool: refuse a second automation that would hold it too."""
    for other in others:
        if (
            other.automation_id == row.automation_id
            or not other.enabled
            or not kind_named(other.kind).shares_stock
        ):
            continue
        if not _locations(row, shop) & _locations(other, shop):
            continue
        search = " AND ".join(f"({text})" for text in (_search(row), _search(other)) if text)
        both = await client.any_product_matching(search)
        if both is not None:
            raise Conflicting(
                f"{row.name!r} and {other.name!r} ({other.automation_id}) would both hold the stock of {both[1]!r}. "
                "A level belongs to one pool: choose other products or locations for one of them, "
                f"or disable the other: stockwright automation disable {other.automation_id}"
            )


def _locations(row: AutomationRow, shop: ShopRead) -> frozenset[str]:
    automation = kind_named(row.kind)
    return automation.location_ids(read_options(automation.options, dict(row.options)), shop)


def _search(row: AutomationRow) -> str:
    automation = kind_named(row.kind)
    return automation.search(read_options(automation.options, dict(row.options)))
