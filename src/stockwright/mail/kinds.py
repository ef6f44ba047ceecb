"""The kinds of template: what each is for, which variables it may use, and what they look like.

Data only. A kind's built-in texts are the files `defaults/<locale>/<kind>.subject|.html|.txt`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from stockwright.model import Json, JsonObject, StockwrightError

DEFAULT_LOCALE = "en"


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The three parts of a template in one locale, in Liquid."""

    subject: str
    text: str
    html: str  # the inside of the sheet; the layout is around it


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of template. `variables`: path -> meaning; "products[].title" is a field of each product."""

    name: str
    title: str
    meaning: str
    variables: Mapping[str, str]
    sample: JsonObject  # a value for each variable; also the shape that rendering asks for
    to_shoppers: bool = False  # not to the shop's own people: says nothing of us


_SHOP = {
    "shop.name": "The shop's name.",
    "shop.domain": "Its myshopify.com domain.",
    "shop.url": "Its address for customers.",
}
_RUN = {
    "automation.name": "What the automation is called.",
    "run.id": "The run's id.",
    "run.url": "The run in the admin site; empty while no public address is set.",
    "run.command": "The command that explains the run.",
}
_SHOP_SAMPLE = {
    "name": "Copenhagen Prints",
    "domain": "copenhagen-prints.myshopify.com",
    "url": "https://copenhagen-prints.myshopify.com",
}
_RUN_SAMPLE = {
    "id": "run_01k9q2zt7m4h8x2c6v0b",
    "url": "https://stock.example.com/runs/run_01k9q2zt7m4h8x2c6v0b",
    "command": "stockwright explain run_01k9q2zt7m4h8x2c6v0b",
}


def _product(number: int, title: str, quantity: int, *channels: str) -> dict[str, Json]:
    url = f"https://admin.shopify.com/store/copenhagen-prints/products/{number}"
    return {"title": title, "admin_url": url, "quantity": quantity, "channels": list(channels)}


STAFF_BACK_IN_STOCK = Kind(
    name="staff_back_in_stock",
    title="Back in stock, to staff",
    meaning="One digest per run: the products that were published because they are in stock again.",
    variables={
        **_SHOP,
        **_RUN,
        "product_count": "How many products, those that are not listed included.",
        "more_count": "How many of them are not listed.",
        "products": "The products, at most 100.",
        "products[].title": "The product's title.",
        "products[].admin_url": "The product in Shopify's admin.",
        "products[].quantity": "What is available at the chosen locations.",
        "products[].channels": "Names of the sales channels that it was published to.",
    },
    sample={
        "shop": _SHOP_SAMPLE,
        "automation": {"name": "Publish products when they are back in stock"},
        "run": _RUN_SAMPLE,
        "product_count": 3,
        "more_count": 0,
        "products": [
            _product(9214037721, "Nyhavn at dawn, 50 × 70 cm", 12, "Online Store", "Shop", "Point of Sale"),
            _product(9214037722, "The round tower", 4, "Online Store", "Shop"),
            _product(9214037725, "Bicycles & rain <limited>", 1, "Online Store"),
        ],
    },
)

ERROR_REPORT = Kind(
    name="error_report",
    title="An automation failed",
    meaning="To the owner, once per cause and hour: what went wrong, where, and how to look closer.",
    variables={
        **_SHOP,
        **_RUN,
        "cause": "What went wrong.",
        "because": "The run's explanation.",
        "subject": "What the run was about, such as a product's title; may be empty.",
        "run.failed_at": "When, in the shop's time zone.",
        "failures_24h": "Failed runs of this automation for this cause in the last 24 hours, this one included.",
        "details": "More that the run reported.",
        "details[].name": "What it is.",
        "details[].value": "Its value.",
    },
    sample={
        "shop": _SHOP_SAMPLE,
        "automation": {"name": "Keep stock in sync across variants"},
        "run": {**_RUN_SAMPLE, "failed_at": "20 Nov 2026, 14:05 CET"},
        "cause": "There is no location “Warehouse Est” in this shop. Did you mean “Warehouse East”?",
        "because": "The options name what the shop does not have.",
        "subject": "Nyhavn at dawn, 50 × 70 cm",
        "failures_24h": 4,
        "details": [{"name": "available location names", "value": "Shop Nørrebro, Warehouse East"}],
    },
)

TEST_MAIL = Kind(
    name="test_mail",
    title="Test mail",
    meaning="Shows that the mail settings work.",
    variables={
        **_SHOP,
        "server": "The mail server, host:port.",
        "sender": "The sender's address.",
        "security": "How the connection is protected.",
        "sent_at": "When, in the shop's time zone.",
    },
    sample={
        "shop": _SHOP_SAMPLE,
        "server": "smtp.example.com:587",
        "sender": "hello@copenhagen-prints.example",
        "security": "STARTTLS",
        "sent_at": "20 Nov 2026, 14:05 CET",
    },
)

# --- to shoppers ---------------------------------------------------------------------------------------------------

_ITEMS = {
    "products": "The products that it is about.",
    "products[].title": "The product's title.",
    "products[].url": "Its page, with the variant selected; empty where it has none.",
    "products[].image_url": "A picture of it; may be empty.",
    "products[].variants": "Its variants that it is about.",
    "products[].variants[].title": "The variant's title; empty for the only variant of a product.",
    "products[].variants[].options": "Its options, such as Size: 50 × 70 cm; may be empty.",
    "products[].variants[].price": "Its price with the currency; may be empty.",
    "products[].variants[].compare_at_price": "Its price before a reduction; may be empty.",
    "products[].variants[].buy_url": "The product's page with this variant selected; may be empty.",
    "customer.first_name": "The shopper's first name; may be empty.",
    "postal_address": "The shop's postal address, from its mail settings; may be empty.",
}
_UNSUBSCRIBE = {
    "links.unsubscribe": "The page on which the shopper can stop this notification.",
    "links.unsubscribe_all": "The page on which the shopper can stop all notifications of the shop.",
}
_ITEMS_SAMPLE: dict[str, Json] = {
    "products": [
        {
            "title": "Nyhavn at dawn",
            "url": "https://copenhagen-prints.example/products/nyhavn-at-dawn?variant=4100",
            "image_url": "",
            "variants": [
                {
                    "title": "50 × 70 cm / Oak & <gold>",
                    "options": "Size: 50 × 70 cm, Frame: Oak & <gold>",
                    "price": "129.00 EUR",
                    "compare_at_price": "",
                    "buy_url": "https://copenhagen-prints.example/products/nyhavn-at-dawn?variant=4100",
                }
            ],
        }
    ],
    "customer": {"first_name": "Ada"},
    "postal_address": "Copenhagen Prints, Nyhavn 17, 1051 Copenhagen",
}
_LINK = "https://stock.example.com/u/AAAAAAAAAAcAE3N1Yl8wMWs5cTJ6dDdtNGg4eDJjNnYwYg"

SIGNUP_CONFIRMATION = Kind(
    name="signup_confirmation",
    to_shoppers=True,
    title="Signed up",
    meaning="To a shopper who has asked to be told when an item is back.",
    variables={**_SHOP, **_ITEMS, **_UNSUBSCRIBE},
    sample={
        "shop": _SHOP_SAMPLE,
        **_ITEMS_SAMPLE,
        "links": {"unsubscribe": _LINK, "unsubscribe_all": _LINK},
    },
)

DOUBLE_OPT_IN = Kind(
    name="double_opt_in",
    to_shoppers=True,
    title="Confirm the address",
    meaning="To a shopper who has to confirm the address before being told of anything.",
    variables={**_SHOP, **_ITEMS, "links.confirm": "The page with the button that confirms."},
    sample={
        "shop": _SHOP_SAMPLE,
        **_ITEMS_SAMPLE,
        "links": {"confirm": "https://stock.example.com/u/confirm/AAAAAAAAAAcAE3N1Yl8wMWs5cTJ6dDdtNGg4"},
    },
)

BACK_IN_STOCK = Kind(
    name="back_in_stock",
    to_shoppers=True,
    title="Back in stock, to shoppers",
    meaning="To everybody who waited: what they asked for is back. One mail per person and restock of a product.",
    variables={**_SHOP, **_ITEMS, **_UNSUBSCRIBE},
    sample={
        "shop": _SHOP_SAMPLE,
        **_ITEMS_SAMPLE,
        "links": {"unsubscribe": _LINK, "unsubscribe_all": _LINK},
    },
)

UNSUBSCRIBED = Kind(
    name="unsubscribed",
    to_shoppers=True,
    title="Unsubscribed",
    meaning="The last mail to a shopper who unsubscribed on our page, where the shop wants it.",
    variables={**_SHOP, **_ITEMS, "is_all": "Whether it was from all notifications of the shop."},
    sample={"shop": _SHOP_SAMPLE, **_ITEMS_SAMPLE, "is_all": True},
)

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        STAFF_BACK_IN_STOCK,
        ERROR_REPORT,
        TEST_MAIL,
        SIGNUP_CONFIRMATION,
        DOUBLE_OPT_IN,
        BACK_IN_STOCK,
        UNSUBSCRIBED,
    )
}


def kind_named(name: str) -> Kind:
    """The kind of a name.

    Raises:
        StockwrightError: there is none.
    """
    if name not in KINDS:
        raise StockwrightError(f"There is no template {name!r}. Templates: {', '.join(KINDS)}.")
    return KINDS[name]


def locales_for(locale: str) -> tuple[str, ...]:
    """The locales to look in, best first: fr-CA -> fr-CA, fr, en."""
    parts = locale.replace("_", "-").split("-")
    chain = ("-".join(parts[:length]) for length in range(len(parts), 0, -1))
    return tuple(dict.fromkeys([*(one for one in chain if one), DEFAULT_LOCALE]))


@cache
def builtin(name: str, locale: str) -> Texts | None:
    """The built-in texts of a kind in exactly this locale, or None."""
    folder = files("stockwright.mail").joinpath("defaults", locale)
    if not locale.replace("-", "").isalnum() or not folder.joinpath(f"{name}.html").is_file():
        return None
    subject, text, html = (
        folder.joinpath(f"{name}.{end}").read_text(encoding="utf-8") for end in ("subject", "txt", "html")
    )
    return Texts(subject=subject.strip(), text=text, html=html)


def builtin_for(name: str, locale: str) -> tuple[str, Texts]:
    """The built-in texts of the best locale for this one, and which that is."""
    for one in locales_for(locale):
        if (texts := builtin(name, one)) is not None:
            return one, texts
    raise AssertionError(f"the built-in template {name} lacks its {DEFAULT_LOCALE} texts")
