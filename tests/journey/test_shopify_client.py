"""The Admin API client against the bundled shop, over the real budget and token rows."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from shopify_emulator.access import ALL_SCOPES
from shopify_emulator.clock import ManualClock
from shopify_emulator.faults import Fault
from shopify_emulator.model import Product, VariantSpec
from shopify_emulator.shop import Shop
from shopify_emulator.switches import Switches, switches_from
from shopify_emulator.transport import EmulatorTransport
from stockwright.encryption import Cipher
from stockwright.model import ItemGid, LocationGid, ProductGid, ProductRead, ShopId, gid
from stockwright.shopify.accounts import ShopSecrets, seal_secrets
from stockwright.shopify.client import ShopifyClient, ShopifyClients
from stockwright.shopify.errors import ErrorCode, ShopifyError
from stockwright.shopify.search import field as search_field
from stockwright.shopify.transport import open_http
from stockwright.shopify.writes import AdjustReply, AdjustRow, WriteOutcome
from stockwright.store import shops
from stockwright.store.database import Pool, pool
from stockwright.store.shop_rows import ShopRows
from stockwright.store.shops import NewShop

DOMAIN = "demo.myshopify.com"
CIPHER = Cipher((secrets.token_bytes(32),), origin="the test")
SECRETS = ShopSecrets(access_token="shpat_demo", client_secret="hush")


@dataclass
class World:
    """A bundled shop, a client of it, and what the client waited for and warned of."""

    shop: Shop
    clock: ManualClock
    pool: Pool
    shop_id: ShopId
    clients: ShopifyClients
    client: ShopifyClient
    slept_s: list[float]
    warnings: list[str] = field(default_factory=list)

    async def fresh(self) -> ShopifyClient:
        """Another client, as the next job would have it."""
        self.clients.forget(self.shop_id)
        return await self.clients.for_shop(self.shop_id)


@asynccontextmanager
async def world(
    dsn: str, *, switches: Switches | None = None, auth_mode: str = "access_token", **shop_options: Any
) -> AsyncIterator[World]:
    clock, slept, warnings = ManualClock(), [], []
    shop = Shop(domain=DOMAIN, clock=clock, switches=switches, **shop_options)

    new = NewShop(
        domain=DOMAIN,
        api_url=f"https://{DOMAIN}",
        auth_mode=auth_mode,
        client_id="demo-client",
        secrets=seal_secrets(CIPHER, SECRETS),
    )
    async with pool(dsn, size=4, name="test") as opened, open_http(EmulatorTransport(shop)) as http:
        async with opened.connection() as conn:
            shop_id = await shops.add(conn, new)

        async def sleep(delay_s: float) -> None:
            """Time passes at once, for the shop and for the stored budget alike."""
            slept.append(delay_s)
            clock.advance(delay_s)
            async with opened.connection() as conn:
                await conn.execute(
                    "update budgets set as_of = as_of - %(passed)s, blocked_until = blocked_until - %(passed)s",
                    {"passed": timedelta(seconds=delay_s)},
                )

        clients = ShopifyClients(
            ShopRows(opened),
            http,
            CIPHER,
            clock.now,
            sleep,
            backoff_s=lambda _attempt: 0.5,
            warn=lambda _shop_id, text: warnings.append(text),
        )
        client = await clients.for_shop(shop_id)
        yield World(
            shop=shop,
            clock=clock,
            pool=opened,
            shop_id=shop_id,
            clients=clients,
            client=client,
            slept_s=slept,
            warnings=warnings,
        )


Work = Callable[[World], Awaitable[None]]


def play(dsn: str, work: Work, **options: Any) -> None:
    async def run() -> None:
        async with world(dsn, **options) as made:
            await work(made)

    asyncio.run(run())


def stocked(shop: Shop, *, variants: int = 3, locations: int = 1, available: int = 10) -> Product:
    for number in range(locations):
        shop.add_location(f"Place {number}")
    specs = [VariantSpec(title=f"V{number}") for number in range(variants)]
    return shop.add_product(
        "Tea", variants=specs, levels=available, product_type="Drinks", tags=["hot", "dry"]
    )


def items(product: Product) -> list[ItemGid]:
    return [ItemGid(variant.item.gid) for variant in product.variants]


def as_is(shop: Shop, product: Product) -> dict[tuple[str, str], int]:
    """The shop's own levels."""
    return {
        (variant.item.gid, place): level.available
        for variant in product.variants
        for place, level in variant.item.levels.items()
    }


