"""Settings, Shops, Add: a form for a shop's domain and secrets, checked against the shop before it is stored."""

from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from starlette.requests import Request
from starlette.responses import Response

from stockwright import upkeep
from stockwright.adding import ShopDraft, add_shop, shop_domain
from stockwright.model import StockwrightError
from stockwright.shopify.accounts import AuthMode, ShopSecrets
from stockwright.store.audit import audit
from stockwright.store.shops import Shop
from stockwright.web.admin.forms import WHOLE, Filled, fields, read_model
from stockwright.web.admin.pages import go, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.visits import actor_of, deps_of, flash, form_of, site_of, visit_of

HREF = "/settings/shops/add"
SAMPLES = (HREF,)
_WITH_MODE = {
    "client_id": "client_credentials",
    "client_secret": "client_credentials",
    "access_token": "access_token",
}

T = TypeVar("T", str, SecretStr)


class NewShop(BaseModel):
    """What somebody tells of a shop."""

    model_config = ConfigDict(validate_default=True)

    domain: str = Field(
        title="Shop domain",
        description="The shop's permanent address, such as example.myshopify.com.",
        max_length=255,
    )
    auth_mode: Literal["client_credentials", "access_token"] = Field(
        default="client_credentials", title="How it lets us in"
    )
    client_id: str = Field(
        default="", title="Client ID", description="Of the app, in the Dev Dashboard.", max_length=255
    )
    client_secret: SecretStr = Field(
        default=SecretStr(""),
        title="Client secret",
        description="Of the same app. It signs the webhooks too.",
    )
    access_token: SecretStr = Field(
        default=SecretStr(""), title="Admin API access token", description="Starts with shpat_."
    )
    webhook_secret: SecretStr = Field(
        default=SecretStr(""),
        title="Webhook signing secret",
        description="The API secret key of the custom app. Without it webhooks are refused.",
    )
    api_url: str = Field(
        default="",
        title="Address of the Admin API",
        description="Leave empty for Shopify. Only for a shop that answers somewhere else.",
        max_length=255,
    )

    @field_validator("domain")
    @classmethod
    def _a_domain(cls, value: str) -> str:
        try:
            return shop_domain(value)
        except StockwrightError as error:
            raise ValueError(str(error)) from error

    @field_validator("client_id", "client_secret", "access_token")
    @classmethod
    def _given_with_its_mode(cls, value: T, info: ValidationInfo) -> T:
        wanted = _WITH_MODE[str(info.field_name)]
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if info.data.get("auth_mode") == wanted and not text:
            raise ValueError("Paste it here.")
        return value

    def draft(self) -> ShopDraft:
        """As the service takes it."""
        by_token = self.auth_mode == "access_token"
        signing = self.webhook_secret.get_secret_value()
        return ShopDraft(
            domain=self.domain,
            secrets=ShopSecrets(
                access_token=self.access_token.get_secret_value() if by_token else None,
                client_secret=None if by_token else self.client_secret.get_secret_value(),
                webhook_secrets=(signing,) if by_token and signing else (),
            ),
            auth_mode=AuthMode(self.auth_mode),
            client_id=None if by_token else self.client_id,
            api_url=self.api_url or None,
            plan="premium",
        )


async def show(request: Request) -> Response:
    """The empty form."""
    return _page(request, Filled(model=None, values={}))


def _page(request: Request, filled: Filled[NewShop]) -> Response:
    return page(
        request,
        "settings/shop_add.html",
        title="Add a shop",
        crumbs=(("Settings", "/settings"), ("Shops", "/settings/shops")),
        status=422 if filled.errors else 200,
        fields={one.name: one for one in fields(NewShop, filled.values, errors=filled.errors)},
        error=filled.errors.get(WHOLE, ""),
        mode=filled.values.get("auth_mode", "client_credentials"),
    )


async def add(request: Request) -> Response:
    """Check the shop and store it; what is wrong is shown at its field."""
    filled = read_model(NewShop, form_of(request))
    if filled.model is None:
        return _page(request, filled)
    try:
        shop = await add_shop(deps_of(request), site_of(request).own.cipher, filled.model.draft())
    except StockwrightError as error:
        return _page(request, Filled(model=None, values=filled.values, errors={WHOLE: str(error)}))
    async with deps_of(request).database.connection() as conn:
        detail = {"auth_mode": shop.auth_mode, "api_url": shop.api_url}
        await audit(conn, actor_of(request), "shop.add", shop.domain, detail, at=visit_of(request).now)
    flash(request, f"{shop.name or shop.domain} is added.")
    await _subscribe(request, shop)
    return go(f"/settings/shops/{shop.shop_id}")


async def _subscribe(request: Request, shop: Shop) -> None:
    try:
        public_url = site_of(request).own.settings.public_url
        await upkeep.subscribe(deps_of(request), shop, public_url=public_url)
    except StockwrightError as error:
        flash(request, f"No webhooks yet: {error}", kind="warn")


ROUTES = (get(HREF, show), post(HREF, add))
