"""The storefront's pages: product, collection, featured products, cart, order; and the app proxy's endpoint.

Any page also answers below its language, such as /de/products/HANDLE. The shop must be at the root of its host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from shopify_emulator.model import Product, ShopError
from shopify_emulator.server import shop_of
from shopify_emulator.shop import Shop
from shopify_emulator.storefront import app_proxy, cart
from shopify_emulator.storefront.art import drawing
from shopify_emulator.storefront.blocks import ASSETS_PATH, NOTHING, Rendered, render_block
from shopify_emulator.storefront.liquid_engine import DEFAULT_LOCALE, Root
from shopify_emulator.storefront.objects import (
    Drop,
    app_drop,
    is_published,
    listed,
    page_objects,
    product_drop,
)
from shopify_emulator.storefront.settings import PROXY_PREFIXES

THEME = Path(__file__).parent / "theme"
FEATURED = 3
TYPES = {".css": "text/css", ".js": "text/javascript"}
LIQUID = "application/liquid"
ClientOf = Callable[[], httpx2.AsyncClient]


@lru_cache(maxsize=1)
def theme() -> Root:
    return Root(THEME)


class Page:
    """One request for a page: the shop, its language, and what Liquid sees."""

    def __init__(self, request: Request) -> None:
        self.shop: Shop = shop_of(request)
        self.shop.tick()
        self.locale: str = request.path_params.get("locale", DEFAULT_LOCALE)
        self.root = "/" if self.locale == DEFAULT_LOCALE else f"/{self.locale}/"
        self.path = "/" + request.url.path.removeprefix(self.root)
        self.query = request.url.query
        self.values = page_objects(
            self.shop,
            path=request.url.path,
            locale=self.locale,
            locales=theme().locales(),
            root=self.root,
            host=request.headers.get("host", ""),
        )

    def show(
        self, template: str, title: str, values: Drop, *, status: int = 200, head: str = "", embeds: str = ""
    ) -> Response:
        body = theme().render(f"templates/{template}.liquid", {**self.values, **values})
        return self.frame(body, title, status=status, head=head, embeds=embeds)

    def frame(
        self, body: str, title: str, *, status: int = 200, head: str = "", embeds: str = ""
    ) -> Response:
        """The layout around a page's content."""
        html = theme().render(
            "layout/theme.liquid",
            {
                **self.values,
                "page_title": title,
                "content_for_header": head,
                "content_for_layout": body,
                "content_for_embeds": embeds,
                "language_path": self.path.lstrip("/") + (f"?{self.query}" if self.query else ""),
            },
        )
        return HTMLResponse(html, status_code=status, headers=_headers(self.shop))

    def text(self, key: str) -> str:
        return theme().texts(self.locale)[key]

    def missing(self) -> Response:
        return self.show("404", self.text("missing"), {}, status=404)


def _headers(shop: Shop) -> dict[str, str]:
    """Pages may talk to their own host only, and to the app's where the merchant set its direct endpoint."""
    parts = urlsplit(str(shop.storefront.block_settings.get("proxy_path", "")))
    direct = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        f"img-src 'self' data: https:; connect-src 'self'{direct}; form-action 'self'{direct}; base-uri 'none'; "
        "frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Cache-Control": "no-store",
    }


# --- pages ------------------------------------------------------------------------------------------------


def _blocks(page: Page, product: Drop, *, embeds: bool) -> tuple[dict[str, str], Rendered]:
    """Where the block of a product goes, and the block; with an embed, the embed."""
    settings = page.shop.storefront
    if (
        settings.placement == "none"
        or (settings.placement == "embed" and not embeds)
        or not settings.extension.exists()
    ):
        return {}, NOTHING
    app = app_drop(page.shop.state.app_metafields)
    found = render_block(settings, settings.placement, page.values, product=product, app=app)
    if settings.placement == "embed":
        return {"embeds": found.html}, found
    return {"block_inside" if settings.inside_form else "block_below": found.html}, found


async def _product(request: Request) -> Response:
    page = Page(request)
    found = _published(page.shop, request.path_params["handle"])
    if found is None:
        return page.missing()
    product = product_drop(page.shop, found, root=page.root, chosen=request.query_params.get("variant", ""))
    page.values["product"] = product
    places, block = _blocks(page, product, embeds=True)
    return page.show("product", found.title, dict(places), head=block.head, embeds=places.get("embeds", ""))


def _published(shop: Shop, handle: str) -> Product | None:
    return next((one for one in shop.products() if one.handle == handle and is_published(shop, one)), None)


async def _collection(request: Request) -> Response:
    page = Page(request)
    products = [product_drop(page.shop, one, root=page.root) for one in listed(page.shop)]
    return page.show("collection", page.text("all"), {"collection": {"products": products}})


async def _featured(request: Request) -> Response:
    """Several products with a form each, as on a landing page: those of ?handles=a,b, or the first ones."""
    page = Page(request)
    wanted = [one for one in request.query_params.get("handles", "").split(",") if one]
    chosen = [_published(page.shop, one) for one in wanted] or listed(page.shop)[:FEATURED]
    featured, head = [], ""
    for found in chosen:
        if found is not None:
            product = product_drop(page.shop, found, root=page.root)
            places, block = _blocks(page, product, embeds=False)
            featured.append({"product": product, **places})
            head = block.head
    return page.show("featured", page.text("featured"), {"featured": featured}, head=head)


async def _add(request: Request) -> Response:
    page = Page(request)
    form = await _form(request)
    lines = f"{form.get('id', '')}:{form.get('quantity', '1')}"
    return RedirectResponse(f"{page.root}cart/{quote(lines, safe=':,')}", status_code=303)


