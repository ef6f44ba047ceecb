"""`stockwright automation`: install, change, run, preview, export and import automations."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from stockwright import installing
from stockwright.automations import KINDS, kind_named
from stockwright.automations.options import option_from_text
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
)
from stockwright.cli.session import Service, automation_named, shop_named, with_service
from stockwright.cli.shops import subscribe_or_tell
from stockwright.cli.waiting import wait_for_run
from stockwright.model import Json, JsonObject, StockwrightError
from stockwright.previewing import Previewed, preview
from stockwright.store import automations, shops
from stockwright.store.automations import AutomationRow

COMMANDS = typer.Typer(help="Automations: install, change, run, preview, export.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The automation's id, or its last characters.")]
ForShop = Annotated[str, typer.Option("--shop", help="Domain of the shop.")]
_COUNTED_EVERY = 100  # products of a preview
OfShop = Annotated[str | None, typer.Option("--shop", help="Only those of this shop.")]


@COMMANDS.command()
def kinds(*, as_json: AsJson = False) -> None:
    """List the kinds of automation with their options."""
    if as_json:
        print_json([_kind(name) for name in KINDS])
        return
    for name, kind in KINDS.items():
        say(f"{name}\n  {kind.summary}\n  Topics: {', '.join(kind.topics)}\n  Options:")
        for option, field in kind.options.model_fields.items():
            default = "" if field.is_required() else f" (default {json.dumps(field.default, default=list)})"
            say(f"    {option}{default}: {field.description}")
        say("")


def _kind(name: str) -> dict[str, Json]:
    kind = KINDS[name]
    return {
        "kind": name,
        "title": kind.title,
        "summary": kind.summary,
        "topics": list(kind.topics),
        "options": kind.options.model_json_schema(),
    }


def read_pairs(kind: str, pairs: list[str]) -> dict[str, Json]:
    """KEY=VALUE texts as options of a kind.

    Raises:
        StockwrightError: no "=", or no such kind.
    """
    model = kind_named(kind).options
    options: dict[str, Json] = {}
    for pair in pairs:
        name, found, text = pair.partition("=")
        if not found:
            raise StockwrightError(f"{pair!r} is not KEY=VALUE. Options: {', '.join(model.model_fields)}.")
        options[name] = option_from_text(model, name, text)
    return options


@COMMANDS.command(
    epilog="Example: stockwright automation add sync-across-variants --shop example.myshopify.com "
    "--option product_tags=shared-stock"
)
def add(
    kind: Annotated[str, typer.Argument(help="A kind; see: stockwright automation kinds.")],
    *,
    shop: ForShop,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", "-o", metavar="KEY=VALUE", help="An option; lists are comma-separated or JSON."
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="What to call it; the kind's title by default.")] = "",
    disabled: Annotated[
        bool, typer.Option("--disabled", help="Install it without letting it work yet.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Install an automation; enabled, it looks at the shop at once."""
    options = read_pairs(kind, option or [])
    work = partial(
        _add, kind=kind, domain=shop, options=options, name=name, enabled=not disabled, as_json=as_json
    )
    with_service(work)


async def _add(
    service: Service,
    *,
    kind: str,
    domain: str,
    options: dict[str, Json],
    name: str,
    enabled: bool,
    as_json: bool,
) -> None:
    found = await shop_named(service, domain)
    row = await installing.add(
        service.deps, found.shop_id, kind=kind, options=options, name=name, enabled=enabled
    )
    await _subscribe(service, row)
    if as_json:
        print_json(await _shown(service, row))
        return
    state = "works now" if enabled else "is disabled; enable it with: stockwright automation enable"
    say(f"Installed {row.name!r} as {row.automation_id}; it {state}.")
    say(f"See what it does: stockwright runs --automation {row.automation_id}")


async def _subscribe(service: Service, row: AutomationRow) -> None:
    async with service.deps.database.connection() as conn:
        shop = await shops.get(conn, row.shop_id)
    if shop is not None:
        await subscribe_or_tell(service, shop)


