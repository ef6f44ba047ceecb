"""The bundled shop as its own command starts it, with a log of deliveries and, if asked, without `read_orders`.

The log has one line per attempt, `webhook id, status`: what the shop was told is what the service is held to.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import uvicorn

from shopify_emulator.__main__ import arguments, build, serving
from shopify_emulator.webhooks import Deliver


def logged(deliver: Deliver, log: TextIO) -> Deliver:
    """The same delivery, written down once it is answered; `-` where no answer came."""

    async def send(url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        status: int | None = None
        try:
            status = await deliver(url, headers, body)
        finally:
            log.write(f"{headers['X-Shopify-Webhook-Id']} {status or '-'}\n")
            log.flush()
        return status

    return send


def main() -> None:
    """Serve until it is asked to stop."""
    parser = arguments()
    parser.add_argument("--webhook-log", type=Path, required=True)
    parser.add_argument("--without-orders", action="store_true")
    options = parser.parse_args()
    shop = build(options)
    if options.without_orders:
        shop.tokens.scopes -= {"read_orders"}
    app = serving(shop)
    assert shop.deliver is not None, "serving a shop lets it deliver"
    with options.webhook_log.open("a") as log:
        shop.deliver = logged(shop.deliver, log)
        uvicorn.run(app, host=options.host, port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
