"""One emulated shop: its memory, its API and its webhooks behind one object.

A facade that composes the parts and lends them to tests, the control API and the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from shopify_emulator import catalogue, orders
from shopify_emulator.access import ALL_SCOPES
from shopify_emulator.api import (
    Answer,
    Api,
    Call,
    Dropped,
    Reply,
    Silence,
    json_answer,
    refusal,
    server_error,
)
from shopify_emulator.bulk import BulkOperations
from shopify_emulator.clock import Agenda, Clock
from shopify_emulator.documents import Documents
from shopify_emulator.faults import TOKEN_ENDPOINT, Fault, Faults, Operation
from shopify_emulator.fields.schema import executable_schema
from shopify_emulator.fields.shop import installation_gid
from shopify_emulator.idempotency import Keys
from shopify_emulator.model import (
    Gid,
    Level,
    Levels,
    Location,
    Movement,
    Order,
    Policy,
    Product,
    Publication,
    Refund,
    ScopesChange,
    ShopError,
    Status,
    Variant,
    VariantSpec,
)
from shopify_emulator.orders import Lines
from shopify_emulator.payloads import Payloads
from shopify_emulator.request import Identity, Parts, tests_for
from shopify_emulator.state import State
from shopify_emulator.stock import Origin
from shopify_emulator.stock import edit as edit_level
from shopify_emulator.storefront.settings import StorefrontSettings
from shopify_emulator.subscriptions import Subscriptions
from shopify_emulator.switches import Switches
from shopify_emulator.throttle import Bucket
from shopify_emulator.tokens import Refused, Tokens
from shopify_emulator.webhooks import Deliver, Delivery, Outbox

CHANNELS = (("Online Store", "online_store", True), ("Point of Sale", "pos", False), ("Shop", "shop", False))
ONE_VARIANT = (VariantSpec(),)


class Shop:
    """A shop with one installed app. Not safe for threads: one asyncio loop owns it.

    `deliver` sends webhooks; without it they wait. Everything random comes from `seed`, all time
    from `clock`. Ids are gids. Methods raise ShopError with a reason when the shop cannot comply.
    """

    def __init__(
        self,
        *,
        domain: str,
        clock: Clock,
        seed: int = 0,
        switches: Switches | None = None,
        client_id: str = "demo-client",
        client_secret: str = "hush",
        access_token: str = "shpat_demo",
        plan_rate: float = 100,
        scopes: Iterable[str] = ALL_SCOPES,
        timezone: str = "America/Toronto",
        name: str = "Demo Shop",
        app_title: str = "Stockwright",
        base_url: str | None = None,
        proxy_url: str | None = None,
        deliver: Deliver | None = None,
    ) -> None:
        self.domain = domain
        self.clock = clock
        self.state = State(clock=clock, seed=seed, switches=switches or Switches())
        self.faults = Faults(seed)
        self.agenda = Agenda(clock)
        self.subscriptions = Subscriptions(self.state)
        self.bucket = Bucket(clock, rate=plan_rate)
        self.storefront = StorefrontSettings(proxy_url=proxy_url)
        identity = Identity(
            domain=domain,
            name=name,
            email=f"owner@{domain}",
            timezone=timezone,
            currency="CAD",
            plan_name="Basic",
            client_id=client_id,
            app_title=app_title,
        )
        self.tokens = Tokens(
            self.state, client_id=client_id, client_secret=client_secret, static=access_token, scopes=scopes
        )
        self.api = self._api(identity, base_url or f"https://{domain}")
        self.outbox = Outbox(
            state=self.state,
            subscriptions=self.subscriptions,
            payloads=_payloads(identity),
            faults=self.faults,
            domain=domain,
            secret=client_secret,
            deliver=deliver,
        )
        self._open()

    def _open(self) -> None:
        """From here on what happens is told; the first that happens are the sales channels."""
        self.state.tell = self.outbox.tell
        for title, handle, future in CHANNELS:
            catalogue.add_publication(self.state, title, handle=handle, future_publishing=future)

    def _api(self, identity: Identity, base_url: str) -> Api:
        schema = executable_schema()
        documents = Documents(schema)
        bulk = BulkOperations(
            state=self.state,
            schema=schema,
            documents=documents,
            agenda=self.agenda,
            run=self._bulk_data,
        )
        parts = Parts(
            identity=identity,
            state=self.state,
            subscriptions=self.subscriptions,
            bulk=bulk,
            keys=Keys(self.clock, self.state.switches),
            faults=self.faults,
            agenda=self.agenda,
            base_url=base_url,
            tests=tests_for(self.state),
        )
        return Api(parts=parts, schema=schema, documents=documents, bucket=self.bucket, tokens=self.tokens)

    def _bulk_data(self, text: str) -> Mapping[str, Any] | None:
        return self.api.bulk_data(text)

    # --- the Admin API -----------------------------------------------------------------------------

    def execute(
        self, query: str, variables: Mapping[str, Any] | None = None, *, operation_name: str | None = None
    ) -> dict[str, Any]:
        """Runs a query as the installed app, past token and faults; returns the JSON body."""
        self.tick()
        return self.api.execute(Call(text=query, variables=variables or {}, operation_name=operation_name))

    def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """One POST to graphql.json, with token check and faults; header names in any case."""
        return self.api.handle(body, {name.lower(): value for name, value in headers.items()})

    def grant_token(self, form: Mapping[str, Any]) -> Reply:
        """One POST to the token endpoint."""
        self.tick()
        injection = self.faults.pick(Operation(fields=(TOKEN_ENDPOINT,), is_mutation=False))
        match injection.fault if injection is not None else None:
            case Fault.CONNECT_REFUSED | Fault.DROPPED_BEFORE as fault:
                return Dropped(refused=fault is Fault.CONNECT_REFUSED)
            case Fault.TIMEOUT_BEFORE:
                return Silence()
            case Fault.SERVER_ERROR_BEFORE if injection is not None:
                return server_error(injection.status)
            case Fault.TOO_MANY_REQUESTS as fault:
                return refusal(fault)
        granted = self.tokens.grant(form)
        if isinstance(granted, Refused):
            return json_answer(400, granted.body())
        return json_answer(200, granted)

    def bulk_result(self, number: int, token: str) -> Answer | None:
        """The JSONL of a finished bulk operation, as its url serves it."""
        self.tick()
        operation = self.api.parts.bulk.result(number, token)
        if operation is None:
            return None
        return Answer(status=200, body=operation.body, headers={"Content-Type": "application/jsonl"})

    def tick(self) -> None:
        """Lets everything happen that is due: late requests, bulk operations."""
        self.agenda.run_due()

    # --- catalogue ---------------------------------------------------------------------------------

    def add_location(
        self, name: str, *, active: bool = True, fulfills_online: bool = True, primary: bool = False
    ) -> Gid:
        """A new location; the first one is primary. Returns its gid."""
        return catalogue.add_location(
            self.state, name, active=active, fulfills_online=fulfills_online, primary=primary
        ).gid

    def add_publication(self, name: str, *, handle: str, future_publishing: bool = False) -> Gid:
        """One more sales channel beside Online Store, Point of Sale and Shop."""
        added = catalogue.add_publication(
            self.state, name, handle=handle, future_publishing=future_publishing
        )
        return added.gid

    def remove_publication(self, publication: Gid) -> None:
        catalogue.remove_publication(self.state, publication)

    def add_product(
        self,
        title: str,
        *,
        variants: Sequence[VariantSpec] = ONE_VARIANT,
        product_type: str = "",
        tags: Sequence[str] = (),
        status: Status = "ACTIVE",
        vendor: str = "",
        levels: Levels = 0,
        is_gift_card: bool = False,
        requires_selling_plan: bool = False,
        published_on: Sequence[Gid] | None = None,
        option_names: Sequence[str] = (),
        image_url: str = "",
    ) -> Product:
        """A new product. `levels`: `available` by location, or one number for every active location.

        `published_on` None publishes it on every channel, () on none.
        """
        product = catalogue.add_product(
            self.state,
            title,
            variants=variants,
            product_type=product_type,
            tags=tags,
            status=status,
            vendor=vendor or self.api.parts.identity.name,
            levels=levels,
            is_gift_card=is_gift_card,
            requires_selling_plan=requires_selling_plan,
            option_names=option_names,
            image_url=image_url,
        )
        for gid in self.state.publications if published_on is None else published_on:
            product.publications[self.state.find(self.state.publications, gid, what="publication").gid] = (
                self.clock.now()
            )
        return product

    def add_variant(self, product: Gid, spec: VariantSpec, *, levels: Levels = 0) -> Variant:
        return catalogue.add_variant(self.state, product, spec, levels=levels)

    def remove_variant(self, variant: Gid) -> None:
        catalogue.remove_variant(self.state, variant)

    def remove_product(self, product: Gid) -> None:
        catalogue.remove_product(self.state, product)

    def set_status(self, product: Gid, status: Status) -> None:
        catalogue.set_status(self.state, product, status)

    def set_tags(self, product: Gid, tags: Sequence[str]) -> None:
        catalogue.set_tags(self.state, product, tags)

    def set_type(self, product: Gid, product_type: str) -> None:
        catalogue.set_type(self.state, product, product_type)

    def set_policy(self, variant: Gid, policy: Policy) -> None:
        catalogue.set_policy(self.state, variant, policy)

    def set_tracked(self, item: Gid, *, tracked: bool) -> None:
        catalogue.set_tracked(self.state, item, tracked=tracked)

    def set_sku(self, item: Gid, sku: str) -> None:
        catalogue.set_sku(self.state, item, sku)

    def set_primary(self, location: Gid) -> None:
        catalogue.set_primary(self.state, location)

    def set_location_active(self, location: Gid, *, active: bool) -> None:
        catalogue.set_location_active(self.state, location, active=active)

    def rename_location(self, location: Gid, name: str) -> None:
        catalogue.rename_location(self.state, location, name)

    def remove_location(self, location: Gid) -> None:
        """Deletes a location that was deactivated, with what was left there."""
        catalogue.remove_location(self.state, location)

    def connect(self, item: Gid, location: Gid, *, available: int = 0) -> Level:
        """Stocks an item at a location; a level that was there before comes back as it was."""
        found, place = self.state.item(item), self.state.location(location)
        return catalogue.connect(self.state, found, place, available=available, event=self.state.new_uuid())

    def disconnect(self, item: Gid, location: Gid) -> None:
        catalogue.disconnect(self.state, self.state.level(item, location), event=self.state.new_uuid())

    # --- the life of the shop ----------------------------------------------------------------------

    def sell(
        self, lines: Lines, *, location: Gid | None = None, force: bool = False, customer: Gid | None = None
    ) -> Order:
        """One order of (variant, quantity) lines. Raises SoldOut when DENY forbids it, unless forced.

        Without a location each line is taken from the first online one that has enough; without a customer it is a
        guest's.
        """
        return orders.sell(self.state, lines, location=location, force=force, customer=customer)

    def fulfil(self, order: Gid) -> Order:
        return orders.fulfil(self.state, order)

    def refund(self, order: Gid, lines: Lines | None = None, *, restock: bool) -> Refund:
        """Refunds (variant or line, quantity) pairs, or with None all that is left."""
        return orders.refund(self.state, order, lines, restock=restock)

    def cancel(self, order: Gid, *, restock: bool) -> Order:
        return orders.cancel(self.state, order, restock=restock)

    def edit_order(self, order: Gid, changes: Lines, *, force: bool = False) -> Order:
        """Adds or takes off quantities of variants on an open order."""
        return orders.edit_order(self.state, order, changes, force=force)

    def edit(self, item: Gid, location: Gid, available: int) -> int:
        """A merchant sets a level by hand; returns the delta, 0 when nothing changed."""
        return self.bulk_edit([(item, location, available)])[0]

    def bulk_edit(self, edits: Sequence[tuple[Gid, Gid, int]]) -> list[int]:
        """A merchant saves several levels at once: one event, a movement for each that changes."""
        event = self.state.new_uuid()
        levels = [(self.state.level(item, location), available) for item, location, available in edits]
        origin = Origin(cause="edit", actor="merchant", event=event)
        return [edit_level(self.state, level, available, origin=origin) for level, available in levels]

    def level(self, item: Gid, location: Gid) -> int:
        """`available` of an item at a location, as it is now."""
        return self.state.level(item, location).available

    def starting_level(self, item: Gid, location: Gid) -> int:
        """`available` when the level was made: start + its movements = level."""
        return self.state.level(item, location).start

    def history(self) -> list[Movement]:
        """Every movement of `available` since the start, oldest first. The oracle of tests."""
        return list(self.state.history)

    # --- webhooks and the app ----------------------------------------------------------------------

    @property
    def deliver(self) -> Deliver | None:
        return self.outbox.deliver

    @deliver.setter
    def deliver(self, deliver: Deliver | None) -> None:
        self.outbox.deliver = deliver

    def pending_webhooks(self) -> list[Delivery]:
        """Webhooks on their way, retries included, in the order in which they are due."""
        return self.outbox.waiting

    async def settle_webhooks(self) -> int:
        """Sends every webhook that is due by the clock; returns the number of attempts."""
        self.tick()
        return await self.outbox.settle()

    def rotate_secret(self, secret: str) -> None:
        """A new client secret; the old one signs webhooks for another hour."""
        self.tokens.client_secret = secret
        self.outbox.rotate_secret(secret)

    def change_settings(self, *, name: str | None = None, timezone: str | None = None) -> None:
        """The merchant renames the shop or moves it to another time zone."""
        old = self.api.parts.identity
        identity = replace(old, name=name or old.name, timezone=timezone or old.timezone)
        self.outbox.payloads = _payloads(identity)
        self.api.parts.identity = identity
        self.state.announce("shop/update", self, event=self.state.new_uuid())

    def set_scopes(self, scopes: Iterable[str]) -> None:
        """The merchant grants the app these access scopes and no others."""
        change = ScopesChange(
            app=installation_gid(self.api.parts.identity),
            previous=tuple(sorted(self.tokens.scopes)),
            current=tuple(sorted(scopes)),
            at=self.clock.now(),
        )
        self.tokens.scopes = frozenset(change.current)
        self.state.announce("app/scopes_update", change, event=self.state.new_uuid())

    def uninstall(self) -> None:
        """The merchant removes the app: tokens die, app/uninstalled is told, subscriptions go."""
        self.tokens.installed = False
        self.tokens.revoke_all()
        self.state.announce("app/uninstalled", self, event=self.state.new_uuid())
        self.subscriptions.clear()

    def reinstall(self) -> None:
        self.tokens.restore()

    def request_counts(self) -> dict[str, int]:
        """Requests to the Admin API by root field."""
        return dict(self.api.calls)

    # --- lookups -----------------------------------------------------------------------------------

    def locations(self) -> list[Location]:
        return list(self.state.locations.values())

    def products(self) -> list[Product]:
        return list(self.state.products.values())

    def publications(self) -> list[Publication]:
        return list(self.state.publications.values())


def _payloads(identity: Identity) -> Payloads:
    """Raises ShopError when there is no such time zone."""
    try:
        zone = identity.zone
    except (ZoneInfoNotFoundError, ValueError) as error:
        message = f"there is no time zone {identity.timezone!r}; America/Toronto is one"
        raise ShopError(message) from error
    return Payloads(shop=_shop_payload(identity), zone=zone)


def _shop_payload(identity: Identity) -> dict[str, Any]:
    return {
        "id": 548380009,
        "name": identity.name,
        "email": identity.email,
        "domain": identity.domain,
        "currency": identity.currency,
        "iana_timezone": identity.timezone,
        "myshopify_domain": identity.domain,
        "plan_name": identity.plan_name.lower(),
    }
