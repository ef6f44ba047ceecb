"""The Admin API of one shop, as the rest of the service sees it. The work is in the modules beside it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import httpx2

from stockwright.encryption import Cipher
from stockwright.model import Channel, ItemGid, LocationGid, ProductGid, ProductRead, ShopId, VariantGid
from stockwright.notify.catalogue import ShownProduct
from stockwright.shopify import (
    catalogue,
    metafields,
    orders,
    picking,
    preorders,
    products,
    publications,
    shown,
    subscriptions,
    variants,
    writes,
)
from stockwright.shopify.accounts import Account, ShopRows
from stockwright.shopify.budget import Priority, Sleep
from stockwright.shopify.calls import (
    Backoff,
    Caller,
    MayLeave,
    Warn,
    Wiring,
    at_any_time,
    jittered_backoff_s,
    log_warning,
)
from stockwright.shopify.catalogue import ItemOwner, ShopAnswer
from stockwright.shopify.picking import NamedItem, Picked
from stockwright.shopify.preorders import OrderPage
from stockwright.shopify.products import ProductPage
from stockwright.shopify.publications import Placement, PlacementReply
from stockwright.shopify.sizes import PageSizes
from stockwright.shopify.subscriptions import SubscriptionState, WebhookSubscription
from stockwright.shopify.tokens import Tokens
from stockwright.shopify.variants import VariantCard
from stockwright.shopify.writes import AdjustReply, AdjustRow

ACCOUNT_CACHE_S = 5


class ShopifyClient:
    """Calls one shop; cheap to build per job. Reads raise ShopifyError, `adjust` returns outcomes."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @property
    def requests(self) -> int:
        """Requests sent through this instance so far, failed ones included."""
        return self._caller.requests

    @property
    def account(self) -> Account:
        """The shop as it was stored when this client was made."""
        return self._caller.account

    async def read_product(
        self,
        product_id: ProductGid,
        *,
        item_ids: Sequence[ItemGid] = (),
        priority: Priority = Priority.EVENT,
        channels: int = 0,
    ) -> ProductRead | None:
        """A product with every variant and level, inactive levels too; None when it was deleted.

        One request for a usual product (up to 250 variants) when `item_ids` are the items it had last. With
        `channels`, the number that the shop has, also where it is published.
        """
        return await products.read_product(
            self._caller, product_id, item_ids=item_ids, priority=priority, channels=channels
        )

    async def read_shown_product(
        self, product_id: ProductGid, *, priority: Priority = Priority.EVENT
    ) -> ShownProduct | None:
        """A product as shoppers see it, with every variant and level; None when it was deleted."""
        return await shown.read_shown_product(self._caller, product_id, priority=priority)

    async def scan_products(
        self,
        search: str,
        *,
        after: str | None = None,
        priority: Priority = Priority.SCAN,
        channels: int = 0,
    ) -> ProductPage:
        """One page of the products that match Shopify's search syntax ("" = all), each complete.

        With `channels`, the number that the shop has, also where each is published.
        """
        return await products.scan_products(
            self._caller, search, after=after, priority=priority, channels=channels
        )

    async def find_product_of_item(self, item_id: ItemGid) -> ItemOwner | None:
        """Which product and variant an inventory item belongs to; None when it was deleted."""
        return await catalogue.find_product_of_item(self._caller, item_id)

    async def read_variant_cards(self, variant_ids: Sequence[str]) -> Mapping[VariantGid, VariantCard]:
        """What variants are and cost, by id, at most 100 at once; deleted ones have no entry."""
        return await variants.read_cards(self._caller, variant_ids)

    async def search_products(self, text: str) -> Picked:
        """The first 10 products that fit a person's words, each with its first 50 variants."""
        return await picking.search_products(self._caller, text)

    async def name_items(self, ids: Sequence[str]) -> Mapping[str, NamedItem]:
        """Titles of products and variants by gid, at most 250 at once; what does not exist has no entry."""
        return await picking.name_items(self._caller, ids)

    async def read_orders_ahead(
        self, *, since: datetime, after: str | None = None, customers: bool = False
    ) -> OrderPage:
        """One page of the orders touched since a moment; needs read_orders. See shopify.preorders."""
        return await preorders.read_orders_ahead(self._caller, since=since, after=after, customers=customers)

    async def set_app_metafields(self, namespace: str, values: Mapping[str, str]) -> None:
        """Write JSON texts, at most 25, as metafields of the app, which its theme extension reads."""
        await metafields.set_app_metafields(self._caller, namespace, values)

    async def any_product_matching(self, search: str) -> tuple[ProductGid, str] | None:
        """Id and title of some product that the search finds, or None."""
        return await catalogue.any_product_matching(self._caller, search)

    async def read_shop(self) -> ShopAnswer:
        """Name, time zone, granted scopes, default location and all locations."""
        return await catalogue.read_shop(self._caller)

    async def list_channels(self) -> tuple[Channel, ...]:
        """Every sales channel, with the names that it goes by; needs read_publications."""
        return await publications.list_channels(self._caller)

    async def publish(
        self, rows: Sequence[Placement], *, priority: Priority = Priority.EVENT
    ) -> tuple[PlacementReply, ...]:
        """Publish products, each to its channels, in one request; never raises for what the wire does."""
        return await publications.place(self._caller, "publish_product", rows, priority=priority)

    async def unpublish(
        self, rows: Sequence[Placement], *, priority: Priority = Priority.EVENT
    ) -> tuple[PlacementReply, ...]:
        """Take products off their channels in one request; never raises for what the wire does."""
        return await publications.place(self._caller, "unpublish_product", rows, priority=priority)

    async def granted_scopes(self) -> tuple[str, ...]:
        """The scopes that the shop has granted; this call needs none itself."""
        return await catalogue.granted_scopes(self._caller)

    async def list_product_types(self) -> tuple[str, ...]:
        """Every product type, sorted."""
        return await catalogue.list_texts(self._caller, "product_types", "productTypes")

    async def list_product_tags(self) -> tuple[str, ...]:
        """Every product tag, sorted."""
        return await catalogue.list_texts(self._caller, "product_tags", "productTags")

    async def adjust(
        self,
        *,
        key: str,
        rows: Sequence[AdjustRow],
        reference_uri: str,
        reason: str = "correction",
        may_leave: MayLeave = at_any_time,
    ) -> AdjustReply:
        """Send one adjustment, once; never raises for what the wire does. See shopify.writes."""
        return await writes.adjust(
            self._caller, key=key, rows=rows, reference_uri=reference_uri, reason=reason, may_leave=may_leave
        )

    async def order_moves(
        self, *, stamps: Mapping[ItemGid, datetime | None], location_id: LocationGid, since: datetime
    ) -> Mapping[ItemGid, int | None] | None:
        """Net movement by orders and restocking refunds since a moment. See shopify.orders."""
        return await orders.order_moves(self._caller, stamps=stamps, location_id=location_id, since=since)

    async def refunds(
        self, *, item_ids: Sequence[ItemGid], location_id: LocationGid, since: datetime
    ) -> Mapping[ItemGid, int] | None:
        """Units put back by restocking refunds since a moment. See shopify.orders."""
        return await orders.refunds(self._caller, item_ids=item_ids, location_id=location_id, since=since)

    async def webhook_subscriptions(self) -> tuple[WebhookSubscription, ...]:
        """All webhook subscriptions of this app at the shop."""
        return await subscriptions.list_subscriptions(self._caller)

    async def create_webhook_subscription(self, *, topic: str, uri: str) -> WebhookSubscription:
        """Subscribe; `topic` as automations name it (shopify/inventory_levels/update)."""
        return await subscriptions.create(self._caller, topic=subscriptions.enum_topic(topic), uri=uri)

    async def update_webhook_subscription(self, *, subscription_id: str, uri: str) -> WebhookSubscription:
        """Change the address of a subscription."""
        return await subscriptions.update(self._caller, subscription_id=subscription_id, uri=uri)

    async def delete_webhook_subscription(self, subscription_id: str) -> None:
        """Delete a subscription."""
        await subscriptions.delete(self._caller, subscription_id=subscription_id)

    async def reconcile_subscriptions(
        self, *, wanted: Sequence[str], public_url: str, former_uris: Sequence[str] = ()
    ) -> tuple[SubscriptionState, ...]:
        """Make the shop's subscriptions fit the wanted topics. See shopify.subscriptions."""
        return await subscriptions.reconcile_subscriptions(
            self._caller, wanted=wanted, public_url=public_url, former_uris=former_uris
        )