def as_read(product: ProductRead) -> dict[tuple[str, str], int | None]:
    return {(v.item_id, level.location_id): level.available for v in product.variants for level in v.levels}


async def read(made: World, product: Product, **options: Any) -> ProductRead:
    found = await made.client.read_product(ProductGid(product.gid), **options)
    assert found is not None
    return found


# --- reading products ------------------------------------------------------------------------------


def test_a_known_product_is_read_whole_in_one_request(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop, variants=3, locations=2)
        found = await read(made, tea, item_ids=items(tea))
        assert made.client.requests == 1
        assert as_read(found) == as_is(made.shop, tea)
        assert (found.title, found.status, found.product_type) == ("Tea", "ACTIVE", "Drinks")
        assert (found.tags, found.is_gift_card) == (frozenset({"hot", "dry"}), False)
        assert [variant.title for variant in found.variants] == ["V0", "V1", "V2"]
        assert found.read_at == made.clock.now()

    play(database, work)


def test_a_new_product_is_read_whole_in_one_request_too(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop, variants=50, locations=2)
        assert as_read(await read(made, tea)) == as_is(made.shop, tea)
        assert made.client.requests == 1

    play(database, work)


def test_a_product_that_gained_and_lost_items_is_read_in_a_second_request(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop)
        known = items(tea)
        made.shop.add_variant(tea.gid, VariantSpec(title="New"), levels=4)
        made.shop.remove_variant(tea.variants[0].gid)
        found = await read(made, tea, item_ids=known)
        assert made.client.requests == 2
        assert as_read(found) == as_is(made.shop, tea)
        assert [variant.title for variant in found.variants] == ["V1", "V2", "New"]

    play(database, work)


@pytest.mark.parametrize("known", [0, 1, 300, 600])
def test_a_large_product_is_never_cut(database: str, known: int) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop, variants=600, locations=1)
        found = await read(made, tea, item_ids=items(tea)[:known])
        assert as_read(found) == as_is(made.shop, tea)
        assert len(found.variants) == 600
        assert made.client.requests <= 5

    play(database, work)


@pytest.mark.parametrize("known", [True, False])
def test_an_item_at_many_locations_is_never_cut(database: str, known: bool) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop, variants=2, locations=30)
        found = await read(made, tea, item_ids=items(tea) if known else ())
        assert as_read(found) == as_is(made.shop, tea)
        assert [len(variant.levels) for variant in found.variants] == [30, 30]
        assert made.client.requests == 3  # nothing is known of the shop's locations yet

    play(database, work)


def test_once_the_locations_are_known_their_number_sets_the_page_size(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop, variants=2, locations=30)
        await check(made)
        made.client = await made.fresh()
        assert as_read(await read(made, tea, item_ids=items(tea))) == as_is(made.shop, tea)
        assert made.client.requests == 1

    play(database, work)


async def check(made: World) -> None:
    """Reads the shop and stores what it showed."""
    answer = await made.client.read_shop()
    async with made.pool.connection() as conn:
        await shops.save_shop_read(
            conn, made.shop_id, answer.shop, scopes=answer.scopes, read_at=made.clock.now()
        )


def test_a_product_beyond_the_written_limit_is_told_and_not_cut(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop, variants=101, locations=11)
        with pytest.raises(ShopifyError, match="more than 100 requests") as caught:
            await read(made, tea, item_ids=items(tea))
        assert caught.value.code is ErrorCode.LIMIT

    play(database, work, plan_rate=1000)


