"""The JSON control API under /_emulator: reading the shop and acting as its customers and merchant.

For tests and the demo in other processes. No login, so it answers loopback callers only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shopify_emulator.control_bodies import (
    AddedVariant,
    ChannelRemoval,
    Edits,
    FaultPlan,
    LocationChange,
    Metafield,
    NewChannel,
    NewLocation,
    NewProduct,
    Nothing,
    OneShot,
    OnOrder,
    OrderEdit,
    ProductChange,
    Refunding,
    Sale,
    Scopes,
    Secret,
    ShopChange,
    Stocking,
    Theme,
    Unstocking,
    VariantChange,
)
from shopify_emulator.faults import Fault, WebhookFault, fault_over_http
from shopify_emulator.model import Location, Movement, Order, Product, ShopError, Variant
from shopify_emulator.server import shop_of
from shopify_emulator.shop import Shop
from shopify_emulator.storefront.blocks import check_block_settings
from shopify_emulator.subscriptions import is_loopback

M = TypeVar("M", bound=BaseModel)
Json = dict[str, Any]
HISTORY_LIMIT = 1_000
REQUEST_DELAY_S = 30.0


Act = Callable[[Shop, M], Json]


def variant_json(variant: Variant) -> Json:
    return {
        "id": variant.gid,
        "title": variant.title,
        "sku": variant.sku,
        "item": variant.item.gid,
        "tracked": variant.item.tracked,
        "policy": variant.policy,
        "price": f"{variant.price:.2f}",
        "levels": {gid: level.available for gid, level in variant.item.levels.items() if level.active},
    }


def product_json(product: Product) -> Json:
    return {
        "id": product.gid,
        "title": product.title,
        "handle": product.handle,
        "status": product.status,
        "product_type": product.product_type,
        "tags": list(product.tags),
        "gift_card": product.is_gift_card,
        "published_on": list(product.publications),
        "variants": [variant_json(variant) for variant in product.variants],
    }


def order_json(order: Order) -> Json:
    return {
        "id": order.gid,
        "name": order.name,
        "created_at": order.created_at.isoformat(),
        "cancelled": order.cancelled_at is not None,
        "fulfilled": order.fulfilled_at is not None,
        "lines": [
            {
                "id": line.gid,
                "variant": line.variant.gid,
                "quantity": line.quantity,
                "current": line.current,
                "location": line.location.gid if line.location is not None else None,
            }
            for line in order.lines
        ],
        "refunds": [refund.gid for refund in order.refunds],
    }


def movement_json(movement: Movement) -> Json:
    return {**asdict(movement), "at": movement.at.isoformat()}


def location_json(location: Location) -> Json:
    return {
        "id": location.gid,
        "name": location.name,
        "active": location.active,
        "primary": location.primary,
        "fulfills_online": location.fulfills_online,
    }


def state_json(shop: Shop) -> Json:
    state = shop.state
    return {
        "domain": shop.domain,
        "now": shop.clock.now().isoformat(),
        "locations": [location_json(location) for location in state.locations.values()],
        "publications": [
            {"id": p.gid, "name": p.name, "handle": p.handle} for p in state.publications.values()
        ],
        "products": [product_json(product) for product in state.products.values()],
        "orders": [order_json(order) for order in state.orders.values()],
        "subscriptions": [
            {"id": s.gid, "topic": s.topic, "uri": s.uri} for s in shop.subscriptions.by_gid.values()
        ],
        "requests": shop.request_counts(),
        "points_used": shop.bucket.spent,
        "movements": len(state.history),
        "webhooks": {"pending": len(shop.pending_webhooks()), "attempts": len(shop.outbox.sent)},
        "faults_injected": {kind.value: count for kind, count in shop.faults.injected.items()},
    }


def _sell(shop: Shop, sale: Sale) -> Json:
    lines = [(line.variant, line.quantity) for line in sale.lines]
    return order_json(shop.sell(lines, location=sale.location, force=sale.force))


def order_or_last(shop: Shop, gid: str | None) -> str:
    """The order of a gid, or the last one that is not cancelled."""
    if gid is not None:
        return gid
    open_orders = [order for order in shop.state.orders.values() if order.cancelled_at is None]
    if not open_orders:
        raise ShopError("there is no order yet; sell something first")
    return open_orders[-1].gid


def _refund(shop: Shop, wanted: Refunding) -> Json:
    lines = [(line.variant, line.quantity) for line in wanted.lines] if wanted.lines is not None else None
    made = shop.refund(order_or_last(shop, wanted.order), lines, restock=wanted.restock)
    return {"id": made.gid, "order": made.order.gid, "quantity": sum(line.quantity for line in made.lines)}


def _cancel(shop: Shop, wanted: OnOrder) -> Json:
    return order_json(shop.cancel(order_or_last(shop, wanted.order), restock=wanted.restock))


def _set_theme(shop: Shop, wanted: Theme) -> Json:
    if wanted.block_settings is not None:
        check_block_settings(shop.storefront, wanted.block_settings)
    for name, value in wanted.model_dump(exclude_none=True).items():
        setattr(shop.storefront, name, value)
    return {}


def _set_app_metafield(shop: Shop, wanted: Metafield) -> Json:
    shop.state.app_metafields[wanted.namespace, wanted.key] = wanted.value
    if wanted.value is None:
        del shop.state.app_metafields[wanted.namespace, wanted.key]
    return {}


def _fulfil(shop: Shop, wanted: OnOrder) -> Json:
    return order_json(shop.fulfil(order_or_last(shop, wanted.order)))


def _edit(shop: Shop, wanted: Edits) -> Json:
    return {"deltas": shop.bulk_edit([(edit.item, edit.location, edit.available) for edit in wanted.edits])}


def _add_product(shop: Shop, wanted: NewProduct) -> Json:
    product = shop.add_product(
        wanted.title,
        variants=[variant.spec() for variant in wanted.variants],
        product_type=wanted.product_type,
        tags=wanted.tags,
        status=wanted.status,
        vendor=wanted.vendor,
        levels=wanted.levels,
        is_gift_card=wanted.is_gift_card,
        published_on=wanted.published_on,
        option_names=wanted.option_names,
        image_url=wanted.image_url,
    )
    return product_json(product)


def _change_product(shop: Shop, wanted: ProductChange) -> Json:
    if wanted.status is not None:
        shop.set_status(wanted.product, wanted.status)
    if wanted.tags is not None:
        shop.set_tags(wanted.product, wanted.tags)
    if wanted.product_type is not None:
        shop.set_type(wanted.product, wanted.product_type)
    product = product_json(shop.state.product(wanted.product))
    if wanted.remove:
        shop.remove_product(wanted.product)
    return product


def _edit_order(shop: Shop, wanted: OrderEdit) -> Json:
    changes = [(change.variant, change.quantity) for change in wanted.changes]
    return order_json(shop.edit_order(order_or_last(shop, wanted.order), changes, force=wanted.force))


def _connect(shop: Shop, wanted: Stocking) -> Json:
    shop.connect(wanted.item, wanted.location, available=wanted.available)
    return variant_json(shop.state.item(wanted.item).variant)


def _disconnect(shop: Shop, wanted: Unstocking) -> Json:
    shop.disconnect(wanted.item, wanted.location)
    return variant_json(shop.state.item(wanted.item).variant)


def _add_variant(shop: Shop, wanted: AddedVariant) -> Json:
    return variant_json(shop.add_variant(wanted.product, wanted.spec()))


def _change_variant(shop: Shop, wanted: VariantChange) -> Json:
    variant = shop.state.variant(wanted.variant)
    if wanted.sku is not None:
        shop.set_sku(variant.item.gid, wanted.sku)
    if wanted.policy is not None:
        shop.set_policy(variant.gid, wanted.policy)
    if wanted.tracked is not None:
        shop.set_tracked(variant.item.gid, tracked=wanted.tracked)
    if wanted.remove:
        shop.remove_variant(variant.gid)
    return variant_json(variant)


def _add_location(shop: Shop, wanted: NewLocation) -> Json:
    return location_json(shop.state.location(shop.add_location(**wanted.model_dump())))


def _change_location(shop: Shop, wanted: LocationChange) -> Json:
    location = shop.state.location(wanted.location)
    if wanted.name is not None:
        shop.rename_location(location.gid, wanted.name)
    if wanted.active is not None:
        shop.set_location_active(location.gid, active=wanted.active)
    if wanted.primary:
        shop.set_primary(location.gid)
    if wanted.remove:
        shop.remove_location(location.gid)
    return location_json(location)


def _add_channel(shop: Shop, wanted: NewChannel) -> Json:
    return {"id": shop.add_publication(**wanted.model_dump())}


def _remove_channel(shop: Shop, wanted: ChannelRemoval) -> Json:
    shop.remove_publication(wanted.publication)
    return {}


def _change_shop(shop: Shop, wanted: ShopChange) -> Json:
    shop.change_settings(name=wanted.name, timezone=wanted.timezone)
    return {}


def _set_scopes(shop: Shop, wanted: Scopes) -> Json:
    shop.set_scopes(wanted.scopes)
    return {"scopes": sorted(shop.tokens.scopes)}


def _rotate_secret(shop: Shop, wanted: Secret) -> Json:
    shop.rotate_secret(wanted.secret)
    return {}


def _uninstall(shop: Shop, _wanted: Nothing) -> Json:
    shop.uninstall()
    return {}


def _reinstall(shop: Shop, _wanted: Nothing) -> Json:
    shop.reinstall()
    return {}


def _plan_faults(shop: Shop, wanted: FaultPlan) -> Json:
    faults = shop.faults
    try:
        rates = {fault_over_http(name): rate for name, rate in wanted.rates.items()}
        shots = [(shot, _kinds_of(shot)) for shot in wanted.next]
        if wanted.clear:
            faults.clear()
        if wanted.webhook_delay_s is not None:
            faults.webhook_delay_s = wanted.webhook_delay_s
        faults.rates(rates, statuses=wanted.statuses)
    except ValueError as error:
        raise ShopError(str(error)) from error
    for shot, kinds in shots:
        _plan_one(shop, shot, kinds)
    return {"faults_injected": {kind.value: count for kind, count in faults.injected.items()}}


def _kinds_of(shot: OneShot) -> Fault | tuple[WebhookFault, ...]:
    kinds = [fault_over_http(name) for name in (shot.fault, *shot.also)]
    [first, *more] = kinds
    if isinstance(first, Fault) and not more:
        return first
    told = tuple(kind for kind in kinds if isinstance(kind, WebhookFault))
    if len(told) < len(kinds):
        raise ValueError("one request suffers one fault; only faults of webhooks go together")
    return told


def _plan_one(shop: Shop, shot: OneShot, kinds: Fault | tuple[WebhookFault, ...]) -> None:
    if isinstance(kinds, tuple):
        shop.faults.next_webhook(
            *kinds, count=shot.count, delay_s=shot.delay_s, copy_delay_s=shot.copy_delay_s
        )
        return
    delay_s = REQUEST_DELAY_S if shot.delay_s is None else shot.delay_s
    shop.faults.next(
        shot.operation, kinds, count=shot.count, row=shot.row, status=shot.status, delay_s=delay_s
    )


def _reset_counts(shop: Shop, _wanted: Nothing) -> Json:
    shop.api.calls.clear()
    shop.faults.injected.clear()
    shop.outbox.sent.clear()
    shop.bucket.spent = 0
    return {}


def _forget_subscriptions(shop: Shop, _wanted: Nothing) -> Json:
    shop.subscriptions.clear()
    return {}


def loopback_only(request: Request) -> bool:
    """From this machine, and not sent by a page of another site."""
    client = request.client.host if request.client is not None else ""
    origin = request.headers.get("origin")
    own = origin is None or origin.partition("://")[2] == request.headers.get("host")
    return own and is_loopback(client)


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status)


def _explained(error: ValidationError) -> str:
    parts = (f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors())
    return "; ".join(parts)


def _post(path: str, kind: type[M], act: Act[M]) -> Route:
    async def endpoint(request: Request) -> Response:
        if not loopback_only(request):
            return _refusal(403, "the control API answers callers on this machine only")
        shop = shop_of(request)
        shop.tick()
        try:
            return JSONResponse(act(shop, kind.model_validate_json(await request.body() or b"{}")))
        except ValidationError as error:
            return _refusal(422, _explained(error))
        except ShopError as error:
            return _refusal(409, str(error))

    return Route(f"/_emulator/{path}", endpoint, methods=["POST"])


def _get(path: str, read: Callable[[Shop, Request], Any]) -> Route:
    async def endpoint(request: Request) -> Response:
        if not loopback_only(request):
            return _refusal(403, "the control API answers callers on this machine only")
        shop = shop_of(request)
        shop.tick()
        return JSONResponse(read(shop, request))

    return Route(f"/_emulator/{path}", endpoint, methods=["GET"])


def _history(shop: Shop, request: Request) -> list[Json]:
    """Movements from number `since` on, oldest first, at most 1,000."""
    since = request.query_params.get("since", "0")
    start = int(since) if since.isdigit() else 0
    return [movement_json(movement) for movement in shop.state.history[start : start + HISTORY_LIMIT]]


def control_routes() -> tuple[Route, ...]:
    return (
        _get("state", lambda shop, _request: state_json(shop)),
        _get("history", _history),
        _post("sell", Sale, _sell),
        _post("refund", Refunding, _refund),
        _post("cancel", OnOrder, _cancel),
        _post("fulfil", OnOrder, _fulfil),
        _post("edit", Edits, _edit),
        _post("edit-order", OrderEdit, _edit_order),
        _post("connect", Stocking, _connect),
        _post("disconnect", Unstocking, _disconnect),
        _post("variant", AddedVariant, _add_variant),
        _post("change-variant", VariantChange, _change_variant),
        _post("location", NewLocation, _add_location),
        _post("change-location", LocationChange, _change_location),
        _post("channel", NewChannel, _add_channel),
        _post("remove-channel", ChannelRemoval, _remove_channel),
        _post("change-shop", ShopChange, _change_shop),
        _post("scopes", Scopes, _set_scopes),
        _post("rotate-secret", Secret, _rotate_secret),
        _post("uninstall", Nothing, _uninstall),
        _post("reinstall", Nothing, _reinstall),
        _post("product", NewProduct, _add_product),
        _post("change-product", ProductChange, _change_product),
        _post("theme", Theme, _set_theme),
        _post("app-metafield", Metafield, _set_app_metafield),
        _post("faults", FaultPlan, _plan_faults),
        _post("reset-counts", Nothing, _reset_counts),
        _post("forget-subscriptions", Nothing, _forget_subscriptions),
    )
