"""What the API says of people who wait: subscribers, demand, imports, one person's data. No rule of the service."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from stockwright.web.api.schemas import AnyObject, Asked, Moment, Page

Status = Literal["Pending", "Sent", "Failed"]
State = Literal[
    "unconfirmed", "pending", "queued", "sent", "unknown", "failed", "bounced", "unsubscribed", "cancelled", "expired",
    "suppressed",
]  # fmt: skip
Email = Annotated[str, Field(min_length=3, max_length=320, examples=["ann@example.com"])]
Consent = Literal["kept", "asked"]


class Subscriber(BaseModel):
    """One request of one address to be told when one variant is back."""

    subscriber: str = Field(description="Its id.")
    email: str = Field(description="Empty once the person was erased.")
    status: Status
    subscribed_at: Moment
    notified_at: Moment | None = Field(description="Null unless the status is Sent.")
    product: str
    variant: str = Field(description="Empty for a product with one variant without a name.")
    note: str = Field(description="The finer state in words, and why.")
    state: State
    offer: str = Field(description="Id of the offer under which it was made; may be empty.")
    locale: str
    first_name: str
    quantity: int
    source: str = Field(description="proxy, direct, import, admin or api.")
    unsubscribed_at: Moment | None
    variant_id: str
    product_id: str
    customer_id: str = Field(description="A customer gid, empty for a guest.")


class SubscriberPage(Page[Subscriber]):
    """One page of subscribers."""


class SubscriberEvent(BaseModel):
    """One thing that happened."""

    at: Moment
    text: str
    detail: str
    by: str = Field(description="Who did it; empty: the service or the shopper.")


class Telling(BaseModel):
    """One telling of a subscriber, or why it was not done."""

    wave: str
    message: str
    state: str = Field(description="queued, sent, failed, unknown, held or dropped.")
    reason: str
    smtp_reply: str
    created_at: Moment
    finished_at: Moment | None


class SubscriberStory(Subscriber):
    """A subscriber with everything that happened."""

    because: str = Field(description="Why this was, or was not, sent.")
    shop: str = Field(description="Domain of the shop.")
    events: list[SubscriberEvent] = Field(description="Oldest first.")
    notifications: list[Telling] = Field(description="Oldest first.")


class Resent(BaseModel):
    """What sending again came to."""

    told: str
    subscriber: Subscriber


class Demand(BaseModel):
    """What people wait for, of one variant."""

    product: str
    variant: str
    sku: str
    people: int
    units: int
    oldest_at: Moment = Field(description="Since when somebody waits.")
    price: str | None = Field(description="Decimal text; null while it is not known.")
    currency: str
    revenue: str | None = Field(description="Price by units; null while the price is not known.")
    variant_id: str
    product_id: str


class DemandReport(BaseModel):
    """What people wait for."""

    items: list[Demand]
    variants: int = Field(description="How many variants people wait for; items may be fewer.")
    people: int
    units: int
    revenue: dict[str, str] = Field(description="Potential revenue by currency, of what has a price.")


class OneAddress(Asked):
    """Whom a request is about."""

    email: Email


class Erased(BaseModel):
    """What named a person, and does not any more."""

    subscribers: int
    messages: int


class PersonData(BaseModel):
    """All that is kept of an address."""

    shop: str
    made_at: Moment
    addresses: list[str]
    customer_id: str
    subscriptions: list[AnyObject]
    messages: list[AnyObject]
    preorders: list[AnyObject]
    not_mailed_because: list[AnyObject]


class NewImport(Asked):
    """People to import, as CSV text."""

    csv: str = Field(
        min_length=1,
        max_length=1_000_000,
        description="The file; its first line names the columns. See docs/notifications.md.",
        examples=["email,variant_id\nann@example.com,7264016900001"],
    )
    file_name: str = Field(default="people.csv", max_length=200)
    check: bool = Field(default=False, description="Only say what would happen; start it later.")
    consent: Consent = Field(
        default="kept", description="asked: everybody gets a mail to confirm the address."
    )


class StartImport(Asked):
    """How to import what was checked."""

    consent: Consent = "kept"


class RefusedLine(BaseModel):
    """A line that cannot be used."""

    line: int = Field(description="Of the file; the heading is line 1.")
    reason: str


class Import(BaseModel):
    """A file of people and what came of it."""

    import_id: str
    shop: str
    file_name: str
    state: Literal["checking", "checked", "importing", "done", "failed", "cancelled"]
    reason: str = Field(description="Why it failed or pauses.")
    consent: Consent
    lines: int
    lines_done: int
    added: int = Field(description="While it is checked: who would be added.")
    doubles: int = Field(description="Wait already, or stand twice in the file.")
    refused: int
    refused_lines: list[RefusedLine] = Field(description="The first thousand.")
    created_at: Moment
    finished_at: Moment | None
