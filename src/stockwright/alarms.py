"""What a person must be told of a shared stock at once, in the words of the failed run that tells it. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from stockwright.automations.contract import Plan, PoolChange
from stockwright.ledger.state import Outcome
from stockwright.model import JsonObject

STALE_IN_A_ROW = 5


def with_alarm(plan: Plan) -> Plan:
    """The plan, with an error where a stock froze; what it complains of besides is told with that."""
    alarm = frozen_alarm(plan.changes)
    if alarm is None:
        return plan
    besides = {"besides": plan.error["message"]} if plan.error else {}
    return replace(plan, error={**alarm, **besides})


def frozen_alarm(changes: Sequence[PoolChange]) -> JsonObject | None:
    """The error of a run in which stocks froze; None when none did. A stock freezes once, so it is told once."""
    found = [change for change in changes if any(entry.kind == "frozen" for entry in change.step.entries)]
    frozen = [(one, one.step.state.frozen) for one in found if one.step.state and one.step.state.frozen]
    if not frozen:
        return None
    change, why = frozen[0]
    others = [one.title for one, _ in frozen[1:]]
    return {
        "message": (
            f"The shared stock of {change.title!r} is frozen: {why.reason} "
            f"Nothing is written to it until a person decides: stockwright stock resolve {change.pool_id}"
        ),
        "code": f"frozen_{why.code.value}",
        "pool_id": change.pool_id,
        "product_id": change.product_id,
        **({"also_frozen": others} if others else {}),
    }


def stale_alarm(change: PoolChange, outcome: Outcome) -> JsonObject | None:
    """The error of a stock whose corrections find levels moved again and again; told once in a row of them."""
    state = change.step.state
    if outcome is not Outcome.STALE or state is None or state.stale_streak != STALE_IN_A_ROW:
        return None
    return {
        "message": (
            f"The shared stock of {change.title!r} cannot be corrected: {STALE_IN_A_ROW} times in a row a level had "
            "moved between our read and our write. It is tried again with pauses. If it goes on, look for another "
            "app that writes these levels."
        ),
        "code": "stale",
        "pool_id": change.pool_id,
        "product_id": change.product_id,
    }


def refused_alarm(change: PoolChange, message: str, code: str) -> JsonObject:
    """The error of a stock whose correction the shop does not let us make."""
    return {
        "message": f"A correction of the shared stock of {change.title!r} was not made. {message}",
        "code": code,
        "product_id": change.product_id,
    }
