"""`stockwright offer`: pre-order offers, which decide where Notify Me is shown."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from stockwright import offer_desk, offer_reading
from stockwright.cli.output import (
    AsCsv,
    AsJson,
    Form,
    Yes,
    confirm,
    print_json,
    print_pages,
    print_rows,
    say,
    tell,
)
from stockwright.cli.session import Service, shop_named, with_service
from stockwright.model import Fault, FaultyFields, JsonObject, ShopId, StockwrightError, gid
from stockwright.notify.offers import Mode, Status, Terms, Verb
from stockwright.offer_upkeep import subscribe_orders
from stockwright.schedules import local_moment, time_zone
from stockwright.store import offers, shops
from stockwright.store.offers import OfferRow
from stockwright.store.shops import Shop

COMMANDS = typer.Typer(
    help="Pre-order offers: which products show Notify Me, and when.", no_args_is_help=True
)

NONE = "none"
_PAGE = 500  # offers that are read at once
_SHORTEST_END = 4  # characters of an id that stand for it when no other id ends in them
_MOMENT = "in the shop's time zone, such as '2026-12-01 09:00'; none = empty"

Id = Annotated[str, typer.Argument(metavar="ID", help="The offer's id, or its last characters.")]
ForShop = Annotated[str, typer.Option("--shop", help="Domain of the shop.")]
OfShop = Annotated[str | None, typer.Option("--shop", help="Only those of this shop.")]
Products = Annotated[
    list[str] | None,
    typer.Option("--product", help="A product with all its variants, by number or gid; repeat for several."),
]
Variants = Annotated[
    list[str] | None,
    typer.Option("--variant", help="A single variant, by number or gid; repeat for several."),
]
Description = Annotated[str | None, typer.Option(help="A note for yourself.")]
ModeOption = Annotated[Mode | None, typer.Option(help="When variants can be ordered ahead.")]
Starts = Annotated[str | None, typer.Option(help=f"Start {_MOMENT} (at once).")]
Ends = Annotated[str | None, typer.Option(help=f"End {_MOMENT} (no end).")]
AutoDisable = Annotated[
    bool | None, typer.Option(help="Stop the pre-order of a variant that is back; with mode out_of_stock.")
]
Resume = Annotated[
    bool | None, typer.Option(help="After auto-disable, take it up again when sold out again.")
]
LimitTotal = Annotated[str | None, typer.Option(help="Units of the whole offer; none = unlimited.")]
LimitCustomer = Annotated[
    str | None, typer.Option(help="Units per customer who is signed in; none = unlimited.")
]
LimitOrder = Annotated[str | None, typer.Option(help="Units per order; none = unlimited.")]
PauseAtLimit = Annotated[bool | None, typer.Option(help="Pause the offer when the total limit is reached.")]


# --- what is given on the command line -------------------------------------------------------------------------------


def terms_given(shop: Shop, given: dict[str, Any]) -> dict[str, Any]:
    """Options that were given, as terms of an offer; what was left out is left out.

    Raises:
        FaultyFields: a time or a number that is none.
    """
    named = {name: value for name, value in given.items() if value is not None}
    zone = time_zone(shop.timezone) or ZoneInfo("UTC")
    for name in ("starts_at", "ends_at"):
        if name in named:
            named[name] = _moment(name, named[name], zone)
    for name in ("limit_total", "limit_per_customer", "limit_per_order"):
        if name in named:
            named[name] = _limit(name, named[name])
    return named


def _moment(name: str, text: str, zone: ZoneInfo) -> Any:
    try:
        return None if text.strip().lower() in ("", NONE) else local_moment(text, zone)
    except StockwrightError as error:
        raise FaultyFields(f"{name}: {error}", [Fault(path=name, message=str(error))]) from error


def _limit(name: str, text: str) -> int | None:
    if text.strip().lower() in ("", NONE):
        return None
    if not (text.strip().isascii() and text.strip().isdecimal()):
        message = f"{text!r} is no limit: give a whole number from 1 on, or none."
        raise FaultyFields(f"{name}: {message}", [Fault(path=name, message=message)])
    return int(text)


def item_gids(products: list[str] | None, variants: list[str] | None) -> list[str]:
    """Gids of what was given by number or gid."""
    return [
        *(one if "/" in one else gid("Product", one) for one in products or ()),
        *(one if "/" in one else gid("ProductVariant", one) for one in variants or ()),
    ]


async def offer_named(service: Service, text: str) -> OfferRow:
    """The offer of an id, or of the last characters of one.

    Raises:
        StockwrightError: there is none, or several ids end so.
    """
    async with service.deps.database.connection() as conn:
        exact = await offers.find(conn, text)
        found = [exact] if exact else []
        if not found and len(text) >= _SHORTEST_END:
            found = await offers.ending_in(conn, text)
    if len(found) > 1:
        raise StockwrightError(f"Several offers end in {text!r}. Give more of the id.")
    if not found:
        raise StockwrightError(f"There is no offer {text!r}. See them with: stockwright offer list")
    return found[0]


async def _shop_of(service: Service, row: OfferRow) -> Shop:
    async with service.deps.database.connection() as conn:
        shop = await shops.get(conn, row.shop_id)
    if shop is None:
        raise StockwrightError(f"The shop of {row.name!r} was removed meanwhile.")
    return shop


# --- looking -----------------------------------------------------------------------------------------------------------


@COMMANDS.command("list")
def list_offers(
    *,
    shop: OfShop = None,
    status: Annotated[Status | None, typer.Option(help="Only those with this status.")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List the offers, newest first; archived ones only with --status archived."""
    with_service(partial(_list, domain=shop, status=status, form=Form(as_json=as_json, as_csv=as_csv)))


