"""What a merchant set in the theme editor and in the app's configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from shopify_emulator.model import ShopError

Placement = Literal["block", "embed", "none"]

PLACEMENTS: tuple[Placement, ...] = ("block", "embed", "none")
PROXY_PREFIXES = ("apps", "a", "community", "tools")  # those that Shopify offers
EXTENSION = Path(__file__).parents[3] / "extensions" / "notify-me"


@dataclass(kw_only=True)
class StorefrontSettings:
    """One shop's storefront. Changed freely while it runs.

    `proxy_url` is where the app proxy leads, e.g. "http://127.0.0.1:8000/proxy"; None: there is no proxy.
    """

    proxy_url: str | None = None
    proxy_path: str = "/apps/stockwright"
    customer_id: str = ""  # number of the customer who is signed in; "" = a guest
    extension: Path = EXTENSION
    placement: Placement = "block"
    inside_form: bool = False  # some themes render app blocks inside their product form
    block_settings: dict[str, Any] = field(default_factory=dict)  # over the defaults of the block's schema


def proxy_path(text: str) -> str:
    """A path that an app proxy may have, such as "/apps/stockwright".

    Raises:
        ShopError: it is of another form.
    """
    if not re.fullmatch(rf"/({'|'.join(PROXY_PREFIXES)})/[A-Za-z0-9_-]+", text):
        raise ShopError(f"{text!r} is no path of an app proxy: /{{{'|'.join(PROXY_PREFIXES)}}}/NAME")
    return text
