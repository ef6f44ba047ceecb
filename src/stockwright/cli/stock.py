"""`stockwright stock`: what each shared stock is, how it came about, and the way out of a freeze."""

import getpass
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Annotated

import typer

from stockwright.cli.output import AsCsv, AsJson, Form, Yes, confirm, print_json, print_pages, print_rows, say
from stockwright.cli.session import Service, shop_named, with_service
from stockwright.explaining import (
    clock_text,
    history_lines,
    hypothesis_lines,
    pool_json,
    pool_row,
    pool_state,
    titles_of,
)
from stockwright.ledger import journal, wire
from stockwright.ledger.state import MemberId, Resolution
from stockwright.model import JsonObject, StockwrightError, gid
from stockwright.resolving import Decision, resolve_pool
from stockwright.schedules import time_zone
from stockwright.store import pool_pages, pools, shops
from stockwright.store.database import Connection
from stockwright.store.pool_pages import Wanted
from stockwright.store.pools import JournalRow, MemberRow, PoolRow

COMMANDS = typer.Typer(help="Shared stocks: show, history, resolve.", no_args_is_help=True)

Product = Annotated[str | None, typer.Option(metavar="GID", help="Only this product (a gid or its number).")]
_PAGE = 200  # stocks that are read at once, with all their levels
_OF_ONE_PRODUCT = 10_000