_IN_A_LIST = (
    "id",
    "shop",
    "name",
    "status",
    "pause_reason",
    "mode",
    "starts_at",
    "ends_at",
    "products",
    "waiting",
)


async def _list(service: Service, *, domain: str | None, status: Status | None, form: Form) -> None:
    only = (await shop_named(service, domain)).shop_id if domain else None
    pages = _pages(service, only, status, names=None if form.as_json else _IN_A_LIST)
    await print_pages(
        pages, form, empty="There is no offer yet. Make one: stockwright offer create NAME --shop DOMAIN"
    )


async def _pages(
    service: Service, only: ShopId | None, status: Status | None, *, names: tuple[str, ...] | None
) -> AsyncIterator[list[JsonObject]]:
    """All offers as rows, newest first, however many there are; of each what is named, or everything."""
    async with service.deps.database.connection() as conn:
        domains = {one.shop_id: one.domain for one in await shops.list_all(conn)}
    before: str | None = None
    while True:
        async with service.deps.database.connection() as conn:
            found = await offers.lines(
                conn,
                only,
                status=status.value if status else None,
                with_archived=status is Status.ARCHIVED,
                before=before,
                limit=_PAGE,
            )
        rows = [offer_reading.described(line, domains.get(line.offer.shop_id, "")) for line in found]
        yield [{name: row[name] for name in names or row} for row in rows]
        if len(found) < _PAGE:
            return
        before = found[-1].offer.offer_id


@COMMANDS.command()
def show(id: Id, *, as_json: AsJson = False) -> None:
    """Show an offer with its products, and what keeps it from working."""
    with_service(partial(_show, id=id, as_json=as_json))


async def _show(service: Service, *, id: str, as_json: bool) -> None:
    row = await offer_named(service, id)
    shop = await _shop_of(service, row)
    async with service.deps.database.connection() as conn:
        [line] = await offers.lines(conn, row.shop_id, offer_id=row.offer_id, limit=1)
        items = await offers.items(conn, row.shop_id, row.offer_id)
        notices = await offer_reading.notices(conn, shop, row)
    shown = offer_reading.described(line, shop.domain)
    if as_json:
        listed = [offer_reading.described_item(item) for item in items]
        print_json({**shown, "covers": listed, "notices": notices})
        return
    print_rows([{"what": name, "is": value} for name, value in shown.items()], Form(as_json=False), empty="")
    print_rows(
        [offer_reading.described_item(item) for item in items], Form(as_json=False), empty="No products yet."
    )
    for notice in notices:
        tell(notice)