@COMMANDS.command("list")
def list_automations(*, shop: OfShop = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the installed automations."""
    with_service(partial(_list, domain=shop, form=Form(as_json=as_json, as_csv=as_csv)))


async def _list(service: Service, domain: str | None, form: Form) -> None:
    only = (await shop_named(service, domain)).shop_id if domain else None
    async with service.deps.database.connection() as conn:
        domains = {one.shop_id: one.domain for one in await shops.list_all(conn)}
        rows = await automations.list_all(conn, only)
    shown = [
        {
            "id": row.automation_id,
            "shop": domains.get(row.shop_id, ""),
            "kind": row.kind,
            "name": row.name,
            "enabled": row.enabled,
        }
        for row in rows
    ]
    print_rows(shown, form, empty="There is no automation yet. See: stockwright automation kinds")


@COMMANDS.command()
def show(id: Id, *, as_json: AsJson = False) -> None:
    """Show an automation with its options and topics."""
    with_service(partial(_show, id=id, as_json=as_json))


async def _show(service: Service, id: str, *, as_json: bool) -> None:
    shown = await _shown(service, await automation_named(service, id))
    if as_json:
        print_json(shown)
        return
    for name in ("id", "shop", "kind", "name", "enabled"):
        say(f"{name}: {shown[name]}")
    say(f"topics: {', '.join(shown['topics'])}")
    for option, value in shown["options"].items():
        say(f"  {option} = {json.dumps(value, ensure_ascii=False)}")


async def _shown(service: Service, row: AutomationRow) -> dict[str, Json]:
    async with service.deps.database.connection() as conn:
        shop = await shops.get(conn, row.shop_id)
    return {
        "id": row.automation_id,
        "shop": shop.domain if shop else "",
        "kind": row.kind,
        "name": row.name,
        "enabled": row.enabled,
        "topics": list(row.topics),
        "options": dict(row.options),
    }


@COMMANDS.command("set", epilog="Example: stockwright automation set 8x2c6v0b raise_settle_s=10")
def set_options(
    id: Id,
    pairs: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Options to change.")
    ] = None,
    *,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    topic: Annotated[
        list[str] | None, typer.Option("--topic", help="Listen to these topics instead; repeat for several.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change options, name or topics; what is not named stays."""
    if not pairs and name is None and topic is None:
        raise typer.BadParameter("Give KEY=VALUE, --name or --topic: there is nothing to change.")
    with_service(partial(_set, id=id, pairs=pairs or [], name=name, topics=topic, as_json=as_json))


async def _set(
    service: Service,
    *,
    id: str,
    pairs: list[str],
    name: str | None,
    topics: list[str] | None,
    as_json: bool,
) -> None:
    row = await automation_named(service, id)
    options = read_pairs(row.kind, pairs)
    changed = await installing.change(service.deps, row, options=options, name=name, topics=topics)
    await _subscribe(service, changed)
    if as_json:
        print_json(await _shown(service, changed))
    else:
        say(f"Changed {changed.name!r} ({changed.automation_id}).")


@COMMANDS.command()
def enable(id: Id) -> None:
    """Let an automation work; it looks at the shop at once."""
    with_service(partial(_enable, id=id, enabled=True))


@COMMANDS.command()
def disable(id: Id) -> None:
    """Stop an automation; what waits for it is dropped, its shared stocks are kept."""
    with_service(partial(_enable, id=id, enabled=False))


async def _enable(service: Service, *, id: str, enabled: bool) -> None:
    row = await installing.change(service.deps, await automation_named(service, id), enabled=enabled)
    await _subscribe(service, row)
    say(
        f"{row.name!r} ({row.automation_id}) is {'enabled and looks at the shop' if enabled else 'disabled'}."
    )


@COMMANDS.command(epilog="Example: stockwright automation run 8x2c6v0b --wait")
def run(
    id: Id,
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the run and the products that it wakes; show its result.")
    ] = False,
    wait_limit_s: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="With --wait: give up waiting after this.")
    ] = 3600.0,
    as_json: AsJson = False,
) -> None:
    """Run an automation now."""
    limit_s = wait_limit_s if wait else None
    raise typer.Exit(with_service(partial(_run, id=id, limit_s=limit_s, as_json=as_json)))


