"""What the API says and understands: one model per shape, with the meaning of each field. No rule of the service.

Names of fields are those that the command line prints with --json.
"""

import base64
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Item = TypeVar("Item", bound=BaseModel)
AnyObject = dict[str, Any]

Moment = Annotated[datetime, AfterValidator(lambda at: at.astimezone(UTC))]
Domain = Annotated[str, Field(min_length=1, max_length=255, examples=["example.myshopify.com"])]
RunState = Literal["running", "succeeded", "failed", "cancelled"]
MessageState = Literal["pending", "sending", "sent", "failed", "unknown", "held", "cancelled"]


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: str | None = Field(
        description="Address of the next page, null at the end. A page may hold fewer items than asked for."
    )


class Asked(BaseModel):
    """A body: every field known, nothing read as another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


# --- shops ----------------------------------------------------------------------------------------------


class Location(BaseModel):
    """A place that holds stock."""

    id: str = Field(description="A location gid.")
    name: str
    is_active: bool


class Shop(BaseModel):
    """A shop."""

    domain: str
    name: str
    status: str = Field(description="active, paused or uninstalled.")
    reason: str = Field(description="Why it is not active.")
    pools: int = Field(description="Shared stocks.")
    frozen: int = Field(description="Shared stocks that wait for a person.")
    read_at: Moment | None = Field(description="When name, time zone, locations and scopes were read.")
    api_url: str
    plan: str
    timezone: str = Field(description="IANA name.")
    on_unknown: str = Field(description="settle or certain: the rule for corrections without a known answer.")
    scopes: list[str]
    locations: list[Location]
    created_at: Moment


class ShopPage(Page[Shop]):
    """One page of shops."""


# --- automations ------------------------------------------------------------------------------------------


class AutomationKind(BaseModel):
    """A kind of automation."""

    kind: str
    title: str
    summary: str
    topics: list[str] = Field(description="What it listens to unless told otherwise.")
    options: AnyObject = Field(description="JSON Schema of its options.")


class AutomationKinds(BaseModel):
    """Every kind of automation."""

    items: list[AutomationKind]


class Automation(BaseModel):
    """An installed automation."""

    id: str
    shop: str = Field(description="Domain of its shop.")
    kind: str
    name: str
    enabled: bool
    topics: list[str]
    options: AnyObject = Field(description="As the JSON Schema of its kind says.")
    created_at: Moment
    updated_at: Moment


class AutomationPage(Page[Automation]):
    """One page of automations."""


class SavedAutomation(Automation):
    """An automation as it is after a change."""

    warnings: list[str] = Field(
        description="What does not keep it from being saved, such as webhooks that will not come."
    )


Options = Annotated[
    AnyObject,
    Field(
        description="Options of the kind; see GET /automation-kinds. What is not named has its default, or stays.",
        examples=[{"product_tags": ["shared-stock"], "raise_settle_s": 10}],
    ),
]
Name = Annotated[
    str, Field(max_length=200, description="What a person calls it.", examples=["Prints share stock"])
]
Topics = Annotated[
    list[Annotated[str, Field(max_length=200)]],
    Field(max_length=100, description="Topics that it listens to.", examples=[["mechanic/scheduler/hourly"]]),
]


class NewAutomation(Asked):
    """An automation to install."""

    shop: Domain
    kind: str = Field(max_length=100, examples=["sync-across-variants"])
    options: Options = {}
    name: Name = Field(default="", description="What to call it; the title of the kind by default.")
    topics: Topics = Field(default=[], description="Topics to listen to; those of the kind by default.")
    enabled: bool = Field(default=True, description="Enabled, it looks at the shop at once.")


class AutomationChange(Asked):
    """What to change of an automation; what is not named stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    options: Options = {}
    name: Name = ""
    topics: Topics = []


class AutomationFile(BaseModel):
    """An automation as a file, for this shop or another."""

    stockwright_automation: int = Field(description="Version of the format: 1.")
    kind: str
    name: str
    options: AnyObject
    topics: list[str]


class ExportedAutomation(Asked):
    """An exported automation."""

    stockwright_automation: Literal[1]
    kind: str = Field(max_length=100, examples=["sync-across-variants"])
    name: Name = ""
    options: Options = {}
    topics: Topics = []


class Import(Asked):
    """An exported automation and the shop to install it for."""

    shop: Domain
    automation: ExportedAutomation


class Started(BaseModel):
    """Events that were put into the inbox; a worker takes them from there."""

    events: list[str] = Field(description="Ids of the events.")
    automation: str


class PreviewedProduct(BaseModel):
    """What would happen to one product."""

    model_config = ConfigDict(extra="allow")

    product_id: str
    title: str
    because: str
    corrections: list[AnyObject] = Field(description="Levels that would be changed: level, from, to.")
    error: AnyObject | None


class Preview(BaseModel):
    """What an automation would do now."""

    products: list[PreviewedProduct]
    complete: bool = Field(description="False: there are more products than asked for.")


# --- runs -------------------------------------------------------------------------------------------------


class Run(BaseModel):
    """A run: what was decided for a subject, and why."""

    run: str = Field(description="Its id.")
    started_at: Moment
    kind: str
    about: str = Field(description="What a person calls the subject.")
    state: RunState
    requests: int = Field(description="Admin API requests made for it.")
    because: str
    automation: str = Field(description="Id of its automation.")
    shop: str
    subject: str = Field(description="A product gid, or * for the whole shop.")
    error: AnyObject | None
    progress: AnyObject | None = Field(description="done, total and unit of long work.")
    finished_at: Moment | None


