"""Mail, Settings: through which server each shop's mail goes, and a test with the conversation shown."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationInfo, field_validator
from starlette.requests import Request
from starlette.responses import Response

from stockwright.mail.addresses import MailRefused, checked_address
from stockwright.mail_desk import (
    MailStatus,
    TestResult,
    change_settings,
    dkim_record,
    queue_status,
    resume,
    send_test,
    set_dkim_key,
)
from stockwright.model import Json, StockwrightError
from stockwright.store import shops
from stockwright.store.mail_settings import MailSettingsRow
from stockwright.store.shops import Shop
from stockwright.web.admin.forms import WHOLE, Filled, fields, read_model
from stockwright.web.admin.pages import Crumb, confirm, go, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.settings.shops import shop_of
from stockwright.web.admin.site import Tab
from stockwright.web.admin.tables import csv_response, wants_csv
from stockwright.web.admin.visits import actor_of, deps_of, flash, form_of

HREF = "/mail/settings"
TAB = Tab(title="Settings", href=HREF)
SAMPLES = (HREF, HREF + "/{shop}")
_CRUMBS: tuple[Crumb, ...] = (("Mail", "/mail"), ("Settings", HREF))
_SECRETS = ("password", "remove_password", "service")
_COLUMNS = ("shop", "server", "sender", "problem", "waiting", "held")


def _address(text: str) -> str:
    try:
        return checked_address(text) if text else ""
    except MailRefused as error:
        raise ValueError(str(error)) from None


def _blank_is_usual(value: Json) -> Json:
    return 0 if value in ("", None) else value


Address = Annotated[str, AfterValidator(_address)]
Usual = Annotated[int, BeforeValidator(_blank_is_usual)]


class AccountForm(BaseModel):
    """A shop's mail settings as the form has them."""

    service: Literal["installation", "own"] = Field(default="installation", title="Mail goes through")
    host: str = Field(default="", title="Server", description="Such as smtp.example.com.", max_length=255)
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", title="Security",
        description="starttls and tls protect the connection. none is for a server on this machine.",
    )  # fmt: skip
    port: Usual = Field(
        default=0, title="Port", description="Empty for the usual one: 587 with starttls, 465 with tls, 25 with none.",
        ge=0, le=65535,
    )  # fmt: skip
    username: str = Field(default="", title="User", description="Empty: nobody signs in.", max_length=320)
    password: str = Field(
        default="", title="Password", max_length=1000, json_schema_extra={"format": "password"},
        description="Stored encrypted and never shown again. Empty: it stays as it is.",
    )  # fmt: skip
    remove_password: bool = Field(default=False, title="Forget the stored password")
    verify: bool = Field(default=True, title="Check the server's certificate")
    allow_plain: bool = Field(
        default=False, title="Let mail travel unprotected",
        description="Only with security none, to a server on another machine that you trust the way to.",
    )  # fmt: skip
    from_address: Address = Field(default="", title="Sender's address", max_length=320)
    from_name: str = Field(
        default="", title="Sender's name", description="Empty: the shop's name.", max_length=200
    )
    reply_to: Address = Field(
        default="", title="Reply address", description="Where answers go, if elsewhere.", max_length=320
    )
    bounce_address: Address = Field(
        default="", title="Where mail that comes back goes", max_length=320,
        description="Such as bounces@example.com, whose mail server takes bounces+anything@example.com too. Empty: "
        "the sender's address.",
    )  # fmt: skip
    postal_address: str = Field(
        default="", title="Postal address", max_length=500,
        description="At the foot of each mail to shoppers, as many countries ask.",
    )  # fmt: skip
    rate_per_minute: Usual = Field(
        default=0,
        title="Messages per minute at most",
        description="Empty for the usual rate, 600.",
        ge=0,
        le=100_000,
    )
    owner_email: Address = Field(
        default="", title="Who is told when an automation fails", max_length=320,
        description="One mail per cause and hour. Empty: the address of the installation, if there is one.",
    )  # fmt: skip

    @field_validator("host", "from_address")
    @classmethod
    def _own_is_complete(cls, text: str, info: ValidationInfo) -> str:
        if not text and info.data.get("service") == "own":
            raise ValueError("A server of the shop's own needs this.")
        return text


