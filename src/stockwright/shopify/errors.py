"""The one exception of this package, worded for the merchant. Holds no wire knowledge."""

from enum import StrEnum

from stockwright.model import StockwrightError


class ErrorCode(StrEnum):
    """What kind of failure it was; callers branch on this, never on the text."""

    UNAUTHORIZED = "unauthorized"  # 401, or the token endpoint refused the app
    ACCESS_DENIED = "access_denied"  # a scope is missing
    SHOP_LOCKED = "shop_locked"  # 402, 423: frozen or locked
    NOT_FOUND = "not_found"  # 404: no such shop, or the API version is gone
    THROTTLED = "throttled"  # cost bucket empty, or 429: not executed
    TOO_COSTLY = "too_costly"  # one query above the limit of points: not executed
    UNREACHABLE = "unreachable"  # nothing was sent
    UNAVAILABLE = "unavailable"  # 5xx, time-out or cut connection after sending began
    BAD_ANSWER = "bad_answer"  # an answer that is not what the API documents
    INVALID_REQUEST = "invalid_request"  # the request was refused as malformed: our fault
    BUDGET = "budget"  # waited too long for points; never sent
    TOO_LATE = "too_late"  # waited until it must not leave any more; never sent
    LIMIT = "limit"  # a written limit of ours was reached
    CHANGED = "changed"  # what was read changed between two pages of it
    CONFIGURATION = "configuration"  # stored settings of the shop do not fit


class ShopifyError(StockwrightError):
    """A call that failed.

    `permanent`: trying again without changing something is pointless.
    `may_have_run`: the request may have been executed; False is a certainty.
    `retry_after_s`: seconds that Shopify asked us to wait, or that the bucket needs.
    `is_told`: a failed run that tells of it has been stored.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        permanent: bool,
        may_have_run: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.permanent = permanent
        self.may_have_run = may_have_run
        self.retry_after_s = retry_after_s
        self.is_told = False

    @property
    def shuts_out(self) -> bool:
        """Whether no call of this shop can succeed until something is done: revoked, uninstalled, frozen, locked."""
        return self.permanent and self.code in (ErrorCode.UNAUTHORIZED, ErrorCode.SHOP_LOCKED)


def bad_answer(what: str, *, may_have_run: bool = True) -> ShopifyError:
    """An answer of an unknown shape; `what` names the place and what stood there."""
    return ShopifyError(
        ErrorCode.BAD_ANSWER,
        f"The shop's answer is not understood: {what}. Nothing was concluded from it; it is tried again. "
        "If this stays, check that the shop's API address speaks Admin API 2026-10.",
        permanent=False,
        may_have_run=may_have_run,
    )
