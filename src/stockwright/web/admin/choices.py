"""What filters of lists share: the shops to choose from, and a shop's number out of an address."""

from collections.abc import Sequence

from starlette.requests import Request

from stockwright.model import ShopId
from stockwright.store.shops import Shop


def chosen(request: Request, name: str, choices: Sequence[str]) -> str:
    """A value of the address if it is one of these; "" for anything else."""
    value = request.query_params.get(name, "")
    return value if value in choices else ""


def shop_chosen(request: Request, found: Sequence[Shop]) -> Shop | None:
    """The shop whose number the address names."""
    value = request.query_params.get("shop", "")
    return next((shop for shop in found if str(shop.shop_id) == value), None)


def by_id(found: Sequence[Shop]) -> dict[ShopId, Shop]:
    """Shops by their numbers."""
    return {shop.shop_id: shop for shop in found}