class KeyForm(BaseModel):
    """A key that signs a shop's mail."""

    domain: str = Field(
        min_length=1, max_length=253, title="Domain",
        description="That of the sender's address, or the one above it: example.com.",
    )  # fmt: skip
    selector: str = Field(
        default="stockwright", min_length=1, max_length=63, title="Selector",
        description="A name for the key; give the next one another name.",
    )  # fmt: skip
    pem: str = Field(
        default="", max_length=20_000, title="Private key",
        description="An RSA key in PEM form. Empty: a new one of 2,048 bits is made.",
    )  # fmt: skip


async def show_all(request: Request) -> Response:
    """How mail stands for each shop; with one shop, its form."""
    async with deps_of(request).database.connection() as conn:
        found = await shops.list_all(conn)
    if len(found) == 1 and not wants_csv(request):
        return go(f"{HREF}/{found[0].shop_id}")
    lines = [(shop, await queue_status(deps_of(request), shop)) for shop in found]
    if wants_csv(request):
        return csv_response("mail-settings", [_csv_row(*line) for line in lines], header=_COLUMNS)
    return page(request, "mail/accounts.html", title="Mail settings", crumbs=_CRUMBS[:1], lines=lines)


def _csv_row(shop: Shop, status: MailStatus) -> dict[str, Json]:
    return {
        "shop": shop.domain,
        "server": status.server,
        "sender": status.sender,
        "problem": status.problem or status.queue.stop_reason,
        "waiting": status.counts.get("pending", 0),
        "held": status.counts.get("held", 0),
    }


async def show(request: Request) -> Response:
    """The form as it is stored."""
    return await _form(request, await shop_of(request))


async def _form(
    request: Request,
    shop: Shop,
    *,
    filled: Filled[AccountForm] | None = None,
    key: Filled[KeyForm] | None = None,
    result: TestResult | None = None,
    to: str = "",
    to_error: str = "",
) -> Response:
    status = await queue_status(deps_of(request), shop)
    errors = filled.errors if filled else {}
    shown = fields(AccountForm, filled.values if filled else _values(status.settings), errors=errors)
    key_errors = key.errors if key else {}
    key_fields = fields(KeyForm, key.values if key else _key_values(status.settings), errors=key_errors)
    return page(
        request,
        "mail/account.html",
        title=f"Mail of {shop.name or shop.domain}",
        crumbs=_CRUMBS,
        status=422 if errors or key_errors or to_error else 200,
        here=f"{HREF}/{shop.shop_id}",
        shop=shop,
        mail=status,
        f={field.name: field for field in shown},
        error=errors.get(WHOLE, ""),
        k={field.name: field for field in key_fields},
        key_error=key_errors.get(WHOLE, ""),
        record=dkim_record(deps_of(request), status.settings),
        has_password=status.settings.password is not None,
        result=result,
        to=to,
        to_error=to_error,
    )


def _values(row: MailSettingsRow) -> dict[str, Json]:
    stored = {name: getattr(row, name) for name in AccountForm.model_fields if name not in _SECRETS}
    return {
        **stored,
        "service": "own" if row.host else "installation",
        "port": row.port,
        "rate_per_minute": row.rate_per_minute,
    }


def _key_values(row: MailSettingsRow) -> dict[str, Json]:
    domain = row.dkim_domain or row.from_address.rpartition("@")[2]
    return {"domain": domain, "selector": row.dkim_selector or "stockwright", "pem": ""}


