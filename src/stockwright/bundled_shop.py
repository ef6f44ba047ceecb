"""The bundled shop as the demo sees it: a process of its own, played through its control API over HTTP."""

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from stockwright.model import Json, StockwrightError, gid_number

DOMAIN = "demo-shop.myshopify.com"
_LIMIT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class ShopVariant:
    """A variant as the shop shows it; `levels` by location id."""

    id: str
    title: str
    item: str
    levels: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class ShopProduct:
    """A product as the shop shows it."""

    id: str
    title: str
    handle: str
    variants: tuple[ShopVariant, ...]
    published_on: tuple[str, ...] = ()  # publication ids

    def at(self, location: str) -> dict[str, int]:
        """Levels by variant title at a location id."""
        return {one.title: one.levels[location] for one in self.variants if location in one.levels}

    @property
    def sold_out(self) -> "tuple[ShopVariant, ...]":
        """The variants of which there is none anywhere."""
        return tuple(one for one in self.variants if sum(one.levels.values()) <= 0)


@dataclass(frozen=True, kw_only=True)
class ShopState:
    """What the shop holds at one moment."""

    products: tuple[ShopProduct, ...]
    locations: Mapping[str, str]  # name -> id
    requests: Mapping[str, int]  # Admin API calls by root field
    webhooks_pending: int

    def product(self, title: str) -> ShopProduct:
        """The product of this title, which the catalogue has."""
        return next(product for product in self.products if product.title == title)


class BundledShop:
    """The control API of one running shop."""

    def __init__(self, url: str, http: httpx2.AsyncClient) -> None:
        self.url = url
        self._http = http

    def page_of(self, product: ShopProduct, variant: ShopVariant | None = None) -> str:
        """The address of a product's page, with a variant chosen."""
        query = f"?variant={gid_number(variant.id)}" if variant else ""
        return f"{self.url}/products/{product.handle}{query}"

    async def is_up(self) -> bool:
        """Whether it answers."""
        try:
            await self._http.get(f"{self.url}/_emulator/state", timeout=_LIMIT_S)
        except httpx2.HTTPError:
            return False
        return True

    async def state(self) -> ShopState:
        """The shop now."""
        answer = await _answered(self._http.get(f"{self.url}/_emulator/state", timeout=_LIMIT_S))
        return _state(answer.json())

    async def sell(self, lines: Sequence[tuple[str, int]], *, location: str) -> str:
        """One order of (variant id, quantity); its id."""
        order = await self._act(
            "sell",
            {"lines": [{"variant": id, "quantity": count} for id, count in lines], "location": location},
        )
        return str(order["id"])

    async def refund(self, order: str) -> None:
        """Refund a whole order, back into stock."""
        await self._act("refund", {"order": order, "restock": True})

    async def edit(
        self, product: ShopProduct, *, location: str, available: int, only: ShopVariant | None = None
    ) -> None:
        """Type one number into every variant of a product, or `only` one, in one save."""
        variants = product.variants if only is None else (only,)
        edits = [{"item": one.item, "location": location, "available": available} for one in variants]
        await self._act("edit", {"edits": edits})

    async def fail_next(self, fault: str, *, operation: str = "*", count: int = 1) -> None:
        """Let the next fitting request or webhook suffer a fault."""
        await self._act("faults", {"next": [{"fault": fault, "operation": operation, "count": count}]})

    async def reset_counts(self) -> None:
        """Count requests from now on."""
        await self._act("reset-counts", {})

    async def _act(self, path: str, body: Json) -> Any:
        answer = await _answered(self._http.post(f"{self.url}/_emulator/{path}", json=body, timeout=_LIMIT_S))
        if answer.status_code != 200:
            raise StockwrightError(f"The bundled shop refused {path}: {answer.text[:500]}")
        return answer.json()


def _state(data: Json) -> ShopState:
    return ShopState(
        products=tuple(_product(one) for one in data["products"]),
        locations={one["name"]: one["id"] for one in data["locations"]},
        requests=data["requests"],
        webhooks_pending=data["webhooks"]["pending"],
    )


def _product(data: Json) -> ShopProduct:
    variants = tuple(
        ShopVariant(id=one["id"], title=one["title"], item=one["item"], levels=one["levels"])
        for one in data["variants"]
    )
    return ShopProduct(
        id=data["id"],
        title=data["title"],
        handle=data["handle"],
        variants=variants,
        published_on=tuple(data["published_on"]),
    )


class Shopper:
    """Somebody's browser, without script: pages and forms of the shop, and those behind links in mail."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def page(self, url: str) -> str:
        """A page's HTML.

        Raises:
            StockwrightError: it is not answered with 200.
        """
        return _shown(await _answered(self._http.get(url, timeout=_LIMIT_S)))

    async def send(self, url: str, fields: Mapping[str, str], *, accept: str = "text/html") -> str:
        """Send a form; the answer.

        Raises:
            StockwrightError: it is not answered with 200.
        """
        headers = {"Accept": accept}
        sending = self._http.post(url, data=dict(fields), headers=headers, timeout=_LIMIT_S)
        return _shown(await _answered(sending))


async def _answered(request: Coroutine[Any, Any, httpx2.Response]) -> httpx2.Response:
    try:
        return await request
    except httpx2.HTTPError as error:
        raise StockwrightError(f"A part of the demo does not answer: {error!r}. Its log says why.") from error


def _shown(answer: httpx2.Response) -> str:
    if answer.status_code != 200:
        raise StockwrightError(f"{answer.url} was answered with {answer.status_code}: {answer.text[:500]}")
    return str(answer.text)


@dataclass(frozen=True, kw_only=True)
class SunkMail:
    """One mail that reached the sink."""

    to: str
    subject: str
    text: str
    headers: Mapping[str, str]


class MailSink:
    """The page of one running mail sink."""

    def __init__(self, url: str, http: httpx2.AsyncClient) -> None:
        self.url = url
        self._http = http

    async def is_up(self) -> bool:
        """Whether it answers."""
        try:
            answer = await self._http.get(f"{self.url}/api/state", timeout=_LIMIT_S)
        except httpx2.HTTPError:
            return False
        return answer.status_code == 200

    async def mails(self) -> list[SunkMail]:
        """Every mail that it holds."""
        answer = await _answered(self._http.get(f"{self.url}/api/mails?whole=1", timeout=_LIMIT_S))
        return [
            SunkMail(to=one["to"], subject=one["subject"], text=one["text"], headers=dict(one["headers"]))
            for one in answer.json()
        ]
