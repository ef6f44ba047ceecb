"""Mail, Templates: the texts of each kind of mail and shop, with checks, preview, test, and the way back."""

from dataclasses import dataclass

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from stockwright.mail.addresses import MailRefused, checked_address
from stockwright.mail.checks import Problem, check
from stockwright.mail.kinds import DEFAULT_LOCALE, KINDS, Kind, Texts
from stockwright.notify.texts import LOCALES, checked_locale
from stockwright.store import shops
from stockwright.store.shops import Shop
from stockwright.template_desk import (
    Standing,
    queue_sample,
    restore_texts,
    sample,
    save_texts,
    standing,
    standings,
)
from stockwright.web.admin.choices import shop_chosen
from stockwright.web.admin.mail_framing import both_widths, problems_instead, with_frames
from stockwright.web.admin.pages import Crumb, confirm, go, not_found, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.settings.shops import shop_of
from stockwright.web.admin.site import Tab
from stockwright.web.admin.storefront_texts import language_name
from stockwright.web.admin.tables import csv_response, wants_csv
from stockwright.web.admin.visits import actor_of, deps_of, flash, form_of

HREF = "/mail/templates"
TAB = Tab(title="Templates", href=HREF)
SAMPLES = (
    HREF,
    HREF + "/{shop}/staff_back_in_stock",
    HREF + "/{shop}/error_report",
    HREF + "/{shop}/error_report/restore",
)
_ONE = HREF + "/{shop_id}/{kind}"
_CRUMBS: tuple[Crumb, ...] = (("Mail", "/mail"), ("Templates", HREF))
_FORM_LIMIT_BYTES = 2 * 1024 * 1024  # two long parts, each character as many as nine bytes


class TextsForm(BaseModel):
    """The three parts as somebody typed them; they are checked as templates, not here."""

    subject: str = Field(default="", title="Subject")
    text: str = Field(default="", title="Text part")
    html: str = Field(default="", title="HTML part")


@dataclass(frozen=True, kw_only=True)
class _Place:
    shop: Shop
    kind: Kind
    locale: str  # the language that the page is about

    @property
    def href(self) -> str:
        return f"{HREF}/{self.shop.shop_id}/{self.kind.name}"

    @property
    def asked(self) -> str:
        """What every address of the page ends with."""
        return "" if self.locale == DEFAULT_LOCALE else f"?locale={self.locale}"


async def show_all(request: Request) -> Response:
    """The kinds, for one shop."""
    async with deps_of(request).database.connection() as conn:
        found = await shops.list_all(conn)
        shop = shop_chosen(request, found) or (found[0] if found else None)
        lines = await standings(conn, shop) if shop else []
    if wants_csv(request):
        rows = [
            {"kind": one.kind.name, "title": one.kind.title, "subject": one.texts.subject, "changed_at": one.changed_at}
            for one in lines
        ]  # fmt: skip
        return csv_response("templates", rows, header=("kind", "title", "subject", "changed_at"))
    return page(
        request, "mail/templates.html", title="Templates", crumbs=_CRUMBS[:1], shops=found, shop=shop, lines=lines
    )  # fmt: skip


async def _place_of(request: Request) -> _Place:
    kind = KINDS.get(request.path_params["kind"])
    if kind is None:
        raise not_found("There is no such template.")
    locale = checked_locale(request.query_params.get("locale", ""))
    return _Place(shop=await shop_of(request), kind=kind, locale=locale)


async def _standing(request: Request, place: _Place) -> Standing:
    async with deps_of(request).database.connection() as conn:
        return await standing(conn, place.shop, place.kind, place.locale)


async def show(request: Request) -> Response:
    """The form with the texts that are sent now."""
    place = await _place_of(request)
    found = await _standing(request, place)
    return _form(request, place, found, found.texts)


def _form(
    request: Request,
    place: _Place,
    found: Standing,
    texts: Texts,
    *,
    problems: tuple[Problem, ...] = (),
    to: str = "",
    to_error: str = "",
) -> Response:
    response = page(
        request,
        "mail/template.html",
        title=place.kind.title,
        crumbs=_CRUMBS,
        status=422 if problems or to_error else 200,
        here=place.href,
        asked=place.asked,
        found=found,
        languages=_languages(found),
        language_name=language_name,
        shop=place.shop,
        kind=place.kind,
        texts=texts,
        changed_at=found.changed_at,
        problems={
            part: [one for one in problems if one.part == part] for part in ("subject", "text", "html")
        },
        to=to,
        to_error=to_error,
    )
    return with_frames(response)


