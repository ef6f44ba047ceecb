"""/u/...: the pages behind the links in mail. A GET, also a scanner's, never changes anything; a POST does.

Nobody is signed in and no cookie is set: the token in the address proves who may do this.
"""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from stockwright import contacting
from stockwright.contacting import Contact, Sent, Standing, Stop
from stockwright.notify.texts import checked_locale, words
from stockwright.notify.tokens import Purpose
from stockwright.store.database import Unreachable
from stockwright.web.storefront.forms import read_texts
from stockwright.web.storefront.pages import page, said, shop_name, shop_url, unknown_link
from stockwright.web.storefront.site import Handler, StorefrontDeps, finished

ONE_CLICK = ("List-Unsubscribe", "One-Click")  # RFC 8058
_DONE = {Stop.ITEM: "unsubscribed_item", Stop.ALL: "unsubscribed_all", Stop.ERASE: "erased"}
_SENT = {Sent.SENT: "confirm_sent", Sent.WAIT: "confirm_wait", Sent.OVER: "confirm_over"}


class ContactPages:
    """The endpoints under /u."""

    def __init__(self, own: StorefrontDeps) -> None:
        self._own = own

    async def show(self, request: Request) -> Response:
        """What can be stopped, with a button for each."""
        return await _answered(request, self._show)

    async def act(self, request: Request) -> Response:
        """A button of the page, or the mail program's own."""
        return await _answered(request, self._act)

    async def show_confirm(self, request: Request) -> Response:
        """A button that confirms."""
        return await _answered(request, self._show_confirm)

    async def confirm(self, request: Request) -> Response:
        """Confirm, or send a new link."""
        return await _answered(request, self._confirm)

    async def _contact(self, request: Request, purpose: Purpose) -> Contact | None:
        token = request.path_params["token"]
        return await contacting.open_contact(self._own.deps, token, purpose, locale=_locale(request))

    # --- unsubscribing ----------------------------------------------------------------------------------------

    async def _show(self, request: Request) -> Response:
        contact = await self._contact(request, Purpose.UNSUBSCRIBE)
        if contact is None:
            return unknown_link(_locale(request))
        return _choices(contact)

    async def _act(self, request: Request) -> Response:
        contact = await self._contact(request, Purpose.UNSUBSCRIBE)
        if contact is None:
            return unknown_link(_locale(request))
        texts = await read_texts(request)
        if texts.get(ONE_CLICK[0], "").strip().lower() == ONE_CLICK[1].lower():
            what = await contacting.one_click_scope(self._own.deps, contact.shop.shop_id)
            await contacting.stop(self._own.deps, contact, what, one_click=True)
            return PlainTextResponse("Unsubscribed.")
        if texts.get("what", "") not in list(Stop):
            return _choices(contact, status=400)
        what = Stop(texts["what"])
        chosen = texts.get("subscriber", "")
        await contacting.stop(self._own.deps, contact, what, subscriber_id=chosen)
        return _done(contact, what, chosen)

    # --- confirming -------------------------------------------------------------------------------------------

    async def _show_confirm(self, request: Request) -> Response:
        contact = await self._contact(request, Purpose.CONFIRM)
        if contact is None:
            return unknown_link(_locale(request))
        return _standing_page(contact, contacting.standing(self._own.deps, contact))

    async def _confirm(self, request: Request) -> Response:
        contact = await self._contact(request, Purpose.CONFIRM)
        if contact is None:
            return unknown_link(_locale(request))
        match (await read_texts(request)).get("action", ""):
            case "confirm":
                return _standing_page(contact, await contacting.confirm(self._own.deps, contact))
            case "again":
                sent = await contacting.send_link_again(self._own.deps, contact)
                return said(contact.words, "confirm_title", _SENT[sent])
            case _:
                page = _standing_page(contact, contacting.standing(self._own.deps, contact))
                page.status_code = 400
                return page


def _choices(contact: Contact, *, status: int = 200) -> Response:
    told, name = contact.words, shop_name(contact.shop)
    return page(
        "unsubscribe.html",
        told,
        title=told.say("unsubscribe_title", shop=name),
        status=status,
        item=contact.item,
        shop=name,
        waiting=contact.waiting,
    )


def _done(contact: Contact, what: Stop, chosen: str) -> Response:
    told, name = contact.words, shop_name(contact.shop)
    named = next((one.item for one in contact.waiting if one.subscriber_id == chosen), contact.item)
    return said(
        told,
        "unsubscribe_title",
        _DONE[what],
        link=shop_url(contact.shop),
        link_text=told.say("back_to_shop", shop=name),
        shop=name,
        item=named,
    )


def _standing_page(contact: Contact, found: Standing) -> Response:
    told, item = contact.words, contact.item
    match found:
        case Standing.OPEN:
            return _button(contact, "confirm_text", "confirm", "confirm_button")
        case Standing.EXPIRED:
            return _button(contact, "confirm_expired", "again", "confirm_again")
        case Standing.DONE:
            return said(told, "confirm_title", "confirmed", item=item)
        case Standing.OVER:
            return said(told, "confirm_title", "confirm_over", item=item)


def _button(contact: Contact, text: str, action: str, button: str) -> Response:
    told = contact.words
    return page(
        "confirm.html",
        told,
        title=told.say("confirm_title"),
        text=told.say(text, item=contact.item),
        action=action,
        button=told.say(button),
    )


def _locale(request: Request) -> str:
    """The browser's first language."""
    first = request.headers.get("accept-language", "").partition(",")[0].partition(";")[0]
    return checked_locale(first)


async def _answered(request: Request, handler: Handler) -> Response:
    """What a handler answers, as a page whatever happens."""
    try:
        return finished(await handler(request))
    except HTTPException as error:
        return finished(PlainTextResponse(error.detail, status_code=error.status_code))
    except Unreachable:
        told = words(_locale(request), {})
        return finished(said(told, "link_title", "unavailable", status=503))
