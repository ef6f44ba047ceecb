"""The shop's web page: stock per location, selling, refunding, editing, and the recent movements.

Rendered on the server; every form works without JavaScript. Holds no rule of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from shopify_emulator.control import order_or_last
from shopify_emulator.model import Movement, Order, OrderLine, Product, ShopError
from shopify_emulator.server import shop_of
from shopify_emulator.shop import Shop

HERE = Path(__file__).parent
RECENT = 14
REFUNDABLE = 5
SHOWN = 100
KEPT_NOTICES = 200
MAX_QUANTITY = 100_000
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STATIC = {"shop.css": "text/css", "shop.js": "text/javascript"}
Form = dict[str, str]


@dataclass(frozen=True)
class Notice:
    """What the last form did, or why it did not."""

    text: str
    good: bool


@dataclass(kw_only=True)
class Page:
    """Renders the page and keeps the notices of forms until they are shown."""

    templates: Environment = field(
        default_factory=lambda: Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined
        )
    )
    notices: dict[str, Notice] = field(default_factory=dict)
    numbers: Any = field(default_factory=count)

    def say(self, notice: Notice) -> str:
        number = str(next(self.numbers))
        self.notices[number] = notice
        while len(self.notices) > KEPT_NOTICES:
            del self.notices[next(iter(self.notices))]
        return number

    async def show(self, request: Request) -> Response:
        shop = shop_of(request)
        shop.tick()
        notice = self.notices.get(request.query_params.get("said", ""))
        html = self.templates.get_template("shop.html").render(
            shop=shop,
            products=_shown(shop),
            more=max(len(shop.state.products) - SHOWN, 0),
            locations=[location for location in shop.locations() if location.active],
            notice=notice,
            live=live(shop),
        )
        return HTMLResponse(html, headers=HEADERS)

    def form(self, path: str, act: Callable[[Shop, Form], str]) -> Route:
        """A form's route: does it, then shows the page again with what was done."""

        async def endpoint(request: Request) -> Response:
            origin = request.headers.get("origin")
            if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
                return Response("this form was sent from another site", status_code=403)
            fields = parse_qs((await request.body()).decode("utf-8", errors="replace"))
            try:
                notice = Notice(
                    act(shop_of(request), {name: values[-1] for name, values in fields.items()}), True
                )
            except ShopError as error:
                notice = Notice(f"Nothing was changed: {error}", False)
            return RedirectResponse(f"./?said={self.say(notice)}", status_code=303)

        return Route(path, endpoint, methods=["POST"])


def describe(shop: Shop, movement: Movement) -> dict[str, Any]:
    """A movement in the words of the page."""
    item = shop.state.items.get(movement.item)
    location = shop.state.locations[movement.location]
    what = f"{item.variant.product.title} · {item.variant.title}" if item is not None else "a removed variant"
    return {
        "time": movement.at.astimezone(shop.api.parts.identity.zone).strftime("%H:%M:%S"),
        "what": what,
        "where": location.name,
        "delta": f"{movement.delta:+d}".replace("-", "−"),
        "after": movement.after,
        "cause": _cause(shop, movement),
        "kind": movement.cause,
    }


def _cause(shop: Shop, movement: Movement) -> str:
    app = shop.api.parts.identity.app_title
    order = shop.state.orders.get(movement.reference or "")
    refund = shop.state.refunds.get(movement.reference or "")
    name = order.name if order is not None else refund.order.name if refund is not None else ""
    words = {
        "order": f"Order {name}",
        "order_edit": f"Order {name} edited",
        "refund": f"Refund of {name}",
        "cancel": f"Order {name} cancelled",
        "edit": "Edited by hand",
        "api": f"Correction by {app}",
    }
    return words[movement.cause]


def _shown(shop: Shop) -> list[Product]:
    """The page holds the first products; the API has no such limit."""
    return list(islice(shop.state.products.values(), SHOWN))


def live(shop: Shop) -> dict[str, Any]:
    """What changes on the page by itself."""
    history = shop.state.history
    return {
        "levels": {
            level.gid: level.available
            for product in _shown(shop)
            for variant in product.variants
            for level in variant.item.levels.values()
        },
        "movements": [describe(shop, movement) for movement in reversed(history[-RECENT:])],
        "refundable": [_left_of(order) for order in islice(_refundable(shop), REFUNDABLE)],
        "counts": {
            "orders": len(shop.state.orders),
            "movements": len(history),
            "subscriptions": len(shop.subscriptions.by_gid),
            "requests": sum(shop.request_counts().values()),
        },
    }


