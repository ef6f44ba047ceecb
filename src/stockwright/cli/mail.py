"""`stockwright mail`: settings, a test, what was sent and why not, sending again."""

import sys
from datetime import datetime
from functools import partial
from getpass import getpass
from typing import Annotated

import typer

from stockwright.cli.output import AsCsv, AsJson, Form, print_json, print_rows, say, tell
from stockwright.cli.session import Service, shop_named, with_service
from stockwright.mail_desk import MailStatus, TestResult, change_settings, queue_status, resume, send_test
from stockwright.model import Json, StockwrightError
from stockwright.store import messages
from stockwright.store.mail_settings import MailSettingsRow
from stockwright.store.messages import MessageRow
from stockwright.store.shops import Shop

COMMANDS = typer.Typer(
    help="Mail: settings, a test, what was sent, what was not and why.", no_args_is_help=True
)

Id = Annotated[str, typer.Argument(metavar="ID", help="The message's id, or its last characters.")]
ForShop = Annotated[str, typer.Option("--shop", help="Domain of the shop.")]
_SHORTEST_END = 4
_STATES = ("pending", "sending", "sent", "failed", "unknown", "held", "cancelled")


@COMMANDS.command(
    epilog="Example: stockwright mail settings --shop example.myshopify.com --host smtp.example.com "
    "--user stock --password --from stock@example.com"
)
def settings(
    *,
    shop: ForShop,
    host: Annotated[
        str | None, typer.Option(help="The shop's own mail server; \"\" goes back to the installation's.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Its port; 0 for the usual one.")] = None,
    security: Annotated[str | None, typer.Option(help="starttls, tls or none.")] = None,
    user: Annotated[str | None, typer.Option(help='User to sign in as; "" for nobody.')] = None,
    password: Annotated[
        bool,
        typer.Option("--password", help="Ask for the user's password (read from the terminal or stdin)."),
    ] = False,
    from_address: Annotated[str | None, typer.Option("--from", help="Address that mail comes from.")] = None,
    from_name: Annotated[str | None, typer.Option(help="Name that mail comes from.")] = None,
    reply_to: Annotated[str | None, typer.Option(help="Address for answers, if another.")] = None,
    rate: Annotated[
        int | None, typer.Option(help="Messages per minute at most; 0 for the usual rate.")
    ] = None,
    verify: Annotated[
        bool | None, typer.Option("--verify/--no-verify", help="Check the server's certificate.")
    ] = None,
    allow_plain: Annotated[
        bool | None,
        typer.Option("--allow-plain/--no-allow-plain", help="Let security none go beyond this machine."),
    ] = None,
    bounce_address: Annotated[
        str | None, typer.Option(help="Where mail that comes back goes, such as bounces@example.com.")
    ] = None,
    postal_address: Annotated[str | None, typer.Option(help="At the foot of each mail to shoppers.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who is told when an automation fails.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show or change a shop's mail settings; what is not named stays."""
    changes: dict[str, Json] = {
        "host": host,
        "port": port,
        "security": security,
        "username": user,
        "from_address": from_address,
        "from_name": from_name,
        "reply_to": reply_to,
        "bounce_address": bounce_address,
        "postal_address": postal_address,
        "rate_per_minute": rate,
        "verify": verify,
        "allow_plain": allow_plain,
        "owner_email": owner,
    }
    secret = _ask_password() if password else None
    with_service(partial(_settings, domain=shop, asked=changes, password=secret, as_json=as_json))


def _ask_password() -> str:
    typed = sys.stdin.isatty()
    password = getpass("Password of the mail user: ") if typed else sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise StockwrightError("No password was given. Type it, or send it on stdin as one line.")
    return password


async def _settings(
    service: Service, *, domain: str, asked: dict[str, Json], password: str | None, as_json: bool
) -> None:
    shop = await shop_named(service, domain)
    changes = {name: value for name, value in asked.items() if value is not None}
    if changes or password is not None:
        await change_settings(service.deps, shop, changes, password=password)
    status = await queue_status(service.deps, shop)
    if as_json:
        print_json(_status_json(status))
        return
    for name, value in _settings_json(status.settings).items():
        say(f"{name}: {'' if value is None else value}")
    say(f"\n{_told(status)}")


def _settings_json(row: MailSettingsRow) -> dict[str, Json]:
    shown = {name: value for name, value in vars(row).items() if name != "updated_at"}
    secret = {"password": row.password, "dkim_key": row.dkim_key}
    return {**shown, **{name: "********" if value else "" for name, value in secret.items()}}


def _status_json(status: MailStatus) -> dict[str, Json]:
    return {
        "settings": _settings_json(status.settings),
        "server": status.server,
        "sender": status.sender,
        "problem": status.problem,
        "stopped_at": status.queue.stopped_at,
        "stop_reason": status.queue.stop_reason,
        "paused_until": status.queue.paused_until,
        "pause_reason": status.queue.pause_reason,
        "messages": dict(status.counts),
    }


def _told(status: MailStatus) -> str:
    waiting = sum(status.counts.get(state, 0) for state in ("pending", "held"))
    if status.problem:
        return f"Mail is held ({waiting} waiting): {status.problem}"
    if status.queue.stopped_at is not None:
        return (
            f"Mail is stopped ({waiting} waiting): {status.queue.stop_reason}\n"
            "Change the settings, or when the cause is gone: stockwright mail resume"
        )
    if status.queue.paused_until is not None and status.queue.paused_until > status.now:
        return f"Mail pauses ({waiting} waiting) until {_time(status.queue.paused_until)}: {status.queue.pause_reason}"
    return f"Mail goes through {status.server} as {status.sender}; {waiting} waiting."


def _time(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


@COMMANDS.command(epilog="Example: stockwright mail test you@example.com --shop example.myshopify.com")
def test(
    address: Annotated[str, typer.Argument(help="Where to send it.")],
    *,
    shop: ForShop,
    as_json: AsJson = False,
) -> None:
    """Send a test mail now, and show the conversation with the server."""
    raise typer.Exit(with_service(partial(_test, address=address, domain=shop, as_json=as_json)))


async def _test(service: Service, *, address: str, domain: str, as_json: bool) -> int:
    result = await send_test(service.deps, await shop_named(service, domain), to=address)
    if as_json:
        print_json({"sent": result.sent, "told": result.told, "conversation": list(result.conversation)})
    else:
        _tell_test(result)
    return 0 if result.sent else 1


def _tell_test(result: TestResult) -> None:
    for line in result.conversation:
        say(f"  {line}")
    (say if result.sent else tell)(result.told)


@COMMANDS.command("list")
def list_messages(
    *,
    shop: Annotated[str | None, typer.Option("--shop", help="Only those of this shop.")] = None,
    state: Annotated[str | None, typer.Option(help=f"One of {', '.join(_STATES)}.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind, such as error_report.")] = None,
    to: Annotated[str | None, typer.Option(help="Only to this address.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 30,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List messages, newest first."""
    if state is not None and state not in _STATES:
        raise typer.BadParameter(f"--state is one of {', '.join(_STATES)}.")
    form = Form(as_json=as_json, as_csv=as_csv)
    with_service(partial(_list, domain=shop, state=state, kind=kind, to=to, limit=limit, form=form))


async def _list(
    service: Service,
    *,
    domain: str | None,
    state: str | None,
    kind: str | None,
    to: str | None,
    limit: int,
    form: Form,
) -> None:
    shop_id = (await shop_named(service, domain)).shop_id if domain else None
    async with service.deps.database.connection() as conn:
        found = await messages.list_messages(
            conn, shop_id=shop_id, state=state, kind=kind, recipient=to, limit=limit
        )
    rows = [
        {
            "message": row.message_id,
            "created_at": row.created_at,
            "kind": row.kind,
            "to": row.recipient,
            "subject": row.subject,
            "state": row.state,
            "attempts": row.attempts,
            "reason": row.reason,
        }
        for row in found
    ]
    print_rows(rows, form, empty="There is no such message yet.")


@COMMANDS.command()
def show(id: Id, *, as_json: AsJson = False) -> None:
    """Show a message with its text and every attempt."""
    with_service(partial(_show, id=id, as_json=as_json))


async def _show(service: Service, *, id: str, as_json: bool) -> None:
    row = await _message(service, id)
    async with service.deps.database.connection() as conn:
        tries = await messages.attempts(conn, row.shop_id, row.message_id)
    if as_json:
        print_json({**vars(row), "tries": [vars(one) for one in tries]})
        return
    say(f"{row.message_id}: {row.subject}")
    say(f"to {row.recipient}, {row.kind}, {row.state}{f': {row.reason}' if row.reason else ''}")
    if row.next_at is not None:
        say(f"next try at {_time(row.next_at)}")
    for one in tries:
        say(f"  {one.attempt}. {_time(one.started_at)}  {one.server}  {one.outcome}  {one.reply}")
    say(f"\n{row.text}")


@COMMANDS.command()
def retry(id: Id) -> None:
    """Send a message again that failed, is held, was cancelled, or of which nobody knows whether it came."""
    with_service(partial(_retry, id=id))


async def _retry(service: Service, *, id: str) -> None:
    row = await _message(service, id)
    async with service.deps.database.connection() as conn, conn.transaction():
        done = await messages.send_again(conn, row.shop_id, row.message_id)
    if not done:
        raise StockwrightError(f"{row.message_id} is {row.state}: it cannot be sent again.")
    say(f"{row.message_id} is sent as soon as a worker is free. See: stockwright mail show {row.message_id}")


@COMMANDS.command()
def cancel(id: Id) -> None:
    """Do not send a message that waits or is held."""
    with_service(partial(_cancel, id=id))


async def _cancel(service: Service, *, id: str) -> None:
    row = await _message(service, id)
    async with service.deps.database.connection() as conn, conn.transaction():
        done = await messages.cancel(
            conn, row.shop_id, row.message_id, reason="Cancelled from the command line."
        )
    if not done:
        raise StockwrightError(f"{row.message_id} is {row.state}: only what waits can be cancelled.")
    say(f"{row.message_id} will not be sent.")


@COMMANDS.command("resume")
def resume_queue(*, shop: ForShop) -> None:
    """Send again after mail was stopped or pauses."""
    with_service(partial(_resume, domain=shop))


async def _resume(service: Service, *, domain: str) -> None:
    shop: Shop = await shop_named(service, domain)
    await resume(service.deps, shop)
    say(f"Mail of {shop.domain} goes on. See: stockwright mail settings --shop {shop.domain}")


async def _message(service: Service, text: str) -> MessageRow:
    """The message of an id, or of the last characters of one.

    Raises:
        StockwrightError: there is none, or several ids end so.
    """
    async with service.deps.database.connection() as conn:
        row = await messages.get(conn, text)
        if row is None and len(text) >= _SHORTEST_END and text.isalnum():
            ending = await messages.ending_in(conn, text)
            if len(ending) > 1:
                raise StockwrightError(f"Several messages end in {text!r}. Give more of the id.")
            row = await messages.get(conn, ending[0]) if ending else None
    if row is None:
        raise StockwrightError(f"There is no message {text!r}. See them with: stockwright mail list")
    return row