def test_a_scan_goes_on_past_a_product_that_is_too_large_and_names_it(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop, variants=101, locations=11)
        cup = made.shop.add_product("Cup", levels=1)
        page = await made.client.scan_products("")
        assert [product.id for product in page.products] == [cup.gid]
        assert [(one.id, one.title) for one in page.skipped] == [(tea.gid, "Tea")]
        assert "more than 100 requests" in page.skipped[0].reason

    play(database, work, plan_rate=1000)


def test_levels_that_are_inactive_untracked_or_absent_show_as_such(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop, variants=3, locations=2)
        here, there = (LocationGid(place.gid) for place in made.shop.locations())
        first, second, _ = tea.variants
        made.shop.set_tracked(first.item.gid, tracked=False)
        made.shop.disconnect(second.item.gid, there)
        found = await read(made, tea, item_ids=items(tea))
        assert [variant.tracked for variant in found.variants] == [False, True, True]
        level = found.variants[1].level(there)
        assert level is None or not level.is_active
        assert found.variants[2].level(here) is not None
        assert found.variants[2].level(gid("Location", 1)) is None

    play(database, work)


def test_a_product_that_was_deleted_is_none(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop)
        known = items(tea)
        made.shop.remove_product(tea.gid)
        assert await made.client.read_product(ProductGid(tea.gid), item_ids=known) is None
        assert await made.client.read_product(ProductGid(tea.gid)) is None
        assert await made.client.find_product_of_item(known[0]) is None

    play(database, work)


def test_ids_above_two_to_the_53_stay_exact(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop, variants=1)
        (item_id,) = items(tea)
        assert int(item_id.rsplit("/", 1)[1]) > 2**53
        owner = await made.client.find_product_of_item(item_id)
        assert owner is not None
        assert (owner.product_id, owner.variant_id) == (tea.gid, tea.variants[0].gid)
        assert owner.title == "Tea - V0"

    play(database, work)


@pytest.mark.parametrize("cost", ["log", "linear"])
def test_pages_shrink_until_they_fit_the_servers_cost_rule(database: str, cost: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop, variants=120, locations=2)
        cup = made.shop.add_product("Cup", levels=1)
        found = [await read(made, tea), await read(made, tea, item_ids=items(tea))]
        page = await made.client.scan_products("")
        scanned = list(page.products)
        while page.after:
            page = await made.client.scan_products("", after=page.after)
            scanned += page.products
        assert all(as_read(product) == as_is(made.shop, tea) for product in found)
        assert [as_read(product) for product in scanned] == [as_is(made.shop, tea), as_is(made.shop, cup)]

    play(database, work, switches=switches_from([f"cost={cost}"]), plan_rate=1000)


# --- scanning --------------------------------------------------------------------------------------


def test_a_scan_walks_every_product_once_and_counts_them_on_the_first_page(database: str) -> None:
    async def work(made: World) -> None:
        made.shop.add_location("Here")
        made_products = [made.shop.add_product(f"P{number}", levels=number) for number in range(120)]
        page = await made.client.scan_products("")
        assert page.total == 120
        found = list(page.products)
        while page.after:
            page = await made.client.scan_products("", after=page.after)
            assert page.total is None
            found += page.products
        assert [product.id for product in found] == [product.gid for product in made_products]
        assert made.client.requests == 3

    play(database, work)


def test_a_scan_completes_products_that_do_not_fit_their_page(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop, variants=60, locations=12)
        page = await made.client.scan_products("")
        assert [as_read(product) for product in page.products] == [as_is(made.shop, tea)]

    play(database, work, plan_rate=1000)


def test_a_search_finds_by_quoted_terms_and_goes_on_behind_an_id(database: str) -> None:
    async def work(made: World) -> None:
        made.shop.add_location("Here")
        odd = 'say "x" \\ y'
        first = made.shop.add_product("A", tags=[odd], product_type="T-shirt")
        second = made.shop.add_product("B", tags=[odd])
        made.shop.add_product("C", tags=["x"])
        search = search_field("tag", odd)
        page = await made.client.scan_products(search)
        assert [product.id for product in page.products] == [first.gid, second.gid]
        behind = f'[null, 0, "{first.number}"]'
        page = await made.client.scan_products(search, after=behind)
        assert [product.id for product in page.products] == [second.gid]
        assert await made.client.any_product_matching(search_field("product_type", "T-shirt")) == (
            first.gid,
            "A",
        )
        assert await made.client.any_product_matching(search_field("product_type", "no")) is None

    play(database, work)