class ShopifyClients:
    """Makes clients; one per process. Holds what they share: connections, costs learnt, cached shop rows."""

    def __init__(
        self,
        rows: ShopRows,
        http: httpx2.AsyncBaseTransport,
        cipher: Cipher,
        clock: Callable[[], datetime],
        sleep: Sleep,
        *,
        backoff_s: Backoff = jittered_backoff_s,
        warn: Warn = log_warning,
    ) -> None:
        self._clock = clock
        self._wiring = Wiring(
            rows=rows,
            http=http,
            tokens=Tokens(rows, http, cipher, clock),
            clock=clock,
            sizes=PageSizes(clock),
            sleep=sleep,
            backoff_s=backoff_s,
            warn=warn,
        )
        self._accounts: dict[ShopId, tuple[datetime, Account]] = {}

    async def for_shop(self, shop_id: ShopId) -> ShopifyClient:
        """A client of one shop; its row is read at most every 5 s.

        Raises:
            StockwrightError: there is no such shop.
        """
        return ShopifyClient(Caller(self._wiring, await self._account(shop_id)))

    def forget(self, shop_id: ShopId) -> None:
        """Read the shop's row again next time: its secrets or address changed."""
        self._accounts.pop(shop_id, None)
        self._wiring.tokens.forget(shop_id)

    async def _account(self, shop_id: ShopId) -> Account:
        now = self._clock()
        read_at, account = self._accounts.get(shop_id, (None, None))
        if (
            account is not None
            and read_at is not None
            and abs(now - read_at) < timedelta(seconds=ACCOUNT_CACHE_S)
        ):
            return account
        account = await self._wiring.rows.account(shop_id)
        self._accounts[shop_id] = (now, account)
        return account
