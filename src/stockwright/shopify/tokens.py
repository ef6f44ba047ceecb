"""Access tokens: the static one, and the client credentials grant, renewed ahead of time.

A renewal ends before a call is sent and never inside one; one that failed is not tried again before its time.
Tokens are stored sealed and never logged.
Source: docs/apps/build/authentication-authorization/client-credentials-grant.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

import httpx2
import structlog

from stockwright.encryption import Cipher
from stockwright.model import ShopId
from stockwright.shopify.accounts import Account, AuthMode, ShopRows, open_secrets
from stockwright.shopify.errors import ErrorCode, ShopifyError, bad_answer
from stockwright.shopify.transport import HttpAnswer, NotSent, Unanswered, post
from stockwright.shopify.wire import Node

RENEW_BEFORE_S = 2 * 3600  # renewed when less life than this is left, or less than half of it
MIN_LIFE_S = 60  # a token with less left is not used, even when renewal fails
DEFAULT_LIFE_S = 86399
GRANT_LIMIT_S = 10.0  # of one request for a token
RETRY_AFTER_DEFAULT_S = 2.0
NO_HURRY_S = 60.0  # after a renewal that failed while the old token lives
MAX_RETRY_AFTER_S = 3600.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token in the clear and when it ends; None = it does not."""

    text: str
    expires_at: datetime | None

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at})"


@dataclass(frozen=True, kw_only=True)
class _Pause:
    """Why and until when no token is asked for."""

    until: datetime
    error: ShopifyError


class Tokens:
    """Gives the current token of a shop, renewing it when its end is near or the shop refused it."""

    def __init__(
        self,
        rows: ShopRows,
        http: httpx2.AsyncBaseTransport,
        cipher: Cipher,
        clock: Callable[[], datetime],
    ) -> None:
        self._rows = rows
        self._http = http
        self._cipher = cipher
        self._clock = clock
        self._locks: dict[ShopId, asyncio.Lock] = {}
        self._pauses: dict[ShopId, _Pause] = {}
        self._lives_s: dict[ShopId, float] = {}  # of the newest token that this process was granted

    async def current(self, account: Account) -> Token:
        """The token to call with.

        Raises:
            ShopifyError: no token could be had; nothing was sent to the Admin API.
        """
        if account.auth_mode == AuthMode.ACCESS_TOKEN:
            return self._static(account)
        stored = self._stored(account)
        if stored is not None and self._is_fresh(account.shop_id, stored):
            return stored
        if stored is None or not self._lives(stored):
            return await self._renewed(account.shop_id, refused=None)
        if self._must_wait(account.shop_id):
            return stored
        try:
            return await self._renewed(account.shop_id, refused=None)
        except ShopifyError as error:
            log.warning("token renewal failed, the old one still holds", shop=account.domain, why=str(error))
            return stored

    def forget(self, shop_id: ShopId) -> None:
        """Ask again at once: the shop's secrets changed, or a person wants to know."""
        self._pauses.pop(shop_id, None)

    async def replace(self, account: Account, refused: Token) -> Token:
        """Another token after the shop refused this one with 401.

        Raises:
            ShopifyError: UNAUTHORIZED when there can be no other.
        """
        if account.auth_mode == AuthMode.ACCESS_TOKEN:
            raise _refused_static(account)
        return await self._renewed(account.shop_id, refused=refused)

    def _static(self, account: Account) -> Token:
        text = open_secrets(self._cipher, account.secrets).access_token
        if not text:
            raise _unauthorized(f"The shop {account.domain} has no access token. Add it anew with one.")
        return Token(text=text, expires_at=None)

    def _stored(self, account: Account) -> Token | None:
        if account.token is None or account.token_expires_at is None:
            return None
        return Token(text=self._cipher.open(account.token), expires_at=account.token_expires_at)

    def _lives(self, token: Token) -> bool:
        return self._life_s(token) > MIN_LIFE_S

    def _life_s(self, token: Token) -> float:
        return (token.expires_at - self._clock()).total_seconds() if token.expires_at else float("inf")

    def _is_fresh(self, shop_id: ShopId, token: Token) -> bool:
        whole_s = self._lives_s.get(shop_id, DEFAULT_LIFE_S)
        return self._life_s(token) > min(RENEW_BEFORE_S, whole_s / 2)

    def _must_wait(self, shop_id: ShopId) -> bool:
        """Whether a renewal is under way, or would come too soon after one that failed."""
        return self._lock(shop_id).locked() or self._pause(shop_id) is not None

    def _lock(self, shop_id: ShopId) -> asyncio.Lock:
        return self._locks.setdefault(shop_id, asyncio.Lock())

    def _pause(self, shop_id: ShopId) -> _Pause | None:
        pause = self._pauses.get(shop_id)
        return pause if pause is not None and self._clock() < pause.until else None

    async def _renewed(self, shop_id: ShopId, *, refused: Token | None) -> Token:
        # One at a time in a process. Two processes may both ask: the slower takes the token of the faster.
        async with self._lock(shop_id):
            if (pause := self._pause(shop_id)) is not None:
                raise self._again(pause)
            account = await self._rows.account(shop_id)
            stored = self._stored(account)
            if stored and self._is_news(shop_id, stored, refused):
                return stored
            try:
                token = await self._granted(account)
            except ShopifyError as error:
                living = refused is None and stored is not None and self._lives(stored)
                self._put_off(shop_id, error, hurries=not living)
                raise
            return await self._kept(account, token)

    async def _kept(self, account: Account, token: Token) -> Token:
        assert token.expires_at is not None
        shop_id, sealed = account.shop_id, self._cipher.seal(token.text)
        self._lives_s[shop_id] = self._life_s(token)
        self._pauses.pop(shop_id, None)
        if await self._rows.save_token(shop_id, sealed, expires_at=token.expires_at, was=account.token):
            return token
        return self._stored(await self._rows.account(shop_id)) or token

    def _put_off(self, shop_id: ShopId, error: ShopifyError, *, hurries: bool) -> None:
        if error.retry_after_s is None:
            error.retry_after_s = RETRY_AFTER_DEFAULT_S if hurries else NO_HURRY_S
        until = self._clock() + timedelta(seconds=error.retry_after_s)
        self._pauses[shop_id] = _Pause(until=until, error=error)

    def _again(self, pause: _Pause) -> ShopifyError:
        left_s = (pause.until - self._clock()).total_seconds()
        error = pause.error
        return ShopifyError(error.code, str(error), permanent=error.permanent, retry_after_s=left_s)

    def _is_news(self, shop_id: ShopId, stored: Token, refused: Token | None) -> bool:
        if refused is not None:
            return stored.text != refused.text
        return self._is_fresh(shop_id, stored)

    async def _granted(self, account: Account) -> Token:
        body = urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": account.client_id or "",
                "client_secret": open_secrets(self._cipher, account.secrets).client_secret or "",
            }
        ).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        asked_at = self._clock()
        try:
            url = f"{account.api_url}/admin/oauth/access_token"
            answer = await post(self._http, url, headers=headers, body=body, timeout_s=GRANT_LIMIT_S)
        except (NotSent, Unanswered) as error:
            raise _unavailable(f"The token endpoint of {account.domain} did not answer ({error}).") from error
        return _token(answer, account, asked_at)


