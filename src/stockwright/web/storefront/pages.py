"""The pages that shoppers see: plain HTML in their language, no script, nothing from elsewhere."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from stockwright.notify.texts import DEFAULT_LOCALE, Words, words
from stockwright.signing_up import Answer, Said
from stockwright.store.shops import Shop

LIQUID = "application/liquid"  # docs/apps/build/online-store/app-proxies
_PATH_LETTERS = "/%-._~!$&'()*+,;=:@"  # RFC 3986; above all no backslash, which browsers read as a slash


def page(template: str, told: Words, *, title: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A page from `templates/contact/<template>`."""
    text = (
        _templates()
        .get_template(f"contact/{template}")
        .render(title=title, locale=told.locale, say=told.say, style=Markup(_style()), **context)
    )
    return HTMLResponse(text, status_code=status, headers={"Content-Security-Policy": _policy()})


def unknown_link(locale: str = DEFAULT_LOCALE) -> HTMLResponse:
    """What a link shows that we did not make; it tells nothing of any shop or person."""
    told = words(locale, {})
    return said(told, "link_title", "link_text", status=404)


def said(
    told: Words,
    title: str,
    text: str,
    *,
    status: int = 200,
    link: str = "",
    link_text: str = "",
    **values: str,
) -> HTMLResponse:
    """A page that says one thing; `title` and `text` are names of texts."""
    return page(
        "said.html",
        told,
        title=told.say(title, **values),
        status=status,
        text=told.say(text, **values),
        link=link,
        link_text=link_text,
    )


def shop_name(shop: Shop) -> str:
    """What the shop is called."""
    return shop.name or shop.domain


def shop_url(shop: Shop) -> str:
    """Where customers find the shop."""
    return f"https://{shop.primary_host or shop.domain}"


def answer_page(shop: Shop, told: Words, answer: Answer, *, page: str) -> HTMLResponse:
    """What a form without script is answered: what came of it, and the way back."""
    link, link_text = _way_on(told, answer, shop_url(shop) + local_path(page))
    return said(told, "signed_up_title", answer.said, item=answer.item, link=link, link_text=link_text)


def theme_page(told: Words, answer: Answer, *, page: str) -> Response:
    """The same through the app proxy: Shopify shows it inside the shop's theme, at the shop's own host.

    The status is always 200: that Shopify renders Liquid of others is not documented, and a browser would offer it
    as a download.
    """
    link, link_text = _way_on(told, answer, local_path(page))
    html = _templates().get_template("contact/in_theme.html")
    title = told.say("signed_up_title", item=answer.item)
    text = told.say(answer.said, item=answer.item)
    found = html.render(locale=told.locale, title=title, text=text, link=link, link_text=link_text)
    return Response(without_liquid(found), media_type=LIQUID)


def without_liquid(html: str) -> str:
    """HTML that a browser reads as before and in which Shopify finds nothing to run, whoever wrote its texts."""
    return html.replace("{", "&#123;").replace("}", "&#125;")


def _way_on(told: Words, answer: Answer, back: str) -> tuple[str, str]:
    """The link below an answer, and its text."""
    if answer.said is Said.IN_STOCK and answer.link:
        return answer.link, told.say("in_stock_link")
    return back, told.say("go_back")


def local_path(text: str) -> str:
    """The path of a page at the shop, whatever else the text says; nobody is sent elsewhere by a link of ours."""
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return "/"
    path = "/" + quote(parts.path.lstrip("/\\"), safe=_PATH_LETTERS)
    query = quote(parts.query, safe=_PATH_LETTERS + "?")
    return f"{path}?{query}" if query else path


def wants_page(request: Request) -> bool:
    """Whether a browser shows the answer as a page; programs get JSON."""
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted and "application/json" not in accepted


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("stockwright.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _style() -> str:
    return files("stockwright.web").joinpath("templates", "contact", "style.css").read_text(encoding="utf-8")


@cache
def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
