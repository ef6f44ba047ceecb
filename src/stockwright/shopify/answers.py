"""What an HTTP answer of the Admin API means: its data, its cost, or a ShopifyError. Pure, no I/O.

Every error states whether the request may have been executed; in doubt it may.
"""

import json
from collections.abc import Sequence

from stockwright.model import Json, JsonObject
from stockwright.shopify.budget import MAX_QUERY_COST, CostReport
from stockwright.shopify.errors import ErrorCode, ShopifyError, bad_answer
from stockwright.shopify.tokens import retry_after_s, shop_locked
from stockwright.shopify.transport import HttpAnswer
from stockwright.shopify.wire import Node

RATE_LIMITED_WAIT_S = 2.0  # 429 without a usable Retry-After

# Refused before anything ran. Codes of static validation are camelCase, such as undefinedField.
_REFUSED = frozenset(
    {"PARSE_ERROR", "INVALID_VARIABLE", "BAD_REQUEST", "INVALID_FIELD_ARGUMENTS", "MAX_INPUT_SIZE_EXCEEDED"}
)


def payload_of(answer: HttpAnswer, domain: str) -> JsonObject:
    """The JSON object of a 200 answer.

    Raises:
        ShopifyError: any other status, or a body that is not a JSON object.
    """
    if answer.status != 200:
        raise _status_error(answer, domain)
    try:
        payload = json.loads(answer.body)
    except ValueError:
        raise bad_answer("the body is not whole JSON") from None
    if not isinstance(payload, dict):
        raise bad_answer("the body is not a JSON object")
    return payload


def cost_of(payload: JsonObject) -> CostReport | None:
    """`extensions.cost`; None when it is absent or of another shape (it only steers our pace)."""
    try:
        cost = Node(payload.get("extensions"), "extensions").child("cost")
        status = cost.optional_child("throttleStatus") if cost.has("throttleStatus") else None
        return CostReport(
            requested=cost.number("requestedQueryCost"),
            actual=cost.number("actualQueryCost") if cost.has("actualQueryCost") else None,
            maximum=status.number("maximumAvailable") if status else None,
            available=status.number("currentlyAvailable") if status else None,
            restore_rate=status.number("restoreRate") if status else None,
        )
    except ShopifyError:
        return None


def data_of(payload: JsonObject, *, domain: str, cost: CostReport | None) -> Node:
    """The complete `data` of an answer.

    Raises:
        ShopifyError: top-level errors, search warnings, or no data.
    """
    errors = payload.get("errors")
    data = payload.get("data")
    if errors:
        if not isinstance(errors, list) or not all(isinstance(error, dict) for error in errors):
            raise bad_answer("`errors` is not a list of objects")
        raise _graphql_error(errors, may_have_run=_something_ran(data), domain=domain, cost=cost)
    _check_search(payload)
    return Node(data, "data")


def _something_ran(data: Json) -> bool:
    """Whether some root field has a value: then an error further down does not mean "not executed"."""
    return isinstance(data, dict) and any(value is not None for value in data.values())


def _graphql_error(
    errors: Sequence[JsonObject], *, may_have_run: bool, domain: str, cost: CostReport | None
) -> ShopifyError:
    codes = [_code(error) for error in errors]
    texts = "; ".join(str(error.get("message", ""))[:300] for error in errors[:5])
    if "THROTTLED" in codes:
        return ShopifyError(
            ErrorCode.THROTTLED,
            f"{domain} has no API points left for this call; nothing was executed.",
            permanent=False,
            may_have_run=may_have_run,
            retry_after_s=cost.wait_s if cost else RATE_LIMITED_WAIT_S,
        )
    if "MAX_COST_EXCEEDED" in codes:
        message = f"One query of ours cost more than {MAX_QUERY_COST} points at {domain}: {texts}"
        return ShopifyError(ErrorCode.TOO_COSTLY, message, permanent=True, may_have_run=may_have_run)
    if "ACCESS_DENIED" in codes:
        return _denied(errors, may_have_run=may_have_run, domain=domain)
    if all(code in _REFUSED or code[:1].islower() for code in codes):
        message = f"{domain} refused the request as malformed ({', '.join(codes)}): {texts}"
        return ShopifyError(ErrorCode.INVALID_REQUEST, message, permanent=True, may_have_run=may_have_run)
    message = f"{domain} failed while executing the request ({', '.join(codes) or 'no code'}): {texts}"
    return ShopifyError(ErrorCode.UNAVAILABLE, message, permanent=False, may_have_run=True)