def test_a_search_field_that_the_shop_ignores_is_a_fault(database: str) -> None:
    async def work(made: World) -> None:
        stocked(made.shop)
        with pytest.raises(ShopifyError, match="ignored the search field") as caught:
            await made.client.scan_products("colour:red")
        assert caught.value.code is ErrorCode.INVALID_REQUEST

    play(database, work)


def test_an_unreadable_place_of_a_scan_is_told(database: str) -> None:
    async def work(made: World) -> None:
        with pytest.raises(ShopifyError, match="Start it anew"):
            await made.client.scan_products("", after="what")

    play(database, work)


# --- the shop ------------------------------------------------------------------------------------


def test_the_shop_tells_its_name_zone_scopes_and_all_locations(database: str) -> None:
    async def work(made: World) -> None:
        made.shop.add_location("Toronto")
        closed = made.shop.add_location("Closed", active=False)
        main = made.shop.add_location("Main", primary=True)
        answer = await made.client.read_shop()
        assert (answer.domain, answer.shop.name, answer.shop.timezone) == (
            DOMAIN,
            "Demo Shop",
            "America/Toronto",
        )
        assert answer.shop.default_location_id == main
        active = {place.name: place.is_active for place in answer.shop.locations}
        assert active == {"Toronto": True, "Closed": False, "Main": True}
        assert closed in {place.id for place in answer.shop.locations}
        assert set(answer.scopes) == ALL_SCOPES and list(answer.scopes) == sorted(answer.scopes)
        assert await made.client.granted_scopes() == answer.scopes

    play(database, work)


def test_types_and_tags_are_listed_sorted_and_whole(database: str) -> None:
    async def work(made: World) -> None:
        for number in range(260):
            made.shop.add_product(
                f"P{number}", product_type=f"type {number:03}", tags=[f"tag {number:03}", "all"]
            )
        assert await made.client.list_product_types() == tuple(f"type {number:03}" for number in range(260))
        assert await made.client.list_product_tags() == (
            "all",
            *(f"tag {number:03}" for number in range(260)),
        )

    play(database, work)


def test_a_missing_scope_is_named_in_the_error(database: str) -> None:
    async def work(made: World) -> None:
        stocked(made.shop)
        with pytest.raises(ShopifyError, match="read_locations") as caught:
            await made.client.read_shop()
        assert (caught.value.code, caught.value.permanent) == (ErrorCode.ACCESS_DENIED, True)
        assert "read_locations" not in await made.client.granted_scopes()

    play(database, work, scopes=ALL_SCOPES - {"read_locations"})


# --- writing -------------------------------------------------------------------------------------


async def adjust(
    made: World, product: Product, *deltas: int, key: str = "key-1", change_from: int = 10
) -> AdjustReply:
    place = LocationGid(made.shop.locations()[0].gid)
    rows = [
        AdjustRow(item_id=item_id, location_id=place, delta=delta, change_from=change_from)
        for item_id, delta in zip(items(product), deltas, strict=False)
    ]
    return await made.client.adjust(key=key, rows=rows, reference_uri="gid://stockwright/Intent/1")


def levels(made: World, product: Product) -> list[int]:
    return [made.shop.level(item_id, made.shop.locations()[0].gid) for item_id in items(product)]


def test_an_adjustment_is_applied_with_our_reference(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop)
        reply = await adjust(made, tea, -1, -2, 5)
        assert (reply.outcome, reply.applied_at) == (WriteOutcome.APPLIED, made.clock.now())
        assert reply.detail.startswith("gid://shopify/InventoryAdjustmentGroup/")
        assert levels(made, tea) == [9, 8, 15]
        group = made.shop.execute(
            "query($id: ID!) { node(id: $id) { ... on InventoryAdjustmentGroup { referenceDocumentUri } } }",
            {"id": reply.detail},
        )
        assert group["data"]["node"] == {"referenceDocumentUri": "gid://stockwright/Intent/1"}
        assert made.client.requests == 1

    play(database, work)


