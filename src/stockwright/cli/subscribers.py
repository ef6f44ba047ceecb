"""`stockwright subscribers`: who waits for a restock, who was told and why; files in and out; erasure."""

import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from stockwright import importing, resending
from stockwright import people as service_people
from stockwright.cli.output import (
    AlwaysJson,
    AsCsv,
    AsJson,
    Form,
    Yes,
    confirm,
    counted,
    print_json,
    print_rows,
    say,
    tell,
)
from stockwright.cli.session import Service, shop_named, with_service
from stockwright.importing import REFUSALS_SHOWN
from stockwright.model import JsonObject, StockwrightError, gid
from stockwright.notify.addresses import fold, normalise
from stockwright.notify.people_file import MAX_BYTES
from stockwright.notify.states import Shown, State
from stockwright.people import Done
from stockwright.people_files import demand_json, people_csv, people_json, person_json
from stockwright.people_told import story_of
from stockwright.store import demand as demand_store
from stockwright.store import imports, people
from stockwright.store.audit import COMMAND_LINE
from stockwright.store.imports import ImportRow
from stockwright.store.people import PersonRow, Wanted
from stockwright.store.shops import Shop

COMMANDS = typer.Typer(
    help="People who wait for a restock: list, why, export, import, cancel, resend, erase.",
    no_args_is_help=True,
)

ShopOption = Annotated[str, typer.Option(metavar="DOMAIN", help="Domain of the shop.")]
StatusOption = Annotated[
    Shown | None, typer.Option(help="Only those with this status.", case_sensitive=False)
]
StateOption = Annotated[State | None, typer.Option(help="Only those in this finer state.")]
VariantOption = Annotated[
    str | None, typer.Option(metavar="GID", help="Only for this variant (a gid or its number).")
]
ProductOption = Annotated[
    str | None, typer.Option(metavar="GID", help="Only for this product (a gid or its number).")
]
OfferOption = Annotated[str | None, typer.Option(metavar="OFFER", help="Only those of this offer's id.")]
LocaleOption = Annotated[str | None, typer.Option(help="Only those in this language.")]
EmailOption = Annotated[str | None, typer.Option(help="Only addresses that begin so.")]
_OF_ONE_ADDRESS = 1000
_TOLD_EVERY = 5000  # lines of an import, people of an export


def _wanted(
    shop: Shop,
    *,
    status: Shown | None,
    state: State | None,
    variant: str | None,
    product: str | None,
    offer: str | None,
    locale: str | None,
    email: str | None,
) -> Wanted:
    return Wanted(
        shop_id=shop.shop_id,
        status=status.value if status else None,
        state=state.value if state else None,
        variant_id=_gid("ProductVariant", variant),
        product_id=_gid("Product", product),
        offer_id=offer,
        locale=locale,
        address=fold(email) if email else None,
    )


def _gid(kind: str, text: str | None) -> str | None:
    return gid(kind, text) if text and text.isdecimal() else text