# Languages of many shops; others are reached by ?locale=. Names are shown where we know them.
_COMMON = (
    "fr-CA",
    "it",
    "nl",
    "pt-BR",
    "pt-PT",
    "da",
    "sv",
    "nb",
    "fi",
    "pl",
    "cs",
    "tr",
    "ko",
    "zh-CN",
    "zh-TW",
)


def _languages(found: Standing) -> list[str]:
    """What the select offers: built-in languages, the shop's own, common ones, and the one that is shown."""
    return list(dict.fromkeys([*LOCALES, *found.own_locales, *_COMMON, found.locale]))


def _typed(request: Request) -> Texts:
    form = TextsForm.model_validate({name: str(value) for name, value in form_of(request).items()})
    # Browsers send line breaks as CR LF; templates are kept with LF, so that lines count as people see them.
    return Texts(
        subject=form.subject.strip(),
        text=form.text.replace("\r\n", "\n"),
        html=form.html.replace("\r\n", "\n"),
    )


async def save(request: Request) -> Response:
    """Store the texts, or show what is wrong beside each part."""
    place = await _place_of(request)
    texts = _typed(request)
    problems = await save_texts(
        deps_of(request), place.shop, place.kind, texts, actor=actor_of(request), locale=place.locale
    )
    if problems:
        return _form(request, place, await _standing(request, place), texts, problems=problems)
    flash(request, "Saved. Mails that are made from now on have these texts.")
    return go(place.href + place.asked)


async def preview_saved(request: Request) -> Response:
    """What is sent now, with sample data, for the frame."""
    place = await _place_of(request)
    found = await _standing(request, place)
    return _preview(place, found.texts)


async def preview_typed(request: Request) -> Response:
    """What was typed, with sample data, for the frame; nothing is stored."""
    return _preview(await _place_of(request), _typed(request))


def _preview(place: _Place, texts: Texts) -> Response:
    problems = check(place.kind, texts)
    return (
        problems_instead(problems)
        if problems
        else both_widths(sample(place.shop, place.kind, texts, locale=place.locale))
    )


async def send_sample(request: Request) -> Response:
    """Mail the stored texts with sample data to somebody."""
    place = await _place_of(request)
    to = str(form_of(request).get("to", "")).strip()
    try:
        checked_address(to)
    except MailRefused as error:
        found = await _standing(request, place)
        return _form(request, place, found, found.texts, to=to, to_error=str(error))
    message_id = await queue_sample(
        deps_of(request), place.shop, place.kind, to=to, actor=actor_of(request), locale=place.locale
    )
    flash(
        request, "It waits to be sent. This page tells what became of it: reload it in a moment.", kind="info"
    )
    return go(f"/mail/messages/{message_id}")


async def ask_restore(request: Request) -> Response:
    """What going back means."""
    place = await _place_of(request)
    return confirm(
        request,
        title=f"Restore “{place.kind.title}”",
        question="Go back to the texts that come with Stockwright?",
        consequences=(
            f"The texts that {place.shop.name or place.shop.domain} uses now in {language_name(place.locale)} are lost.",
        ),
        action=f"{place.href}/restore{place.asked}",
        submit="Restore the texts",
        cancel=place.href + place.asked,
        crumbs=(*_CRUMBS, (place.kind.title, place.href + place.asked)),
    )


async def restore(request: Request) -> Response:
    """Go back to the built-in texts."""
    place = await _place_of(request)
    if await restore_texts(
        deps_of(request), place.shop, place.kind, actor=actor_of(request), locale=place.locale
    ):
        flash(request, "Your own texts are gone; those that come with Stockwright are back.")
    else:
        flash(request, "They were not changed, so there is nothing to restore.", kind="info")
    return go(place.href + place.asked)


ROUTES = (
    get(HREF, show_all),
    get(_ONE, show),
    post(_ONE, save, limit_bytes=_FORM_LIMIT_BYTES),
    get(_ONE + "/preview", preview_saved),
    post(_ONE + "/preview", preview_typed, limit_bytes=_FORM_LIMIT_BYTES),
    post(_ONE + "/test", send_sample),
    get(_ONE + "/restore", ask_restore),
    post(_ONE + "/restore", restore),
)
