"""Catalogues: the one of the demo, and one read from a JSON file."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from shopify_emulator.model import Gid, ShopError, VariantSpec
from shopify_emulator.shop import Shop

FRAMES = ("Framed", "Unframed")
SIZES = ("8×10 in", "12×16 in", "18×24 in")


def fill(shop: Shop, source: str) -> None:
    """Fills a shop with "demo" or with the catalogue of a JSON file."""
    if source == "demo":
        fill_demo(shop)
        return
    try:
        data = json.loads(Path(source).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ShopError(f"the catalogue {source} cannot be read: {error}") from error
    fill_from(shop, data)


def prints(*, sku: str, sizes: tuple[str, ...] = (), price: str = "40.00") -> list[VariantSpec]:
    """Framed and unframed listings of one print, in each size."""
    wall = [(frame, size) for frame in FRAMES for size in sizes or ("",)]
    return [
        VariantSpec(
            title=" / ".join(part for part in (frame, size) if part),
            sku="-".join(part for part in (sku, frame[0], size.split("×")[0]) if part),
            price=Decimal(price) + (Decimal(45) if frame == "Framed" else 0),
        )
        for frame, size in wall
    ]


def fill_demo(shop: Shop) -> None:
    """Three locations and twelve products of a small print shop."""
    toronto = shop.add_location("Toronto", primary=True)
    montreal = shop.add_location("Montreal")
    online = shop.add_location("Online warehouse")
    _prints(shop, toronto, montreal, online)
    _goods(shop, toronto, online)
    _hidden_and_empty(shop, toronto, montreal, online)
    _untracked(shop, toronto, online)
    _sold_out_in_part(shop, toronto)


def _prints(shop: Shop, toronto: Gid, montreal: Gid, online: Gid) -> None:
    levels = {toronto: 10, montreal: 4, online: 25}
    shop.add_product(
        "Harbour at Dawn",
        variants=prints(sku="HAR"),
        product_type="Art print",
        option_names=["Frame"],
        tags=["shared-stock", "sea"],
        levels=levels,
    )
    shop.add_product(
        "Winter Birches",
        variants=prints(sku="BIR", sizes=SIZES),
        option_names=["Frame", "Size"],
        product_type="Art print",
        tags=["shared-stock", "forest"],
        levels={toronto: 6, montreal: 6, online: 12},
    )
    shop.add_product(
        "Night Tram No. 4",
        variants=prints(sku="TRAM", sizes=SIZES[:2], price="55.00"),
        option_names=["Frame", "Size"],
        product_type="Limited edition",
        tags=["shared-stock", "city", "limited"],
        levels={toronto: 3, montreal: 0, online: 5},
    )
    shop.add_product(
        "Lighthouse Study",
        variants=prints(sku="LIGHT"),
        option_names=["Frame"],
        product_type="Art print",
        tags=["sea", "restock"],
        levels=0,
        published_on=(),
    )


def _goods(shop: Shop, toronto: Gid, online: Gid) -> None:
    shop.add_product(
        "Linen Tote",
        variants=[
            VariantSpec(title=c, sku=f"TOTE-{c[:2].upper()}", price=Decimal("24.00"))
            for c in ("Natural", "Ink")
        ],
        option_names=["Colour"],
        product_type="Accessory",
        tags=["gift"],
        levels={toronto: 18, online: 30},
    )
    shop.add_product(
        "Mystery Print Bundle",
        variants=[
            VariantSpec(title="Three prints", sku="MYST-3"),
            VariantSpec(title="Five prints", sku="MYST-5"),
        ],
        product_type="Bundle",
        tags=["shared-stock"],
        levels={online: 20},
    )
    shop.add_product(
        "Pre-order: Autumn Set",
        variants=[VariantSpec(title="Set of two", sku="AUT-2", policy="CONTINUE", price=Decimal("90.00"))],
        product_type="Limited edition",
        tags=["preorder"],
        levels={toronto: 1},
    )


def _hidden_and_empty(shop: Shop, toronto: Gid, montreal: Gid, online: Gid) -> None:
    shop.add_product(
        "Spring Garden",
        variants=prints(sku="SPR"),
        option_names=["Frame"],
        product_type="Art print",
        tags=["coming-soon"],
        status="DRAFT",
        levels={toronto: 12, montreal: 12},
        published_on=(),
    )
    shop.add_product(
        "Postcard Set",
        variants=[VariantSpec(title="Pack of 10", sku="POST-10", price=Decimal("12.00"))],
        product_type="Stationery",
        tags=["gift", "restock"],
        levels={toronto: 0, montreal: 0, online: 0},
    )


def _untracked(shop: Shop, toronto: Gid, online: Gid) -> None:
    shop.add_product(
        "Gift Card",
        variants=[
            VariantSpec(title=f"${value}", tracked=False, price=Decimal(value)) for value in (25, 50, 100)
        ],
        product_type="Gift card",
        tags=["gift"],
        is_gift_card=True,
        levels={online: 0},
    )
    shop.add_product(
        "Framing Service",
        variants=[VariantSpec(title="Per piece", sku="SERV-F", tracked=False, price=Decimal("35.00"))],
        product_type="Service",
        levels={toronto: 0},
    )


def _sold_out_in_part(shop: Shop, toronto: Gid) -> None:
    shop.add_product(
        "Tide Calendar",
        variants=[
            VariantSpec(title=size, sku=f"TIDE-{size}", price=Decimal(price), levels={toronto: level})
            for size, price, level in (("A4", "18.00", 12), ("A3", "28.00", 0), ("A2", "38.00", 0))
        ],
        option_names=["Size"],
        product_type="Stationery",
        tags=["sea"],
    )


def fill_from(shop: Shop, data: Any) -> None:
    """Fills a shop from `{"locations": [{"name", ...}], "products": [{"title", "variants", ...}]}`.

    Levels name locations: `{"Toronto": 10}`, or one number for every active location.
    """
    try:
        places = {place["name"]: shop.add_location(**place) for place in data["locations"]}
        for product in data["products"]:
            variants = [_variant(spec, places) for spec in product.pop("variants", [{}])]
            levels = _levels(product.pop("levels", 0), places)
            shop.add_product(product.pop("title"), variants=variants, levels=levels, **product)
    except (KeyError, TypeError, AttributeError) as error:
        raise ShopError(f"the catalogue has not the expected form: {error!r}") from error


def _levels(levels: Any, places: dict[str, Gid]) -> Any:
    return {places[name]: count for name, count in levels.items()} if isinstance(levels, dict) else levels


def _variant(spec: dict[str, Any], places: dict[str, Gid]) -> VariantSpec:
    fields = {**spec, "price": Decimal(str(spec.get("price", "25.00")))}
    if fields.get("compare_at_price") is not None:
        fields["compare_at_price"] = Decimal(str(fields["compare_at_price"]))
    if fields.get("levels") is not None:
        fields["levels"] = _levels(fields["levels"], places)
    return VariantSpec(**fields)
