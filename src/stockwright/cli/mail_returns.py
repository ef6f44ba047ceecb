"""`stockwright mail dkim` and `mail bounce`: the key that signs mail, and reports of mail that came back."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from stockwright.bouncing import take_report
from stockwright.cli.mail import ForShop
from stockwright.cli.output import AsJson, print_json, say
from stockwright.cli.session import Service, shop_named, with_service
from stockwright.mail.bounces import REPORT_LIMIT_BYTES, NoReport
from stockwright.mail_desk import change_settings, dkim_record, set_dkim_key
from stockwright.model import StockwrightError
from stockwright.store import mail_settings


def add_to(commands: typer.Typer) -> None:
    """Put the commands into a group."""
    commands.command(
        epilog="Example: stockwright mail dkim --shop example.myshopify.com --domain example.com --selector stock1"
    )(dkim)
    commands.command(epilog="Example, as a mail server's pipe: stockwright mail bounce - < report.eml")(
        bounce
    )


def dkim(
    *,
    shop: ForShop,
    domain: Annotated[str | None, typer.Option(help="Domain of the sender's address. Makes a key.")] = None,
    selector: Annotated[str, typer.Option(help="A name for the key.")] = "stockwright",
    key_file: Annotated[
        Path | None, typer.Option(help="A private RSA key in PEM form, instead of a new one.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Sign no more, and forget the key.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show, set or remove the key that signs a shop's mail, with the DNS record to publish."""
    if remove and (domain or key_file):
        raise typer.BadParameter("--remove goes with neither --domain nor --key-file.")
    if key_file and not domain:
        raise typer.BadParameter("--key-file needs --domain.")
    pem = _text_of(key_file) if key_file else ""
    act = partial(_dkim, shop=shop, domain=domain, selector=selector, pem=pem, remove=remove)
    with_service(partial(act, as_json=as_json))


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise StockwrightError(f"The key file {path} cannot be read: {error}") from error


async def _dkim(
    service: Service, *, shop: str, domain: str | None, selector: str, pem: str, remove: bool, as_json: bool
) -> None:
    found = await shop_named(service, shop)
    if remove:
        await change_settings(service.deps, found, {}, dkim_pem="")
    elif domain:
        await set_dkim_key(service.deps, found, domain=domain, selector=selector, pem=pem)
    async with service.deps.database.connection() as conn:
        record = dkim_record(service.deps, await mail_settings.get(conn, found.shop_id))
    if as_json:
        print_json(
            {
                "signed": record is not None,
                "name": record[0] if record else "",
                "text": record[1] if record else "",
            }
        )
    elif record is None:
        say("Mail is not signed here. Give --domain to make a key, or leave it to the mail service.")
    else:
        say(f"Mail is signed. Publish this TXT record:\n\nname  {record[0]}\ntext  {record[1]}")


def bounce(
    file: Annotated[str, typer.Argument(help="A mail with a report, or - for stdin.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Take a report of mail that came back (RFC 3464) or was called spam (RFC 5965)."""
    data = _read(file)
    with_service(partial(_bounce, data=data, as_json=as_json))


def _read(file: str) -> bytes:
    limit = REPORT_LIMIT_BYTES + 1
    try:
        if file == "-":
            return sys.stdin.buffer.read(limit)
        with Path(file).open("rb") as source:
            return source.read(limit)
    except OSError as error:
        raise StockwrightError(f"The report {file} cannot be read: {error}") from error


async def _bounce(service: Service, *, data: bytes, as_json: bool) -> None:
    try:
        taken = await take_report(service.deps, data, source="command")
    except NoReport as error:
        raise StockwrightError(f"This mail is no report of returned mail: {error}.") from error
    if as_json:
        print_json(
            [{"to": one.report.recipient, "outcome": one.outcome, "detail": one.detail} for one in taken]
        )
        return
    for one in taken:
        say(f"{one.report.recipient}: {one.outcome}. {one.detail}")
