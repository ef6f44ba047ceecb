"""Addresses of our contact pages, and the headers by which mail programs unsubscribe (RFC 2369, RFC 8058). Pure."""

from collections.abc import Mapping

from stockwright.model import gid_number

PATH = "/u"
CONFIRM_PATH = "/u/confirm"


def contact_url(base: str, token: str) -> str:
    """The page of an unsubscribe token: stop this item, stop all, erase. `base`: the service's public address."""
    return f"{base}{PATH}/{token}"


def confirm_url(base: str, token: str) -> str:
    """The page of a confirm token."""
    return f"{base}{CONFIRM_PATH}/{token}"


def unsubscribe_headers(url: str) -> Mapping[str, str]:
    """The headers of a mail that people may unsubscribe from with one click."""
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def variant_url(product_url: str, variant_id: str) -> str:
    """A product's page with a variant selected; "" without a page."""
    if not product_url:
        return ""
    joined = "&" if "?" in product_url else "?"
    return f"{product_url}{joined}variant={gid_number(variant_id)}"