async def save(request: Request) -> Response:
    """Store the settings; the queue tries them at once."""
    shop = await shop_of(request)
    filled = read_model(AccountForm, form_of(request))
    if filled.model is None:
        return await _form(request, shop, filled=filled)
    try:
        await change_settings(
            deps_of(request),
            shop,
            _changes(filled.model),
            password=_password(filled.model),
            actor=actor_of(request),
        )
    except StockwrightError as error:
        refused = Filled[AccountForm](model=None, values=filled.values, errors={WHOLE: str(error)})
        return await _form(request, shop, filled=refused)
    flash(request, "Saved. Send a test to see whether it works.")
    return go(f"{HREF}/{shop.shop_id}")


def _changes(form: AccountForm) -> dict[str, Json]:
    given = form.model_dump(exclude=set(_SECRETS))
    if form.service == "own":
        return given
    return {**given, "host": "", "port": 0, "username": ""}


def _password(form: AccountForm) -> str | None:
    """None leaves it, "" removes it."""
    if form.service == "installation" or form.remove_password:
        return ""
    return form.password or None


async def set_key(request: Request) -> Response:
    """Sign the shop's mail with a key that was given, or with a new one."""
    shop = await shop_of(request)
    filled = read_model(KeyForm, form_of(request))
    if filled.model is None:
        return await _form(request, shop, key=filled)
    form = filled.model
    try:
        await set_dkim_key(
            deps_of(request),
            shop,
            domain=form.domain,
            selector=form.selector,
            pem=form.pem.strip(),
            actor=actor_of(request),
        )
    except StockwrightError as error:
        refused = Filled[KeyForm](model=None, values=filled.values, errors={WHOLE: str(error)})
        return await _form(request, shop, key=refused)
    flash(request, "Mail is signed from now on. Publish the record below before you rely on it.")
    return go(f"{HREF}/{shop.shop_id}#dkim")


async def ask_drop_key(request: Request) -> Response:
    """Ask before the key is forgotten."""
    shop = await shop_of(request)
    here = f"{HREF}/{shop.shop_id}"
    return confirm(
        request,
        title="Stop signing mail",
        question=f"Stop signing the mail of {shop.name or shop.domain}?",
        consequences=("The key is forgotten; mail goes out without our signature from then on.",),
        action=f"{here}/dkim/remove",
        submit="Stop signing",
        cancel=here,
        crumbs=_CRUMBS,
    )


async def drop_key(request: Request) -> Response:
    """Sign no more, and forget the key."""
    shop = await shop_of(request)
    await change_settings(deps_of(request), shop, {}, dkim_pem="", actor=actor_of(request))
    flash(request, "Mail is not signed any more. The key is forgotten.")
    return go(f"{HREF}/{shop.shop_id}")


async def test(request: Request) -> Response:
    """Send a test mail now and show what was said."""
    shop = await shop_of(request)
    to = str(form_of(request).get("to", "")).strip()
    try:
        checked_address(to)
        result = await send_test(deps_of(request), shop, to=to, actor=actor_of(request))
    except StockwrightError as error:
        return await _form(request, shop, to=to, to_error=str(error))
    return await _form(request, shop, result=result, to=to)


async def go_on(request: Request) -> Response:
    """Forget a stop or a pause."""
    shop = await shop_of(request)
    await resume(deps_of(request), shop, actor=actor_of(request))
    flash(request, "Mail goes on: what waits is tried now.")
    return go(f"{HREF}/{shop.shop_id}")


ROUTES = (
    get(HREF, show_all),
    get(HREF + "/{shop_id}", show),
    post(HREF + "/{shop_id}", save),
    post(HREF + "/{shop_id}/dkim", set_key),
    get(HREF + "/{shop_id}/dkim/remove", ask_drop_key),
    post(HREF + "/{shop_id}/dkim/remove", drop_key),
    post(HREF + "/{shop_id}/test", test),
    post(HREF + "/{shop_id}/resume", go_on),
)
