"""One shop behind a scripted wire: each request gets the next answer, and is kept for the test to look at."""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from stockwright.encryption import Cipher
from stockwright.model import ItemGid, Location, LocationGid, ShopId, gid
from stockwright.shopify.accounts import ShopSecrets, seal_secrets
from stockwright.shopify.client import ShopifyClient, ShopifyClients
from stockwright.shopify.transport import open_http
from stockwright.shopify.writes import AdjustRow

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SHOP = ShopId(7)
DOMAIN = "one.myshopify.com"
CIPHER = Cipher((secrets.token_bytes(32),), origin="the test")
ITEM, PLACE = ItemGid(gid("InventoryItem", 9007199254740995)), LocationGid(gid("Location", 1))
ROW = AdjustRow(item_id=ITEM, location_id=PLACE, delta=-1, change_from=10)

Answer = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


@dataclass(frozen=True, kw_only=True)
class StoredShop:
    """A shop row."""

    shop_id: ShopId = SHOP
    domain: str = DOMAIN
    api_url: str = f"https://{DOMAIN}"
    auth_mode: str = "access_token"
    client_id: str | None = "client"
    secrets: bytes = seal_secrets(CIPHER, ShopSecrets(access_token="shpat_1", client_secret="hush"))
    token: bytes | None = None
    token_expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()
    locations: tuple[Location, ...] = ()


@dataclass
class Rows:
    """The rows that calls need, for one shop, with a budget that never ends unless the test says so."""

    shop: StoredShop = field(default_factory=StoredShop)
    waits: list[float] = field(default_factory=list)  # answers of take_points, then 0
    taken: list[tuple[float, float]] = field(default_factory=list)
    settled: list[dict[str, float]] = field(default_factory=list)
    blocked_s: list[float] = field(default_factory=list)
    is_away: bool = False  # the database, when the budget is to be written down

    async def account(self, shop_id: ShopId) -> StoredShop:
        return self.shop

    async def save_token(
        self, shop_id: ShopId, token: bytes, *, expires_at: datetime, was: bytes | None
    ) -> bool:
        if self.shop.token != was:
            return False
        self.shop = StoredShop(**{**vars(self.shop), "token": token, "token_expires_at": expires_at})
        return True

    async def take_points(self, shop_id: ShopId, *, cost: float, reserve_share: float) -> float:
        self.taken.append((cost, reserve_share))
        return self.waits.pop(0) if self.waits else 0.0

    async def settle_points(self, shop_id: ShopId, **figures: float) -> None:
        if self.is_away:
            raise OSError("the database is away")
        self.settled.append(figures)

    async def block_points(self, shop_id: ShopId, *, delay_s: float) -> None:
        if self.is_away:
            raise OSError("the database is away")
        self.blocked_s.append(delay_s)


@dataclass
class Wire:
    """Answers in order; `requests` and `slept_s` tell what happened."""

    answers: list[Answer]
    rows: Rows = field(default_factory=Rows)
    requests: list[httpx2.Request] = field(default_factory=list)
    slept_s: list[float] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    now: datetime = NOON
    transport: httpx2.AsyncBaseTransport | None = None  # instead of the answers in order

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx2.Response) else answer(request)

    async def sleep(self, delay_s: float) -> None:
        """Time passes at once."""
        self.slept_s.append(delay_s)
        self.now += timedelta(seconds=delay_s)

    def clients(self) -> ShopifyClients:
        return ShopifyClients(
            self.rows,
            open_http(self.transport or httpx2.MockTransport(self._answer)),
            CIPHER,
            lambda: self.now,
            self.sleep,
            backoff_s=lambda attempt: 0.5 * attempt,
            warn=lambda _shop_id, text: self.warnings.append(text),
        )

    async def client(self) -> ShopifyClient:
        return await self.clients().for_shop(SHOP)


def wire(*answers: Answer, rows: Rows | None = None) -> Wire:
    return Wire(answers=list(answers), rows=rows or Rows())


def ok(data: Any, *, cost: Any = None, headers: Any = None, **more: Any) -> httpx2.Response:
    extensions = {"cost": cost} if cost else {}
    return httpx2.Response(200, json={"data": data, "extensions": extensions, **more}, headers=headers)


def failed(*codes: str, data: Any = None, message: str = "told", **more: Any) -> httpx2.Response:
    errors = [{"message": message, "extensions": {"code": code}} for code in codes]
    return httpx2.Response(200, json={"errors": errors, "data": data, **more})


def adjusted(group: Any = None, errors: Sequence[Any] = ()) -> httpx2.Response:
    payload = {"inventoryAdjustmentGroup": group, "userErrors": list(errors)}
    return ok({"inventoryAdjustQuantities": payload})


def told(code: str | None, field: Any = None) -> dict[str, Any]:
    return {"code": code, "field": field, "message": f"about {code}"}
