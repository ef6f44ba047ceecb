"""What speaks against sending a message that tells people of a restock, right before it is sent. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from stockwright.notify.catalogue import ShownProduct
from stockwright.notify.handout import Policy, Sending, why_held
from stockwright.notify.quiet import quiet_until
from stockwright.notify.restock import Stock


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request that the message tells of, as it is now."""

    variant_id: str
    quantity: int
    waits: bool  # it is queued for this message
    has_address: bool
    is_suppressed: bool
    is_told: bool  # in this wave, by another message


def against(
    policy: Policy,
    sending: Sending,
    product: ShownProduct | None,
    stock: Stock,
    requests: Sequence[Request],
    *,
    now: datetime,
    zone: ZoneInfo,
) -> str:
    """Why the message must not be sent now, for a person; "" = it may be. Those who still wait go on waiting."""
    return (
        _shopwide(policy, sending, now, zone)
        or _of_people(requests)
        or _of_product(product)
        or _of_stock(policy, stock, requests)
    )


def _shopwide(policy: Policy, sending: Sending, now: datetime, zone: ZoneInfo) -> str:
    if sending.is_uninstalled:
        return "The app was uninstalled from the shop."
    if why := why_held(policy, sending):
        return why
    quiet = quiet_until(policy.quiet_from, policy.quiet_until, now=now, zone=zone)
    return f"Quiet hours until {policy.quiet_until}." if quiet else ""


def _of_people(requests: Sequence[Request]) -> str:
    for one in requests:
        if not one.has_address:
            return "The address was erased."
        if one.is_told:
            return "The person was told in this wave already."
        if not one.waits:
            return "The person does not wait any more."
        if one.is_suppressed:
            return "The address is on the suppression list."
    return "" if requests else "Nobody waits for this message any more."


def _of_product(product: ShownProduct | None) -> str:
    if product is None:
        return "The product no longer exists."
    return "" if product.is_published else "The product is not published."


def _of_stock(policy: Policy, stock: Stock, requests: Sequence[Request]) -> str:
    for one in requests:
        if one.variant_id not in stock:
            return "The variant no longer exists."
        available, needed = stock[one.variant_id], max(policy.rule.quantity, one.quantity)
        if available is not None and available < needed:
            return f"Not enough in stock any more: {available} available, {needed} needed."
    return ""
