"""A shop from outside: checked against the shop itself first, then stored with its secrets sealed; its plan later."""

import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from stockwright.deps import Deps, refresh_shop
from stockwright.encryption import Cipher
from stockwright.model import ShopId, StockwrightError
from stockwright.shopify.accounts import AuthMode, ShopSecrets, seal_secrets
from stockwright.shopify.catalogue import ShopAnswer
from stockwright.shopify.client import ShopifyClients
from stockwright.shopify.transport import checked_api_url, open_http
from stockwright.store import offer_themes, shops
from stockwright.store.audit import COMMAND_LINE, Actor, audit
from stockwright.store.shops import NewShop, Shop

_NOT_STORED = ShopId(0)
_SHOPIFY = ".myshopify.com"
_DOMAIN = re.compile(r"[a-z0-9][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)+")


@dataclass(frozen=True, kw_only=True)
class ShopDraft:
    """A shop as somebody wants to add it."""

    domain: str
    secrets: ShopSecrets
    auth_mode: AuthMode
    client_id: str | None
    api_url: str | None
    plan: str


def shop_domain(text: str) -> str:
    """The domain of a shop as people type it: lower case, without scheme and path; a bare name is completed.

    Raises:
        StockwrightError: nothing that could be a domain.
    """
    domain = text.strip().lower().removeprefix("https://").removeprefix("http://").split("/")[0]
    domain = domain if "." in domain else domain + _SHOPIFY
    if not _DOMAIN.fullmatch(domain):
        raise StockwrightError(f"{text!r} is not the domain of a shop, such as example.myshopify.com.")
    return domain


async def add_shop(deps: Deps, cipher: Cipher, draft: ShopDraft) -> Shop:
    """Check that the shop lets us in, then store it.

    Raises:
        ShopifyError: the shop could not be read with these secrets; nothing was stored.
        StockwrightError: it is there already, its address cannot be used, or the secrets are another shop's.
    """
    domain = shop_domain(draft.domain)
    new = NewShop(
        domain=domain,
        api_url=checked_api_url(draft.api_url or f"https://{domain}"),
        auth_mode=draft.auth_mode.value,
        client_id=draft.client_id,
        secrets=seal_secrets(cipher, draft.secrets),
        plan=draft.plan,
    )
    await _refuse_double(deps, domain)
    answer = await _read(deps, cipher, new)
    if answer.domain.lower() != domain:
        raise StockwrightError(
            f"These secrets belong to {answer.domain}, not to {domain}. Add that domain, or use {domain}'s own."
        )
    async with deps.database.connection() as conn:
        shop_id = await shops.add(conn, new)
    await refresh_shop(deps, shop_id)
    async with deps.database.connection() as conn:
        shop = await shops.get(conn, shop_id)
    assert shop is not None, "it was stored just now"
    return shop


PLANS = ("premium", "free")


async def set_plan(deps: Deps, shop: Shop, plan: str, *, by: Actor = COMMAND_LINE) -> None:
    """Put a shop on another plan. On free there is no Notify Me, and people who wait are kept and not sent to.

    Raises:
        StockwrightError: there is no such plan.
    """
    if plan not in PLANS:
        raise StockwrightError(f"There is no plan {plan!r}. Plans: {', '.join(PLANS)}.")
    async with deps.database.connection() as conn, conn.transaction():
        await shops.set_settings(conn, shop.shop_id, plan=plan, on_unknown=shop.on_unknown)
        await offer_themes.mark(conn, shop.shop_id)
        detail = {"plan": plan, "was": shop.plan}
        await audit(conn, by, "shop.change", shop.domain, detail, at=deps.clock())


async def _refuse_double(deps: Deps, domain: str) -> None:
    async with deps.database.connection() as conn:
        if await shops.find(conn, domain):
            raise StockwrightError(
                f"The shop {domain} is there already. See it with: stockwright shop check {domain}. To change its "
                f"secrets, remove it first: stockwright shop remove {domain}"
            )


async def _read(deps: Deps, cipher: Cipher, new: NewShop) -> ShopAnswer:
    async with open_http() as http:
        clients = ShopifyClients(_Unstored(_as_row(new, deps.clock())), http, cipher, deps.clock, _no_sleep)
        client = await clients.for_shop(_NOT_STORED)
        return await client.read_shop()


async def _no_sleep(_delay_s: float) -> None:
    """A person waits for the answer: try again at once, or say what is wrong."""


def _as_row(new: NewShop, now: datetime) -> Shop:
    return Shop(
        **asdict(new),
        shop_id=_NOT_STORED,
        status="active",
        status_reason="",
        token=None,
        token_expires_at=None,
        scopes=(),
        name="",
        timezone="UTC",
        locations=(),
        channels=(),
        default_location_id=None,
        primary_host="",
        read_at=None,
        created_at=now,
    )


@dataclass
class _Unstored:
    """The rows of a shop that is not stored yet: a token for this check only, and no budget to share."""

    row: Shop

    async def account(self, shop_id: ShopId) -> Shop:  # noqa: ARG002
        return self.row

    async def save_token(
        self,
        shop_id: ShopId,  # noqa: ARG002
        token: bytes,
        *,
        expires_at: datetime,
        was: bytes | None,  # noqa: ARG002
    ) -> bool:
        self.row = replace(self.row, token=token, token_expires_at=expires_at)
        return True

    async def take_points(self, shop_id: ShopId, *, cost: float, reserve_share: float) -> float:  # noqa: ARG002
        return 0.0

    async def settle_points(self, shop_id: ShopId, **points: float) -> None:
        pass

    async def block_points(self, shop_id: ShopId, *, delay_s: float) -> None:
        pass