async def _cart(request: Request) -> Response:
    page = Page(request)
    return _show_cart(page, request.path_params["lines"])


def _show_cart(page: Page, text: str, *, refusal: str = "", status: int = 200) -> Response:
    try:
        lines = cart.read_lines(page.shop, text)
    except ShopError as error:
        lines, status, refusal = [], 404, str(error)
    values = {"refusal": refusal, "cart": cart.cart_drop(lines, root=page.root)}
    return page.show("cart", page.text("cart"), values, status=status)


async def _checkout(request: Request) -> Response:
    page = Page(request)
    if not _own_form(request):
        return Response("this form was sent from another site", status_code=403)
    text = (await _form(request)).get("lines", "")
    try:
        order = cart.place(page.shop, cart.read_lines(page.shop, text))
    except ShopError as error:
        return _show_cart(page, text, refusal=str(error), status=422)
    return RedirectResponse(f"{page.root}orders/{order.number}", status_code=303)


async def _order(request: Request) -> Response:
    page = Page(request)
    order = page.shop.state.orders.get(f"gid://shopify/Order/{request.path_params['number']}")
    if order is None:
        return page.missing()
    return page.show("order", page.text("thanks"), {"order": cart.order_drop(order, root=page.root)})


def _own_form(request: Request) -> bool:
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


async def _form(request: Request) -> dict[str, str]:
    fields = parse_qs((await request.body()).decode("utf-8", errors="replace"))
    return {name: values[-1] for name, values in fields.items()}


# --- files ------------------------------------------------------------------------------------------------


def _file(folder: Path, name: str) -> Response:
    """A file of a folder, by a name that is in it."""
    if name not in {one.name for one in folder.iterdir()}:
        return Response("there is no such file", status_code=404)
    path = folder / name
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return Response(
        path.read_bytes(), media_type=TYPES.get(path.suffix, "application/octet-stream"), headers=headers
    )


async def _theme_file(request: Request) -> Response:
    return _file(THEME / "assets", request.path_params["name"])


async def _extension_file(request: Request) -> Response:
    return _file(shop_of(request).storefront.extension / "assets", request.path_params["name"])


async def _art(request: Request) -> Response:
    return Response(drawing(request.path_params["number"]), media_type="image/svg+xml")


# --- the app proxy ----------------------------------------------------------------------------------------


def _proxy(prefix: str, client_of: ClientOf) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        page = Page(request)
        settings = page.shop.storefront
        params: Mapping[str, str] = request.path_params
        path_prefix = f"/{prefix}/{params['subpath']}"
        if settings.proxy_url is None or path_prefix != settings.proxy_path:
            return page.missing()
        query = app_proxy.signed_query(
            request.url.query,
            shop=page.shop.domain,
            path_prefix=path_prefix,
            customer_id=settings.customer_id,
            secret=page.shop.tokens.client_secret,
            now=page.shop.clock.now(),
        )
        try:
            async with client_of() as client:
                status, headers, body = await app_proxy.forward(
                    client,
                    method=request.method,
                    url=f"{settings.proxy_url.rstrip('/')}/{quote(params['rest'])}?{query}",
                    headers=request.headers,
                    body=await request.body(),
                    client_host=request.client.host if request.client is not None else "",
                )
        except app_proxy.ProxyError as error:
            return page.frame(f'<p class="narrow" role="alert">{error}</p>', str(error), status=502)
        return _answer(page, status, headers, body)

    return endpoint


def _answer(page: Page, status: int, headers: dict[str, str], body: bytes) -> Response:
    """The app's answer; Liquid is rendered inside the theme."""
    if not headers.get("content-type", "").startswith(LIQUID):
        return Response(body, status_code=status, headers=headers)
    html = theme().render_text(body.decode("utf-8", errors="replace"), page.values)
    return page.frame(html, page.values["shop"]["name"], status=status)


# --- routes -----------------------------------------------------------------------------------------------


def storefront_routes(client_of: ClientOf = app_proxy.proxy_client) -> tuple[Route, ...]:
    """The storefront of each shop; `client_of` makes the client that the app proxy asks with."""
    pages: tuple[tuple[str, Any, list[str]], ...] = (
        ("/products/{handle}", _product, ["GET"]),
        ("/collections/all", _collection, ["GET"]),
        ("/pages/featured", _featured, ["GET"]),
        ("/cart/add", _add, ["POST"]),
        ("/cart/{lines}", _cart, ["GET"]),
        ("/checkout", _checkout, ["POST"]),
        ("/orders/{number:int}", _order, ["GET"]),
    )
    languages = [one for one in theme().locales() if one != DEFAULT_LOCALE]
    return (
        Route("/theme/{name}", _theme_file),
        Route("/theme/art/{number:int}.svg", _art),
        Route(f"{ASSETS_PATH}/{{name}}", _extension_file),
        *(Route(path, act, methods=methods) for path, act, methods in pages),
        *(
            Route(f"/{language}{path}", _in_language(language, act), methods=methods)
            for language in languages
            for path, act, methods in pages
        ),
        *(
            Route(f"/{prefix}/{{subpath}}/{{rest:path}}", _proxy(prefix, client_of), methods=["GET", "POST"])
            for prefix in PROXY_PREFIXES
        ),
    )


def _in_language(language: str, act: Any) -> Any:
    async def endpoint(request: Request) -> Response:
        request.path_params["locale"] = language
        response: Response = await act(request)
        return response

    return endpoint