@pytest.mark.parametrize("stale_field", ["row_and_field", "row", "null"])
@pytest.mark.parametrize("stale_report", ["every_row", "first_row"])
def test_a_stale_row_stops_the_whole_write(database: str, stale_field: str, stale_report: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop)
        made.shop.sell([(tea.variants[1].gid, 1)])
        reply = await adjust(made, tea, -1, -1, -1)
        assert (reply.outcome, reply.offending_rows) == (WriteOutcome.STALE, ())
        assert levels(made, tea) == [10, 9, 10]

    modes = [f"stale_field={stale_field}", f"stale_report={stale_report}"]
    play(database, work, switches=switches_from(modes))


@pytest.mark.parametrize(
    ("mode", "second", "left"),
    [
        ("reevaluate", WriteOutcome.STALE, 9),
        ("replay", WriteOutcome.APPLIED, 9),
        ("apply_again", WriteOutcome.STALE, 9),
    ],
)
def test_the_same_key_again_never_applies_twice(
    database: str, mode: str, second: WriteOutcome, left: int
) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop)
        assert (await adjust(made, tea, -1)).outcome is WriteOutcome.APPLIED
        assert (await adjust(made, tea, -1)).outcome is second
        assert levels(made, tea)[0] == left

    play(database, work, switches=switches_from([f"idempotency={mode}"]))


FAULTS = {
    Fault.CONNECT_REFUSED: (WriteOutcome.NOT_SENT, False),
    Fault.DROPPED_BEFORE: (WriteOutcome.UNKNOWN, False),
    Fault.DROPPED_AFTER: (WriteOutcome.UNKNOWN, True),
    Fault.TIMEOUT_BEFORE: (WriteOutcome.UNKNOWN, False),
    Fault.TIMEOUT_AFTER: (WriteOutcome.UNKNOWN, True),
    Fault.SERVER_ERROR_BEFORE: (WriteOutcome.UNKNOWN, False),
    Fault.SERVER_ERROR_AFTER: (WriteOutcome.UNKNOWN, True),
    Fault.TRUNCATED_AFTER: (WriteOutcome.UNKNOWN, True),
    Fault.INTERNAL_ERROR: (WriteOutcome.UNKNOWN, False),
    Fault.UNAVAILABLE_BEFORE: (WriteOutcome.UNKNOWN, False),
    Fault.UNAVAILABLE_AFTER: (WriteOutcome.UNKNOWN, True),
    Fault.ADJUST_FAILED: (WriteOutcome.UNKNOWN, False),
    Fault.ADJUST_FAILED_AFTER: (WriteOutcome.UNKNOWN, True),
    Fault.LATE_ARRIVAL: (WriteOutcome.UNKNOWN, False),
    Fault.THROTTLED: (WriteOutcome.THROTTLED, False),
    Fault.TOO_MANY_REQUESTS: (WriteOutcome.THROTTLED, False),
    Fault.SECURITY_REJECTION: (WriteOutcome.THROTTLED, False),
    Fault.PAYMENT_REQUIRED: (WriteOutcome.NOT_SENT, False),
    Fault.LOCKED: (WriteOutcome.NOT_SENT, False),
    Fault.TOKEN_REVOKED: (WriteOutcome.NOT_SENT, False),
    Fault.STALE: (WriteOutcome.STALE, False),
    Fault.KEY_CONCURRENT: (WriteOutcome.IN_PROGRESS, False),
    Fault.KEY_MISMATCH: (WriteOutcome.KEY_MISMATCH, False),
    Fault.KEY_PREVIOUS_FAILED: (WriteOutcome.PREVIOUS_FAILED, False),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.value)
