"""Resolvers of mutations: input to rules, outcome to payload, keys and faults of quantity writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from graphql import GraphQLError

from shopify_emulator.bulk import BulkOperation
from shopify_emulator.catalogue import connect, disconnect
from shopify_emulator.faults import Fault
from shopify_emulator.idempotency import CONCURRENT, MISMATCH, PREVIOUS_FAILED
from shopify_emulator.model import Level, ShopError
from shopify_emulator.publishing import Placement, Publishable, publish, unpublish
from shopify_emulator.request import Request, request_of
from shopify_emulator.stock import Origin, Outcome, Row, UserError, Write, edit, stale_error, write
from shopify_emulator.subscriptions import Subscription, Wanted

Payload = dict[str, Any]
KEY_FAULTS = {
    Fault.KEY_CONCURRENT: CONCURRENT,
    Fault.KEY_MISMATCH: MISMATCH,
    Fault.KEY_PREVIOUS_FAILED: PREVIOUS_FAILED,
}
UNAVAILABLE = UserError(
    code="SERVICE_UNAVAILABLE", message="The service is temporarily unavailable. Try again later."
)
ADJUST_FAILED = UserError(
    code="ADJUST_QUANTITIES_FAILED", message="The quantities couldn't be adjusted. Try again."
)
TRANSIENT = {Fault.UNAVAILABLE_BEFORE: UNAVAILABLE, Fault.ADJUST_FAILED: ADJUST_FAILED}
TRANSIENT_AFTER = {Fault.UNAVAILABLE_AFTER: UNAVAILABLE, Fault.ADJUST_FAILED_AFTER: ADJUST_FAILED}


def user_errors(errors: Sequence[UserError]) -> list[Payload]:
    return [
        {"code": e.code, "field": list(e.field) if e.field is not None else None, "message": e.message}
        for e in errors
    ]


def adjust_quantities(_root: Any, info: Any, *, input: Mapping[str, Any]) -> Payload:
    _check_compare(input["changes"], "InventoryChangeInput")
    return _quantity_payload(info, _write("adjust", input, "changes", "delta"))


def set_quantities(_root: Any, info: Any, *, input: Mapping[str, Any]) -> Payload:
    _key(info)
    _check_compare(input["quantities"], "InventoryQuantityInput")
    return _quantity_payload(info, _write("set", input, "quantities", "quantity"))


def _write(kind: Literal["adjust", "set"], given: Mapping[str, Any], rows: str, amount: str) -> Write:
    return Write(
        kind=kind,
        name=given["name"],
        reason=given["reason"],
        reference_document_uri=given.get("referenceDocumentUri"),
        rows=tuple(
            Row(
                item=row["inventoryItemId"],
                location=row["locationId"],
                amount=row[amount],
                change_from=row["changeFromQuantity"],
                ledger_document_uri=row.get("ledgerDocumentUri"),
            )
            for row in given[rows]
        ),
    )


def _check_compare(rows: Sequence[Mapping[str, Any]], kind: str) -> None:
    """Since 2026-04 changeFromQuantity has to be said, be it null; the schema does not tell."""
    if any("changeFromQuantity" not in row for row in rows):
        message = f"{kind} must include the following argument: changeFromQuantity."
        raise GraphQLError(message, extensions={"code": "INVALID_FIELD_ARGUMENTS"})


def _key(info: Any) -> str:
    """The key of @idempotent on this field, which is required at run time."""
    for directive in info.field_nodes[0].directives or ():
        if directive.name.value == "idempotent":
            value = directive.arguments[0].value
            name = getattr(value, "name", None)
            key = info.variable_values.coerced[name.value] if name is not None else value.value
            if not str(key).strip():
                raise GraphQLError("The idempotency key cannot be blank.", extensions={"code": "BAD_REQUEST"})
            return str(key)
    message = "The @idempotent directive is required for this mutation but was not provided."
    raise GraphQLError(message, extensions={"code": "BAD_REQUEST"})


def _quantity_payload(info: Any, request: Write) -> Payload:
    outcome = keyed_write(request_of(info), request, _key(info))
    return {"inventoryAdjustmentGroup": outcome.group, "userErrors": user_errors(outcome.errors)}


def keyed_write(request: Request, wanted: Write, key: str) -> Outcome:
    """A quantity write under its key, with the faults that show as user errors."""
    keys, injection = request.parts.keys, request.injection
    fault = injection.fault if injection is not None else None
    if fault in KEY_FAULTS:
        return Outcome(errors=(KEY_FAULTS[fault],))
    waits = request.state.switches.concurrent_key == "wait_then_replay"
    answer = (keys.wait_for(key, wanted) if waits else None) or keys.answer_for(key, wanted)
    if answer is not None:
        return answer
    if fault in TRANSIENT:
        keys.fail(key, wanted)
        return Outcome(errors=(TRANSIENT[fault],))
    if fault is Fault.SLOW and injection is not None:
        return _begin(request, wanted, key, delay_s=injection.delay_s)
    outcome = _forced_stale(request, wanted) or _perform(request, wanted, key)
    keys.finish(key, wanted, outcome)
    return Outcome(errors=(TRANSIENT_AFTER[fault],)) if fault in TRANSIENT_AFTER else outcome


def _perform(request: Request, wanted: Write, key: str) -> Outcome:
    return write(request.state, wanted, actor=request.parts.identity.client_id, idempotency_key=key)


def _forced_stale(request: Request, wanted: Write) -> Outcome | None:
    injection = request.injection
    if injection is None or injection.fault is not Fault.STALE:
        return None
    row = min(injection.row, max(len(wanted.rows) - 1, 0))
    return Outcome(errors=(stale_error(request.state, wanted, row),))


def _begin(request: Request, wanted: Write, key: str, *, delay_s: float) -> Outcome:
    """The shop holds the key and applies later; the caller has long given up."""

    def apply() -> None:
        request.parts.keys.finish(key, wanted, _perform(request, wanted, key))

    request.parts.keys.begin(key, wanted, apply)
    request.parts.agenda.later(delay_s, lambda: request.parts.keys.complete(key))
    return Outcome()


def activate(_root: Any, info: Any, **arguments: Any) -> Payload:
    """Stocks an item at a location; `available` may be given only when it is new there."""
    state = request_of(info).state
    item = state.items.get(arguments["inventoryItemId"])
    location = state.locations.get(arguments["locationId"])
    if arguments.get("stockAtLegacyLocation"):
        return _activated(None, "stockAtLegacyLocation", "The bundled shop has no legacy locations")
    if item is None:
        return _activated(None, "inventoryItemId", "The specified inventory item could not be found.")
    if location is None or not location.active:
        return _activated(None, "locationId", "The specified location could not be found.")
    wanted = arguments.get("available") if arguments.get("available") is not None else arguments.get("onHand")
    level = item.levels.get(location.gid)
    if level is not None and level.active:
        if wanted is not None:
            field = "available" if arguments.get("available") is not None else "onHand"
            return _activated(
                level, field, "Not allowed to set quantities when the item is already active there"
            )
        return {"inventoryLevel": level, "userErrors": []}
    event = state.new_uuid()
    level = connect(state, item, location, event=event)
    if wanted is not None:
        origin = Origin(cause="api", actor=request_of(info).parts.identity.client_id, event=event)
        edit(state, level, wanted, origin=origin)
    return {"inventoryLevel": level, "userErrors": []}


def _activated(level: Level | None, field: str, message: str) -> Payload:
    return {"inventoryLevel": level, "userErrors": [{"field": [field], "message": message}]}


def deactivate(_root: Any, info: Any, **arguments: Any) -> Payload:
    state = request_of(info).state
    level = state.levels.get(arguments["inventoryLevelId"])
    errors: list[UserError] = []
    if level is None:
        errors.append(
            UserError(field=("inventoryLevelId",), message="The specified level could not be found.")
        )
    else:
        try:
            disconnect(state, level, event=state.new_uuid())
        except ShopError as error:
            errors.append(UserError(field=None, message=str(error)))
    return {"userErrors": user_errors(errors)}


Placer = Callable[[Any, Publishable, Sequence[Placement]], Sequence[UserError]]


def _placed(place: Placer) -> Callable[..., Payload]:
    def resolve(_root: Any, info: Any, *, id: str, input: Sequence[Mapping[str, Any]]) -> Payload:
        request = request_of(info)
        found = request.state.products.get(id) or request.state.variants.get(id)
        if found is None:
            errors: Sequence[UserError] = (UserError(field=("id",), message="Resource does not exist"),)
        else:
            errors = place(request.state, found, [_placement(row) for row in input])
        return {
            "publishable": found,
            "shop": request.parts.identity,
            "userErrors": user_errors(errors),
        }

    return resolve


def _placement(row: Mapping[str, Any]) -> Placement:
    gid = row.get("publicationId")
    if gid is None and row.get("channelId") is not None:
        gid = row["channelId"].replace("/Channel/", "/Publication/")
    return Placement(publication=gid, publish_date=row.get("publishDate"))


publish_resource = _placed(publish)
unpublish_resource = _placed(unpublish)


def _wanted(given: Mapping[str, Any]) -> Wanted:
    if given.get("metafields"):
        raise GraphQLError("the bundled shop has no metafields", extensions={"code": "BAD_REQUEST"})
    include, namespaces = given.get("includeFields"), given.get("metafieldNamespaces")
    return Wanted(
        uri=given.get("uri") if given.get("uri") is not None else given.get("callbackUrl"),
        include_fields=tuple(include) if include is not None else None,
        metafield_namespaces=tuple(namespaces) if namespaces is not None else None,
        filter=given.get("filter"),
        name=given.get("name"),
        format=given.get("format"),
    )


def subscribe(_root: Any, info: Any, **arguments: Any) -> Payload:
    request = request_of(info)
    wanted = _wanted(arguments["webhookSubscription"])
    made = request.parts.subscriptions.create(arguments["topic"], wanted, scopes=request.scopes)
    return _subscribed(*made)


def resubscribe(_root: Any, info: Any, **arguments: Any) -> Payload:
    request = request_of(info)
    wanted = _wanted(arguments["webhookSubscription"])
    return _subscribed(*request.parts.subscriptions.update(arguments["id"], wanted, scopes=request.scopes))


def _subscribed(subscription: Subscription | None, errors: Sequence[UserError]) -> Payload:
    return {"webhookSubscription": subscription, "userErrors": user_errors(errors)}


def unsubscribe(_root: Any, info: Any, **arguments: Any) -> Payload:
    gid = arguments["id"]
    if request_of(info).parts.subscriptions.delete(gid):
        return {"deletedWebhookSubscriptionId": gid, "userErrors": []}
    missing = UserError(field=("id",), message="Webhook subscription does not exist")
    return {"deletedWebhookSubscriptionId": None, "userErrors": user_errors([missing])}


def run_bulk_query(_root: Any, info: Any, **arguments: Any) -> Payload:
    """groupObjects only changes the order of lines; ours always groups, as asked or better."""
    request = request_of(info)
    fault = request.injection.fault if request.injection is not None else None
    return _bulk_payload(*request.parts.bulk.start(arguments["query"], fault))


def cancel_bulk(_root: Any, info: Any, **arguments: Any) -> Payload:
    return _bulk_payload(*request_of(info).parts.bulk.cancel(arguments["id"]))


def _bulk_payload(operation: BulkOperation | None, errors: Sequence[UserError]) -> Payload:
    return {"bulkOperation": operation, "userErrors": user_errors(errors)}


MUTATIONS: dict[str, Callable[..., Any]] = {
    "bulkOperationCancel": cancel_bulk,
    "bulkOperationRunQuery": run_bulk_query,
    "inventoryActivate": activate,
    "inventoryAdjustQuantities": adjust_quantities,
    "inventoryDeactivate": deactivate,
    "inventorySetQuantities": set_quantities,
    "publishablePublish": publish_resource,
    "publishableUnpublish": unpublish_resource,
    "webhookSubscriptionCreate": subscribe,
    "webhookSubscriptionDelete": unsubscribe,
    "webhookSubscriptionUpdate": resubscribe,
}
