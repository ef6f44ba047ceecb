"""The options of `notify-back-in-stock`: who may sign up, what counts as a restock, who is told when."""

from typing import Literal

from pydantic import Field, ValidationError

from stockwright.automations.options import NameList, Options
from stockwright.model import JsonObject


class NotifyOptions(Options):
    """What a merchant can set of back-in-stock notifications."""

    # --- what counts as a restock ---
    quantity: int = Field(
        default=1,
        ge=1,
        le=1_000_000,
        title="Back-in-stock quantity",
        description="A variant is back when at least this many are available at the chosen locations.",
    )
    location_names: NameList = Field(
        default=(),
        title="Locations",
        description="Exact names of the locations whose stock counts; none = all active locations.",
    )
    continue_selling_counts: bool = Field(
        default=False,
        title="Variants that sell on when sold out count as in stock",
        description="Off, a variant with Shopify's “Continue selling when out of stock” is judged by its stock, "
        "as a variant on pre-order must be.",
    )
    settle_s: float = Field(
        default=60.0,
        ge=0,
        le=3600,
        title="Settle time, in seconds",
        description="A restock waits this long before the first mail, and is dropped if the stock goes away again.",
    )
    # --- who is told, and how fast ---
    policy: Literal["everyone", "per_unit"] = Field(
        default="everyone",
        title="Who is told",
        description="everyone: all who wait. per_unit: so many per unit in stock, then again after the interval, "
        "until it is sold out or nobody waits.",
    )
    people_per_unit: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        title="People told per unit in stock",
        description="With per_unit: 80 units at 1.5 tell 120 people.",
    )
    interval_minutes: int = Field(
        default=60,
        ge=1,
        le=10_080,
        title="Interval between batches, in minutes",
        description="With per_unit: how long the people told have the stock to themselves.",
    )
    order: Literal["oldest", "newest"] = Field(
        default="oldest", title="Who comes first", description="oldest: first come, first told."
    )
    paused: bool = Field(
        default=False,
        title="Pause all notifications",
        description="Restocks are still found and wait; nothing is sent until this is off.",
    )
    quiet_from: str = Field(
        default="",
        pattern=r"^$|^([01]\d|2[0-3]):[0-5]\d$",
        title="Quiet hours begin",
        description="A time such as 22:00 in the shop's time zone; empty = no quiet hours.",
    )
    quiet_until: str = Field(
        default="",
        pattern=r"^$|^([01]\d|2[0-3]):[0-5]\d$",
        title="Quiet hours end",
        description="A time such as 07:00 in the shop's time zone.",
    )
    # --- signing up ---
    sign_ups: bool = Field(
        default=True,
        title="Take sign-ups",
        description="Off, no button is shown and nobody can sign up; people who wait are still told.",
    )
    guests: bool = Field(
        default=True,
        title="Guests may sign up",
        description="Off, only customers who are signed in to the shop.",
    )
    exclude_tags: NameList = Field(
        default=(),
        title="No sign-ups for products with any of these tags",
        description="Upper and lower case are alike.",
    )
    button: Literal["alongside", "instead"] = Field(
        default="alongside",
        title="The button stands",
        description="alongside the pre-order button, or instead of it.",
    )
    confirmation_mail: bool = Field(
        default=True,
        title="Confirm each sign-up by mail",
        description="The page confirms it in any case.",
    )
    double_opt_in: bool = Field(
        default=False,
        title="Ask to confirm the address",
        description="Nobody is told before opening the link in a mail and pressing its button.",
    )
    limit_per_client: int = Field(
        default=20,
        ge=0,
        le=100_000,
        title="Sign-ups per client and hour",
        description="By network address; 0 = no limit.",
    )
    limit_per_address: int = Field(
        default=30,
        ge=0,
        le=100_000,
        title="Sign-ups per mail address and hour",
        description="0 = no limit.",
    )
    minimum_form_s: float = Field(
        default=1.0,
        ge=0,
        le=60,
        title="Least time to fill the form in, in seconds",
        description="Faster posts are taken for robots; 0 = no such check.",
    )
    storefront_domains: NameList = Field(
        default=(),
        title="More storefront domains",
        description="Hosts such as www.example.com from which pages may sign people up directly, besides the "
        "shop's own domains.",
    )
    # --- afterwards ---
    unsubscribe_scope: Literal["all", "item"] = Field(
        default="all",
        title="The mail program's unsubscribe button ends",
        description="all: every notification of this shop. item: the one that the mail was about. Our page offers both.",
    )
    cancel_when_offer_ends: bool = Field(
        default=False,
        title="Cancel the waiting list when an offer ends",
        description="Off, people keep waiting.",
    )
    cool_down_minutes: int = Field(
        default=60,
        ge=0,
        le=43_200,
        title="Rest between two mails about one variant, in minutes",
        description="Nobody is told again of the same variant within this time.",
    )
    unsubscribed_mail: bool = Field(
        default=False,
        title="Confirm unsubscribing by mail",
        description="One last mail to who unsubscribes on our page; the page confirms it in any case.",
    )
    keep_sent_days: int = Field(
        default=365,
        ge=0,
        le=3650,
        title="Keep people who were told, in days",
        description="Then the row is deleted; 0 = for ever.",
    )
    keep_unsubscribed_days: int = Field(
        default=30,
        ge=0,
        le=3650,
        title="Keep people who unsubscribed, in days",
        description="The address stays on the suppression list as a keyed hash; 0 = for ever.",
    )
    keep_unconfirmed_days: int = Field(
        default=7,
        ge=0,
        le=3650,
        title="Keep unconfirmed sign-ups, in days",
        description="0 = for ever.",
    )


def notify_options(stored: JsonObject) -> NotifyOptions:
    """The options as they are stored; a value that cannot be used, such as one of an older release, is the default.

    Of how long people are kept it is 0: nothing is deleted by a setting that nobody can read.
    """
    values = dict(stored)
    try:
        return NotifyOptions.model_validate(values)
    except ValidationError as error:
        faulty = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
        usable = {name: value for name, value in values.items() if name not in faulty}
        kept = {name: 0 for name in faulty if name.startswith("keep_")}
        return NotifyOptions.model_validate(usable | kept)
