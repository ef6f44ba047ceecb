"""The bundled shop's storefront: pages, orders, and an app proxy that signs and forwards as Shopify documents."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from shopify_emulator import ManualClock, Shop, VariantSpec, asgi_app
from shopify_emulator.control import control_routes
from shopify_emulator.model import Product, ShopError
from shopify_emulator.page import page_routes
from shopify_emulator.storefront.app_proxy import signature
from shopify_emulator.storefront.pages import storefront_routes
from shopify_emulator.storefront.settings import proxy_path
from stockwright.shopify.signatures import proxy_request_is_genuine

SECRET = "hush"
HOST = "http://prints.myshopify.com"
NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
SIGNED = "/apps/stockwright/notify-me/state?product=1"


@pytest.fixture
def shop() -> Shop:
    made = Shop(
        domain="prints.myshopify.com",
        clock=ManualClock(NOW),
        client_secret=SECRET,
        proxy_url="http://app.test/proxy",
    )
    made.add_location("Toronto")
    made.add_location("Shop window", fulfills_online=False)
    return made


def add(shop: Shop, title: str, *, levels: int = 0, **fields: Any) -> Product:
    return shop.add_product(title, levels={shop.locations()[0].gid: levels}, **fields)


def ask(
    shop: Shop, path: str, *, app: Starlette | None = None, method: str = "GET", **sent: Any
) -> httpx2.Response:
    """One request of a shopper; `app` is what the app proxy reaches."""

    def client() -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app=app) if app is not None else httpx2.MockTransport(_nobody)
        return httpx2.AsyncClient(transport=transport)

    async def work() -> httpx2.Response:
        routes = (*control_routes(), *page_routes(), *storefront_routes(client))
        transport = httpx2.ASGITransport(app=asgi_app(shop, routes=routes), client=("127.0.0.1", 5))
        async with httpx2.AsyncClient(transport=transport, base_url=HOST) as shopper:
            return await shopper.request(method, path, **sent)

    return asyncio.run(work())


def _nobody(_request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("nobody listens")


def app_that(answers: Callable[[Request], Any]) -> Starlette:
    async def endpoint(request: Request) -> Response:
        answer = answers(request)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    return Starlette(routes=[Route("/proxy/{rest:path}", endpoint, methods=["GET", "POST"])])


# --- pages ------------------------------------------------------------------------------------------------


def test_a_product_page_shows_title_and_price_as_text(shop: Shop) -> None:
    product = add(shop, "Harbour <b>at</b> Dawn", levels=3)
    page = ask(shop, f"/products/{product.handle}")
    assert page.status_code == 200
    assert "Harbour &lt;b&gt;at&lt;/b&gt; Dawn" in page.text
    assert "<b>" not in page.text
    assert "$25.00" in page.text


def test_the_address_selects_the_variant_else_the_first_that_can_be_had(shop: Shop) -> None:
    place = shop.locations()[0].gid
    small, large = (
        VariantSpec(title="Small", levels={place: 0}),
        VariantSpec(title="Large", levels={place: 2}),
    )
    product = shop.add_product("Tram", variants=[small, large], option_names=["Size"])

    def chosen(query: str) -> str:
        html = ask(shop, f"/products/{product.handle}{query}").text
        checked = next(line for line in html.splitlines() if "checked" in line)
        return checked.split('value="')[1].split('"')[0]

    first, second = (str(one.number) for one in product.variants)
    assert chosen("") == second
    assert chosen(f"?variant={first}") == first
    assert chosen("?variant=12") == second


@pytest.mark.parametrize(("status", "published", "code"), [
    ("ACTIVE", True, 200), ("UNLISTED", True, 200), ("DRAFT", True, 404), ("ARCHIVED", True, 404), ("ACTIVE", False, 404),
])  # fmt: skip
def test_only_what_is_published_has_a_page(shop: Shop, status: Any, published: bool, code: int) -> None:
    product = add(shop, "Birches", status=status, published_on=None if published else ())
    assert ask(shop, f"/products/{product.handle}").status_code == code
    listed = f"/products/{product.handle}" in ask(shop, "/collections/all").text
    assert listed is (status == "ACTIVE" and published)


def test_pages_speak_the_language_of_their_address(shop: Shop) -> None:
    product = add(shop, "Birches")
    page = ask(shop, f"/de/products/{product.handle}?variant=1")
    assert '<html lang="de">' in page.text
    assert "Ausverkauft" in page.text
    assert f'href="/fr/products/{product.handle}?variant=1"' in page.text
    assert ask(shop, f"/xx/products/{product.handle}").status_code == 404


def test_stock_that_is_not_for_online_sale_does_not_count(shop: Shop) -> None:
    window = shop.locations()[1].gid
    product = shop.add_product("Birches", levels={shop.locations()[0].gid: 0, window: 5})
    assert "Sold out" in ask(shop, f"/products/{product.handle}").text


# --- buying -----------------------------------------------------------------------------------------------


def test_the_cart_becomes_an_order_by_the_shops_own_rules(shop: Shop) -> None:
    product = add(shop, "Birches", levels=3)
    variant = product.variants[0]
    added = ask(shop, "/cart/add", method="POST", data={"id": variant.number, "quantity": 2})
    assert added.headers["location"] == f"/cart/{variant.number}:2"
    assert "$50.00" in ask(shop, added.headers["location"]).text
    placed = ask(shop, "/checkout", method="POST", data={"lines": f"{variant.number}:2"})
    assert placed.status_code == 303
    assert "Order #1001 is placed." in ask(shop, placed.headers["location"]).text
    assert shop.level(variant.item.gid, shop.locations()[0].gid) == 1


@pytest.mark.parametrize(("number", "customer"), [("", None), ("77", "gid://shopify/Customer/77")])
def test_an_order_belongs_to_the_customer_who_is_signed_in(
    shop: Shop, number: str, customer: str | None
) -> None:
    variant = add(shop, "Birches", levels=3).variants[0]
    assert ask(shop, "/_emulator/theme", method="POST", json={"customer_id": number}).status_code == 200
    ask(shop, "/checkout", method="POST", data={"lines": f"{variant.number}:1"})
    (order,) = shop.state.orders.values()
    assert order.customer_id == customer


def test_what_is_sold_out_is_refused_and_what_sells_on_is_taken(shop: Shop) -> None:
    product = add(shop, "Birches")
    variant = product.variants[0]
    refused = ask(shop, "/checkout", method="POST", data={"lines": f"{variant.number}:1"})
    assert refused.status_code == 422
    assert "0 left" in refused.text
    shop.set_policy(variant.gid, "CONTINUE")
    assert ask(shop, "/checkout", method="POST", data={"lines": f"{variant.number}:1"}).status_code == 303
    assert shop.level(variant.item.gid, shop.locations()[0].gid) == -1


@pytest.mark.parametrize("lines", ["", "x", "1:1", "{v}:0", "{v}:-1", "{v}:9999", "{v}:٣", "{v}"])
def test_a_cart_of_another_form_is_refused_with_a_reason(shop: Shop, lines: str) -> None:
    variant = add(shop, "Birches", levels=3).variants[0]
    answer = ask(shop, "/checkout", method="POST", data={"lines": lines.format(v=variant.number)})
    assert answer.status_code in (404, 422)
    assert 'role="alert"' in answer.text
    assert not shop.state.orders


def test_another_site_cannot_order(shop: Shop) -> None:
    variant = add(shop, "Birches", levels=3).variants[0]
    sent = {"data": {"lines": f"{variant.number}:1"}, "headers": {"origin": "http://evil.test"}}
    assert ask(shop, "/checkout", method="POST", **sent).status_code == 403
    assert not shop.state.orders


# --- the app proxy ----------------------------------------------------------------------------------------


def test_the_signature_is_that_of_shopifys_example() -> None:
    pairs = parse_qsl(
        "extra=1&extra=2&shop=shop-name.myshopify.com&logged_in_customer_id=1"
        "&path_prefix=%2Fapps%2Fawesome_reviews&timestamp=1317327555"
    )
    assert signature(pairs, SECRET) == "4c68c8624d737112c91818c11017d24d334b524cb5c2b8ba08daa056f7395ddb"


@pytest.mark.parametrize(
    "query", ["product=1&locale=de", "", "a=1&a=2&b=", "q=a%26b%3Dc&signature=x&shop=evil.test&timestamp=1"]
)
def test_the_service_takes_what_the_proxy_signs(shop: Shop, query: str) -> None:
    seen: list[list[tuple[str, str]]] = []
    app = app_that(lambda request: seen.append(parse_qsl(request.url.query, keep_blank_values=True)) or {})
    assert ask(shop, f"/apps/stockwright/notify-me/state?{query}", app=app).status_code == 200
    pairs = seen[0]
    assert proxy_request_is_genuine(pairs, [SECRET], now=NOW)
    assert not proxy_request_is_genuine(pairs, ["another"], now=NOW)
    assert not proxy_request_is_genuine([*pairs, ("more", "1")], [SECRET], now=NOW)
    own = dict(pairs)
    assert own["shop"] == "prints.myshopify.com"
    assert own["path_prefix"] == "/apps/stockwright"
    assert own["logged_in_customer_id"] == ""


def test_a_signed_in_customer_is_told(shop: Shop) -> None:
    shop.storefront.customer_id = "77"
    app = app_that(lambda request: dict(request.query_params))
    assert ask(shop, SIGNED, app=app).json()["logged_in_customer_id"] == "77"


def test_method_path_body_and_address_go_through_and_cookies_do_not(shop: Shop) -> None:
    seen: dict[str, Any] = {}

    async def endpoint(request: Request) -> Response:
        seen.update(
            path=request.url.path, method=request.method, headers=request.headers, body=await request.body()
        )
        return JSONResponse(
            {"ok": True}, 201, headers={"set-cookie": "a=1", "x-own": "1", "retry-after": "3"}
        )

    app = Starlette(routes=[Route("/proxy/{rest:path}", endpoint, methods=["POST"])])
    answer = ask(
        shop, "/apps/stockwright/notify-me", app=app, method="POST", data={"email": "a@b.example"},
        headers={"cookie": "session=1", "authorization": "Bearer 1", "x-forwarded-for": "9.9.9.9", "accept": "text/html"},
    )  # fmt: skip
    assert (seen["path"], seen["method"], seen["body"]) == (
        "/proxy/notify-me",
        "POST",
        b"email=a%40b.example",
    )
    assert seen["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert seen["headers"]["accept"] == "text/html"
    assert "cookie" not in seen["headers"]
    assert "authorization" not in seen["headers"]
    assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (201, {"ok": True}, "3")
    assert "set-cookie" not in answer.headers
    assert "x-own" not in answer.headers


def test_liquid_of_the_app_is_rendered_in_the_theme(shop: Shop) -> None:
    app = app_that(
        lambda _: Response("<h1>Hello {{ shop.name | escape }}</h1>", media_type="application/liquid")
    )
    answer = ask(shop, SIGNED, app=app)
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1>Hello Demo Shop</h1>" in answer.text
    assert '<header class="bar">' in answer.text


def test_redirects_of_the_app_are_followed(shop: Shop) -> None:
    def answers(request: Request) -> Any:
        return {"at": 2} if "second" in request.url.path else RedirectResponse("/proxy/second")

    assert ask(shop, SIGNED, app=app_that(answers)).json() == {"at": 2}


def test_an_app_that_is_not_there_is_said(shop: Shop) -> None:
    answer = ask(shop, SIGNED)
    assert answer.status_code == 502
    assert "cannot be reached" in answer.text


@pytest.mark.parametrize("path", ["/apps/other/x", "/tools/stockwright/x", "/community/stockwright/x"])
def test_another_path_is_no_proxy(shop: Shop, path: str) -> None:
    assert ask(shop, path, app=app_that(lambda _: {})).status_code == 404


def test_a_shop_without_a_proxy_says_so(shop: Shop) -> None:
    shop.storefront.proxy_url = None
    assert ask(shop, SIGNED, app=app_that(lambda _: {})).status_code == 404


def test_the_proxys_path_is_one_that_shopify_offers() -> None:
    assert proxy_path("/a/my-app") == "/a/my-app"
    for wrong in ("stockwright", "/apps", "/apps/", "/shop/x", "/apps/x/y", "/apps/ü"):
        with pytest.raises(ShopError, match="app proxy"):
            proxy_path(wrong)


# --- the theme editor -------------------------------------------------------------------------------------


def test_the_control_api_changes_the_theme_and_refuses_unknown_settings(shop: Shop) -> None:
    product = add(shop, "Birches")
    page = f"/products/{product.handle}"
    field = {"key": f"offers_{product.number % 64:02d}", "value": {str(product.number): "*"}}
    assert ask(shop, "/_emulator/app-metafield", method="POST", json=field).status_code == 200
    text = {"block_settings": {"button_text": "Ring me"}, "placement": "embed"}
    assert ask(shop, "/_emulator/theme", method="POST", json=text).status_code == 200
    html = ask(shop, page).text
    assert "Ring me" in html
    assert html.index("<stockwright-notify") > html.index("</footer>")
    refused = ask(shop, "/_emulator/theme", method="POST", json={"block_settings": {"colour": "red"}})
    assert refused.status_code == 409
    assert "button_color" in refused.text
    ask(shop, "/_emulator/theme", method="POST", json={"placement": "none"})
    assert "<stockwright-notify" not in ask(shop, page).text