def test_every_fault_of_a_write_gives_its_outcome_and_one_request(database: str, fault: Fault) -> None:
    outcome, applied = FAULTS[fault]

    async def work(made: World) -> None:
        tea = stocked(made.shop)
        made.shop.faults.next("inventoryAdjustQuantities", fault)
        reply = await adjust(made, tea, -1)
        assert reply.outcome is outcome, reply
        assert made.shop.faults.injected[fault] == 1
        assert levels(made, tea)[0] == (9 if applied else 10)
        assert made.client.requests == 1
        assert made.slept_s == []

    play(database, work)


@pytest.mark.parametrize("case", ["item", "location", "bundle"])
def test_a_refused_row_is_named_and_nothing_is_written(database: str, case: str) -> None:
    async def work(made: World) -> None:
        specs = [VariantSpec(title="A"), VariantSpec(title="B", requires_components=case == "bundle")]
        here = LocationGid(made.shop.add_location("Here"))
        tea = made.shop.add_product("Tea", variants=specs, levels=10)
        first, second = items(tea)
        bad_item = ItemGid(gid("InventoryItem", 1)) if case == "item" else second
        bad_place = LocationGid(gid("Location", 1)) if case == "location" else here
        reply = await made.client.adjust(
            key="k",
            rows=[
                AdjustRow(item_id=first, location_id=here, delta=-1, change_from=10),
                AdjustRow(item_id=bad_item, location_id=bad_place, delta=-1, change_from=10),
            ],
            reference_uri="gid://stockwright/Intent/1",
        )
        assert (reply.outcome, reply.offending_rows) == (WriteOutcome.REFUSED, (1,)), reply
        assert levels(made, tea) == [10, 10]

    play(database, work)


def test_a_write_without_its_scope_is_not_executed_and_names_the_scope(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop)
        reply = await adjust(made, tea, -1)
        assert reply.outcome is WriteOutcome.NOT_SENT
        assert reply.problem is not None and reply.problem.code is ErrorCode.ACCESS_DENIED
        assert "write_inventory" in reply.detail
        assert levels(made, tea)[0] == 10

    play(database, work, scopes=ALL_SCOPES - {"write_inventory"})


# --- budget and tokens ---------------------------------------------------------------------------


def test_a_product_corrected_costs_two_requests_and_few_points(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop, variants=3, locations=1)
        found = await read(made, tea, item_ids=items(tea))
        reply = await adjust(made, tea, -1, -1, change_from=10)
        assert (len(found.variants), reply.outcome) == (3, WriteOutcome.APPLIED)
        assert made.client.requests == 2
        assert made.shop.bucket.spent <= 45

    play(database, work)


def test_the_stored_budget_follows_the_shops_plan(database: str) -> None:
    async def work(made: World) -> None:
        await made.client.granted_scopes()
        async with made.pool.connection() as conn:
            cursor = await conn.execute("select capacity, restore_rate from budgets")
            assert await cursor.fetchone() == (4000.0, 200.0)

    play(database, work, plan_rate=200)


def test_a_read_that_is_throttled_waits_as_told_and_succeeds(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop)
        made.shop.faults.next("product", Fault.THROTTLED)
        found = await read(made, tea, item_ids=items(tea))
        assert len(found.variants) == 3
        assert made.slept_s[0] >= 1.0

    play(database, work)


READ_FAULTS = [
    Fault.CONNECT_REFUSED,
    Fault.DROPPED_BEFORE,
    Fault.TIMEOUT_AFTER,
    Fault.SERVER_ERROR_BEFORE,
    Fault.TRUNCATED_AFTER,
    Fault.INTERNAL_ERROR,
]


@pytest.mark.parametrize("fault", READ_FAULTS, ids=lambda fault: fault.value)
def test_a_read_survives_two_faults_in_a_row(database: str, fault: Fault) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop)
        made.shop.faults.next("product", fault, count=2)
        assert as_read(await read(made, tea, item_ids=items(tea))) == as_is(made.shop, tea)
        assert made.client.requests == 3

    play(database, work)


def test_client_credentials_are_granted_once_and_renewed_ahead_of_time(database: str) -> None:
    async def work(made: World) -> None:
        await made.client.granted_scopes()
        first = await stored_token(made)
        made.clock.advance(21 * 3600)
        await (await made.fresh()).granted_scopes()
        assert await stored_token(made) == first
        made.clock.advance(1.5 * 3600)
        await (await made.fresh()).granted_scopes()
        assert await stored_token(made) != first

    play(database, work, auth_mode="client_credentials")


