"""Products as shoppers see them, read from the bundled shop: texts, prices, images, every variant and level."""

from decimal import Decimal

from shopify_emulator.model import VariantSpec
from stockwright.model import ProductGid, gid
from tests.journey.test_shopify_client import World, play


def test_what_a_mail_may_say_of_a_product(database: str) -> None:
    async def work(it: World) -> None:
        shelf = it.shop.add_location("Shelf")
        specs = [
            VariantSpec(
                title="Framed / Small",
                sku="F-S",
                price=Decimal("85"),
                compare_at_price=Decimal("99.5"),
                policy="CONTINUE",
                image_url="https://cdn.example.com/framed.jpg",
            ),
            VariantSpec(title="Unframed / Small", tracked=False),
        ]
        product = it.shop.add_product(
            "Harbour",
            variants=specs,
            option_names=["Frame", "Size"],
            image_url="https://cdn.example.com/harbour.jpg",
            tags=["sea"],
            vendor="Prints",
            levels={shelf: 3},
        )
        shown = await it.client.read_shown_product(ProductGid(product.gid))
        assert shown is not None and shown.is_published
        assert (shown.title, shown.handle, shown.vendor, shown.tags, shown.currency) == (
            ("Harbour", "harbour", "Prints", {"sea"}, "CAD")
        )
        assert shown.url.endswith("/products/harbour")
        assert (shown.image_url, shown.image_alt) == ("https://cdn.example.com/harbour.jpg", "Harbour")
        framed, unframed = shown.variants
        assert framed.options == (("Frame", "Framed"), ("Size", "Small"))
        assert (framed.sku, framed.price, framed.compare_at_price) == ("F-S", "85.00", "99.50")
        assert framed.continue_selling and framed.image_url == "https://cdn.example.com/framed.jpg"
        assert framed.available([shelf]) == 3 and framed.available([]) == 0
        assert (unframed.available([shelf]), unframed.compare_at_price, unframed.image_url) == (None, "", "")

    play(database, work)


def test_a_hidden_product_has_no_address_and_a_deleted_one_is_none(database: str) -> None:
    async def work(it: World) -> None:
        it.shop.add_location("Shelf")
        hidden = it.shop.add_product("Hidden", published_on=())
        draft = it.shop.add_product("Draft", status="DRAFT")
        for product in (hidden, draft):
            shown = await it.client.read_shown_product(ProductGid(product.gid))
            assert shown is not None and shown.url == "" and not shown.is_published
            assert shown.variants[0].name == "" and shown.image_url == ""
        assert await it.client.read_shown_product(ProductGid(gid("Product", 99))) is None

    play(database, work)


def test_every_variant_and_level_is_read_whatever_their_number(database: str) -> None:
    async def work(it: World) -> None:
        shelves = [it.shop.add_location(f"Shelf {no}") for no in range(12)]
        specs = [VariantSpec(title=f"Size {no}") for no in range(60)]
        product = it.shop.add_product("Many", variants=specs, levels=1)
        shown = await it.client.read_shown_product(ProductGid(product.gid))
        assert shown is not None and len(shown.variants) == 60
        assert [one.title for one in shown.variants] == [one.title for one in specs]
        # The shop's row knows no location yet, so levels come in pages of ten.
        assert {one.available(shelves) for one in shown.variants} == {12}

    play(database, work)
