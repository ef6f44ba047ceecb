"""`stockwright shop`: add, list, check, subscribe and remove shops."""

import os
from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from stockwright.adding import ShopDraft, add_shop, set_plan
from stockwright.checking import Verdict, check_shop, scopes_finding, worst
from stockwright.cli.output import (
    AsCsv,
    AsJson,
    Form,
    Yes,
    confirm,
    print_findings,
    print_json,
    print_rows,
    say,
    tell,
)
from stockwright.cli.session import Service, shop_named, with_service
from stockwright.model import JsonObject, StockwrightError
from stockwright.opening import cipher
from stockwright.shopify.accounts import AuthMode, ShopSecrets
from stockwright.shopify.errors import ShopifyError
from stockwright.store import pools, shops
from stockwright.store.shops import Shop
from stockwright.upkeep import remove_shop, resume_shop, subscribe

COMMANDS = typer.Typer(help="Shops: add, list, check, subscribe, remove.", no_args_is_help=True)

Domain = Annotated[str, typer.Argument(help="The shop's domain, such as example.myshopify.com.")]


class Plan(StrEnum):
    """What a shop may use: back-in-stock notifications need premium."""

    PREMIUM = "premium"
    FREE = "free"


def secret_from(name: str | None, environ: Mapping[str, str]) -> str | None:
    """The secret that an environment variable holds.

    Raises:
        StockwrightError: the variable is named but empty.
    """
    if name is None:
        return None
    if not environ.get(name):
        raise StockwrightError(
            f"The environment variable {name} is not set. Secrets are read from variables, so that they do not "
            f"stand in your shell's history: read -rs {name} && export {name}"
        )
    return environ[name]


@COMMANDS.command(
    epilog="Example: stockwright shop add example.myshopify.com --client-id 0a1b --client-secret-env SHOP_SECRET"
)
def add(
    domain: Domain,
    *,
    access_token_env: Annotated[
        str | None, typer.Option(help="Environment variable with the Admin API access token.")
    ] = None,
    client_id: Annotated[str | None, typer.Option(help="Client id of the app (Dev Dashboard).")] = None,
    client_secret_env: Annotated[
        str | None, typer.Option(help="Environment variable with the app's client secret.")
    ] = None,
    webhook_secret_env: Annotated[
        str | None, typer.Option(help="Environment variable with the secret that signs webhooks, if another.")
    ] = None,
    api_url: Annotated[
        str | None, typer.Option(help="Base address of the Admin API, if it is not https://DOMAIN.")
    ] = None,
    plan: Annotated[
        Plan, typer.Option(help="On free there are no back-in-stock notifications.")
    ] = Plan.PREMIUM,
    as_json: AsJson = False,
) -> None:
    """Add a shop.

    Checks that it lets us in, stores its secrets encrypted, and subscribes to what its automations need.
    Secrets are read from environment variables only.
    """
    if (access_token_env is None) == (client_id is None):
        raise typer.BadParameter("Give --access-token-env, or --client-id with --client-secret-env.")
    if (client_id is None) != (client_secret_env is None) and access_token_env is None:
        raise typer.BadParameter("--client-id and --client-secret-env belong together.")
    signing = secret_from(webhook_secret_env, os.environ)
    draft = ShopDraft(
        domain=domain,
        secrets=ShopSecrets(
            access_token=secret_from(access_token_env, os.environ),
            client_secret=secret_from(client_secret_env, os.environ),
            webhook_secrets=(signing,) if signing else (),
        ),
        auth_mode=AuthMode.ACCESS_TOKEN if access_token_env else AuthMode.CLIENT_CREDENTIALS,
        client_id=client_id,
        api_url=api_url,
        plan=plan.value,
    )
    with_service(partial(_add, draft=draft, as_json=as_json))


async def _add(service: Service, *, draft: ShopDraft, as_json: bool) -> None:
    shop = await add_shop(service.deps, cipher(service.settings), draft)
    if as_json:
        print_json(_added(shop))
    else:
        places = ", ".join(_places(shop))
        say(f"Added {shop.domain}: {shop.name}, time zone {shop.timezone}, locations {places}.")
    scopes = scopes_finding(shop.scopes)
    if scopes.verdict is not Verdict.OK:
        tell(f"Scopes {scopes.found}. {scopes.advice}")
    if not draft.secrets.signing:
        tell(
            "No secret signs its webhooks, so they would be refused. With an access token, add the shop with "
            "--webhook-secret-env too."
        )
    await subscribe_or_tell(service, shop)
    if not as_json:
        say(f"Next: stockwright automation kinds, then stockwright automation add KIND --shop {shop.domain}")


def _places(shop: Shop) -> list[str]:
    return [location.name for location in shop.locations if location.is_active]