def _token(answer: HttpAnswer, account: Account, asked_at: datetime) -> Token:
    if answer.status == 429:
        raise ShopifyError(
            ErrorCode.THROTTLED,
            f"The token endpoint of {account.domain} asks us to wait.",
            permanent=False,
            retry_after_s=retry_after_s(answer) or RETRY_AFTER_DEFAULT_S,
        )
    if answer.status >= 500:
        raise _unavailable(f"The token endpoint of {account.domain} answered {answer.status}.")
    if answer.status != 200:
        raise _grant_refused(answer, account)
    try:
        node = Node(json.loads(answer.body), "token")
    except ValueError:
        raise bad_answer("the token endpoint sent no JSON", may_have_run=False) from None
    life_s = node.integer("expires_in") if node.has("expires_in") else DEFAULT_LIFE_S
    return Token(text=node.text("access_token"), expires_at=asked_at + timedelta(seconds=life_s))


def retry_after_s(answer: HttpAnswer) -> float | None:
    """The Retry-After header in seconds; None when absent or not a number."""
    try:
        delay_s = float(answer.headers.get("retry-after", ""))
    except ValueError:
        return None
    return min(delay_s, MAX_RETRY_AFTER_S) if delay_s >= 0 else None


def _grant_refused(answer: HttpAnswer, account: Account) -> ShopifyError:
    text = answer.body[:2000].decode("utf-8", "replace")
    if answer.status in (402, 423):
        return shop_locked(account.domain, answer.status)
    if "shop_not_permitted" in text:
        return _unauthorized(
            f"The app may not enter {account.domain}: client credentials work only when the app and the store "
            "belong to the same organisation. Use an app of that organisation, or an access token."
        )
    if "invalid_client" in text or answer.status in (400, 401, 403):
        return _unauthorized(
            f"{account.domain} refused the client id and secret. Check that the app is still installed there, "
            "and store the current secret; an uninstalled app gives this answer too."
        )
    return _unauthorized(
        f"The token endpoint of {account.domain} answered {answer.status}. Check the shop's address."
    )


def shop_locked(domain: str, status: int) -> ShopifyError:
    """402 and 423: the shop is frozen or locked."""
    why = "its Shopify bill is unpaid" if status == 402 else "Shopify has locked it"
    return ShopifyError(
        ErrorCode.SHOP_LOCKED,
        f"{domain} is frozen: {why} (HTTP {status}). Nothing was executed; work goes on once it is open again.",
        permanent=True,
    )


def _refused_static(account: Account) -> ShopifyError:
    return _unauthorized(
        f"{account.domain} refused the access token. It was revoked, or the app was uninstalled: make a new "
        "token and add the shop anew with it."
    )


def _unauthorized(message: str) -> ShopifyError:
    return ShopifyError(ErrorCode.UNAUTHORIZED, message, permanent=True)


def _unavailable(message: str) -> ShopifyError:
    # The token endpoint changes no stock: whatever happened there, the call itself was never sent.
    return ShopifyError(ErrorCode.UNAVAILABLE, message + " It is tried again.", permanent=False)
