"""What shoppers reach: sign-up through Shopify's app proxy or directly, and the pages behind links in mail.

Thin: it checks who asks, reads forms, answers. Nothing here is signed in, and nothing needs a script.
"""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from stockwright.web.storefront.contact import ContactPages
from stockwright.web.storefront.direct import Direct
from stockwright.web.storefront.proxy import Proxied
from stockwright.web.storefront.site import StorefrontDeps

__all__ = ["StorefrontDeps", "storefront_routes"]


def storefront_routes(own: StorefrontDeps) -> Sequence[BaseRoute]:
    """The routes, to stand before the admin site."""
    proxied, direct, pages = Proxied(own), Direct(own), ContactPages(own)
    return (
        Route("/proxy/notify-me", proxied.post, methods=["POST"], name="proxy"),
        Route("/proxy/notify-me/state", proxied.state, methods=["GET"], name="proxy_state"),
        Route("/storefront/{domain}/notify-me", direct.post, methods=["POST"], name="storefront"),
        Route("/storefront/{domain}/notify-me/state", direct.state, methods=["GET"], name="storefront_state"),
        Route("/storefront/{domain}/{path:path}", direct.preflight, methods=["OPTIONS"], name="preflight"),
        Route("/u/confirm/{token}", pages.show_confirm, methods=["GET"], name="confirm"),
        Route("/u/confirm/{token}", pages.confirm, methods=["POST"], name="do_confirm"),
        Route("/u/{token}", pages.show, methods=["GET"], name="contact"),
        Route("/u/{token}", pages.act, methods=["POST"], name="do_contact"),
    )
