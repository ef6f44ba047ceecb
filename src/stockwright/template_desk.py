"""What a person does with mail templates: save own texts, go back to the built-in ones, send one as a test.

Texts are checked before they are stored. Every change is audited in the transaction that makes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from stockwright.deps import Deps
from stockwright.mail.checks import Problem, check
from stockwright.mail.kinds import DEFAULT_LOCALE, KINDS, Kind, Texts
from stockwright.mail.message import Message
from stockwright.mail.templates import Rendered, render
from stockwright.mailing import footer_of, new_message, shop_data, texts_for
from stockwright.model import Json, StockwrightError
from stockwright.store import messages, templates, wake
from stockwright.store.audit import Actor, audit
from stockwright.store.database import Connection
from stockwright.store.ids import new_id
from stockwright.store.shops import Shop
from stockwright.store.templates import TemplateRow


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A kind of template as a shop has it."""

    kind: Kind
    texts: Texts
    changed_at: datetime | None  # None: not the shop's own, in this language
    locale: str = DEFAULT_LOCALE  # that was asked for
    found: str = DEFAULT_LOCALE  # whose texts these are: a language without texts borrows those of the next
    own_locales: Sequence[str] = ()  # in which the shop has texts of its own


async def standings(conn: Connection, shop: Shop) -> list[Standing]:
    """All kinds, in their order."""
    return [await standing(conn, shop, kind) for kind in KINDS.values()]


async def standing(conn: Connection, shop: Shop, kind: Kind, locale: str = DEFAULT_LOCALE) -> Standing:
    """One kind, with the texts that are sent now to those who read this language."""
    own = {row.locale: row for row in await templates.list_own(conn, shop.shop_id) if row.kind == kind.name}
    found, texts = await texts_for(conn, shop.shop_id, kind.name, locale)
    return Standing(
        kind=kind,
        texts=texts,
        changed_at=own[locale].updated_at if locale in own else None,
        locale=locale,
        found=found,
        own_locales=sorted(own),
    )


async def save_texts(
    deps: Deps, shop: Shop, kind: Kind, texts: Texts, *, actor: Actor, locale: str = DEFAULT_LOCALE
) -> tuple[Problem, ...]:
    """Store a shop's own texts in a language, or tell what is wrong with them; then nothing is stored."""
    problems = check(kind, texts)
    if problems:
        return problems
    now = deps.clock()
    row = TemplateRow(kind=kind.name, locale=locale, updated_at=now, **vars(texts))
    async with deps.database.connection() as conn, conn.transaction():
        await templates.save(conn, shop.shop_id, row)
        detail = {"shop": shop.domain, "language": locale}
        await audit(conn, actor, "template.change", kind.title, detail, at=now)
    return ()


async def restore_texts(
    deps: Deps, shop: Shop, kind: Kind, *, actor: Actor, locale: str = DEFAULT_LOCALE
) -> bool:
    """Go back to the built-in texts; False: they were not changed."""
    async with deps.database.connection() as conn, conn.transaction():
        done = await templates.restore(conn, shop.shop_id, kind.name, locale=locale)
        if done:
            detail = {"shop": shop.domain, "language": locale}
            await audit(conn, actor, "template.restore", kind.title, detail, at=deps.clock())
    return done


def sample(shop: Shop, kind: Kind, texts: Texts, *, locale: str = DEFAULT_LOCALE) -> Rendered:
    """A template filled in with its sample data, as this shop's.

    Raises:
        StockwrightError: the texts cannot be rendered.
    """
    problems = check(kind, texts)
    if problems:
        raise StockwrightError("\n".join(str(problem) for problem in problems))
    data: dict[str, Json] = {**kind.sample, "shop": shop_data(shop)}
    return render(kind, texts, data, locale=locale, footer=footer_of(kind, shop))


async def queue_sample(
    deps: Deps, shop: Shop, kind: Kind, *, to: str, actor: Actor, locale: str = DEFAULT_LOCALE
) -> str:
    """Queue a mail with the texts that are stored, filled in with sample data; the message's id.

    Raises:
        StockwrightError: the address is none, or the stored texts cannot be rendered.
    """
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        found = await standing(conn, shop, kind, locale)
        rendered = sample(shop, kind, found.texts, locale=found.found)
        message = Message(
            kind=kind.name, key=new_id("test", now), to=to, subject=f"Test: {rendered.subject}",
            text=rendered.text, html=rendered.html, headers={},
        )  # fmt: skip
        message_id = await messages.insert(conn, shop.shop_id, new_message(message), now)
        assert message_id is not None, "the key is new"
        await audit(conn, actor, "template.test", kind.title, {"shop": shop.domain, "to": to}, at=now)
        await wake.wake(conn, [(messages.queue_key(shop.shop_id), None)])
    return message_id