def _added(shop: Shop) -> JsonObject:
    return {
        "domain": shop.domain,
        "name": shop.name,
        "status": shop.status,
        "timezone": shop.timezone,
        "locations": _places(shop),
        "scopes": list(shop.scopes),
        "api_url": shop.api_url,
    }


async def subscribe_or_tell(service: Service, shop: Shop) -> None:
    """Compare the shop's subscriptions; what keeps webhooks away is said, and the command goes on."""
    try:
        rows = await subscribe(service.deps, shop, public_url=service.settings.public_url)
    except StockwrightError as error:
        tell(f"No webhooks yet: {error}")
        return
    for row in rows:
        if row.problem:
            tell(f"No webhooks for {row.topic}: {row.problem}")


@COMMANDS.command("set", epilog="Example: stockwright shop set example.myshopify.com --plan free")
def set_shop(
    domain: Domain,
    *,
    plan: Annotated[
        Plan, typer.Option(help="On free, Notify Me is not shown; people who wait are kept and not sent to.")
    ],
) -> None:
    """Put a shop on another plan."""
    with_service(partial(_set_plan, domain=domain, plan=plan))


async def _set_plan(service: Service, *, domain: str, plan: Plan) -> None:
    shop = await shop_named(service, domain)
    await set_plan(service.deps, shop, plan.value)
    say(f"{shop.domain} is on the {plan.value} plan.")


@COMMANDS.command("list")
def list_shops(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the shops with their state."""
    with_service(partial(_list, form=Form(as_json=as_json, as_csv=as_csv)))


async def _list(service: Service, form: Form) -> None:
    async with service.deps.database.connection() as conn:
        found = await shops.list_all(conn)
        counts = [await pools.counts(conn, shop.shop_id) for shop in found]
    rows = [
        {
            "domain": shop.domain,
            "name": shop.name,
            "status": shop.status,
            "reason": shop.status_reason,
            "pools": count.pools,
            "frozen": count.frozen,
            "read_at": shop.read_at,
            "api_url": shop.api_url,
        }
        for shop, count in zip(found, counts, strict=True)
    ]
    print_rows(rows, form, empty="There is no shop yet. Add one: stockwright shop add DOMAIN")


@COMMANDS.command(epilog="Example: stockwright shop check example.myshopify.com")
def check(domain: Domain, *, as_json: AsJson = False) -> None:
    """Ask a shop whether all is well.

    Token, scopes, webhooks, clock, frozen stocks. Work for a paused shop that answers again goes on.
    """
    raise typer.Exit(with_service(partial(_check, domain=domain, as_json=as_json)))


async def _check(service: Service, domain: str, *, as_json: bool) -> int:
    shop = await shop_named(service, domain)
    if shop.status not in ("active", "stopped"):
        try:
            await resume_shop(service.deps, shop)
            shop = await shop_named(service, domain)
        except ShopifyError as error:
            tell(f"{shop.domain} still does not let us in: {error}")
    findings = await check_shop(service.deps, shop, public_url=service.settings.public_url)
    print_findings(findings, as_json=as_json)
    return 1 if worst(findings) is Verdict.FAIL else 0


@COMMANDS.command("subscribe")
def subscribe_shop(domain: Domain, *, as_json: AsJson = False) -> None:
    """Repair a shop's webhook subscriptions.

    Compares them with what its automations need. The service does so by itself every hour.
    """
    raise typer.Exit(with_service(partial(_subscribe, domain=domain, as_json=as_json)))


async def _subscribe(service: Service, domain: str, *, as_json: bool) -> int:
    shop = await shop_named(service, domain)
    found = await subscribe(service.deps, shop, public_url=service.settings.public_url)
    rows = [{"topic": row.topic, "address": row.uri, "problem": row.problem} for row in found]
    print_rows(rows, Form(as_json=as_json), empty="No topic is needed.")
    return 1 if any(row.problem for row in found) else 0


@COMMANDS.command()
def remove(domain: Domain, *, yes: Yes = False) -> None:
    """Remove a shop.

    Its automations, shared stocks and secrets go with it; runs and history stay, levels stay as they are.
    """
    with_service(partial(_remove, domain=domain, yes=yes))


async def _remove(service: Service, domain: str, *, yes: bool) -> None:
    shop = await shop_named(service, domain)
    confirm(
        f"Remove {shop.domain} with its automations and shared stocks? Its levels stay as they are.", yes=yes
    )
    problem = await remove_shop(service.deps, shop, public_url=service.settings.public_url)
    if problem:
        tell(
            f"Its webhook subscriptions could not be deleted: {problem} They end with the app's uninstallation."
        )
    say(f"Removed {shop.domain}.")
