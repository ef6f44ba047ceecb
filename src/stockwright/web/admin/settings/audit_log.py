"""Settings, Audit log: who changed what, newest first."""

import json

from starlette.requests import Request
from starlette.responses import Response

from stockwright.model import Json, JsonObject
from stockwright.store import audit
from stockwright.store.audit import Entry
from stockwright.web.admin.pages import page
from stockwright.web.admin.routing import get
from stockwright.web.admin.site import Tab
from stockwright.web.admin.tables import csv_response, cursor_of, listing, rows_wanted, wants_csv
from stockwright.web.admin.visits import deps_of

HREF = "/settings/audit"
TAB = Tab(title="Audit log", href=HREF)
SAMPLES = (HREF,)
# The noun of an action, and what people call it. Who adds actions of a new noun adds it here.
ABOUT = {
    "automation": "Automations",
    "mail": "Mail settings",
    "message": "Mails",
    "offer": "Offers",
    "person": "Erased people",
    "privacy": "Privacy requests",
    "run": "Runs",
    "shop": "Shops",
    "stock": "Stocks",
    "storefront_texts": "Storefront texts",
    "subscriber": "People who wait",
    "template": "Templates",
    "token": "API tokens",
    "user": "Users",
}
# Actions in words; others show as they are written.
ACTIONS = {
    "shop.add": "added the shop",
    "shop.remove": "removed the shop",
    "shop.pause": "paused the shop",
    "shop.resume": "resumed the shop",
    "shop.change": "changed the shop",
    "shop.redact": "deleted all data, as Shopify asked, of the shop",
    "shop.subscribe": "repaired the webhooks of",
    "user.add": "added the user",
    "user.remove": "removed the user",
    "user.password": "changed the password of",
    "user.sign_out_everywhere": "signed out everywhere:",
    "token.create": "created the API token",
    "token.revoke": "revoked the API token",
    "automation.add": "installed the automation",
    "automation.change": "changed the automation",
    "automation.enable": "switched on the automation",
    "automation.disable": "switched off the automation",
    "automation.run": "ran the automation",
    "automation.remove": "removed the automation",
    "offer.create": "made the offer",
    "offer.change": "changed the offer",
    "offer.add_items": "added products to the offer",
    "offer.remove_items": "took products out of the offer",
    "offer.activate": "activated the offer",
    "offer.unschedule": "made a draft again of the offer",
    "offer.pause": "paused the offer",
    "offer.resume": "resumed the offer",
    "offer.complete": "ended the offer",
    "offer.archive": "archived the offer",
    "offer.delete": "deleted the offer",
    "offer.start": "started by schedule the offer",
    "offer.end": "ended by schedule the offer",
    "offer.stock": "followed the stock of the offer",
    "run.repeat": "tried again the run on",
    "run.cancel": "cancelled the run on",
    "stock.resolve": "ended the freeze of",
    "stock.review": "reviewed assumed outcomes of",
    "message.retry": "sent again the mail",
    "message.cancel": "cancelled the mail",
    "template.change": "changed the mail template",
    "template.restore": "restored the mail template",
    "template.test": "sent a test of the mail template",
    "storefront_texts.change": "changed the storefront texts in",
    "storefront_texts.restore": "restored the storefront texts in",
    "subscriber.import": "imported people:",
    "subscriber.cancel": "cancelled the requests of",
    "subscriber.resend": "tried again to tell somebody of",
    "person.erase": "erased",
    "privacy.download": "downloaded the data that a customer asked for from",
    "privacy.close": "closed a request about a customer's data from",
    "mail.dkim": "set the DKIM key of",
    "mail.dkim.remove": "removed the DKIM key of",
    "mail.settings": "changed the mail settings of",
    "mail.test": "sent a test mail for",
    "mail.stop": "stopped the mail of",
    "mail.resume": "let the mail go on of",
}
_COLUMNS = ("at", "user", "action", "target", "detail")


async def show(request: Request) -> Response:
    """The log, of one kind of thing or all."""
    about = request.query_params.get("about", "")
    async with deps_of(request).database.connection() as conn:
        found = await audit.entries(
            conn,
            about=about if about in ABOUT else None,
            before=cursor_of(request),
            limit=rows_wanted(request),
        )
    if wants_csv(request):
        return csv_response("audit-log", [_row(entry) for entry in found], header=_COLUMNS)
    return page(
        request,
        "settings/audit.html",
        title="Audit log",
        crumbs=(("Settings", "/settings"),),
        entries=listing(request, found, cursor=lambda entry: entry.entry_id),
        about=about,
        nouns=ABOUT,
        words=ACTIONS,
        details_told=details_told,
    )


def details_told(detail: JsonObject) -> str:
    """The details of an entry in words: no brackets, no names of code, nothing that is empty."""
    told = ((name.replace("_", " "), _value_told(value)) for name, value in detail.items())
    return ", ".join(f"{name}: {value}" for name, value in told if value)


def _value_told(value: Json) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            return f"({inside})" if (inside := details_told(value)) else ""
        case list() | tuple():
            return ", ".join(_value_told(one) for one in value)
        case float() if value.is_integer():
            return str(int(value))
        case None:
            return ""
    return str(value)


def _row(entry: Entry) -> dict[str, object]:
    return {
        "at": entry.at,
        "user": entry.user_name,
        "action": entry.action,
        "target": entry.target,
        "detail": json.dumps(entry.detail),
    }


ROUTES = (get(HREF, show),)
