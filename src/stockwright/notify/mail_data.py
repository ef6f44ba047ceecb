"""What mails say of products: the `products` of the templates. Pure."""

from collections.abc import Collection

from stockwright.model import JsonObject
from stockwright.notify.catalogue import ShownProduct, ShownVariant
from stockwright.notify.links import variant_url


def product_data(product: ShownProduct, variant_ids: Collection[str], *, url: str) -> JsonObject:
    """A product with some of its variants; what is not known is "". `url`: its page, where it has one."""
    variants = [one for one in product.variants if one.id in variant_ids]
    images = (*(one.image_url for one in variants), product.image_url)
    return {
        "title": product.title,
        "url": variant_url(url, variants[0].id) if len(variants) == 1 else url,
        "image_url": next((image for image in images if image), ""),
        "variants": [_variant_data(product, one, url) for one in variants],
    }


def _variant_data(product: ShownProduct, variant: ShownVariant, url: str) -> JsonObject:
    named = [f"{name}: {value}" for name, value in variant.options if variant.name]
    return {
        "title": variant.name,
        "options": ", ".join(named),
        "price": money(variant.price, product.currency),
        "compare_at_price": money(variant.compare_at_price, product.currency),
        "buy_url": variant_url(url, variant.id),
    }


def money(amount: str, currency: str) -> str:
    """A price for people, such as "49.00 EUR"; "" where it is not known."""
    return f"{amount} {currency}".strip() if amount else ""
