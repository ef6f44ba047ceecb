"""Importing a file of people: checked first if wanted, then in batches with a cursor that survives a crash.

A file is stored whole before anything is done with it. Each batch is one transaction: people, refused lines and
cursor together, under a fence, so that two workers never import the same line.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import structlog

from stockwright.deps import Deps
from stockwright.model import Conflicting, ShopId, StockwrightError
from stockwright.notify.catalogue import DEFAULT_TITLE
from stockwright.notify.people_file import Person, Refused, open_file, people_of
from stockwright.people import look_again
from stockwright.schedules import time_zone
from stockwright.shopify.client import ShopifyClient
from stockwright.shopify.errors import ShopifyError
from stockwright.shopify.variants import MAX_CARDS, VariantCard
from stockwright.signup_mail import NO_PUBLIC_URL, Told, ask_to_confirm
from stockwright.store import imports, shops, suppressions
from stockwright.store.audit import Actor, audit
from stockwright.store.database import Connection
from stockwright.store.ids import new_id
from stockwright.store.imports import ImportRow, Lent, NewPerson, Refusal
from stockwright.store.shops import Shop

LOG = structlog.get_logger(__name__)

REFUSALS_SHOWN = 1000
MAX_VARIANTS = 5000  # different ones in one file
_BATCH = 500
_LEASE_S = 120.0
_AGAIN = timedelta(minutes=1)
_GIVE_UP = timedelta(hours=24)
_KEEP_FILES = timedelta(days=1)
_KEEP_IMPORTS = timedelta(days=7)
_DUE_AT_ONCE = 10
_LONGEST_NAME = 200


@dataclass(kw_only=True)
class _Work:
    """What one worker remembers while it goes through a file."""

    deps: Deps
    shop: Shop
    import_id: str
    lent: Lent
    made_by: str
    hear: Callable[[int], None]
    client: ShopifyClient | None = None
    cards: dict[str, VariantCard | None] = field(default_factory=dict)  # None: there is no such variant
    seen: set[tuple[str, str]] = field(default_factory=set)  # address and variant, of lines before


@dataclass(kw_only=True)
class _Batch:
    """What is to be done with some lines."""

    new: list[NewPerson] = field(default_factory=list)
    doubles: int = 0
    refused: list[Refusal] = field(default_factory=list)


# --- from outside ---------------------------------------------------------------------------------------------


async def begin(
    deps: Deps, shop: Shop, *, name: str, data: bytes, check: bool, consent: str = "kept", by: Actor
) -> ImportRow:
    """Take a file in, to be checked or to be imported at once; a worker goes on with it.

    `consent`: "kept" takes people as they are; "asked" mails everybody a link to confirm.

    Raises:
        FileRefused: it cannot be read at all; nothing was stored.
        Conflicting: nobody can be asked to confirm.
    """
    _refuse_unasked(deps, consent)
    file = open_file(data)
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        import_id = await imports.add(
            conn,
            shop.shop_id,
            file_name=_plain_name(name),
            file=data,
            made_by=by.name,
            consent=consent,
            state="checking" if check else "importing",
            total_rows=file.rows,
            at=now,
        )
        detail = {"import_id": import_id, "rows": file.rows, "only_checked": check}
        await audit(conn, by, "subscriber.import", shop.domain, detail, at=now)
        row = await imports.get(conn, import_id)
    assert row is not None, "it was stored just now"
    return row


def _refuse_unasked(deps: Deps, consent: str) -> None:
    if consent == "asked" and deps.mailing.public_url is None:
        raise Conflicting(f"Nobody can be asked to confirm. {NO_PUBLIC_URL}")


def _plain_name(name: str) -> str:
    plain = "".join(letter for letter in name.replace("\\", "/").rsplit("/", 1)[-1] if letter.isprintable())
    return plain[:_LONGEST_NAME] or "people.csv"


async def start(deps: Deps, row: ImportRow, *, consent: str, by: Actor) -> None:
    """Import a file that was checked.

    Raises:
        Conflicting: it was imported, cancelled or forgotten meanwhile, or nobody can be asked.
    """
    _refuse_unasked(deps, consent)
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        if not await imports.start(conn, row.shop_id, row.import_id, consent=consent, at=now):
            raise Conflicting("This file was imported, cancelled or forgotten meanwhile. Send it again.")
        detail = {"import_id": row.import_id, "rows": row.total_rows, "only_checked": False}
        await audit(conn, by, "subscriber.import", row.file_name, detail, at=now)


async def cancel(deps: Deps, row: ImportRow, *, by: Actor) -> None:
    """Stop an import; who was imported so far stays.

    Raises:
        Conflicting: it has ended.
    """
    now = deps.clock()
    reason = f"{by.name} cancelled it."
    async with deps.database.connection() as conn:
        if not await imports.cancel(conn, row.shop_id, row.import_id, reason=reason, at=now):
            raise Conflicting("This import has ended already.")


async def go_on(deps: Deps) -> None:
    """What the leading worker does every few seconds: take up imports that wait, or that a crash left behind."""
    now = deps.clock()
    async with deps.database.connection() as conn:
        found = await imports.due(conn, at=now, limit=_DUE_AT_ONCE)
    for shop_id, import_id in found:
        await work_through(deps, shop_id, import_id)


async def forget_old(deps: Deps) -> None:
    """Forget files after a day and imports after a week."""
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        await imports.forget_old(conn, at=now, files=now - _KEEP_FILES, imports=now - _KEEP_IMPORTS)


# --- going through a file ---------------------------------------------------------------------------------------


async def work_through(
    deps: Deps, shop_id: ShopId, import_id: str, *, hear: Callable[[int], None] = lambda _lines: None
) -> None:
    """Go through a file to its end, or put it off when the shop does not answer; may be called at any time.

    `hear` is told after each batch how many lines are done.
    """
    async with deps.database.connection() as conn, conn.transaction():
        shop = await shops.get(conn, shop_id)
        row = await imports.get(conn, import_id)
        lent = await imports.claim(conn, shop_id, import_id, lease_s=_LEASE_S, at=deps.clock())
    if shop is None or row is None or lent is None:
        return
    work = _Work(deps=deps, shop=shop, import_id=import_id, lent=lent, made_by=row.made_by, hear=hear)
    try:
        await _all_batches(work)
    except ShopifyError as error:
        await _put_off(work, error, failed=deps.clock() - row.created_at > _GIVE_UP or error.permanent)
    except StockwrightError as error:
        await _put_off(work, error, failed=True)


async def _all_batches(work: _Work) -> None:
    zone = time_zone(work.shop.timezone) or ZoneInfo("UTC")
    lines = people_of(open_file(work.lent.file), zone=zone, now=work.lent.created_at)
    place = 0
    for line in islice(lines, work.lent.next_row):  # done before a crash
        place += 1
        _is_double(work, line)
    while chunk := list(islice(lines, _BATCH)):
        place += len(chunk)
        if not await _one_batch(work, chunk, place):
            return
        work.hear(place)
    async with work.deps.database.connection() as conn:
        await imports.end(conn, work.shop.shop_id, work.import_id, work.lent, at=work.deps.clock())


async def _one_batch(work: _Work, chunk: Sequence[Person | Refused], place: int) -> bool:
    """Store what comes of some lines with the cursor; False: the import is not ours any more."""
    await _learn(work, [line for line in chunk if isinstance(line, Person)])
    shop_id, now = work.shop.shop_id, work.deps.clock()
    async with work.deps.database.connection() as conn, conn.transaction():
        if not await imports.is_ours(conn, shop_id, work.import_id, work.lent):
            return False
        batch = await _sorted(work, conn, chunk)
        added = await _added(work, conn, batch.new)
        doubles = batch.doubles + len(batch.new) - len(added)
        counts = {"added": len(added), "doubles": doubles, "refused": len(batch.refused)}
        await imports.progress(
            conn,
            shop_id,
            work.import_id,
            next_row=place,
            counts=counts,
            refused=batch.refused,
            lease_s=_LEASE_S,
            at=now,
        )
        if work.lent.state == "importing":
            await look_again(work.deps, conn, shop_id, sorted(set(added.values())))
    return True


def _is_double(work: _Work, line: Person | Refused) -> bool:
    if isinstance(line, Refused):
        return False
    pair = (line.email, line.variant_id)
    if pair in work.seen:
        return True
    work.seen.add(pair)
    return False


async def _learn(work: _Work, lines: Sequence[Person]) -> None:
    """Ask the shop for variants that no line before was about."""
    unknown = sorted({line.variant_id for line in lines} - set(work.cards))
    unknown = unknown[: max(0, MAX_VARIANTS - len(work.cards))]
    for start in range(0, len(unknown), MAX_CARDS):
        ids = unknown[start : start + MAX_CARDS]
        work.client = work.client or await work.deps.clients.for_shop(work.shop.shop_id)
        found = await work.client.read_variant_cards(ids)
        work.cards.update({id: found.get(id) for id in ids})  # type: ignore[call-overload]


async def _sorted(work: _Work, conn: Connection, chunk: Sequence[Person | Refused]) -> _Batch:
    """Who is new, who waits already, which lines cannot be used."""
    batch = _Batch()
    hashes = {
        line.email: work.deps.keyring.address_hash(work.shop.shop_id, line.email)
        for line in chunk
        if isinstance(line, Person)
    }
    shop_id = work.shop.shop_id
    await suppressions.hold(conn, hashes.values())
    suppressed = await suppressions.among(conn, shop_id, hashes.values())
    pairs = [(hashes[line.email], line.variant_id) for line in chunk if isinstance(line, Person)]
    waiting = await imports.waiting_among(conn, shop_id, pairs)
    for line in chunk:
        if isinstance(line, Refused):
            batch.refused.append(Refusal(line=line.line, reason=line.reason))
        elif reason := _unusable(work, line, is_suppressed=hashes[line.email] in suppressed):
            batch.refused.append(Refusal(line=line.line, reason=reason))
        elif _is_double(work, line) or (hashes[line.email], line.variant_id) in waiting:
            batch.doubles += 1
        else:
            batch.new.append(_new(work, line, hashes[line.email]))
    return batch


def _unusable(work: _Work, line: Person, *, is_suppressed: bool) -> str:
    if line.variant_id not in work.cards:
        return f"the file is about more than {MAX_VARIANTS:,} variants; split it"
    card = work.cards[line.variant_id]
    number = line.variant_id.rsplit("/", 1)[1]
    if card is None:
        return f"the shop has no variant {number}"
    if not card.can_be_out_of_stock:
        return f"variant {number} is a gift card or a bundle: nobody can wait for it"
    if is_suppressed:
        return "this address is on the suppression list: it unsubscribed, bounced or was erased"
    return ""


def _new(work: _Work, line: Person, address_hash: bytes) -> NewPerson:
    card = work.cards[line.variant_id]
    assert card is not None, "unusable lines were taken out"
    at = line.subscribed_at or work.lent.created_at
    return NewPerson(
        subscriber_id=new_id("sub", at),
        email=line.email,
        address_hash=address_hash.hex(),
        product_id=card.product_id,
        variant_id=card.id,
        product_title=card.product_title,
        variant_title="" if card.title == DEFAULT_TITLE else card.title,
        locale=line.locale or "en",
        first_name=line.first_name,
        customer_id=line.customer_id,
        quantity=line.quantity,
        created_at=at.isoformat(),
    )


async def _added(work: _Work, conn: Connection, new: Sequence[NewPerson]) -> dict[str, str]:
    """Who was added, with the product; while a file is only checked, who would be."""
    if work.lent.state == "checking":
        return {one.subscriber_id: one.product_id for one in new}
    asked = work.lent.consent == "asked"
    added = await imports.add_people(
        conn,
        work.shop.shop_id,
        new,
        state="unconfirmed" if asked else "pending",
        consent={"source": "import", "file": work.lent.file_name, "consent": work.lent.consent},
        detail=f"From {work.lent.file_name}.",
        actor=work.made_by,
        at=work.deps.clock(),
    )
    if asked:
        await _ask_all(work, conn, [one for one in new if one.subscriber_id in added])
    return added


async def _ask_all(work: _Work, conn: Connection, new: Sequence[NewPerson]) -> None:
    """A mail to each, with a link to confirm, in the transaction that adds them."""
    for one in new:
        variant = {
            "title": one.variant_title,
            "options": "",
            "price": "",
            "compare_at_price": "",
            "buy_url": "",
        }
        product = {"title": one.product_title, "url": "", "image_url": "", "variants": [variant]}
        told = Told(email=one.email, first_name=one.first_name, locale=one.locale, product=product)
        await ask_to_confirm(work.deps, conn, work.shop, one.subscriber_id, told, at=work.deps.clock())


async def _put_off(work: _Work, error: StockwrightError, *, failed: bool) -> None:
    now = work.deps.clock()
    LOG.warning("an import cannot go on", import_id=work.import_id, failed=failed, error=str(error))
    async with work.deps.database.connection() as conn:
        await imports.put_off(
            conn,
            work.shop.shop_id,
            work.import_id,
            work.lent,
            reason=str(error),
            failed=failed,
            due_at=now + _AGAIN,
            at=now,
        )
