"""A decision's whole input as JSON, so that it can be decided again and explained later.

Version 1. Reading it back gives equal values, so the same code gives the same plan.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from stockwright.automations import kind_named
from stockwright.automations.contract import Claim, Facts, Plan, PoolView, Situation, Unmailed
from stockwright.automations.restock import Memory
from stockwright.ledger import wire
from stockwright.ledger.state import LedgerError, MemberId, Policy
from stockwright.model import Event, JsonObject, PoolId, ProductGid, ProductRead, ShopRead, StockwrightError
from stockwright.notify.catalogue import ShownProduct
from stockwright.notify.restock import Known

VERSION = 1

_EVENTS = TypeAdapter(tuple[Event, ...])
_SHOP = TypeAdapter(ShopRead)
_POLICY = TypeAdapter(Policy)
_PRODUCT = TypeAdapter(ProductRead | None)
_CLAIMS = TypeAdapter(tuple[Claim, ...])
_MEMORY = TypeAdapter(Memory)
_MEMORIES = TypeAdapter(tuple[Memory, ...])
_UNMAILED = TypeAdapter(tuple[Unmailed, ...])
_ALERTS = TypeAdapter(Known)
_SHOWN = TypeAdapter(ShownProduct | None)
_TIME = TypeAdapter(Any)


def record(situation: Situation[Any], facts: Facts) -> JsonObject:
    """Everything that a decision was made from."""
    return {
        "version": VERSION,
        "name": situation.name,
        "subject": situation.subject,
        "events": _EVENTS.dump_python(situation.events, mode="json"),
        "options": situation.options.model_dump(mode="json"),
        "shop": _SHOP.dump_python(situation.shop, mode="json"),
        "policy": _POLICY.dump_python(situation.policy, mode="json"),
        "pools": [_pool_to_json(pool) for pool in situation.pools],
        "now": situation.now.isoformat(),
        "nonce": situation.nonce,
        "held": _CLAIMS.dump_python(situation.claims, mode="json"),
        "product": _PRODUCT.dump_python(facts.product, mode="json"),
        "claims": _CLAIMS.dump_python(facts.claims, mode="json"),
        "order_moves": None if facts.order_moves is None else _by_member(facts.order_moves),
        "refunds": None if facts.refunds is None else _by_member(facts.refunds),
        "memories": _MEMORIES.dump_python(situation.memories, mode="json"),
        "unmailed": _UNMAILED.dump_python(situation.unmailed, mode="json"),
        **_alerts_to_json(situation, facts),
    }


def _alerts_to_json(situation: Situation[Any], facts: Facts) -> JsonObject:
    """Of kinds that tell shoppers alone: what was known of those who wait, in numbers, and the product."""
    if situation.alerts == Known() and facts.shown is None:
        return {}
    return {
        "alerts": _ALERTS.dump_python(situation.alerts, mode="json"),
        "shown": _SHOWN.dump_python(facts.shown, mode="json"),
    }


def memory_to_json(memory: Memory) -> JsonObject:
    """A product's memory as it is stored."""
    stored: JsonObject = _MEMORY.dump_python(memory, mode="json")
    return stored


def memory_from_json(stored: JsonObject, *, version: int) -> Memory:
    """A stored memory, as its row's version."""
    return replace(_MEMORY.validate_python(stored), version=version)


def decide_again(kind: str, recorded: JsonObject) -> Plan:
    """The plan that today's code makes of a recorded input.

    Raises:
        StockwrightError: the record is of another version, or its kind, options or form exist no more.
    """
    if recorded.get("version") != VERSION:
        raise StockwrightError(
            f"This run was recorded in format {recorded.get('version')}; only {VERSION} can be read."
        )
    automation = kind_named(kind)
    try:
        situation = _situation(automation.options.model_validate(recorded["options"]), recorded)
        facts = _facts(recorded)
    except (ValueError, KeyError, LedgerError) as error:
        raise StockwrightError(
            f"This run cannot be decided again: what it recorded does not fit today's {kind} ({_first_line(error)}). "
            "Use the release that made it."
        ) from error
    return automation.decide(situation, facts)


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)


def _situation(options: Any, recorded: JsonObject) -> Situation[Any]:
    return Situation(
        name=recorded["name"],
        subject=recorded["subject"],
        events=_EVENTS.validate_python(recorded["events"]),
        options=options,
        shop=_SHOP.validate_python(recorded["shop"]),
        policy=_POLICY.validate_python(recorded["policy"]),
        pools=tuple(_pool_from_json(pool) for pool in recorded["pools"]),
        now=wire.time_from_json(recorded["now"]),
        nonce=recorded["nonce"],
        memories=_MEMORIES.validate_python(recorded.get("memories", ())),
        unmailed=_UNMAILED.validate_python(recorded.get("unmailed", ())),
        claims=_CLAIMS.validate_python(recorded.get("held", ())),
        alerts=_ALERTS.validate_python(recorded.get("alerts", {})),
    )


def _facts(recorded: JsonObject) -> Facts:
    moves, refunds = recorded["order_moves"], recorded.get("refunds")
    return Facts(
        product=_PRODUCT.validate_python(recorded["product"]),
        shown=_SHOWN.validate_python(recorded.get("shown")),
        claims=_CLAIMS.validate_python(recorded["claims"]),
        order_moves=None if moves is None else _numbers(moves),
        refunds=None if refunds is None else _numbers(refunds),
    )


def _numbers(rows: Any) -> dict[MemberId, int]:
    return {MemberId(item, place): number for item, place, number in rows}


def _pool_to_json(pool: PoolView) -> JsonObject:
    return {
        "pool_id": pool.pool_id,
        "product_id": pool.product_id,
        "place": pool.place,
        "title": pool.title,
        "titles": _by_member(pool.titles),
        "state": wire.state_to_json(pool.state),
        "wake_at": None if pool.wake_at is None else pool.wake_at.isoformat(),
    }


def _pool_from_json(pool: JsonObject) -> PoolView:
    return PoolView(
        pool_id=PoolId(pool["pool_id"]),
        product_id=ProductGid(pool["product_id"]),
        place=pool["place"],
        title=pool["title"],
        titles={MemberId(item, place): title for item, place, title in pool["titles"]},
        state=wire.state_from_json(pool["state"]),
        wake_at=None if pool["wake_at"] is None else wire.time_from_json(pool["wake_at"]),
    )


def _by_member(values: Mapping[MemberId, Any]) -> list[list[Any]]:
    return [[id.item_id, id.location_id, value] for id, value in sorted(values.items())]
