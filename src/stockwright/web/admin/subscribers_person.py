"""One subscriber: why this was, or was not, sent; cancelling, sending again, all data as a file, erasing."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from stockwright import people as service
from stockwright import resending
from stockwright.compliance import as_text
from stockwright.model import Conflicting
from stockwright.notify.states import WAITING, State
from stockwright.people_told import STATES, note_of, source_words, story_of
from stockwright.store import people, shops
from stockwright.store.people import PersonRow
from stockwright.store.shops import Shop
from stockwright.web.admin.pages import Crumb, confirm, go, not_found, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.subscribers_finding import notices
from stockwright.web.admin.visits import actor_of, deps_of, flash

HREF = "/subscribers/{subscriber_id}"
SAMPLES = (
    "/subscribers/{subscriber}",
    "/subscribers/{failed_subscriber}",
    "/subscribers/{erased_subscriber}",
    "/subscribers/{subscriber}/erase",
)
_CRUMBS: tuple[Crumb, ...] = (("Subscribers", "/subscribers"),)


@dataclass(frozen=True, kw_only=True)
class _Found:
    row: PersonRow
    shop: Shop

    @property
    def here(self) -> str:
        return f"/subscribers/{self.row.subscriber_id}"

    @property
    def name(self) -> str:
        return self.row.email or "an erased person"

    @property
    def item(self) -> str:
        titles = (self.row.product_title, self.row.variant_title)
        return " – ".join(text for text in titles if text) or self.row.variant_id


async def _person_of(request: Request) -> _Found:
    async with deps_of(request).database.connection() as conn:
        row = await people.get(conn, request.path_params["subscriber_id"])
        shop = await shops.get(conn, row.shop_id) if row else None
    if row is None or shop is None:
        raise not_found(
            "There is no such subscriber. Old ones are deleted after the time that the settings say."
        )
    return _Found(row=row, shop=shop)


async def show(request: Request) -> Response:
    """Everything that happened, in words, and what can be done."""
    found = await _person_of(request)
    row, state = found.row, State(found.row.state)
    return page(
        request,
        "subscribers/person.html",
        title=row.email or "Erased person",
        crumbs=_CRUMBS,
        story=await story_of(deps_of(request), row),
        row=row,
        shop=found.shop,
        item=found.item,
        words=STATES[state],
        note=note_of(row),
        source=source_words(row.source),
        notices=await notices(request, found.shop) if state in WAITING else [],
        may_cancel=state in WAITING and bool(row.email),
        may_resend=bool(row.email) and state not in (State.PENDING, State.QUEUED, State.UNSUBSCRIBED),
    )


async def ask_cancel(request: Request) -> Response:
    """The person will not be told."""
    found = await _person_of(request)
    return confirm(
        request,
        title="Cancel",
        question=f"Cancel what {found.name} waits for: {found.item}?",
        consequences=[
            "Nothing is mailed for this request. The person can sign up again on the product page."
        ],
        action=f"{found.here}/cancel",
        submit="Cancel the request",
        cancel=found.here,
        crumbs=(*_CRUMBS, (found.name, found.here)),
    )


async def cancel(request: Request) -> Response:
    """End the waiting."""
    found = await _person_of(request)
    done = await service.cancel(
        deps_of(request), found.shop.shop_id, [found.row.subscriber_id], by=actor_of(request)
    )
    if not done.done:
        raise Conflicting(
            "This person does not wait, or is being mailed this moment, so nothing was cancelled."
        )
    flash(request, "Cancelled: nothing is mailed for this request.")
    return go(found.here)


async def ask_resend(request: Request) -> Response:
    """Sending again may mean a second mail."""
    found = await _person_of(request)
    consequences = {
        State.UNCONFIRMED: "A new mail asks to confirm the address; the link of the old one no longer works.",
        State.UNKNOWN: "Perhaps the mail was delivered: then it comes twice. Its Message-ID stays the same.",
        State.FAILED: "The same mail is sent once more, after another look at the stock.",
    }
    usual = "A new request is put in line: the person is told when the variant is in stock."
    return confirm(
        request,
        title="Send again",
        question=f"Send again to {found.name}: {found.item}?",
        consequences=[consequences.get(State(found.row.state), usual)],
        action=f"{found.here}/resend",
        submit="Send it again",
        cancel=found.here,
        crumbs=(*_CRUMBS, (found.name, found.here)),
        danger=found.row.state == State.UNKNOWN,
    )


async def resend(request: Request) -> Response:
    """Send once more, or put in line again."""
    found = await _person_of(request)
    told = await resending.send_one_again(
        deps_of(request), found.shop.shop_id, found.row.subscriber_id, by=actor_of(request)
    )
    flash(request, told)
    return go(found.here)


async def download(request: Request) -> Response:
    """All that is kept of the address, as a file to hand to the person."""
    found = await _person_of(request)
    if not found.row.email:
        raise Conflicting("This person was erased: nothing that names them is kept.")
    data = await service.data_of(
        deps_of(request), found.shop, [found.row.email], customer_id=found.row.customer_id
    )
    headers = {"Content-Disposition": 'attachment; filename="person.json"'}
    return Response(as_text(data), media_type="application/json", headers=headers)


async def ask_erase(request: Request) -> Response:
    """It cannot be undone."""
    found = await _person_of(request)
    return confirm(
        request,
        title="Erase",
        question=f"Erase {found.name} from everything that is kept?",
        consequences=[
            "Every request and mail of this address in this shop loses what names the person. It cannot be undone.",
            "Only a keyed hash of the address stays on the suppression list, so that it is not mailed by mistake.",
            "Counts and dates stay, without the person.",
        ],
        action=f"{found.here}/erase",
        submit="Erase this person",
        cancel=found.here,
        crumbs=(*_CRUMBS, (found.name, found.here)),
    )


async def erase(request: Request) -> Response:
    """Erase the address of this request everywhere in its shop."""
    found = await _person_of(request)
    if not found.row.email:
        raise Conflicting("This person is erased already.")
    done = await service.erase_person(
        deps_of(request),
        found.shop.shop_id,
        [found.row.email],
        customer_id=found.row.customer_id,
        by=actor_of(request),
    )
    flash(request, done.told)
    return go("/subscribers")


ROUTES = (
    get(HREF, show),
    get(HREF + "/cancel", ask_cancel),
    post(HREF + "/cancel", cancel),
    get(HREF + "/resend", ask_resend),
    post(HREF + "/resend", resend),
    get(HREF + "/data", download),
    get(HREF + "/erase", ask_erase),
    post(HREF + "/erase", erase),
)
