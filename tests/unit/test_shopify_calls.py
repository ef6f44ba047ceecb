"""Reads retry within limits, tokens are renewed, budgets are respected, faults in answers are not overlooked."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qs

import httpx2
import pytest

from stockwright.model import StockwrightError
from stockwright.shopify.accounts import ShopSecrets, open_secrets, seal_secrets
from stockwright.shopify.budget import MAX_WAIT_S, Priority
from stockwright.shopify.client import ShopifyClient
from stockwright.shopify.errors import ErrorCode, ShopifyError
from stockwright.shopify.search import field
from stockwright.shopify.writes import WriteOutcome
from tests.unit.shopify_wire import CIPHER, DOMAIN, NOON, ROW, SHOP, Rows, StoredShop, Wire, failed, ok, wire

T = TypeVar("T")
SCOPES = ok({"currentAppInstallation": {"accessScopes": [{"handle": "read_products"}]}})
STATUS = {"maximumAvailable": 4000, "currentlyAvailable": 3990, "restoreRate": 200}
COST = {"requestedQueryCost": 12, "actualQueryCost": 10, "throttleStatus": STATUS}


def scopes(**more: Any) -> httpx2.Response:
    return ok({"currentAppInstallation": {"accessScopes": [{"handle": "read_products"}]}}, **more)


def run(shop: Wire, work: Callable[[ShopifyClient], Awaitable[T]]) -> T:
    async def go() -> T:
        return await work(await shop.client())

    return asyncio.run(go())


def ask(shop: Wire) -> tuple[str, ...]:
    return run(shop, lambda client: client.granted_scopes())


def error_of(shop: Wire) -> ShopifyError:
    with pytest.raises(ShopifyError) as caught:
        ask(shop)
    return caught.value


# --- the request ---------------------------------------------------------------------------------


def test_a_call_goes_to_the_pinned_version_with_the_token() -> None:
    shop = wire(scopes())
    assert ask(shop) == ("read_products",)
    (request,) = shop.requests
    assert str(request.url) == f"https://{DOMAIN}/admin/api/2026-10/graphql.json"
    assert request.headers["X-Shopify-Access-Token"] == "shpat_1"


def test_another_api_version_is_told_once() -> None:
    shop = wire(
        *[scopes(headers={"X-Shopify-API-Version": version}) for version in ("2026-10", "2027-01", "2027-01")]
    )

    async def thrice(client: ShopifyClient) -> None:
        for _ in range(3):
            await client.granted_scopes()

    run(shop, thrice)
    assert len(shop.warnings) == 1 and "'2027-01' instead of 2026-10" in shop.warnings[0]


# --- retries -------------------------------------------------------------------------------------

PASSING = [
    httpx2.ConnectError("refused"),
    httpx2.ReadTimeout("slow"),
    httpx2.RemoteProtocolError("gone"),
    httpx2.Response(500),
    httpx2.Response(503),
    httpx2.Response(429),
    httpx2.Response(200, content=b"{"),
    failed("THROTTLED"),
    failed("INTERNAL_SERVER_ERROR"),
]


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_a_read_survives_two_passing_faults(fault: Any) -> None:
    shop = wire(fault, fault, scopes())
    assert ask(shop) == ("read_products",)
    assert len(shop.requests) == 3 and len(shop.slept_s) == 2


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_the_third_fault_is_told(fault: Any) -> None:
    shop = wire(fault, fault, fault, scopes())
    assert error_of(shop).permanent is False
    assert len(shop.requests) == 3


LASTING = {
    ErrorCode.SHOP_LOCKED: httpx2.Response(423),
    ErrorCode.ACCESS_DENIED: httpx2.Response(403),
    ErrorCode.NOT_FOUND: httpx2.Response(404),
    ErrorCode.CONFIGURATION: httpx2.Response(302),
    ErrorCode.INVALID_REQUEST: failed("PARSE_ERROR"),
    ErrorCode.TOO_COSTLY: failed("MAX_COST_EXCEEDED"),
}


@pytest.mark.parametrize("code", LASTING)
def test_a_lasting_fault_is_told_at_once(code: ErrorCode) -> None:
    shop = wire(LASTING[code])
    error = error_of(shop)
    assert (error.code, error.permanent, error.may_have_run) == (code, True, False)
    assert len(shop.requests) == 1


def test_the_wait_is_what_the_shop_asks_for_when_that_is_longer() -> None:
    shop = wire(httpx2.Response(503, headers={"Retry-After": "9"}), httpx2.Response(500), scopes())
    ask(shop)
    assert shop.slept_s == [9.0, 1.0]


def test_a_shop_that_asks_for_a_very_long_wait_is_left_to_the_caller() -> None:
    shop = wire(httpx2.Response(429, headers={"Retry-After": "600"}))
    assert error_of(shop).retry_after_s == 600
    assert shop.slept_s == [] and shop.rows.blocked_s == [600]


# --- what an answer hides --------------------------------------------------------------------------


def test_a_missing_scope_is_named_even_when_the_rest_of_the_data_came() -> None:
    errors = [
        {
            "message": "Access denied for locations field.",
            "extensions": {"code": "ACCESS_DENIED", "requiredAccess": "`read_locations` access scope."},
        }
    ]
    data = {"currentAppInstallation": {"accessScopes": []}, "locations": None}
    error = error_of(wire(httpx2.Response(200, json={"data": data, "errors": errors})))
    assert error.code is ErrorCode.ACCESS_DENIED
    assert "`read_locations` access scope" in str(error)


def test_a_search_field_that_shopify_ignores_is_a_fault() -> None:
    search = [
        {
            "path": ["products"],
            "query": "colour:red",
            "warnings": [{"field": "colour", "message": "Invalid."}],
        }
    ]
    answer = httpx2.Response(
        200, json={"data": {"products": {"nodes": []}}, "extensions": {"search": search}}
    )
    with pytest.raises(ShopifyError, match="ignored the search field 'colour'") as caught:
        run(wire(answer), lambda client: client.any_product_matching("colour:red"))
    assert caught.value.permanent


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"currentAppInstallation": None},
        {"currentAppInstallation": {"accessScopes": "all"}},
        {"currentAppInstallation": {"accessScopes": [{"handle": 5}]}},
        {"currentAppInstallation": {"accessScopes": [None]}},
        [],
    ],
)
def test_data_of_another_shape_is_named_and_not_guessed(data: Any) -> None:
    error = error_of(wire(*[ok(data)] * 3))
    assert error.code is ErrorCode.BAD_ANSWER
    assert "data" in str(error)


def test_search_values_are_quoted() -> None:
    assert field("tag", 'a "b" \\ c\n') == 'tag:"a \\"b\\" \\\\ c "'


# --- budget --------------------------------------------------------------------------------------


def test_a_call_takes_its_cost_first_and_follows_the_servers_figures_after() -> None:
    shop = wire(scopes(cost=COST), scopes(cost=COST))

    async def twice(client: ShopifyClient) -> int:
        await client.granted_scopes()
        await client.granted_scopes()
        return client.requests

    assert run(shop, twice) == 2
    assert shop.rows.taken == [(2, 0.0), (12, 0.0)]  # the formula first, then what the server said
    figures = {"available": 3990.0, "capacity": 4000.0, "restore_rate": 200.0}
    assert shop.rows.settled == [{"refund": -8.0, **figures}, {"refund": 2.0, **figures}]


def test_a_scan_leaves_a_reserve_to_what_is_urgent() -> None:
    page = ok({"products": {"pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": []}})
    shop = wire(page, page)

    async def both(client: ShopifyClient) -> None:
        await client.scan_products("")
        await client.scan_products("", priority=Priority.EVENT)

    run(shop, both)
    assert [reserve for _, reserve in shop.rows.taken] == [0.3, 0.0]


def test_a_read_waits_for_points_and_then_goes() -> None:
    shop = wire(scopes(), rows=Rows(waits=[2.0, 0.5]))
    ask(shop)
    assert shop.slept_s == [2.0, 0.5]


def test_waiting_for_points_has_a_limit_and_nothing_is_sent_beyond_it() -> None:
    shop = wire(rows=Rows(waits=[20.0, 20.0]))
    error = error_of(shop)
    assert (error.code, error.may_have_run, error.retry_after_s) == (ErrorCode.BUDGET, False, 20.0)
    assert shop.slept_s == [20.0] and shop.requests == []
    assert MAX_WAIT_S["event"] == 30.0


# --- tokens --------------------------------------------------------------------------------------


def granted(text: str = "shpat_new", **more: Any) -> httpx2.Response:
    return httpx2.Response(200, json={"access_token": text, "scope": "read_products", **more})


def credentials(*answers: Any, token: str | None = None, life_s: float = 0) -> Wire:
    stored = (
        {"token": CIPHER.seal(token), "token_expires_at": NOON + timedelta(seconds=life_s)} if token else {}
    )
    return wire(*answers, rows=Rows(shop=StoredShop(auth_mode="client_credentials", **stored)))


def paths(shop: Wire) -> list[str]:
    return [request.url.path.rsplit("/", 1)[-1] for request in shop.requests]


def test_the_first_call_asks_for_a_token_and_stores_it_sealed() -> None:
    shop = credentials(granted(expires_in=86399), scopes())
    ask(shop)
    assert paths(shop) == ["access_token", "graphql.json"]
    form = parse_qs(shop.requests[0].content.decode())
    assert form == {
        "grant_type": ["client_credentials"],
        "client_id": ["client"],
        "client_secret": ["hush"],
    }
    assert shop.requests[1].headers["X-Shopify-Access-Token"] == "shpat_new"
    assert shop.rows.shop.token is not None and CIPHER.open(shop.rows.shop.token) == "shpat_new"
    assert shop.rows.shop.token_expires_at == NOON + timedelta(seconds=86399)


def test_a_token_that_lives_long_enough_is_used() -> None:
    shop = credentials(scopes(), token="shpat_old", life_s=7201)
    ask(shop)
    assert shop.requests[0].headers["X-Shopify-Access-Token"] == "shpat_old"


def test_a_token_is_renewed_two_hours_before_its_end() -> None:
    shop = credentials(granted(), scopes(), token="shpat_old", life_s=7200)
    ask(shop)
    assert shop.requests[1].headers["X-Shopify-Access-Token"] == "shpat_new"


def test_while_renewal_fails_the_old_token_serves_as_long_as_it_lives() -> None:
    shop = credentials(httpx2.Response(500), scopes(), token="shpat_old", life_s=600)
    ask(shop)
    assert shop.requests[1].headers["X-Shopify-Access-Token"] == "shpat_old"


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [(httpx2.Response(500), 60), (httpx2.Response(429, headers={"Retry-After": "300"}), 300)],
    ids=["60 s", "Retry-After"],
)
def test_a_renewal_that_failed_is_not_tried_again_before_its_time(
    answer: httpx2.Response, wait_s: int
) -> None:
    shop = credentials(answer, *[scopes()] * 3, granted(), scopes(), token="shpat_old", life_s=3600)

    async def calls(client: ShopifyClient) -> None:
        for passed_s in (0, 1, wait_s - 1, wait_s):
            shop.now = NOON + timedelta(seconds=passed_s)
            await client.granted_scopes()

    run(shop, calls)
    assert paths(shop) == ["access_token", *["graphql.json"] * 3, "access_token", "graphql.json"]


def test_a_shop_whose_secrets_changed_is_asked_for_a_token_at_once() -> None:
    shop = credentials(httpx2.Response(400), scopes(), granted(), scopes(), token="shpat_old", life_s=3600)

    async def go() -> None:
        clients = shop.clients()
        await (await clients.for_shop(SHOP)).granted_scopes()
        clients.forget(SHOP)
        await (await clients.for_shop(SHOP)).granted_scopes()

    asyncio.run(go())
    assert paths(shop) == ["access_token", "graphql.json"] * 2


def test_a_token_of_a_short_life_is_renewed_at_the_half_of_it() -> None:
    shop = credentials(granted(expires_in=3600), *[scopes()] * 2, granted(expires_in=3600), scopes())

    async def go() -> None:
        clients = shop.clients()
        for passed_s in (0, 1799, 1800):
            shop.now = NOON + timedelta(seconds=passed_s)
            clients.forget(SHOP)
            await (await clients.for_shop(SHOP)).granted_scopes()

    asyncio.run(go())
    assert paths(shop) == ["access_token", *["graphql.json"] * 2, "access_token", "graphql.json"]


def test_while_one_call_renews_the_token_others_go_on_with_the_old_one() -> None:
    async def go() -> list[str]:
        asked, answered = asyncio.Event(), asyncio.Event()

        async def answer(request: httpx2.Request) -> httpx2.Response:
            if not request.url.path.endswith("access_token"):
                return scopes()
            asked.set()
            await answered.wait()
            return granted()

        shop = credentials(token="shpat_old", life_s=3600)
        shop.transport = httpx2.MockTransport(answer)
        client = await shop.client()
        renewing = asyncio.create_task(client.granted_scopes())
        await asked.wait()
        await client.granted_scopes()
        done_meanwhile = not renewing.done()
        answered.set()
        await renewing
        return ["went on"] if done_meanwhile else []

    assert asyncio.run(go()) == ["went on"]


def test_a_token_that_another_process_renewed_meanwhile_is_taken_instead_of_our_own() -> None:
    shop = credentials(token="shpat_old", life_s=3600)

    def granted_to_both(_request: httpx2.Request) -> httpx2.Response:
        other = {"token": CIPHER.seal("shpat_other"), "token_expires_at": NOON + timedelta(hours=24)}
        shop.rows.shop = StoredShop(**{**vars(shop.rows.shop), **other})
        return granted("shpat_ours")

    shop.answers = [granted_to_both, scopes()]
    ask(shop)
    assert shop.requests[1].headers["X-Shopify-Access-Token"] == "shpat_other"


def test_a_read_whose_token_was_refused_goes_again_with_a_new_one() -> None:
    shop = credentials(httpx2.Response(401), granted(), scopes(), token="shpat_old", life_s=9000)
    ask(shop)
    assert paths(shop) == ["graphql.json", "access_token", "graphql.json"]
    assert shop.requests[2].headers["X-Shopify-Access-Token"] == "shpat_new"


def test_a_new_token_that_is_refused_too_ends_it() -> None:
    shop = credentials(httpx2.Response(401), granted(), httpx2.Response(401), token="shpat_old", life_s=9000)
    error = error_of(shop)
    assert (error.code, error.permanent) == (ErrorCode.UNAUTHORIZED, True)
    assert len(shop.requests) == 3


def test_a_write_whose_token_was_refused_is_not_sent_again_but_the_next_has_a_new_one() -> None:
    shop = credentials(httpx2.Response(401), granted(), token="shpat_old", life_s=9000)
    reply = run(shop, lambda client: client.adjust(key="k", rows=[ROW], reference_uri="gid://x/y/1"))
    assert reply.outcome is WriteOutcome.NOT_SENT
    assert reply.problem is not None and not reply.problem.permanent
    assert paths(shop) == ["graphql.json", "access_token"]
    assert shop.rows.shop.token is not None and CIPHER.open(shop.rows.shop.token) == "shpat_new"


def test_a_write_waits_for_no_token_inside_an_unknown() -> None:
    shop = credentials(httpx2.ReadTimeout("slow"))
    reply = run(shop, lambda client: client.adjust(key="k", rows=[ROW], reference_uri="gid://x/y/1"))
    assert reply.outcome is WriteOutcome.NOT_SENT  # it was the token endpoint that did not answer
    assert paths(shop) == ["access_token"]


def test_a_token_that_another_process_renewed_is_taken_without_asking_again() -> None:
    shop = credentials(httpx2.Response(401), scopes(), token="shpat_old", life_s=9000)

    async def go() -> None:
        client = await shop.client()
        renewed = {"token": CIPHER.seal("shpat_other"), "token_expires_at": NOON + timedelta(hours=24)}
        shop.rows.shop = StoredShop(**{**vars(shop.rows.shop), **renewed})
        await client.granted_scopes()

    asyncio.run(go())
    assert paths(shop) == ["graphql.json", "graphql.json"]
    assert shop.requests[1].headers["X-Shopify-Access-Token"] == "shpat_other"


@pytest.mark.parametrize(
    ("code", "permanent", "shut_out"),
    [
        (ErrorCode.UNAUTHORIZED, True, True),
        (ErrorCode.UNAUTHORIZED, False, False),
        (ErrorCode.SHOP_LOCKED, True, True),
        (ErrorCode.ACCESS_DENIED, True, False),
    ],
)
def test_a_shop_shuts_us_out_when_no_new_token_helps(
    code: ErrorCode, permanent: bool, shut_out: bool
) -> None:
    assert ShopifyError(code, "told", permanent=permanent).shuts_out is shut_out


GRANT_ANSWERS = [
    (httpx2.Response(400, json={"error": "invalid_client"}), ErrorCode.UNAUTHORIZED, "client id and secret"),
    (httpx2.Response(403, json={"error": "shop_not_permitted"}), ErrorCode.UNAUTHORIZED, "same organisation"),
    (httpx2.Response(404, content=b"no"), ErrorCode.UNAUTHORIZED, "answered 404"),
    (httpx2.Response(402), ErrorCode.SHOP_LOCKED, "frozen"),
]


@pytest.mark.parametrize(("answer", "code", "words"), GRANT_ANSWERS)
def test_a_grant_that_is_refused_says_what_to_do(
    answer: httpx2.Response, code: ErrorCode, words: str
) -> None:
    shop = credentials(answer)
    error = error_of(shop)
    assert (error.code, error.permanent) == (code, True)
    assert words in str(error) and "hush" not in str(error)
    assert len(shop.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(429, headers={"Retry-After": "4"}),
        httpx2.Response(502),
        httpx2.ReadTimeout("slow"),
        httpx2.ConnectError("no"),
        httpx2.Response(200, content=b"<html>"),
        httpx2.Response(200, json={"scope": "x"}),
        httpx2.Response(200, json={"access_token": "a", "expires_in": "soon"}),
    ],
    ids=str,
)
def test_a_grant_that_fails_in_passing_is_asked_for_again(answer: Any) -> None:
    shop = credentials(answer, granted(), scopes())
    ask(shop)
    assert paths(shop) == ["access_token", "access_token", "graphql.json"]


def test_a_static_token_that_was_revoked_says_so() -> None:
    error = error_of(wire(httpx2.Response(401)))
    assert (error.code, error.permanent) == (ErrorCode.UNAUTHORIZED, True)
    assert "revoked" in str(error) and "shpat_1" not in str(error)


def test_a_shop_without_its_secret_says_so() -> None:
    empty = seal_secrets(CIPHER, ShopSecrets())
    error = error_of(wire(rows=Rows(shop=StoredShop(secrets=empty))))
    assert "no access token" in str(error)


def test_secrets_come_back_as_stored_and_are_not_shown() -> None:
    secrets = ShopSecrets(access_token="a", client_secret="b", webhook_secrets=("new", "old"))
    assert open_secrets(CIPHER, seal_secrets(CIPHER, secrets)) == secrets
    assert secrets.signing == ("new", "old", "b")
    assert repr(secrets) == "ShopSecrets(...)"


@pytest.mark.parametrize("text", ["no json", "[]", "{}", json.dumps({"access_token": 1})])
def test_secrets_that_are_not_ours_are_refused(text: str) -> None:
    with pytest.raises(StockwrightError, match="not readable"):
        open_secrets(CIPHER, CIPHER.seal(text))


def test_a_shop_row_is_read_at_most_every_five_seconds() -> None:
    shop = wire()

    async def go() -> list[str]:
        clients, domains = shop.clients(), []
        for seconds in (0, 4.9, 5):
            shop.now = NOON + timedelta(seconds=seconds)
            domains.append((await clients.for_shop(SHOP)).account.domain)
            shop.rows.shop = StoredShop(domain=f"{seconds}.myshopify.com")
        clients.forget(SHOP)
        return [*domains, (await clients.for_shop(SHOP)).account.domain]

    assert asyncio.run(go()) == [DOMAIN, DOMAIN, "4.9.myshopify.com", "5.myshopify.com"]
