"""What the control API takes: one class for each request, with the bounds of what the shop can do."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shopify_emulator.faults import DAY_S
from shopify_emulator.model import Policy, Status, VariantSpec
from shopify_emulator.stock import SET_BOUND
from shopify_emulator.storefront.settings import Placement

Quantity = Annotated[int, Field(ge=-SET_BOUND, le=SET_BOUND)]
Price = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=2)]
ServerError = Literal[500, 502, 503, 504]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Line(Body):
    variant: str
    quantity: int = Field(default=1, ge=1, le=SET_BOUND)


class Sale(Body):
    lines: list[Line] = Field(min_length=1)
    location: str | None = None
    force: bool = False


class Refunding(Body):
    order: str | None = None  # None: the last order
    lines: list[Line] | None = None
    restock: bool = True


class OnOrder(Body):
    order: str | None = None
    restock: bool = True


class LineChange(Body):
    """More (positive) or less (negative) of a variant on an order."""

    variant: str
    quantity: Quantity


class OrderEdit(Body):
    order: str | None = None
    changes: list[LineChange] = Field(min_length=1)
    force: bool = False


class Edit(Body):
    item: str
    location: str
    available: Quantity


class Edits(Body):
    edits: list[Edit] = Field(min_length=1)


class Stocking(Body):
    item: str
    location: str
    available: Quantity = 0


class Unstocking(Body):
    item: str
    location: str


class NewVariant(Body):
    title: str = "Default Title"
    sku: str = ""
    tracked: bool = True
    price: Price = Decimal("25.00")
    policy: Policy = "DENY"
    compare_at_price: Price | None = None
    image_url: str = ""
    levels: dict[str, Quantity] | Quantity | None = None

    def spec(self) -> VariantSpec:
        return VariantSpec(**self.model_dump())


class NewProduct(Body):
    title: str
    variants: list[NewVariant] = Field(default_factory=lambda: [NewVariant()])
    product_type: str = ""
    tags: list[str] = []
    status: Status = "ACTIVE"
    vendor: str = ""
    levels: dict[str, Quantity] | Quantity = 0
    is_gift_card: bool = False
    published_on: list[str] | None = None
    option_names: list[str] = []
    image_url: str = ""


class AddedVariant(NewVariant):
    product: str

    def spec(self) -> VariantSpec:
        return VariantSpec(**self.model_dump(exclude={"product"}))


class VariantChange(Body):
    """What is not given stays as it is."""

    variant: str
    sku: str | None = None
    policy: Policy | None = None
    tracked: bool | None = None
    remove: bool = False


class NewLocation(Body):
    name: str = Field(min_length=1)
    active: bool = True
    fulfills_online: bool = True
    primary: bool = False


class LocationChange(Body):
    """What is not given stays as it is. Only a location that is not active can be removed."""

    location: str
    name: str | None = Field(default=None, min_length=1)
    active: bool | None = None
    primary: Literal[True] | None = None
    remove: bool = False


class NewChannel(Body):
    name: str = Field(min_length=1)
    handle: str = Field(min_length=1)
    future_publishing: bool = False


class ChannelRemoval(Body):
    publication: str


class ShopChange(Body):
    """The merchant's settings; what is not given stays as it is."""

    name: str | None = Field(default=None, min_length=1)
    timezone: str | None = Field(default=None, min_length=1)


class Scopes(Body):
    scopes: list[str]


class Secret(Body):
    secret: str = Field(min_length=1)


class ProductChange(Body):
    product: str
    status: Status | None = None
    tags: list[str] | None = None
    product_type: str | None = None
    remove: bool = False


class OneShot(Body):
    """The next request, or webhook, that suffers a fault. `also`: more faults for the same webhook."""

    operation: str = "*"
    fault: str
    also: list[str] = []
    count: int = Field(default=1, ge=1, le=10_000)
    row: int = Field(default=0, ge=0)
    status: ServerError = 503
    delay_s: float | None = Field(default=None, ge=0, le=DAY_S)
    copy_delay_s: float = Field(default=0.0, ge=0, le=DAY_S)


class FaultPlan(Body):
    next: list[OneShot] = []
    rates: dict[str, float] = {}
    statuses: list[ServerError] | None = None  # what server errors of `rates` answer
    webhook_delay_s: float | None = Field(default=None, gt=0, le=DAY_S)
    clear: bool = False


class Theme(Body):
    """The theme editor and the app's proxy; what is not given stays as it is."""

    placement: Placement | None = None
    inside_form: bool | None = None
    block_settings: dict[str, str | int | bool] | None = None
    proxy_url: str | None = None
    customer_id: str | None = Field(default=None, pattern="^[0-9]*$")


class Metafield(Body):
    """App-data of the installation; a null value removes it."""

    namespace: str = "stockwright"
    key: str
    value: Any


class Nothing(Body):
    pass