@COMMANDS.command("list")
def list_people(
    *,
    shop: ShopOption,
    status: StatusOption = None,
    state: StateOption = None,
    variant: VariantOption = None,
    product: ProductOption = None,
    offer: OfferOption = None,
    locale: LocaleOption = None,
    email: EmailOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 50,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List subscribers, newest first."""
    form = Form(as_json=as_json, as_csv=as_csv)
    choose = partial(
        _wanted,
        status=status,
        state=state,
        variant=variant,
        product=product,
        offer=offer,
        locale=locale,
        email=email,
    )

    async def work(service: Service) -> None:
        wanted = choose(await shop_named(service, shop))
        async with service.deps.database.connection() as conn:
            rows = await people.people(conn, wanted, limit=limit)
        lines = [person_json(row) for row in rows]
        print_rows(
            lines if form.as_json or form.as_csv else [_line(one) for one in lines], form, empty=_NOBODY
        )

    with_service(work)


_NOBODY = "No subscriber fits. People sign up with the Notify Me button; see docs/notifications.md."
_IN_A_TABLE = ("subscriber", "email", "status", "subscribed_at", "notified_at", "product", "variant", "note")


def _line(one: JsonObject) -> JsonObject:
    return {name: one[name] for name in _IN_A_TABLE}


@COMMANDS.command()
def show(
    subscriber: Annotated[str, typer.Argument(metavar="SUBSCRIBER", help="An id of `subscribers list`.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show one subscriber: every field, and everything that happened."""
    with_service(partial(_show, subscriber=subscriber, as_json=as_json))


async def _show(service: Service, *, subscriber: str, as_json: bool) -> None:
    row = await _row(service, subscriber)
    if as_json:
        print_json(await _story(service, row))
        return
    for name, value in person_json(row).items():
        say(f"{name.replace('_', ' '):16} {value if value is not None else ''}".rstrip())
    await _tell(service, row)


@COMMANDS.command(epilog="Example: stockwright subscribers why ann@example.com --shop example.myshopify.com")
def why(
    who: Annotated[str, typer.Argument(metavar="SUBSCRIBER|EMAIL", help="An id, or a mail address.")],
    *,
    shop: Annotated[
        str | None, typer.Option(metavar="DOMAIN", help="Domain of the shop, with an address.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell why somebody was, or was not, told of a restock, with the mail server's answers."""
    if "@" in who and shop is None:
        raise typer.BadParameter("With an address, give --shop too.")
    with_service(partial(_why, who=who, domain=shop, as_json=as_json))


async def _why(service: Service, *, who: str, domain: str | None, as_json: bool) -> None:
    rows = await _rows_of(service, who, domain)
    if as_json:
        print_json([await _story(service, row) for row in rows])
        return
    for row in rows:
        say(f"{row.email or 'erased'}, {row.product_title} {row.variant_title} ({row.subscriber_id})")
        await _tell(service, row)


async def _rows_of(service: Service, who: str, domain: str | None) -> list[PersonRow]:
    if "@" not in who or domain is None:
        return [await _row(service, who)]
    shop, address = await shop_named(service, domain), normalise(who)
    hashed = service.deps.keyring.address_hash(shop.shop_id, address)
    async with service.deps.database.connection() as conn:
        rows = await people.of_address(conn, shop.shop_id, [hashed], limit=_OF_ONE_ADDRESS)
    if not rows:
        raise StockwrightError(
            f"{address} asked for nothing in {shop.domain}, or was erased, or is kept no longer."
        )
    return rows


async def _story(service: Service, row: PersonRow) -> JsonObject:
    story = await story_of(service.deps, row)
    return {
        **person_json(row),
        "because": story.because,
        "events": [
            {"at": one.at, "text": one.text, "detail": one.detail, "by": one.by} for one in story.told
        ],
        "notifications": [vars(one) for one in story.notifications],
    }


async def _tell(service: Service, row: PersonRow) -> None:
    story = await story_of(service.deps, row)
    say(f"  {story.because}")
    for one in story.told:
        by = f" by {one.by}" if one.by else ""
        detail = f": {one.detail}" if one.detail else ""
        say(f"  {one.at.astimezone():%Y-%m-%d %H:%M:%S}  {one.text}{by}{detail}")


async def _row(service: Service, subscriber_id: str) -> PersonRow:
    async with service.deps.database.connection() as conn:
        row = await people.get(conn, subscriber_id)
    if row is None:
        raise StockwrightError(
            f"There is no subscriber {subscriber_id!r}. See: stockwright subscribers list --shop DOMAIN"
        )
    return row


# --- files ------------------------------------------------------------------------------------------------------


@COMMANDS.command()
def export(
    *,
    shop: ShopOption,
    status: StatusOption = None,
    state: StateOption = None,
    variant: VariantOption = None,
    product: ProductOption = None,
    offer: OfferOption = None,
    locale: LocaleOption = None,
    email: EmailOption = None,
    output: Annotated[Path | None, typer.Option(help="File to write; otherwise it is printed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Export subscribers as CSV, or as JSON; however many there are."""
    choose = partial(
        _wanted,
        status=status,
        state=state,
        variant=variant,
        product=product,
        offer=offer,
        locale=locale,
        email=email,
    )

    async def work(service: Service) -> None:
        wanted = choose(await shop_named(service, shop))
        make = people_json if as_json else people_csv
        hear = counted("people written", every=_TOLD_EVERY)
        await _write(make(service.deps, wanted, hear=hear), output)

    with_service(work)


async def _write(parts: AsyncIterator[str], output: Path | None) -> None:
    if output is None:
        async for part in parts:
            sys.stdout.write(part)
        return
    try:
        with output.open("w", encoding="utf-8", newline="") as file:
            async for part in parts:
                file.write(part)
    except OSError as error:
        raise StockwrightError(f"The file {output} cannot be written: {error}.") from error


@COMMANDS.command(
    "import",
    epilog="Example: stockwright subscribers import people.csv --shop example.myshopify.com --dry-run",
)
def import_people(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A CSV file in UTF-8; see docs/notifications.md.")
    ],
    *,
    shop: ShopOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    ask: Annotated[
        bool, typer.Option("--ask", help="Mail everybody a link to confirm; who does not is not told.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import people who wait elsewhere, and report each refused line by its number."""
    consent = "asked" if ask else "kept"
    with_service(partial(_import, path=file, domain=shop, dry_run=dry_run, consent=consent, as_json=as_json))


async def _import(
    service: Service, *, path: Path, domain: str, dry_run: bool, consent: str, as_json: bool
) -> None:
    shop = await shop_named(service, domain)
    row = await importing.begin(
        service.deps, shop, name=path.name, data=_read(path), check=dry_run, consent=consent, by=COMMAND_LINE
    )
    total = row.total_rows
    tell(f"{total:,} lines are {'checked' if dry_run else 'imported'} ...")

    def hear(lines: int) -> None:
        if lines % _TOLD_EVERY == 0:
            tell(f"{lines:,} of {total:,} lines done")

    await importing.work_through(service.deps, row.shop_id, row.import_id, hear=hear)
    async with service.deps.database.connection() as conn:
        row = await imports.get(conn, row.import_id) or row
        refused = await imports.refusals(conn, row.shop_id, row.import_id, limit=REFUSALS_SHOWN)
    lines: list[JsonObject] = [{"line": one.line, "reason": one.reason} for one in refused]
    _report(row, lines, as_json=as_json)
    if row.state == "failed":
        raise StockwrightError(f"The import has failed: {row.reason} Who was imported so far stays.")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StockwrightError(f"The file {path} cannot be read: {error}.") from error


def _report(row: ImportRow, refused: list[JsonObject], *, as_json: bool) -> None:
    if as_json:
        counts = {
            "state": row.state,
            "reason": row.reason,
            "lines": row.total_rows,
            "lines_done": row.next_row,
        }
        found = {"added": row.added, "doubles": row.doubles, "refused": row.refused}
        print_json({"import_id": row.import_id, **counts, **found, "refused_lines": refused})
        return
    for one in refused:
        say(f"line {one['line']}: {one['reason']}")
    words = "would be added" if row.state == "checked" else "added"
    say(f"{row.added:,} {words}, {row.doubles:,} wait already or stand twice, {row.refused:,} refused.")
    if row.goes_on:
        say(f"It pauses and the service goes on with it: {row.reason or 'another process has it.'}")


# --- wishes -----------------------------------------------------------------------------------------------------

Subscribers = Annotated[list[str], typer.Argument(metavar="SUBSCRIBER...", help="Ids of `subscribers list`.")]


@COMMANDS.command()
def cancel(subscribers: Subscribers, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """End the waiting of subscribers; nothing is mailed for them."""
    with_service(partial(_wish, ids=subscribers, what="cancel", yes=yes, as_json=as_json))


@COMMANDS.command()
def resend(subscribers: Subscribers, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Send a failed mail once more, or put an ended request in line again."""
    with_service(partial(_wish, ids=subscribers, what="resend", yes=yes, as_json=as_json))


async def _wish(service: Service, *, ids: list[str], what: str, yes: bool, as_json: bool) -> None:
    rows = [await _row(service, one) for one in ids]
    who = rows[0].email if len(rows) == 1 else f"{len(rows)} people"
    confirm(f"{'Cancel the waiting of' if what == 'cancel' else 'Send again to'} {who}?", yes=yes)
    done = 0
    left: list[tuple[str, str]] = []
    for shop_id in sorted({row.shop_id for row in rows}):
        some = [row.subscriber_id for row in rows if row.shop_id == shop_id]
        if what == "cancel":
            came = await service_people.cancel(service.deps, shop_id, some, by=COMMAND_LINE)
        else:
            came = await resending.send_again(service.deps, shop_id, some, by=COMMAND_LINE)
        done, left = done + came.done, [*left, *came.left]
    _tell_done(Done(done=done, left=tuple(left), left_count=len(left)), as_json=as_json)


def _tell_done(done: Done, *, as_json: bool) -> None:
    if as_json:
        left = [{"subscriber": id, "reason": why} for id, why in done.left]
        print_json({"done": done.done, "left": left})
        return
    say(f"Done for {done.done:,}.")
    for id, why in done.left:
        say(f"{id}: {why}")


# --- one address, and all --------------------------------------------------------------------------------------------

Address = Annotated[str, typer.Argument(metavar="EMAIL", help="The mail address.")]


@COMMANDS.command(
    epilog="Example: stockwright subscribers erase ann@example.com --shop example.myshopify.com"
)
def erase(email: Address, *, shop: ShopOption, yes: Yes = False, as_json: AsJson = False) -> None:
    """Erase an address from everything that is kept of a shop.

    Only a keyed hash stays on the suppression list, so that the address is not mailed by mistake.
    """

    async def work(service: Service) -> None:
        found = await shop_named(service, shop)
        address = normalise(email)
        confirm(f"Erase {address} from everything that is kept of {found.domain}?", yes=yes)
        done = await service_people.erase(service.deps, found, address, by=COMMAND_LINE)
        if as_json:
            print_json({"subscribers": done.subscribers, "messages": done.messages})
        else:
            say(done.told)

    with_service(work)


@COMMANDS.command()
def data(email: Address, *, shop: ShopOption, as_json: AlwaysJson = True) -> None:
    """Print all that is kept of an address as JSON, for the person who asks."""
    del as_json  # accepted, so that every command that prints data takes it

    async def work(service: Service) -> None:
        found = await shop_named(service, shop)
        print_json(dict(await service_people.data_of(service.deps, found, [normalise(email)])))

    with_service(work)


@COMMANDS.command()
def demand(
    *,
    shop: ShopOption,
    order: Annotated[str, typer.Option(help="people, units, revenue or oldest: the most first.")] = "people",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many variants.")] = 50,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Report what people wait for, since when, and what it is worth."""
    if order not in ("people", "units", "revenue", "oldest"):
        raise typer.BadParameter("--order is people, units, revenue or oldest.")
    form = Form(as_json=as_json, as_csv=as_csv)

    async def work(service: Service) -> None:
        found = await shop_named(service, shop)
        async with service.deps.database.connection() as conn:
            rows = await demand_store.demand(conn, found.shop_id, order=order, limit=limit)
        print_rows([demand_json(row) for row in rows], form, empty="Nobody waits.")

    with_service(work)
