"""Runs one shop over HTTP: `python -m shopify_emulator --port 9000 --catalogue demo`."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence

import uvicorn

from shopify_emulator.clock import RealClock
from shopify_emulator.control import control_routes
from shopify_emulator.demo import fill
from shopify_emulator.faults import SERVER_ERRORS, Fault, WebhookFault, fault_over_http
from shopify_emulator.model import ShopError
from shopify_emulator.page import page_routes
from shopify_emulator.server import EmulatorApp, asgi_app
from shopify_emulator.shop import Shop
from shopify_emulator.storefront.pages import storefront_routes
from shopify_emulator.storefront.settings import proxy_path
from shopify_emulator.switches import switch_modes, switches_from
from shopify_emulator.transport import HttpDelivery


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shopify-emulator", description="A local stand-in for a Shopify shop."
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=9000, help="port to listen on (default 9000)")
    parser.add_argument("--domain", default="demo-shop.myshopify.com", help="the shop's myshopify domain")
    parser.add_argument("--catalogue", default="demo", metavar="demo|FILE.json", help="what the shop sells")
    parser.add_argument("--seed", type=int, default=0, help="seed of ids and faults (default 0)")
    parser.add_argument("--rate", type=float, default=100.0, help="points restored per second (default 100)")
    parser.add_argument("--client-id", default="demo-client", help="the app's client id")
    parser.add_argument("--client-secret", default="hush", help="the app's client secret")
    parser.add_argument("--access-token", default="shpat_demo", help="the app's static access token")
    parser.add_argument(
        "--proxy-url", help="where the app proxy leads, e.g. http://127.0.0.1:8000/proxy (default: nowhere)"
    )
    parser.add_argument("--proxy-path", default="/apps/stockwright", help="its path in the shop")
    _add_faults(parser)
    return parser


def _add_faults(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--switch",
        action="append",
        default=[],
        metavar="NAME=MODE",
        help=f"one of: {', '.join(switch_modes())}",
    )
    parser.add_argument(
        "--fault", action="append", default=[], metavar="KIND=RATE", help="seeded faults, e.g. stale=0.01"
    )
    parser.add_argument(
        "--server-error",
        action="append",
        type=int,
        choices=SERVER_ERRORS,
        help="what seeded server errors answer; several are drawn from the seed (default 503)",
    )
    parser.add_argument(
        "--webhook-delay",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how late webhook_delay and webhook_duplicate may be, up to 86400, a day (default 30)",
    )


def fault_rates(settings: Sequence[str]) -> dict[Fault | WebhookFault, float]:
    """Reads `kind=rate` texts; raises ValueError that says what is wrong."""
    rates: dict[Fault | WebhookFault, float] = {}
    for text in settings:
        name, _, rate = text.partition("=")
        try:
            rates[fault_over_http(name)] = float(rate)
        except ValueError as error:
            raise ValueError(f"--fault {text}: {error}") from error
    return rates


def build(options: argparse.Namespace) -> Shop:
    """The shop that the command line describes, with its catalogue; no network yet."""
    shop = Shop(
        domain=options.domain,
        clock=RealClock(),
        seed=options.seed,
        switches=switches_from(options.switch),
        client_id=options.client_id,
        client_secret=options.client_secret,
        access_token=options.access_token,
        plan_rate=options.rate,
        base_url=f"http://{options.host}:{options.port}",
        proxy_url=options.proxy_url,
    )
    shop.storefront.proxy_path = proxy_path(options.proxy_path)
    fill(shop, options.catalogue)
    shop.faults.webhook_delay_s = options.webhook_delay
    shop.faults.rates(fault_rates(options.fault), statuses=options.server_error)
    return shop


def serving(shop: Shop) -> EmulatorApp:
    """The shop with its control API and page, delivering webhooks over HTTP."""
    shop.deliver = delivery = HttpDelivery()
    routes = (*control_routes(), *page_routes(), *storefront_routes())
    return asgi_app(shop, routes=routes, deliver_in_background=True, at_end=delivery.close)


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments().parse_args(argv)
    try:
        shop = build(options)
    except (ShopError, ValueError) as error:
        sys.stderr.write(f"shopify-emulator: {error}\n")
        return 2
    sys.stdout.write(f"{shop.domain} at http://{options.host}:{options.port}/\n")
    sys.stdout.flush()
    app = serving(shop)
    gc.collect()
    gc.freeze()  # modules and catalogue stay: a search for rubbish need not walk them, while customers wait
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