class RunPage(Page[Run]):
    """One page of runs."""


class Event(BaseModel):
    """An event that went into a run."""

    event_id: str
    topic: str
    payload: AnyObject
    source: str
    received_at: Moment
    triggered_at: Moment | None


class Effect(BaseModel):
    """Something that a run decided to do."""

    effect_id: str
    kind: str
    payload: AnyObject
    state: str = Field(description="pending, done, failed, unknown or cancelled.")
    attempts: int
    result: AnyObject | None
    created_at: Moment
    finished_at: Moment | None


class Attempt(BaseModel):
    """One try at an effect."""

    effect_id: str
    attempt: int
    started_at: Moment
    finished_at: Moment | None
    outcome: str
    detail: AnyObject | None


class JournalLine(BaseModel):
    """One entry of a stock's journal."""

    seq: int
    at: Moment
    kind: str
    data: AnyObject
    run_id: str | None


class RunStory(BaseModel):
    """Everything that is known of a run."""

    run: Run
    plan: AnyObject | None
    input: AnyObject | None = Field(description="What was decided from: enough to decide again.")
    events: list[Event]
    effects: list[Effect]
    attempts: list[Attempt]
    ledger: dict[str, list[JournalLine]] = Field(description="Journal entries of this run by stock.")
    told: list[str] = Field(description="The run in words, line by line.")


# --- shared stocks ------------------------------------------------------------------------------------------


class Level(BaseModel):
    """One member of a shared stock."""

    item_id: str
    location_id: str
    title: str
    level: int = Field(description="The level that was last seen or written.")
    units: int = Field(description="Base units of the shared stock in one sold unit.")
    off_by: int = Field(description="How far the level is from where it belongs.")


class Reading(BaseModel):
    """What the levels mean if a correction in doubt was applied, or was not."""

    stock: int = Field(description="The shared stock that follows.")
    moves: dict[str, int] = Field(description="What others must have moved meanwhile, by title.")


class Hypotheses(BaseModel):
    """Both readings of a correction in doubt."""

    if_applied: Reading
    if_not: Reading


class Pool(BaseModel):
    """A shared stock."""

    pool: str = Field(description="Its id.")
    title: str
    stock: int = Field(description="S: the true shared stock, in base units.")
    levels: list[Level]
    state: str = Field(description="active, correcting or frozen.")
    reason: str = Field(description="Why it is frozen.")
    automation: str = Field(description="Id of its automation.")
    shop: str
    product_id: str
    location_id: str = Field(description="A location gid, or * when all chosen locations are one level.")
    version: int = Field(description="Journal entries so far.")
    assumed: int = Field(description="Corrections booked as applied without proof.")
    updated_at: Moment


class PoolPage(Page[Pool]):
    """One page of shared stocks."""


class PoolDetail(Pool):
    """A shared stock with the way out of a freeze."""

    hypotheses: Hypotheses | None = Field(description="Set while a correction has no known answer.")


class HistoryLine(BaseModel):
    """What one run, or one decision of a person, did to a stock."""

    time: Moment
    text: str
    run_id: str | None


class History(BaseModel):
    """How a stock came to its number, oldest first."""

    pool: str
    title: str
    stock: int
    status: str
    lines: list[HistoryLine]


class Resolve(Asked):
    """A decision about a frozen stock."""

    resolution: Literal["was_applied", "was_not_applied", "adopt_levels"]
    stock: int | None = Field(
        default=None,
        ge=-(2**53),
        le=2**53,
        description="With adopt_levels: the shared stock to take where levels differ.",
    )


class Resolved(BaseModel):
    """What was booked."""

    told: str


# --- messages -----------------------------------------------------------------------------------------------


class Message(BaseModel):
    """A message to be mailed."""

    message: str = Field(description="Its id.")
    shop: str
    kind: str
    key: str = Field(description="What it is about; there is one message of a key.")
    to: str
    subject: str
    state: MessageState
    reason: str
    attempts: int
    next_at: Moment | None
    created_at: Moment
    sent_at: Moment | None
    smtp_reply: str


class BounceReport(Asked):
    """A mail with a report, as the relay got it."""

    report: str = Field(min_length=1, max_length=3_000_000, description="The whole mail, headers included.")
    encoding: Literal["text", "base64"] = Field(default="text", description="How `report` is written.")

    @model_validator(mode="after")
    def _decodes(self) -> Self:
        self.raw()
        return self

    def raw(self) -> bytes:
        """The bytes of the mail.

        Raises:
            ValueError: it is not base64.
        """
        if self.encoding == "text":
            return self.report.encode()
        try:
            return base64.b64decode(self.report, validate=True)
        except ValueError as error:
            raise ValueError("report: this is not base64") from error


class BouncePart(BaseModel):
    """What came of one recipient's part of a report."""

    to: str = Field(description="The address that the report names.")
    outcome: Literal["suppressed", "counted", "noted", "read before", "not ours"]
    detail: str


class BounceOutcome(BaseModel):
    """What came of a report."""

    parts: list[BouncePart]


class MessagePage(Page[Message]):
    """One page of messages."""


class MessageAttempt(BaseModel):
    """One try at a message."""

    attempt: int
    server: str
    started_at: Moment
    finished_at: Moment | None
    outcome: str
    reply: str


class MessageDetail(Message):
    """A message with its texts and tries."""

    text: str
    html: str
    headers: AnyObject
    tries: list[MessageAttempt]
