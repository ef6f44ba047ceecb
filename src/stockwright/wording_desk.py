"""What a person does with storefront texts: change them per language, copy a language, go back to the built-in texts.

Texts are checked before they are stored. Every change is audited in the transaction that makes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from stockwright.deps import Deps
from stockwright.model import StockwrightError
from stockwright.notify.texts import LOCALES, NAMES, TextRefused, builtin, checked_locale, checked_text, words
from stockwright.store import storefront_texts
from stockwright.store.audit import Actor, audit
from stockwright.store.database import Connection
from stockwright.store.shops import Shop
from stockwright.store.storefront_texts import TextRow

MOST_LANGUAGES = 50


@dataclass(frozen=True, kw_only=True)
class Language:
    """One language as a shop has it."""

    locale: str
    is_builtin: bool
    own_count: int
    changed_at: datetime | None  # None: nothing is changed


@dataclass(frozen=True, kw_only=True)
class Wording:
    """All texts of one language, as shoppers read them."""

    language: Language
    texts: Mapping[str, str]
    own: frozenset[str]  # names of those that the shop has changed


async def languages(conn: Connection, shop: Shop) -> list[Language]:
    """The built-in languages in their order, then the shop's own."""
    rows = await storefront_texts.list_own(conn, shop.shop_id)
    own = sorted({row.locale for row in rows} - set(LOCALES))
    return [_language(locale, rows) for locale in (*LOCALES, *own)]


def _language(locale: str, rows: list[TextRow]) -> Language:
    changed = [row.updated_at for row in rows if row.locale == locale]
    return Language(
        locale=locale,
        is_builtin=locale in LOCALES,
        own_count=len(changed),
        changed_at=max(changed, default=None),
    )


async def wording(conn: Connection, shop: Shop, locale: str) -> Wording | None:
    """The texts of a language; None: there is no such language."""
    rows = await storefront_texts.list_own(conn, shop.shop_id)
    found = _language(locale, rows)
    if not found.is_builtin and not found.own_count:
        return None
    own = await storefront_texts.own_texts(conn, shop.shop_id)
    texts = words(locale, own).texts
    return Wording(language=found, texts=texts, own=frozenset(own.get(locale, {})))


async def save(
    deps: Deps, shop: Shop, locale: str, given: Mapping[str, str], *, actor: Actor
) -> Mapping[str, str]:
    """Store what differs from the built-in texts; an empty text goes back to it. What is wrong by name, or nothing.

    With anything wrong nothing is stored.
    """
    texts, problems = _checked(given)
    if problems:
        return problems
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        before = (await storefront_texts.own_texts(conn, shop.shop_id)).get(locale, {})
        changed = []
        for name, text in texts.items():
            is_builtin = text in ("", (builtin(locale) or {}).get(name))
            if is_builtin and await storefront_texts.restore(conn, shop.shop_id, locale=locale, name=name):
                changed.append(name)
            elif not is_builtin and before.get(name) != text:
                row = TextRow(locale=locale, name=name, text=text, updated_at=now)
                await storefront_texts.save(conn, shop.shop_id, row)
                changed.append(name)
        if changed:
            detail = {"shop": shop.domain, "texts": sorted(changed)}
            await audit(conn, actor, "storefront_texts.change", locale, detail, at=now)
    return {}


def _checked(given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    texts: dict[str, str] = {}
    problems: dict[str, str] = {}
    for name in NAMES:
        if name not in given:
            continue
        try:
            texts[name] = checked_text(name, given[name]) if given[name].strip() else ""
        except TextRefused as error:
            problems[name] = str(error)
    return texts, problems


async def restore_all(deps: Deps, shop: Shop, locale: str, *, actor: Actor) -> int:
    """Forget every own text of a language; how many. A language without built-in texts is gone then."""
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        count = await storefront_texts.delete_language(conn, shop.shop_id, locale=locale)
        if count:
            detail = {"shop": shop.domain, "texts": count}
            await audit(conn, actor, "storefront_texts.restore", locale, detail, at=now)
    return count


async def copy(deps: Deps, shop: Shop, *, source: str, target: str, actor: Actor) -> str:
    """Copy all texts of one language to another, which is made if it is new; the target's locale.

    Raises:
        StockwrightError: there is no such language, or no room for one more.
    """
    locale = checked_locale(target)
    if locale.lower() != target.strip().replace("_", "-").lower():
        raise StockwrightError(f"{target!r} is not a language such as nl or pt-BR.")
    if locale == source:
        raise StockwrightError("Choose two different languages.")
    async with deps.database.connection() as conn:
        found = await wording(conn, shop, source)
        known = await languages(conn, shop)
    if found is None:
        raise StockwrightError(f"There are no texts in {source!r}.")
    if len(known) >= MOST_LANGUAGES and locale not in [one.locale for one in known]:
        raise StockwrightError(f"A shop has at most {MOST_LANGUAGES} languages. Remove one first.")
    await save(deps, shop, locale, found.texts, actor=actor)
    return locale
