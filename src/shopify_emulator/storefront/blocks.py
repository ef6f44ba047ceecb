"""The theme extension in a page: its app block where a section puts it, or its app embed at the end of the body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from shopify_emulator.model import ShopError
from shopify_emulator.storefront.liquid_engine import Root, schema_of
from shopify_emulator.storefront.settings import StorefrontSettings

ASSETS_PATH = "/extensions/assets"
FILES = {"block": "blocks/notify-me.liquid", "embed": "blocks/notify-me-embed.liquid"}


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A block's HTML, and the tags that its stylesheet and script need once per page."""

    html: str
    head: str


NOTHING = Rendered(html="", head="")


def check_block_settings(settings: StorefrontSettings, given: Mapping[str, Any]) -> None:
    """Refuse settings that neither block has; raises ShopError that lists those there are."""
    root = Root(settings.extension)
    known = {name for path in FILES.values() for name in _defaults(schema_of(root.source(path)))}
    unknown = sorted(set(given) - known)
    if unknown:
        raise ShopError(
            f"the blocks have no setting {', '.join(unknown)}; they have {', '.join(sorted(known))}"
        )


def _defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {one["id"]: one.get("default", "") for one in schema["settings"] if "id" in one}


def render_block(
    settings: StorefrontSettings,
    kind: str,
    values: Mapping[str, Any],
    *,
    product: Mapping[str, Any] | None,
    app: Mapping[str, Any],
) -> Rendered:
    """The app block (or embed) for a product, as the theme editor's settings have it."""
    root = Root(settings.extension)
    source = root.source(FILES[kind])
    schema = schema_of(source)
    defaults = _defaults(schema)
    given = {name: value for name, value in settings.block_settings.items() if name in defaults}
    chosen = {**defaults, **given}
    if "product" in chosen:
        chosen["product"] = product  # as `autofill` does
    html = root.render_text(
        source,
        {
            **values,
            "product": product if kind == "embed" else values.get("product"),
            "block": {
                "id": f"app-{kind}-{(product or {}).get('id', 0)}",
                "settings": chosen,
                "shopify_attributes": "",
            },
            "app": app,
        },
    )
    return Rendered(html=html, head=_head(schema))


def _head(schema: Mapping[str, Any]) -> str:
    style, script = (escape(f"{ASSETS_PATH}/{schema[name]}") for name in ("stylesheet", "javascript"))
    return f'<link rel="stylesheet" href="{style}">\n<script src="{script}" defer></script>'