def _refundable(shop: Shop) -> Iterator[Order]:
    """Orders of which something can still be refunded, the last one first."""
    for order in reversed(shop.state.orders.values()):
        if order.cancelled_at is None and any(line.current for line in order.lines):
            yield order


def _left_of(order: Order) -> dict[str, Any]:
    lines = [_line_left(line) for line in order.lines if line.current]
    return {"id": order.gid, "name": order.name, "lines": lines}


def _line_left(line: OrderLine) -> dict[str, Any]:
    where = [line.location.name] if line.location is not None else []
    gone = [f"{line.current} of {line.quantity} left"] if line.current < line.quantity else []
    return {
        "id": line.gid,
        "left": line.current,
        "what": f"{line.current} × {line.product.title}",
        "detail": ", ".join([line.variant.title, *where, *gone]),
    }


def _quantity(text: str, *, least: int, what: str) -> int:
    try:
        number = int(text.strip())
    except ValueError:
        raise ShopError(f"{text.strip()!r} is not a whole number ({what})") from None
    if not least <= number <= MAX_QUANTITY:
        raise ShopError(f"{what} has to lie between {least} and {MAX_QUANTITY:,}, not {number}")
    return number


def _sell(shop: Shop, form: Form) -> str:
    """One variant by its own button, or every filled line as one order."""
    only = form.get("sell")
    if only:
        lines = [(only, _quantity(form.get(f"q:{only}", "1") or "1", least=1, what="the quantity"))]
    else:
        filled = {name[2:]: text for name, text in form.items() if name.startswith("q:") and text.strip()}
        lines = [(gid, _quantity(text, least=0, what="the quantity")) for gid, text in filled.items()]
        lines = [(gid, quantity) for gid, quantity in lines if quantity]
    if not lines:
        raise ShopError("no line has a quantity; fill in at least one and place the order again")
    order = shop.sell(lines, location=form.get("location") or None)
    sold = ", ".join(f"{line.quantity} × {line.product.title} ({line.variant.title})" for line in order.lines)
    return f"Order {order.name}: {sold}."


def _refund(shop: Shop, form: Form) -> str:
    """One line by its own button, or all that is left of an order."""
    restock = "restock" in form
    if "line" in form:
        line = _order_line(shop, form["line"])
        lines = [(line.gid, line.current)] if line.current else []
        made = shop.refund(line.order.gid, lines, restock=restock)
    else:
        made = shop.refund(order_or_last(shop, form.get("order") or None), restock=restock)
    total = sum(line.quantity for line in made.lines)
    restocked = any(line.restock_type != "NO_RESTOCK" for line in made.lines)
    back = "back in stock" if restocked else "not restocked"
    return f"Order {made.order.name} refunded: {total} item{'s' if total != 1 else ''}, {back}."


def _order_line(shop: Shop, gid: str) -> OrderLine:
    found = shop.state.nodes.get(gid)
    if not isinstance(found, OrderLine):
        raise ShopError(f"the shop has no order line {gid!r}; reload the page")
    return found


def _edit(shop: Shop, form: Form) -> str:
    """Sets what was changed in the form. A field that says what it said before is not meant."""
    item = shop.state.item(form.get("item", ""))
    filled = {name[2:]: text.strip() for name, text in form.items() if name.startswith("a:")}
    wanted = {place: text for place, text in filled.items() if text != form.get(f"was:{place}")}
    edits = [
        (item.gid, place, _quantity(text, least=-MAX_QUANTITY, what="the stock"))
        for place, text in wanted.items()
    ]
    changed = sum(1 for delta in shop.bulk_edit(edits) if delta)
    title = f"{item.variant.product.title} ({item.variant.title})"
    return (
        f"{title}: {changed} level{'s' if changed != 1 else ''} changed."
        if changed
        else f"{title}: no change."
    )


async def _live(request: Request) -> Response:
    shop = shop_of(request)
    shop.tick()
    return JSONResponse(live(shop), headers=HEADERS)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        return Response("there is no such file", status_code=404)
    return Response((HERE / "static" / name).read_bytes(), media_type=STATIC[name], headers=HEADERS)


def page_routes() -> tuple[Route, ...]:
    page = Page()
    return (
        Route("/", page.show, methods=["GET"]),
        Route("/live.json", _live, methods=["GET"]),
        Route("/static/{name}", _static, methods=["GET"]),
        page.form("/sell", _sell),
        page.form("/refund", _refund),
        page.form("/edit", _edit),
    )
