"""`stockwright user` and `stockwright token`: who may use the admin site and the API."""

import os
from functools import partial
from typing import Annotated

import typer

from stockwright import access
from stockwright.access import Passwords
from stockwright.cli.output import AsCsv, AsJson, Form, print_json, print_rows, say, tell
from stockwright.cli.session import Service, with_service
from stockwright.cli.shops import secret_from
from stockwright.model import StockwrightError
from stockwright.store import tokens, users
from stockwright.store.audit import COMMAND_LINE, audit

USERS = typer.Typer(help="Users of the admin site: add, list, set a password.", no_args_is_help=True)
TOKENS = typer.Typer(help="Tokens of the JSON API: create, list, revoke.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The name that the user signs in with, such as ann.")]
PasswordEnv = Annotated[
    str | None, typer.Option(help="Environment variable with the password; without it you are asked.")
]


@USERS.command(epilog="Example: stockwright user add ann")
def add(name: Name, *, password_env: PasswordEnv = None) -> None:
    """Add a user.

    The password is asked for, or read from an environment variable.
    """
    if problem := access.name_problem(name):
        raise typer.BadParameter(problem)
    password = _password(name, password_env)
    with_service(partial(_add, name=name, password=password))


def _password(name: str, variable: str | None) -> str:
    password = secret_from(variable, os.environ) or typer.prompt(
        f"Password of {name}", hide_input=True, confirmation_prompt=True
    )
    if problem := access.password_problem(password, name=name):
        raise StockwrightError(f"That password cannot be used. {problem}")
    return str(password)


async def _add(service: Service, name: str, password: str) -> None:
    hashed = await Passwords().hash(password)
    at = service.deps.clock()
    async with service.deps.database.connection() as conn, conn.transaction():
        user = await access.add_user(conn, COMMAND_LINE, name=name, password_hash=hashed, at=at)
    where = service.settings.public_url or f"http://{service.settings.host}:{service.settings.port}"
    say(f"Added {user.name}. Sign in at {where}/sign-in")


@USERS.command("password")
def set_password(name: Name, *, password_env: PasswordEnv = None) -> None:
    """Set a user's password.

    For one who has forgotten it. The user is signed out everywhere.
    """
    password = _password(name, password_env)
    with_service(partial(_set_password, name=name, password=password))


async def _set_password(service: Service, name: str, password: str) -> None:
    hashed = await Passwords().hash(password)
    at = service.deps.clock()
    async with service.deps.database.connection() as conn, conn.transaction():
        user = await users.find(conn, name)
        if user is None:
            raise StockwrightError(f"There is no user {name!r}. See them with: stockwright user list")
        ended = await access.change_password(conn, user, hashed, at=at, keep_session=None)
        await audit(conn, COMMAND_LINE, "user.password", user.name, {"sessions_ended": ended}, at=at)
    say(f"{user.name} has a new password and was signed out of {ended} browsers.")


@USERS.command("list")
def list_users(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the users."""
    with_service(partial(_list_users, form=Form(as_json=as_json, as_csv=as_csv)))


async def _list_users(service: Service, form: Form) -> None:
    async with service.deps.database.connection() as conn:
        found = await users.list_all(conn)
    rows = [
        {"name": user.name, "created_at": user.created_at, "last_sign_in_at": user.last_sign_in_at}
        for user in found
    ]
    print_rows(rows, form, empty="There is no user yet. Add one: stockwright user add NAME")


@TOKENS.command(epilog="Example: stockwright token create reporting --write")
def create(
    name: Annotated[str, typer.Argument(help="What the token is for, such as reporting.")],
    *,
    write: Annotated[bool, typer.Option("--write", help="Let it change things; else it only reads.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create an API token and print it once.

    Only its hash is stored, so keep what is printed.
    """
    with_service(partial(_create, name=name, scope="write" if write else "read", as_json=as_json))


async def _create(service: Service, *, name: str, scope: access.Scope, as_json: bool) -> None:
    at = service.deps.clock()
    async with service.deps.database.connection() as conn, conn.transaction():
        token = await access.add_token(conn, COMMAND_LINE, name=name, scope=scope, at=at)
    if as_json:
        print_json({"name": name, "scope": scope, "token": token})
        return
    tell(f"A token that may {scope}, for {name}. It is shown once:")
    say(token)


@TOKENS.command("list")
def list_tokens(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the API tokens."""
    with_service(partial(_list_tokens, form=Form(as_json=as_json, as_csv=as_csv)))


async def _list_tokens(service: Service, form: Form) -> None:
    async with service.deps.database.connection() as conn:
        found = await tokens.list_all(conn)
    rows = [
        {
            "id": token.token_id,
            "name": token.name,
            "scope": token.scope,
            "created_by": token.created_by,
            "created_at": token.created_at,
            "last_used_at": token.last_used_at,
            "revoked_at": token.revoked_at,
        }
        for token in found
    ]
    print_rows(rows, form, empty="There is no API token yet. Make one: stockwright token create NAME")


@TOKENS.command()
def revoke(
    token_id: Annotated[str, typer.Argument(help="Its id, as `stockwright token list` shows it.")],
) -> None:
    """Revoke an API token.

    Requests with it are refused from now on.
    """
    with_service(partial(_revoke, token_id=token_id))


async def _revoke(service: Service, token_id: str) -> None:
    at = service.deps.clock()
    async with service.deps.database.connection() as conn, conn.transaction():
        token = await tokens.get(conn, token_id)
        if token is None or not await tokens.revoke(conn, token_id, at=at):
            raise StockwrightError(
                f"There is no token {token_id!r} in force. See them with: stockwright token list"
            )
        await audit(conn, COMMAND_LINE, "token.revoke", token.name, {}, at=at)
    say(f"Revoked {token.name}.")