async def stored_token(made: World) -> str:
    account = await ShopRows(made.pool).account(made.shop_id)
    assert account.token is not None
    return CIPHER.open(account.token)


def test_many_calls_without_a_token_ask_for_one_only(database: str) -> None:
    async def work(made: World) -> None:
        clients = [await made.clients.for_shop(made.shop_id) for _ in range(12)]
        made.shop.faults.next("access_token", Fault.SERVER_ERROR_BEFORE)
        await asyncio.gather(*(client.granted_scopes() for client in clients))
        assert made.shop.tokens.accepts(await stored_token(made))
        assert len(made.shop.tokens._until) == 2  # the static token and one grant

    play(database, work, auth_mode="client_credentials")


def test_a_read_whose_token_was_revoked_goes_again_with_a_new_one(database: str) -> None:
    async def work(made: World) -> None:
        made.shop.faults.next("currentAppInstallation", Fault.TOKEN_REVOKED)
        assert set(await made.client.granted_scopes()) == ALL_SCOPES

    play(database, work, auth_mode="client_credentials")


@pytest.mark.parametrize("auth_mode", ["access_token", "client_credentials"])
def test_after_an_uninstall_the_error_says_what_to_do(database: str, auth_mode: str) -> None:
    async def work(made: World) -> None:
        made.shop.uninstall()
        with pytest.raises(ShopifyError, match=r"installed|uninstalled") as caught:
            await made.client.granted_scopes()
        assert (caught.value.code, caught.value.permanent) == (ErrorCode.UNAUTHORIZED, True)

    play(database, work, auth_mode=auth_mode)


def test_another_api_version_is_told(database: str) -> None:
    async def work(made: World) -> None:
        made.shop.api.version = "2027-01"
        await made.client.granted_scopes()
        assert ["2027-01" in text for text in made.warnings] == [True]

    play(database, work)


# --- orders as evidence -----------------------------------------------------------------------------


async def evidence(made: World, product: Product, since: Any, place: int = 0) -> list[int | None] | None:
    location_id = LocationGid(made.shop.locations()[place].gid)
    moves = await made.client.order_moves(
        stamps=dict.fromkeys(items(product)), location_id=location_id, since=since
    )
    return None if moves is None else [moves[item_id] for item_id in items(product)]


@pytest.mark.parametrize("locations", [1, 2])
@pytest.mark.parametrize("checked", [True, False])
def test_orders_account_for_sales_refunds_and_cancellations(
    database: str, locations: int, checked: bool
) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop, locations=locations)
        first, second, third = (variant.gid for variant in tea.variants)
        made.shop.sell([(first, 5)])
        made.clock.advance(30)
        since, before = made.clock.now(), as_is(made.shop, tea)
        made.clock.advance(30)
        made.shop.sell([(first, 2), (second, 1)])
        returned = made.shop.sell([(second, 3)])
        made.shop.refund(returned.gid, [(second, 2)], restock=True)
        made.shop.cancel(made.shop.sell([(third, 4)]).gid, restock=True)
        if checked:
            await check(made)
            made.client = await made.fresh()
        place, after = made.shop.locations()[0].gid, as_is(made.shop, tea)
        truth = [after[item_id, place] - before[item_id, place] for item_id in items(tea)]
        assert truth == [-2, -2, 0]
        certain = checked and locations == 1  # else a refund may have gone to another location
        assert await evidence(made, tea, since) == (truth if certain else [-2, None, None])

    play(database, work)


def test_an_order_from_before_that_was_edited_is_no_evidence(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop)
        first, second, _ = (variant.gid for variant in tea.variants)
        order = made.shop.sell([(first, 2)])
        made.clock.advance(60)
        since = made.clock.now()
        made.clock.advance(30)
        made.shop.edit_order(order.gid, [(second, 1)])
        assert await evidence(made, tea, since) == [None, None, 0]

    play(database, work)