def _code(error: JsonObject) -> str:
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, dict) else None
    return code if isinstance(code, str) else ""


def _denied(errors: Sequence[JsonObject], *, may_have_run: bool, domain: str) -> ShopifyError:
    denied = [error for error in errors if _code(error) == "ACCESS_DENIED"]
    needs = [str(error["extensions"].get("requiredAccess") or error.get("message", "")) for error in denied]
    message = (
        f"The app lacks an access scope at {domain}: {' '.join(dict.fromkeys(needs))[:600]} "
        "Grant the scope in the app's configuration, install the new version, and check the shop again."
    )
    return ShopifyError(ErrorCode.ACCESS_DENIED, message, permanent=True, may_have_run=may_have_run)


def _check_search(payload: JsonObject) -> None:
    """A filter that Shopify does not know is ignored and would widen the result: a fault, not a warning."""
    extensions = payload.get("extensions")
    searches = extensions.get("search") if isinstance(extensions, dict) else None
    if not isinstance(searches, list):
        return
    for search in searches:
        warnings = search.get("warnings") if isinstance(search, dict) else None
        if isinstance(warnings, list) and warnings:
            first = warnings[0] if isinstance(warnings[0], dict) else {}
            raise ShopifyError(
                ErrorCode.INVALID_REQUEST,
                f"Shopify ignored the search field {first.get('field')!r} of {search.get('query')!r}: "
                f"{first.get('message')} The result would have been too wide and was not used.",
                permanent=True,
            )


def _status_error(answer: HttpAnswer, domain: str) -> ShopifyError:
    status = answer.status
    if status in (402, 423):
        return shop_locked(domain, status)
    if status in (429, 430):
        return ShopifyError(
            ErrorCode.THROTTLED,
            f"{domain} asks us to slow down (HTTP {status}); nothing was executed.",
            permanent=False,
            retry_after_s=retry_after_s(answer) or RATE_LIMITED_WAIT_S,
        )
    if status >= 500 or status in (408, 499):
        return ShopifyError(
            ErrorCode.UNAVAILABLE,
            f"{domain} answered with a server error (HTTP {status}). It is tried again.",
            permanent=False,
            may_have_run=True,
            retry_after_s=retry_after_s(answer),
        )
    if 200 <= status < 300:
        return bad_answer(f"HTTP {status} instead of 200")
    return _client_error(status, domain)


def _client_error(status: int, domain: str) -> ShopifyError:
    if 300 <= status < 400:
        return ShopifyError(
            ErrorCode.CONFIGURATION,
            f"{domain} answered with a redirect (HTTP {status}), which is not followed because it would carry "
            "the access token elsewhere. Add the shop with its myshopify.com domain.",
            permanent=True,
        )
    code, what = _CLIENT_ERRORS.get(status, (ErrorCode.INVALID_REQUEST, "refused the request."))
    return ShopifyError(code, f"{domain} {what} (HTTP {status})", permanent=True)


_CLIENT_ERRORS = {
    401: (
        ErrorCode.UNAUTHORIZED,
        "refused the access token: it was revoked or the app was uninstalled. Install the app again or store "
        "a new token.",
    ),
    403: (
        ErrorCode.ACCESS_DENIED,
        "forbids this app the Admin API. Check the app's scopes and that it is installed.",
    ),
    404: (
        ErrorCode.NOT_FOUND,
        "has no Admin API 2026-10 at this address. Check the domain, and whether this version is retired.",
    ),
}