@COMMANDS.command(epilog="Example: stockwright stock show --shop example.myshopify.com --frozen")
def show(
    *,
    shop: Annotated[str, typer.Option(help="Domain of the shop.")],
    product: Product = None,
    frozen: Annotated[bool, typer.Option("--frozen", help="Only those that wait for a person.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the shared stocks of a shop.

    Frozen ones come first, with their reason and what follows from either answer.
    """
    form = Form(as_json=as_json, as_csv=as_csv)
    with_service(partial(_show, domain=shop, product=product, frozen=frozen, form=form))


async def _show(service: Service, *, domain: str, product: str | None, frozen: bool, form: Form) -> None:
    shop = await shop_named(service, domain)
    wanted = Wanted(shop_id=shop.shop_id, product_id=_product_gid(product), frozen=frozen)
    empty = _none_shared(wanted, shop.domain)
    pages = _pages(service, wanted)
    if form.as_json:
        await print_pages(_each(pages, partial(_json_of, domain=shop.domain)), form, empty=empty)
    elif form.as_csv:
        await print_pages(_each(pages, _row), form, empty=empty)
    else:
        await _show_table(pages, empty=empty)


def _none_shared(wanted: Wanted, domain: str) -> str:
    """What is true when there is nothing to show."""
    if wanted.frozen:
        return "No such stock is frozen: nothing waits for a person."
    if wanted.product_id:
        return (
            f"No stock of {wanted.product_id} is shared in {domain}: no automation has it in scope, or none has adopted "
            f"it yet. See what is installed: stockwright automation list --shop {domain}"
        )
    return f"No stock is shared in {domain} yet. Install an automation: stockwright automation kinds"


_Titles = dict[MemberId, str]
_Shared = tuple[PoolRow, _Titles]


async def _pages(service: Service, wanted: Wanted) -> AsyncIterator[list[_Shared]]:
    """All stocks with the titles of their levels, frozen ones first, however many there are."""
    after: str | None = None
    while True:
        async with service.deps.database.connection() as conn:
            rows = await pool_pages.frozen_first(conn, wanted, after=after, limit=_PAGE)
            ids = [row.pool_id for row in rows]
            held = await pools.members_of(conn, rows[0].shop_id, ids) if rows else {}
        yield [(row, _titles(held.get(row.pool_id, []))) for row in rows]
        if len(rows) < _PAGE:
            return
        after = pool_pages.cursor_of(rows[-1])


async def _each(
    pages: AsyncIterator[list[_Shared]], shown: Callable[[PoolRow, _Titles], JsonObject]
) -> AsyncIterator[list[JsonObject]]:
    async for page in pages:
        yield [shown(row, titles) for row, titles in page]


def _json_of(row: PoolRow, titles: _Titles, *, domain: str) -> JsonObject:
    return pool_json(row, titles, shop=domain)


async def _show_table(pages: AsyncIterator[list[_Shared]], *, empty: str) -> None:
    """The table, and below it what a person has to decide."""
    rows: list[JsonObject] = []
    frozen: list[_Shared] = []
    async for page in pages:
        frozen += [(row, titles) for row, titles in page if row.status == "frozen"]
        rows += [_without_reason(_row(row, titles)) for row, titles in page]
    print_rows(rows, Form(as_json=False), empty=empty)
    for row, titles in frozen:
        _tell_frozen(row, titles)


def _without_reason(row: JsonObject) -> JsonObject:
    return {name: value for name, value in row.items() if name != "reason"}


def _titles(members: Sequence[MemberRow]) -> _Titles:
    return titles_of((member.item_id, member.location_id, member.title) for member in members)


def _row(row: PoolRow, titles: _Titles) -> JsonObject:
    return pool_row(
        pool_id=row.pool_id,
        title=row.title,
        stock=row.stock,
        status=row.status,
        reason=row.reason,
        state=pool_state(row.state),
        titles=titles,
    )


def _tell_frozen(row: PoolRow, titles: _Titles) -> None:
    say(f"FROZEN {row.title} ({row.pool_id}): {row.reason}")
    for line in hypothesis_lines(pool_state(row.state), titles):
        say(f"  {line}")
    say(f"  Decide with: stockwright stock resolve {row.pool_id} --applied | --not-applied | --adopt-levels")


def _product_gid(text: str | None) -> str | None:
    return gid("Product", text) if text and text.isdecimal() else text


@COMMANDS.command(epilog="Example: stockwright stock history --product 8812340011")
def history(
    pool: Annotated[str | None, typer.Argument(metavar="POOL", help="A pool id of `stock show`.")] = None,
    *,
    product: Product = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Journal entries per stock, newest.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Tell how a shared stock came to its number, from the journal."""
    if (pool is None) == (product is None):
        raise typer.BadParameter("Give a POOL, or --product GID.")
    with_service(partial(_history, pool=pool, product=product, limit=limit, as_json=as_json))


async def _history(
    service: Service, *, pool: str | None, product: str | None, limit: int, as_json: bool
) -> None:
    async with service.deps.database.connection() as conn:
        if pool and await pools.find(conn, pool) is None:
            told = [await _told_of_past(conn, pool, limit)]
        else:
            rows = [await _pool(conn, pool)] if pool else await _pools_of(conn, _product_gid(product) or "")
            told = [await _told(conn, row, limit) for row in rows]
    if as_json:
        print_json(told)
        return
    for one in told:
        say(f"{one['title']} ({one['pool']}), stock {one['stock']}, {one['status']}")
        for line in one["lines"]:
            say(f"  {line['time']}  {line['text']}")


async def _told(conn: Connection, row: PoolRow, limit: int) -> JsonObject:
    shop = await shops.get(conn, row.shop_id)
    members = (await pools.members_of(conn, row.shop_id, [row.pool_id])).get(row.pool_id, [])
    entries = await pools.newest_journal(conn, row.shop_id, row.pool_id, limit=limit)
    lines = _lines(shop.timezone if shop else "UTC", entries, _titles(members))
    return {"pool": row.pool_id, "title": row.title, "stock": row.stock, "status": row.status, "lines": lines}


async def _told_of_past(conn: Connection, pool_id: str, limit: int) -> JsonObject:
    """A stock that was dissolved: its journal is all that is left, and its last entry says why it ended."""
    for shop in await shops.list_all(conn):
        entries = await pools.journal(conn, shop.shop_id, pool_id)
        if entries:
            stock = journal.replay(wire.entry_from_json(entry.data) for entry in entries).stock
            lines = _lines(shop.timezone, entries[-limit:], {})
            return {
                "pool": pool_id,
                "title": "A stock of the past",
                "stock": stock,
                "status": "dissolved",
                "lines": lines,
            }
    raise _no_stock(pool_id)


def _lines(timezone: str, entries: Sequence[JournalRow], titles: _Titles) -> list[JsonObject]:
    zone = time_zone(timezone) or time_zone("UTC")
    assert zone is not None, "UTC is known everywhere"
    return [
        {"time": clock_text(line.at, zone), "text": line.text, "run_id": line.run_id}
        for line in history_lines(entries, titles)
    ]


async def _pool(conn: Connection, pool_id: str) -> PoolRow:
    row = await pools.find(conn, pool_id)
    if row is None:
        raise _no_stock(pool_id)
    return row


def _no_stock(pool_id: str) -> StockwrightError:
    return StockwrightError(
        f"There is no shared stock {pool_id!r}. See: stockwright stock show --shop DOMAIN"
    )


async def _pools_of(conn: Connection, product_id: str) -> list[PoolRow]:
    found = [
        row
        for shop in await shops.list_all(conn)
        for row in await pools.list_pools(
            conn, shop.shop_id, product_id=product_id, only_frozen=False, limit=_OF_ONE_PRODUCT
        )
    ]
    if not found:
        raise StockwrightError(
            f"No stock of {product_id} is shared. See: stockwright stock show --shop DOMAIN"
        )
    return found


@COMMANDS.command(epilog="Example: stockwright stock resolve pool_1f2e3d --adopt-levels --stock 8")
def resolve(
    pool: Annotated[str, typer.Argument(metavar="POOL", help="A pool id of `stock show`.")],
    *,
    applied: Annotated[bool, typer.Option("--applied", help="The correction was applied.")] = False,
    not_applied: Annotated[
        bool, typer.Option("--not-applied", help="The correction was not applied.")
    ] = False,
    adopt_levels: Annotated[
        bool, typer.Option("--adopt-levels", help="Start anew from the levels that the shop shows now.")
    ] = False,
    stock: Annotated[
        int | None, typer.Option(help="With --adopt-levels: the shared stock to take where levels differ.")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """End the freeze of a shared stock.

    Your decision is journaled with your name; the next run reads the levels and corrects them.
    """
    chosen = [
        resolution
        for given, resolution in (
            (applied, Resolution.WAS_APPLIED),
            (not_applied, Resolution.WAS_NOT_APPLIED),
            (adopt_levels, Resolution.ADOPT_LEVELS),
        )
        if given
    ]
    if len(chosen) != 1:
        raise typer.BadParameter("Give exactly one of --applied, --not-applied and --adopt-levels.")
    if stock is not None and not adopt_levels:
        raise typer.BadParameter("--stock goes with --adopt-levels.")
    decision = Decision(resolution=chosen[0], stock=stock, by=_person())
    with_service(partial(_resolve, pool=pool, decision=decision, yes=yes, as_json=as_json))


def _person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a user database
        return "the command line"


async def _resolve(service: Service, *, pool: str, decision: Decision, yes: bool, as_json: bool) -> None:
    async with service.deps.database.connection() as conn:
        row = await _pool(conn, pool)
        held = (await pools.members_of(conn, row.shop_id, [pool])).get(pool, [])
    if row.status == "frozen" and not as_json:
        _tell_frozen(row, _titles(held))
    confirm(f"Book {decision.resolution.value.replace('_', ' ')} for {row.title}?", yes=yes)
    told = await resolve_pool(service.deps, row, decision)
    if as_json:
        print_json({"pool": row.pool_id, "resolution": decision.resolution.value, "told": told})
    else:
        say(told)