def test_without_the_scope_there_is_no_evidence(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop)
        assert await evidence(made, tea, made.clock.now()) is None
        await check(made)
        made.client = await made.fresh()
        assert await evidence(made, tea, made.clock.now()) is None
        assert made.client.requests == 0

    play(database, work, scopes=ALL_SCOPES - {"read_orders"})


def test_with_several_locations_and_no_fulfilment_scope_there_is_no_evidence(database: str) -> None:
    async def work(made: World) -> None:
        tea = stocked(made.shop, locations=2)
        made.clock.advance(30)
        since = made.clock.now()
        made.clock.advance(30)
        made.shop.sell([(tea.variants[0].gid, 1)])
        found = await evidence(made, tea, since)
        assert found is None or found[0] is None

    play(database, work, scopes=ALL_SCOPES - {"read_merchant_managed_fulfillment_orders"})


# --- webhooks ----------------------------------------------------------------------------------------

WANTED = ["shopify/inventory_levels/update", "shopify/products/update", "shopify/app/uninstalled"]


def test_subscriptions_are_made_kept_moved_and_dropped(database: str) -> None:
    async def work(made: World) -> None:
        client, shop = made.client, made.shop
        foreign = await client.create_webhook_subscription(
            topic="shopify/orders/create", uri="https://else.example/x"
        )
        states = await client.reconcile_subscriptions(wanted=WANTED, public_url="https://we.example")
        assert [(state.topic, state.problem, bool(state.subscription_id)) for state in states] == [
            (topic, "", True) for topic in WANTED
        ]
        before = client.requests
        assert await client.reconcile_subscriptions(wanted=WANTED, public_url="https://we.example") == states
        assert client.requests == before + 1
        moved = await client.reconcile_subscriptions(
            wanted=WANTED[:1], public_url="https://new.example", former_uris=[states[0].uri]
        )
        assert moved[0].subscription_id == states[0].subscription_id
        found = {(one.topic, one.uri) for one in await client.webhook_subscriptions()}
        assert found == {
            ("ORDERS_CREATE", foreign.uri),
            ("INVENTORY_LEVELS_UPDATE", "https://new.example/webhooks/shopify"),
        }
        shop.subscriptions.clear()
        again = await client.reconcile_subscriptions(wanted=WANTED, public_url="https://new.example")
        assert all(state.subscription_id and not state.problem for state in again)

    play(database, work)


def test_an_address_that_shopify_refuses_becomes_a_problem_of_each_topic(database: str) -> None:
    async def work(made: World) -> None:
        states = await made.client.reconcile_subscriptions(wanted=WANTED, public_url=f"https://{DOMAIN}")
        assert [state.subscription_id for state in states] == ["", "", ""]
        assert all("STOCKWRIGHT_PUBLIC_URL" in state.problem for state in states)

    play(database, work)


@pytest.mark.parametrize("checked", [True, False])
def test_a_topic_without_its_scope_hinders_no_other(database: str, checked: bool) -> None:
    async def work(made: World) -> None:
        if checked:
            await check(made)
            made.client = await made.fresh()
        states = await made.client.reconcile_subscriptions(
            wanted=[*WANTED, "shopify/orders/create"], public_url="https://we.example"
        )
        assert [bool(state.problem) for state in states] == [False, False, False, True]
        if checked:
            assert "read_orders" in states[-1].problem

    play(database, work, scopes=ALL_SCOPES - {"read_orders"})


def test_a_subscription_can_be_updated_and_deleted_by_id(database: str) -> None:
    async def work(made: World) -> None:
        client = made.client
        one = await client.create_webhook_subscription(topic=WANTED[0], uri="https://we.example/a")
        changed = await client.update_webhook_subscription(subscription_id=one.id, uri="https://we.example/b")
        assert (changed.id, changed.uri) == (one.id, "https://we.example/b")
        await client.delete_webhook_subscription(one.id)
        assert await client.webhook_subscriptions() == ()
        with pytest.raises(ShopifyError, match="refused the webhook subscription"):
            await client.delete_webhook_subscription(one.id)

    play(database, work)
