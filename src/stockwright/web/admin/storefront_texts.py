"""Mail, Storefront texts: what shoppers read at the button, in the form and on our pages, per language."""

from starlette.requests import Request
from starlette.responses import Response

from stockwright.model import StockwrightError
from stockwright.notify.texts import GROUPS, LONGEST, builtin, checked_locale, places
from stockwright.store import shops
from stockwright.store.shops import Shop
from stockwright.web.admin.choices import shop_chosen
from stockwright.web.admin.pages import Crumb, confirm, go, not_found, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.settings.shops import shop_of
from stockwright.web.admin.site import Tab
from stockwright.web.admin.tables import csv_response, wants_csv
from stockwright.web.admin.visits import actor_of, deps_of, flash, form_of
from stockwright.wording_desk import Wording, copy, languages, restore_all, save, wording

HREF = "/mail/storefront-texts"
TAB = Tab(title="Storefront texts", href=HREF)
SAMPLES = (HREF, HREF + "/{shop}/de", HREF + "/{shop}/en/restore")
_ONE = HREF + "/{shop_id}/{locale}"
_CRUMBS: tuple[Crumb, ...] = (("Mail", "/mail"), ("Storefront texts", HREF))
_NAMES = {
    "cs": "Czech", "da": "Danish", "de": "German", "en": "English", "es": "Spanish", "fi": "Finnish", "fr": "French",
    "fr-CA": "French, Canada", "it": "Italian", "ja": "Japanese", "ko": "Korean", "nb": "Norwegian", "nl": "Dutch",
    "pl": "Polish", "pt-BR": "Portuguese, Brazil", "pt-PT": "Portuguese, Portugal", "sv": "Swedish", "tr": "Turkish",
    "zh-CN": "Chinese, simplified", "zh-TW": "Chinese, traditional",
}  # fmt: skip


def language_name(locale: str) -> str:
    """A language as people call it, where we know it; with its code."""
    return f"{_NAMES[locale]} ({locale})" if locale in _NAMES else locale


async def show_all(request: Request) -> Response:
    """The languages of one shop."""
    return await _list(request, None)


async def _list(
    request: Request, shop: Shop | None, *, error: str = "", source: str = "en", target: str = ""
) -> Response:
    async with deps_of(request).database.connection() as conn:
        found = await shops.list_all(conn)
        shop = shop or shop_chosen(request, found) or (found[0] if found else None)
        lines = await languages(conn, shop) if shop else []
    return page(
        request,
        "mail/storefront_languages.html",
        title="Storefront texts",
        crumbs=_CRUMBS[:1],
        status=422 if error else 200,
        shops=found,
        shop=shop,
        lines=lines,
        language_name=language_name,
        error=error,
        source=source,
        target=target,
    )


async def _found(request: Request) -> tuple[Shop, Wording]:
    shop, locale = await shop_of(request), request.path_params["locale"]
    async with deps_of(request).database.connection() as conn:
        found = await wording(conn, shop, locale) if checked_locale(locale) == locale else None
    if found is None:
        raise not_found("There are no texts in this language. Copy them from another one first.")
    return shop, found


async def show(request: Request) -> Response:
    """All texts of a language; as CSV for translators."""
    shop, found = await _found(request)
    if wants_csv(request):
        rows = [{"name": name, "text": found.texts[name]} for group in GROUPS.values() for name in group]
        return csv_response(f"storefront-texts-{found.language.locale}", rows, header=("name", "text"))
    return _form(request, shop, found, found.texts, {})


def _form(
    request: Request, shop: Shop, found: Wording, texts: object, problems: object, *, status: int = 200
) -> Response:
    locale = found.language.locale
    return page(
        request,
        "mail/storefront_texts.html",
        title=f"Storefront texts, {language_name(locale)}",
        crumbs=_CRUMBS,
        status=status,
        here=_href(shop, locale),
        shop=shop,
        found=found,
        texts=texts,
        builtin=builtin(locale) or builtin("en") or {},
        problems=problems,
        groups=GROUPS,
        places=places,
        longest=LONGEST,
    )


def _href(shop: Shop, locale: str) -> str:
    return f"{HREF}/{shop.shop_id}/{locale}"


async def store(request: Request) -> Response:
    """Store what was changed, or show what is wrong at each text."""
    shop, found = await _found(request)
    given = {name: str(value) for name, value in form_of(request).items()}
    problems = await save(deps_of(request), shop, found.language.locale, given, actor=actor_of(request))
    if problems:
        return _form(request, shop, found, {**found.texts, **given}, problems, status=422)
    flash(request, "Saved. The storefront shows the new texts at once.")
    return go(_href(shop, found.language.locale))


async def add(request: Request) -> Response:
    """Copy the texts of one language to another."""
    shop, form = await shop_of(request), form_of(request)
    source, target = str(form.get("source", "")), str(form.get("target", ""))
    try:
        locale = await copy(deps_of(request), shop, source=source, target=target, actor=actor_of(request))
    except StockwrightError as error:
        return await _list(request, shop, error=str(error), source=source, target=target)
    flash(request, f"Copied. These are the texts in {language_name(locale)} now.")
    return go(_href(shop, locale))


async def ask_restore(request: Request) -> Response:
    """What going back means."""
    shop, found = await _found(request)
    locale = found.language.locale
    name = language_name(locale)
    gone = "" if found.language.is_builtin else f" Shoppers who read {name} get English then."
    return confirm(
        request,
        title=f"Restore the texts in {name}",
        question="Go back to the texts that come with Stockwright?",
        consequences=(
            f"{found.language.own_count} texts of {shop.name or shop.domain} in {name} are lost.{gone}",
        ),
        action=f"{_href(shop, locale)}/restore",
        submit="Restore the texts",
        cancel=_href(shop, locale),
        crumbs=(*_CRUMBS, (name, _href(shop, locale))),
    )


async def restore(request: Request) -> Response:
    """Go back to the built-in texts."""
    shop, found = await _found(request)
    count = await restore_all(deps_of(request), shop, found.language.locale, actor=actor_of(request))
    if count:
        flash(request, "The texts that come with Stockwright are back.")
    else:
        flash(request, "They were not changed, so there is nothing to restore.", kind="info")
    is_left = found.language.is_builtin
    return go(_href(shop, found.language.locale) if is_left else f"{HREF}?shop={shop.shop_id}")


ROUTES = (
    get(HREF, show_all),
    post(HREF + "/{shop_id}/copy", add),
    get(_ONE, show),
    post(_ONE, store),
    get(_ONE + "/restore", ask_restore),
    post(_ONE + "/restore", restore),
)
