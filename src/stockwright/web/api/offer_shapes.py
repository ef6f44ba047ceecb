"""What the API says and understands of offers: one model per shape. No rule of the service."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from stockwright.notify.offers import MAX_DESCRIPTION, MAX_LIMIT, MAX_NAME
from stockwright.shopify.picking import MAX_NAMED
from stockwright.web.api.schemas import Asked, Domain, Moment, Page

OfferStatus = Literal["draft", "scheduled", "active", "paused", "completed", "archived"]
OfferMode = Literal["out_of_stock", "in_stock", "always"]

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _as_moment(value: Any) -> Any:
    """A JSON text as a moment: bodies are read strictly, and JSON has no times."""
    try:
        if isinstance(value, str) and _MOMENT.fullmatch(value):
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be a time with its zone, such as 2026-12-01T08:00:00Z")


At = Annotated[AwareDatetime, BeforeValidator(_as_moment), Field(examples=["2026-12-01T08:00:00Z"])]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]
Items = Annotated[
    list[Annotated[str, Field(max_length=255)]],
    Field(
        max_length=MAX_NAMED,
        description="Gids of products (all their variants) and of single variants.",
        examples=[["gid://shopify/Product/123", "gid://shopify/ProductVariant/456"]],
    ),
]


class Offer(BaseModel):
    """An offer."""

    id: str
    shop: str = Field(description="Domain of its shop.")
    name: str
    description: str = Field(description="Internal; shoppers never see it.")
    status: OfferStatus
    pause_reason: Literal["", "manual", "auto_back_in_stock", "limit_reached"]
    mode: OfferMode = Field(description="When variants can be ordered ahead; Notify Me needs out_of_stock.")
    auto_disable: bool = Field(description="Stop the pre-order of a variant that is back in stock.")
    resume: bool = Field(description="And take it up again when it is sold out again.")
    starts_at: Moment | None
    ends_at: Moment | None = Field(description="starts_at <= now < ends_at; null = no limit.")
    limit_total: int | None = Field(description="Units of the whole offer; null = unlimited.")
    limit_per_customer: int | None
    limit_per_order: int | None
    pause_at_limit: bool = Field(description="Pause when limit_total is reached.")
    created_at: Moment
    updated_at: Moment
    activated_at: Moment | None
    completed_at: Moment | None
    version: int = Field(description="Changes so far.")
    products: int = Field(description="Products that it covers, wholly or in part.")
    items: int = Field(description="Products and single variants that it names.")
    stopped: int = Field(description="Variants whose pre-order auto-disable has stopped.")
    ordered: int = Field(description="Units that count for its limits.")
    waiting: int = Field(description="People who signed up under it and wait.")


class OfferPage(Page[Offer]):
    """One page of offers."""


class SavedOffer(Offer):
    """An offer as it is after a change."""

    warnings: list[str] = Field(
        description="What does not keep it from being saved, such as a missing scope."
    )


class OfferItem(BaseModel):
    """A product of an offer, or one variant of it."""

    product_id: str
    variant_id: str | None = Field(description="null = every variant.")
    product_title: str
    variant_title: str
    is_missing: bool = Field(description="The shop has deleted it.")


class OfferItems(BaseModel):
    """Everything that an offer names, at most 10,000."""

    items: list[OfferItem]


class ChangedItems(BaseModel):
    """What became of the given items."""

    done: int = Field(description="So many were added, or taken out.")
    unchanged: int = Field(description="So many were there already, or were not there.")


class NewOffer(Asked):
    """An offer to make; a draft until it is activated."""

    shop: Domain
    name: str = Field(min_length=1, max_length=MAX_NAME, examples=["Spring pre-order"])
    description: str = Field(default="", max_length=MAX_DESCRIPTION)
    mode: OfferMode = "out_of_stock"
    auto_disable: bool = False
    resume: bool = True
    starts_at: At | None = None
    ends_at: At | None = None
    limit_total: Limit | None = None
    limit_per_customer: Limit | None = None
    limit_per_order: Limit | None = None
    pause_at_limit: bool = False
    items: Items = Field(default=[])


class OfferChange(Asked):
    """What to change of an offer; what is not named stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    name: str = Field(default="", min_length=1, max_length=MAX_NAME)
    description: str = Field(default="", max_length=MAX_DESCRIPTION)
    mode: OfferMode = "out_of_stock"
    auto_disable: bool = False
    resume: bool = True
    starts_at: At | None = None
    ends_at: At | None = None
    limit_total: Limit | None = None
    limit_per_customer: Limit | None = None
    limit_per_order: Limit | None = None
    pause_at_limit: bool = False


class SomeItems(Asked):
    """Products and variants to add or to take out."""

    items: Annotated[Items, Field(min_length=1)]


class VariantGate(BaseModel):
    """What is decided of one variant now, and why."""

    variant_id: str
    title: str
    available: int | None = Field(description="At the locations that count; null = not tracked.")
    notify: bool = Field(description="Notify Me is shown, and sign-ups are taken.")
    reason: str
    why: str
    preorder: bool = Field(description="It can be ordered ahead.")
    preorder_why: str
    most_units: int | None = Field(description="That one order may have ahead now; null = no limit.")
    offer: str | None = Field(description="The offer that decided.")


class ProductGates(BaseModel):
    """A product's variants, and where the button is shown."""

    product_id: str
    title: str
    variants: list[VariantGate]