async def _run(service: Service, *, id: str, limit_s: float | None, as_json: bool) -> int:
    row = await automation_named(service, id)
    event_id = await installing.trigger(service.deps, row)
    if limit_s is not None:
        return await wait_for_run(service, row, event_id, limit_s=limit_s, as_json=as_json)
    if as_json:
        print_json({"event": event_id, "automation": row.automation_id})
    else:
        say(
            f"{row.name!r} runs as soon as a worker is free. See: stockwright runs --automation {row.automation_id}"
        )
    return 0


@COMMANDS.command("preview", epilog="Example: stockwright automation preview 8x2c6v0b --all")
def preview_one(
    id: Id,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Show products that nothing would be done to, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what an automation would do now, product by product; nothing is written."""
    with_service(partial(_preview, id=id, every=every, as_json=as_json))


async def _preview(service: Service, *, id: str, every: bool, as_json: bool) -> None:
    row = await automation_named(service, id)
    found: list[Previewed] = []
    async for one in preview(service.deps, row, hear=counted("products looked at", every=_COUNTED_EVERY)):
        found.append(one)
        if not as_json and (every or one.acts or one.error):
            _tell_previewed(one)
    if as_json:
        print_json([vars(one) for one in found])
        return
    touched = sum(one.acts for one in found)
    say(f"{len(found)} products in scope, {touched} would be {_would(row.kind)}.")


def _would(kind: str) -> str:
    """What a kind does to products, in words."""
    automation = kind_named(kind)
    if automation.tells_shoppers:
        return "told of"
    return "published or taken down" if automation.watches_restocks else "corrected"


def _tell_previewed(one: Previewed) -> None:
    say(f"{one.title}: {one.because}")
    for line in one.corrections:
        say(f"  {line['level']}: {line['from']} -> {line['to']}")
    for line in one.publishing:
        done = "publish to" if line["action"] == "publish" else "take off"
        say(f"  {done} {', '.join(line['channels'])}")
    for line in one.telling:
        say(f"  tell {line['people']} people of {line['variant']}")


@COMMANDS.command()
def export(
    id: Id,
    *,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Write here instead of stdout.")] = None,
    as_json: AlwaysJson = True,
) -> None:
    """Write an automation as JSON that `import` reads."""
    del as_json  # accepted, so that every command that prints data takes it
    data = with_service(partial(_export, id=id))
    if file is None:
        print_json(data)
        return
    try:
        file.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise StockwrightError(f"{file} cannot be written: {error.strerror}.") from error
    say(f"Wrote {file}.")


async def _export(service: Service, *, id: str) -> JsonObject:
    return installing.export(await automation_named(service, id))


@COMMANDS.command(
    "import", epilog="Example: stockwright automation import prints.json --shop example.myshopify.com"
)
def import_file(
    file: Annotated[Path, typer.Argument(help="An exported automation; - reads stdin.")],
    *,
    shop: ForShop,
    as_json: AsJson = False,
) -> None:
    """Install an exported automation, disabled."""
    with_service(partial(_import, data=_read_json(file), domain=shop, as_json=as_json))


def _read_json(file: Path) -> Json:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        return json.loads(text)
    except (OSError, ValueError) as error:
        raise StockwrightError(f"{file} cannot be read as JSON: {error}.") from error


async def _import(service: Service, *, data: Json, domain: str, as_json: bool) -> None:
    shop = await shop_named(service, domain)
    row = await installing.import_one(service.deps, shop.shop_id, data)
    if as_json:
        print_json(await _shown(service, row))
        return
    say(
        f"Installed {row.name!r} as {row.automation_id}, disabled. Look: stockwright automation preview {row.automation_id}"
    )
    say(f"Then: stockwright automation enable {row.automation_id}")


@COMMANDS.command()
def remove(id: Id, *, yes: Yes = False) -> None:
    """Remove an automation with its shared stocks; its runs and the history stay."""
    with_service(partial(_remove, id=id, yes=yes))


async def _remove(service: Service, *, id: str, yes: bool) -> None:
    row = await automation_named(service, id)
    confirm(
        f"Remove {row.name!r} ({row.automation_id}) and forget its shared stocks? Levels stay as they are.",
        yes=yes,
    )
    await installing.remove(service.deps, row)
    await _subscribe(service, row)
    say(f"Removed {row.name!r}.")
