"""Metafields of the app itself: themes read them, and nobody else can write them."""

from collections.abc import Mapping

from stockwright.shopify.budget import Priority
from stockwright.shopify.calls import Caller
from stockwright.shopify.errors import ErrorCode, ShopifyError

MAX_METAFIELDS = 25  # of one request


async def set_app_metafields(caller: Caller, namespace: str, values: Mapping[str, str]) -> None:
    """Write JSON texts by key, at most 25. To write the same again changes nothing, so a lost answer is no harm.

    Raises:
        ShopifyError: not all of them were surely written.
    """
    assert len(values) <= MAX_METAFIELDS
    data = await caller.read("read_installation", {}, priority=Priority.SCAN)
    owner = data.child("currentAppInstallation").text("id")
    fields = [
        {"ownerId": owner, "namespace": namespace, "key": key, "type": "json", "value": value}
        for key, value in values.items()
    ]
    payload = (await caller.write("set_metafields", {"metafields": fields})).child("metafieldsSet")
    if errors := payload.children("userErrors"):
        told = "; ".join(error.text("message")[:300] for error in errors[:5])
        message = f"{caller.account.domain} refused the app's metafields: {told}"
        raise ShopifyError(ErrorCode.INVALID_REQUEST, message, permanent=True)
