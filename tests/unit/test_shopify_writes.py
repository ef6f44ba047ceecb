"""Every answer to a write becomes the outcome that is surely true, and a write is never sent twice."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from stockwright.ledger.state import Outcome
from stockwright.shopify.errors import ErrorCode
from stockwright.shopify.writes import AdjustReply, AdjustRow, WriteOutcome
from tests.unit.shopify_wire import ITEM, PLACE, ROW, Answer, Rows, Wire, adjusted, failed, ok, told, wire

GROUP = {"id": "gid://shopify/InventoryAdjustmentGroup/5", "createdAt": "2026-11-20T12:00:01Z"}
STALE = "CHANGE_FROM_QUANTITY_STALE"
NOTHING = {"inventoryAdjustQuantities": None}


def adjust(shop: Wire, *rows: AdjustRow) -> AdjustReply:
    async def run() -> AdjustReply:
        client = await shop.client()
        return await client.adjust(key="k-1", rows=rows or (ROW,), reference_uri="gid://stockwright/Intent/1")

    return asyncio.run(run())


def test_the_outcomes_are_those_of_the_protocol() -> None:
    assert {outcome.value for outcome in WriteOutcome} == {outcome.value for outcome in Outcome}


def test_a_row_always_carries_the_value_that_it_changes_from_and_the_key_is_on_the_field() -> None:
    shop = wire(adjusted(GROUP))
    reply = adjust(shop, ROW, AdjustRow(item_id=ITEM, location_id=PLACE + "2", delta=3, change_from=0))
    (body,) = shop.bodies()
    assert "inventoryAdjustQuantities(input: $input) @idempotent(key: $key)" in body["query"]
    assert body["operationName"] == "AdjustQuantities"
    assert body["variables"] == {
        "key": "k-1",
        "input": {
            "reason": "correction",
            "name": "available",
            "referenceDocumentUri": "gid://stockwright/Intent/1",
            "changes": [
                {"delta": -1, "inventoryItemId": ITEM, "locationId": PLACE, "changeFromQuantity": 10},
                {"delta": 3, "inventoryItemId": ITEM, "locationId": PLACE + "2", "changeFromQuantity": 0},
            ],
        },
    }
    assert (reply.outcome, reply.detail) == (WriteOutcome.APPLIED, GROUP["id"])
    assert reply.applied_at is not None and reply.applied_at.isoformat() == "2026-11-20T12:00:01+00:00"


COST = {
    "requestedQueryCost": 10,
    "actualQueryCost": 10,
    "throttleStatus": {"maximumAvailable": 4000, "currentlyAvailable": 3990, "restoreRate": 200},
}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (
            ok(
                {"inventoryAdjustQuantities": {"inventoryAdjustmentGroup": GROUP, "userErrors": []}},
                cost=COST,
            ),
            WriteOutcome.APPLIED,
        ),
        (httpx2.Response(429), WriteOutcome.THROTTLED),
    ],
)
def test_an_answer_is_not_lost_when_the_database_goes_before_the_budget_is_noted(
    answer: Answer, outcome: WriteOutcome
) -> None:
    assert adjust(wire(answer, rows=Rows(is_away=True))).outcome is outcome


def test_a_write_that_waited_too_long_for_points_does_not_leave() -> None:
    shop = wire(rows=Rows(waits=[4.0]))

    async def run() -> AdjustReply:
        client = await shop.client()
        until = shop.now + timedelta(seconds=3)
        return await client.adjust(
            key="k-1", rows=(ROW,), reference_uri="gid://x/y/1", may_leave=lambda: shop.now <= until
        )

    reply = asyncio.run(run())
    assert reply.outcome is WriteOutcome.NOT_SENT and "waited too long" in reply.detail
    assert shop.slept_s == [4.0] and shop.requests == []


ANSWERS: dict[str, tuple[Answer, WriteOutcome]] = {
    "stale": (
        adjusted(errors=[told(STALE, ["input", "changes", "0", "changeFromQuantity"])]),
        WriteOutcome.STALE,
    ),
    "stale without a path": (adjusted(errors=[told(STALE)]), WriteOutcome.STALE),
    "in progress": (adjusted(errors=[told("IDEMPOTENCY_CONCURRENT_REQUEST")]), WriteOutcome.IN_PROGRESS),
    "key mismatch": (
        adjusted(errors=[told("IDEMPOTENCY_KEY_PARAMETER_MISMATCH")]),
        WriteOutcome.KEY_MISMATCH,
    ),
    "previous failed": (
        adjusted(errors=[told("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED")]),
        WriteOutcome.PREVIOUS_FAILED,
    ),
    "bundle parent": (adjusted(errors=[told("NON_MUTABLE_INVENTORY_ITEM")]), WriteOutcome.REFUSED),
    "stale beside a refusal": (
        adjusted(errors=[told(STALE), told("INVALID_INVENTORY_ITEM")]),
        WriteOutcome.STALE,
    ),
    "service unavailable": (adjusted(errors=[told("SERVICE_UNAVAILABLE")]), WriteOutcome.UNKNOWN),
    "adjust failed": (adjusted(errors=[told("ADJUST_QUANTITIES_FAILED")]), WriteOutcome.UNKNOWN),
    "a transient code beside stale": (
        adjusted(errors=[told(STALE), told("ADJUST_QUANTITIES_FAILED")]),
        WriteOutcome.UNKNOWN,
    ),
    "a code that nobody knows": (adjusted(errors=[told("NEW_IN_2027")]), WriteOutcome.UNKNOWN),
    "no code": (adjusted(errors=[told(None)]), WriteOutcome.UNKNOWN),
    "neither group nor errors": (adjusted(), WriteOutcome.UNKNOWN),
    "a group together with errors": (adjusted(GROUP, [told(STALE)]), WriteOutcome.PARTIAL),
    "no payload": (ok(NOTHING), WriteOutcome.UNKNOWN),
    "throttled": (failed("THROTTLED"), WriteOutcome.THROTTLED),
    "429": (httpx2.Response(429, headers={"Retry-After": "3.5"}), WriteOutcome.THROTTLED),
    "430": (httpx2.Response(430), WriteOutcome.THROTTLED),
    "directive missing": (failed("BAD_REQUEST", data=NOTHING), WriteOutcome.REFUSED),
    "bad variable": (failed("INVALID_VARIABLE"), WriteOutcome.REFUSED),
    "static validation": (failed("undefinedField", "missingRequiredArguments"), WriteOutcome.REFUSED),
    "too costly": (failed("MAX_COST_EXCEEDED"), WriteOutcome.REFUSED),
    "scope missing": (failed("ACCESS_DENIED", data=NOTHING), WriteOutcome.NOT_SENT),
    "denied below a result": (
        failed("ACCESS_DENIED", data={"inventoryAdjustQuantities": {"inventoryAdjustmentGroup": None}}),
        WriteOutcome.UNKNOWN,
    ),
    "internal error": (failed("INTERNAL_SERVER_ERROR"), WriteOutcome.UNKNOWN),
    "an unknown top-level code": (failed("SOMETHING_ELSE"), WriteOutcome.UNKNOWN),
    "an error without a code": (failed(""), WriteOutcome.UNKNOWN),
    "no data": (httpx2.Response(200, json={}), WriteOutcome.UNKNOWN),
    "errors of another shape": (httpx2.Response(200, json={"errors": "Not Found"}), WriteOutcome.UNKNOWN),
    "cut JSON": (httpx2.Response(200, content=b'{"data":{"inventoryAdj'), WriteOutcome.UNKNOWN),
    "a list": (httpx2.Response(200, content=b"[]"), WriteOutcome.UNKNOWN),
    "user errors of another shape": (
        ok({"inventoryAdjustQuantities": {"userErrors": None}}),
        WriteOutcome.UNKNOWN,
    ),
    "another success": (httpx2.Response(202), WriteOutcome.UNKNOWN),
    "500": (httpx2.Response(500), WriteOutcome.UNKNOWN),
    "502": (httpx2.Response(502), WriteOutcome.UNKNOWN),
    "503": (httpx2.Response(503, headers={"Retry-After": "7"}), WriteOutcome.UNKNOWN),
    "504": (httpx2.Response(504), WriteOutcome.UNKNOWN),
    "408": (httpx2.Response(408), WriteOutcome.UNKNOWN),
    "401": (httpx2.Response(401), WriteOutcome.NOT_SENT),
    "402": (httpx2.Response(402), WriteOutcome.NOT_SENT),
    "403": (httpx2.Response(403), WriteOutcome.NOT_SENT),
    "404": (httpx2.Response(404), WriteOutcome.NOT_SENT),
    "423": (httpx2.Response(423), WriteOutcome.NOT_SENT),
    "redirect": (httpx2.Response(301, headers={"Location": "https://else.example"}), WriteOutcome.NOT_SENT),
    "refused connection": (httpx2.ConnectError("refused"), WriteOutcome.NOT_SENT),
    "connection not made in time": (httpx2.ConnectTimeout("slow"), WriteOutcome.NOT_SENT),
    "no free connection": (httpx2.PoolTimeout("full"), WriteOutcome.NOT_SENT),
    "cut while reading": (httpx2.ReadError("cut"), WriteOutcome.UNKNOWN),
    "cut while writing": (httpx2.WriteError("cut"), WriteOutcome.UNKNOWN),
    "no answer in time": (httpx2.ReadTimeout("slow"), WriteOutcome.UNKNOWN),
    "not written in time": (httpx2.WriteTimeout("slow"), WriteOutcome.UNKNOWN),
    "closed without an answer": (httpx2.RemoteProtocolError("gone"), WriteOutcome.UNKNOWN),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_becomes_its_outcome_and_the_write_is_sent_once(case: str) -> None:
    answer, outcome = ANSWERS[case]
    shop = wire(answer)
    reply = adjust(shop)
    assert reply.outcome is outcome, reply
    assert reply.detail
    assert len(shop.requests) == 1
    assert shop.slept_s == []


def test_a_refusal_names_the_rows_that_it_is_about() -> None:
    rows = [["input", "changes", str(row), "inventoryItemId"] for row in (3, 1)]
    strange = [None, ["input"], ["input", "changes", "x", "y"], ["input", "name", "2"]]
    reply = adjust(wire(adjusted(errors=[told("INVALID_INVENTORY_ITEM", field) for field in rows + strange])))
    assert (reply.outcome, reply.offending_rows) == (WriteOutcome.REFUSED, (1, 3))


def test_a_throttled_write_says_how_long_to_wait() -> None:
    status = {"maximumAvailable": 2000, "currentlyAvailable": 20, "restoreRate": 100}
    cost = {"requestedQueryCost": 470, "actualQueryCost": None, "throttleStatus": status}
    reply = adjust(wire(failed("THROTTLED", extensions={"cost": cost})))
    assert reply.retry_after_s == 4.5


def test_a_429_blocks_the_shop_for_as_long_as_it_asks() -> None:
    shop = wire(httpx2.Response(429, headers={"Retry-After": "3.5"}))
    assert adjust(shop).retry_after_s == 3.5
    assert shop.rows.blocked_s == [3.5]


def test_without_points_the_write_is_not_sent() -> None:
    shop = wire(rows=Rows(waits=[60.0]))
    reply = adjust(shop)
    assert (reply.outcome, reply.retry_after_s, shop.requests) == (WriteOutcome.NOT_SENT, 60.0, [])
    assert reply.problem is not None and reply.problem.code is ErrorCode.BUDGET


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "unauthorized"),
        (402, "shop_locked"),
        (423, "shop_locked"),
        (403, "access_denied"),
        (404, "not_found"),
    ],
)
def test_what_pauses_a_shop_is_told_as_a_permanent_problem(status: int, code: str) -> None:
    problem = adjust(wire(httpx2.Response(status))).problem
    assert problem is not None
    assert (problem.code, problem.permanent, problem.may_have_run) == (code, True, False)


def changed(**values: Any) -> AdjustRow:
    given = {"item_id": ITEM, "location_id": PLACE, "delta": 1, "change_from": 1}
    return AdjustRow(**(given | values))


@pytest.mark.parametrize(
    "rows",
    [
        [changed(delta=0)],
        [changed(delta=2_000_000_001)],
        [changed(change_from=None)],
        [changed(), changed(delta=2)],
        [changed(item_id=f"{ITEM}{n}") for n in range(251)],
    ],
)
def test_rows_that_must_never_be_sent_are_not(rows: list[AdjustRow]) -> None:
    shop = wire()
    with pytest.raises(ValueError):
        adjust(shop, *rows)
    assert shop.requests == []


@pytest.mark.parametrize(("key", "rows"), [(" ", (ROW,)), ("k", ())])
def test_neither_a_blank_key_nor_an_empty_write_is_sent(key: str, rows: tuple[AdjustRow, ...]) -> None:
    shop = wire()

    async def run() -> None:
        await (await shop.client()).adjust(key=key, rows=rows, reference_uri="gid://stockwright/Intent/1")

    with pytest.raises(ValueError):
        asyncio.run(run())
    assert shop.requests == []
