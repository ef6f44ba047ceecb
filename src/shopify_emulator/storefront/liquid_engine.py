"""Liquid as a theme or an extension has it: Shopify's tags, filters and translations that are used here.

Nothing is escaped by itself, as at Shopify: a template that forgets `escape` is found out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from liquid import Environment, FileSystemLoader
from liquid.filter import with_context

DEFAULT_LOCALE = "en"
SCHEMA = re.compile(r"{%-?\s*schema\s*-?%}(.*?){%-?\s*endschema\s*-?%}", re.DOTALL)
UNSAFE_IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
Texts = Mapping[str, str]


def schema_of(source: str) -> dict[str, Any]:
    """The schema of a block's source."""
    found = SCHEMA.search(source)
    schema: dict[str, Any] = json.loads(found[1]) if found else {}
    return schema


def as_json(value: Any) -> str:
    """JSON that may stand in a script element."""
    return "".join(UNSAFE_IN_SCRIPT.get(char, char) for char in json.dumps(value, ensure_ascii=False))


def money(cents: Any) -> str:
    """Cents as the shop writes an amount: $1,234.50."""
    return f"${Decimal(str(cents)) / 100:,.2f}"


def asset_url(name: str) -> str:
    """Where the theme's own files are."""
    return f"/theme/{name}"


def stylesheet_tag(address: str) -> str:
    return f'<link href="{escape(address)}" rel="stylesheet" type="text/css" media="all">'


@with_context
def translated(key: str, *, context: Any, **values: Any) -> str:
    """The `t` filter: the text of the page's language, else of the default one; values are escaped, as at Shopify."""
    texts: Texts = context.resolve("texts__")
    if key not in texts:
        return f"Translation missing: {context.resolve('request')['locale']['iso_code']}.{key}"
    return re.sub(r"{{\s*(\w+)\s*}}", lambda found: escape(str(values.get(found[1], ""))), texts[key])


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in data.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def _read(path: Path) -> dict[str, str]:
    return _flat(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


class Root:
    """A theme or an extension on disk: its templates by path, snippets by name, and texts by language."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = Environment(loader=FileSystemLoader(folder / "snippets", ext=".liquid"))
        self._environment.filters.update(
            asset_url=asset_url, json=as_json, money=money, stylesheet_tag=stylesheet_tag, t=translated
        )
        self._templates = lru_cache(maxsize=64)(self._environment.from_string)

    def source(self, path: str) -> str:
        return (self.folder / path).read_text(encoding="utf-8")

    def texts(self, locale: str) -> Texts:
        """All texts of a language, those of the default one where it has none."""
        locales = self.folder / "locales"
        return {**_read(locales / f"{DEFAULT_LOCALE}.default.json"), **_read(locales / f"{locale}.json")}

    def locales(self) -> list[str]:
        """Languages that there are texts for."""
        names = {path.name.split(".")[0] for path in (self.folder / "locales").glob("*.json")}
        return sorted(names, key=lambda name: (name != DEFAULT_LOCALE, name))

    def render(self, path: str, values: Mapping[str, Any]) -> str:
        """A template of this root, such as "templates/product.liquid"; `values` are its global objects."""
        return self.render_text(self.source(path), values)

    def render_text(self, source: str, values: Mapping[str, Any]) -> str:
        texts = self.texts(values["request"]["locale"]["iso_code"])
        template = self._templates(SCHEMA.sub("", source))
        return template.render(**values, texts__=texts)