@COMMANDS.command()
def why(
    product: Annotated[str, typer.Argument(help="A product, by number or gid.")],
    *,
    shop: ForShop,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Tell for each variant of a product whether Notify Me is shown now, and why."""
    with_service(partial(_why, product=product, domain=shop, form=Form(as_json=as_json, as_csv=as_csv)))


async def _why(service: Service, *, product: str, domain: str, form: Form) -> None:
    shop = await shop_named(service, domain)
    _, found = await offer_reading.gates_of(service.deps, shop, offer_reading.product_gid(product))
    rows = [offer_reading.described_gate(one) for one in found]
    if not (form.as_json or form.as_csv):
        names = ("title", "available", "notify", "why", "preorder", "preorder_why")
        rows = [{name: row[name] for name in names} for row in rows]
    print_rows(rows, form, empty="The product has no variants.")


# --- making and changing -----------------------------------------------------------------------------------------------


@COMMANDS.command(
    epilog="Example: stockwright offer create 'Spring' --shop example.myshopify.com --product 123 --auto-disable --activate"
)
def create(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    *,
    shop: ForShop,
    product: Products = None,
    variant: Variants = None,
    description: Description = None,
    mode: ModeOption = None,
    starts: Starts = None,
    ends: Ends = None,
    auto_disable: AutoDisable = None,
    resume: Resume = None,
    limit_total: LimitTotal = None,
    limit_per_customer: LimitCustomer = None,
    limit_per_order: LimitOrder = None,
    pause_at_limit: PauseAtLimit = None,
    activate: Annotated[bool, typer.Option("--activate", help="Activate it at once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an offer; a draft until it is activated."""
    given = {
        "name": name, "description": description, "mode": mode, "starts_at": starts, "ends_at": ends,
        "auto_disable": auto_disable, "resume": resume, "limit_total": limit_total,
        "limit_per_customer": limit_per_customer, "limit_per_order": limit_per_order,
        "pause_at_limit": pause_at_limit,
    }  # fmt: skip
    items = item_gids(product, variant)
    with_service(partial(_create, domain=shop, given=given, items=items, activate=activate, as_json=as_json))


async def _create(
    service: Service, *, domain: str, given: dict[str, Any], items: list[str], activate: bool, as_json: bool
) -> None:
    shop = await shop_named(service, domain)
    terms = Terms(**terms_given(shop, given))
    row = await offer_desk.create(service.deps, shop.shop_id, terms, items=items)
    if activate:
        row = await _do_or_tell(service, row)
    if as_json:
        await _show(service, id=row.offer_id, as_json=True)
        return
    say(f"Made {row.name!r} as {row.offer_id}; it is {row.status}.")
    if row.status == Status.DRAFT:
        say(f"Activate it with: stockwright offer activate {row.offer_id}")


async def _do_or_tell(service: Service, row: OfferRow) -> OfferRow:
    """Activate a new offer; when that is not possible it stays a draft, and the reason is told."""
    try:
        row = await offer_desk.do(service.deps, row, Verb.ACTIVATE)
    except StockwrightError as error:
        raise StockwrightError(f"The offer {row.offer_id} is made and stays a draft. {error}") from error
    await _tell_orders(service, row)
    return row


async def _tell_orders(service: Service, row: OfferRow) -> None:
    if problem := await subscribe_orders(service.deps, row, public_url=service.settings.public_url):
        tell(problem)


@COMMANDS.command(
    "set", epilog="Example: stockwright offer set 8x2c6v0b --ends '2026-12-31 23:59' --limit-total none"
)
def set_terms(
    id: Id,
    *,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    description: Description = None,
    mode: ModeOption = None,
    starts: Starts = None,
    ends: Ends = None,
    auto_disable: AutoDisable = None,
    resume: Resume = None,
    limit_total: LimitTotal = None,
    limit_per_customer: LimitCustomer = None,
    limit_per_order: LimitOrder = None,
    pause_at_limit: PauseAtLimit = None,
    as_json: AsJson = False,
) -> None:
    """Change an offer; what is not named stays."""
    given = {
        "name": name, "description": description, "mode": mode, "starts_at": starts, "ends_at": ends,
        "auto_disable": auto_disable, "resume": resume, "limit_total": limit_total,
        "limit_per_customer": limit_per_customer, "limit_per_order": limit_per_order,
        "pause_at_limit": pause_at_limit,
    }  # fmt: skip
    if all(value is None for value in given.values()):
        raise typer.BadParameter("Give an option: there is nothing to change.")
    with_service(partial(_set, id=id, given=given, as_json=as_json))


async def _set(service: Service, *, id: str, given: dict[str, Any], as_json: bool) -> None:
    row = await offer_named(service, id)
    changes = terms_given(await _shop_of(service, row), given)
    saved = await offer_desk.change(service.deps, row, offer_desk.with_changes(row, changes))
    await _tell_orders(service, saved)
    if as_json:
        await _show(service, id=saved.offer_id, as_json=True)
        return
    say(f"Changed {saved.name!r} ({saved.offer_id}); it is {saved.status}.")


@COMMANDS.command("add-items")
def add_items(id: Id, *, product: Products = None, variant: Variants = None, as_json: AsJson = False) -> None:
    """Add products with all their variants, or single variants."""
    with_service(partial(_items, id=id, items=_some(product, variant), adds=True, as_json=as_json))


@COMMANDS.command("remove-items")
def remove_items(
    id: Id, *, product: Products = None, variant: Variants = None, as_json: AsJson = False
) -> None:
    """Take products or single variants out."""
    with_service(partial(_items, id=id, items=_some(product, variant), adds=False, as_json=as_json))


def _some(product: list[str] | None, variant: list[str] | None) -> list[str]:
    if not (product or variant):
        raise typer.BadParameter("Give --product or --variant.")
    return item_gids(product, variant)


async def _items(service: Service, *, id: str, items: list[str], adds: bool, as_json: bool) -> None:
    row = await offer_named(service, id)
    act = offer_desk.add_items if adds else offer_desk.remove_items
    done = await act(service.deps, row, items)
    if as_json:
        print_json({"id": row.offer_id, "done": done.done, "unchanged": done.unchanged})
        return
    verb, rest = ("Added", "there already") if adds else ("Removed", "not there")
    say(f"{verb} {done.done}; {done.unchanged} {'was' if done.unchanged == 1 else 'were'} {rest}.")


# --- deeds ---------------------------------------------------------------------------------------------------------------


@COMMANDS.command()
def activate(id: Id) -> None:
    """Start an offer, or schedule it when its start lies ahead."""
    with_service(partial(_do, id=id, verb=Verb.ACTIVATE))


@COMMANDS.command()
def unschedule(id: Id) -> None:
    """Make a scheduled offer a draft again."""
    with_service(partial(_do, id=id, verb=Verb.UNSCHEDULE))


@COMMANDS.command()
def pause(id: Id) -> None:
    """Pause an offer; people who wait keep waiting."""
    with_service(partial(_do, id=id, verb=Verb.PAUSE))


@COMMANDS.command()
def resume(id: Id) -> None:
    """Go on with a paused offer; stops of auto-disable are lifted."""
    with_service(partial(_do, id=id, verb=Verb.RESUME))


@COMMANDS.command()
def complete(id: Id, *, yes: Yes = False) -> None:
    """End an offer."""
    with_service(partial(_do, id=id, verb=Verb.COMPLETE, question="End it now?", yes=yes))


@COMMANDS.command()
def archive(id: Id, *, yes: Yes = False) -> None:
    """Put a draft or completed offer away; it can only be deleted then."""
    with_service(partial(_do, id=id, verb=Verb.ARCHIVE, question="Archive it for good?", yes=yes))


async def _do(service: Service, *, id: str, verb: Verb, question: str = "", yes: bool = True) -> None:
    row = await offer_named(service, id)
    if question:
        confirm(f"{row.name!r} ({row.offer_id}) is {row.status}. {question}", yes=yes)
    saved = await offer_desk.do(service.deps, row, verb)
    if verb in (Verb.ACTIVATE, Verb.RESUME):
        await _tell_orders(service, saved)
    say(offer_reading.done_told(saved, verb))


@COMMANDS.command()
def delete(id: Id, *, yes: Yes = False) -> None:
    """Delete a draft, completed or archived offer with its counts."""
    with_service(partial(_delete, id=id, yes=yes))


async def _delete(service: Service, *, id: str, yes: bool) -> None:
    row = await offer_named(service, id)
    confirm(f"Delete {row.name!r} ({row.offer_id}) with its counts?", yes=yes)
    await offer_desk.delete(service.deps, row)
    say(f"Deleted {row.name!r}.")
