"""The open questions about Shopify's behaviour, one switch each; the first mode is the default.

Values only: what a mode does is written where it acts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints


@dataclass(frozen=True, kw_only=True)
class Switches:
    """Every mode is allowed by what is known of Shopify; a client has to be right under each."""

    idempotency: Literal["reevaluate", "replay", "apply_again"] = "reevaluate"
    idempotency_ttl: Literal["24h", "short"] = "24h"
    concurrent_key: Literal["error", "wait_then_replay"] = "error"
    stale_field: Literal["row_and_field", "row", "null"] = "row_and_field"
    batch_failure: Literal["atomic", "partial"] = "atomic"
    stale_report: Literal["every_row", "first_row"] = "every_row"
    zero_delta_cas: Literal["noop", "checked"] = "noop"
    unstocked_write: Literal["creates_active", "creates_inactive", "INVALID_LOCATION"] = "creates_active"
    republish: Literal["noop", "moves_date"] = "noop"
    event_payload: Literal["build_time", "event_time"] = "build_time"
    levels_update_on: Literal["available", "any_name"] = "available"
    webhook_id_on_retry: Literal["stable", "new"] = "stable"
    derived_lag: Literal["0", "seconds", "minutes"] = "0"
    bulk_depth: Literal["2", "1"] = "2"
    cost: Literal["log", "linear"] = "log"


def switch_modes() -> dict[str, tuple[str, ...]]:
    """Every switch with its modes, the default first."""
    hints: dict[str, Any] = get_type_hints(Switches)
    return {f.name: get_args(hints[f.name]) for f in fields(Switches)}


def switches_from(settings: Iterable[str]) -> Switches:
    """Reads `name=mode` texts; raises ValueError that lists what would be right."""
    known, chosen = switch_modes(), {}
    for text in settings:
        name, _, mode = text.partition("=")
        if name not in known:
            raise ValueError(f"there is no switch {name!r}; the switches are: {', '.join(known)}")
        if mode not in known[name]:
            raise ValueError(f"switch {name} has no mode {mode!r}; its modes are: {', '.join(known[name])}")
        chosen[name] = mode
    changes: dict[str, Any] = chosen
    return replace(Switches(), **changes)
