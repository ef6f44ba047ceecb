"""One shop's calls: token, points, one POST, and what the answer means. Reads are retried, writes never.

Nothing here knows an operation; nothing elsewhere in the package sends to the Admin API.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

import httpx2
import structlog

from stockwright.model import JsonObject, ShopId
from stockwright.shopify import answers, budget
from stockwright.shopify.accounts import Account, ShopRows
from stockwright.shopify.budget import MAX_WAIT_S, LearntCosts, Priority, Sleep
from stockwright.shopify.errors import ErrorCode, ShopifyError
from stockwright.shopify.operations import Operation, operation
from stockwright.shopify.sizes import PageSizes
from stockwright.shopify.tokens import Token, Tokens
from stockwright.shopify.transport import HttpAnswer, NotSent, Unanswered, post
from stockwright.shopify.wire import Node

API_VERSION = "2026-10"
READ_TRIES = 3
MAX_RETRY_WAIT_S = 60.0

Backoff = Callable[[int], float]
MayLeave = Callable[[], bool]
Warn = Callable[[ShopId, str], None]

log = structlog.get_logger(__name__)


def jittered_backoff_s(attempt: int) -> float:
    """0.5 s, 1 s, 2 s ..., each shortened by up to half at random so that waiters spread."""
    return float(0.5 * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))


def at_any_time() -> bool:
    """Most requests may leave however long they have waited."""
    return True


def log_warning(shop_id: ShopId, text: str) -> None:
    """What becomes of warnings when nobody asked for them: a line in the log."""
    log.warning(text, shop_id=shop_id)


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What all calls of a process share."""

    rows: ShopRows
    http: httpx2.AsyncBaseTransport
    tokens: Tokens
    clock: Callable[[], datetime]
    sizes: PageSizes
    sleep: Sleep = asyncio.sleep
    backoff_s: Backoff = jittered_backoff_s
    warn: Warn = log_warning
    costs: LearntCosts = field(default_factory=LearntCosts)
    warned: set[tuple[ShopId, str]] = field(default_factory=set)  # (shop, API version): told once


class Caller:
    """Calls one shop. Cheap; `requests` counts what was sent through this instance."""

    def __init__(self, wiring: Wiring, account: Account) -> None:
        self.wiring = wiring
        self.account = account
        self.requests = 0
        self._token: Token | None = None  # a replacement for a token that the shop refused

    async def read(self, name: str, variables: JsonObject, *, priority: Priority) -> Node:
        """The data of a query; tried up to 3 times, waiting in between.

        Raises:
            ShopifyError: permanent, or the last of 3 failures.
        """
        query = operation(name)
        assert not query.is_mutation
        limit_s = MAX_WAIT_S["event" if priority is Priority.EVENT else "scan"]
        for attempt in range(1, READ_TRIES):
            try:
                return await self._once(query, variables, priority=priority, max_wait_s=limit_s)
            except ShopifyError as error:
                delay_s = max(error.retry_after_s or 0.0, self.wiring.backoff_s(attempt))
                if error.permanent or error.code is ErrorCode.BUDGET or delay_s > MAX_RETRY_WAIT_S:
                    raise
                log.info("read failed, trying again", operation=name, code=error.code, delay_s=delay_s)
            await self.wiring.sleep(delay_s)
        return await self._once(query, variables, priority=priority, max_wait_s=limit_s)

    async def write(self, name: str, variables: JsonObject, *, may_leave: MayLeave = at_any_time) -> Node:
        """The data of the mutation of this name; see `send`."""
        return await self.send(operation(name), variables, may_leave=may_leave)

    async def send(
        self,
        mutation: Operation,
        variables: JsonObject,
        *,
        priority: Priority = Priority.EVENT,
        may_leave: MayLeave = at_any_time,
    ) -> Node:
        """The data of a mutation, sent at most once, and only if it still `may_leave` when its turn has come.

        Raises:
            ShopifyError: `may_have_run` says whether it may have been executed all the same.
        """
        assert mutation.is_mutation
        limit_s = MAX_WAIT_S["write" if priority is Priority.EVENT else "scan"]
        return await self._once(
            mutation, variables, priority=priority, max_wait_s=limit_s, may_leave=may_leave
        )

    async def _once(
        self,
        query: Operation,
        variables: JsonObject,
        *,
        priority: Priority,
        max_wait_s: float,
        may_leave: MayLeave = at_any_time,
    ) -> Node:
        token = self._token or await self.wiring.tokens.current(self.account)
        key = (query.name, tuple(value for value in variables.values() if isinstance(value, int)))
        cost = self.wiring.costs.estimate(key, query.cost(variables))
        await budget.take(
            self.wiring.rows,
            self.account.shop_id,
            cost=cost,
            priority=priority,
            max_wait_s=max_wait_s,
            sleep=self.wiring.sleep,
        )
        if not may_leave():
            raise _too_late(self.account)
        answer = await self._sent(query, variables, token)
        if answer.status == 401:
            await self._refused(token)
        return await self._understood(answer, key=key, taken=cost)

    async def _sent(self, query: Operation, variables: JsonObject, token: Token) -> HttpAnswer:
        body = {"query": query.text, "variables": variables, "operationName": query.name}
        self.requests += 1
        try:
            answer = await post(
                self.wiring.http,
                f"{self.account.api_url}/admin/api/{API_VERSION}/graphql.json",
                headers=_headers(token),
                body=json.dumps(body, separators=(",", ":")).encode(),
            )
        except NotSent as error:
            raise _unreachable(self.account, error) from error
        except Unanswered as error:
            raise _unanswered(self.account, error) from error
        self._check_version(answer)
        return answer

    async def _understood(self, answer: HttpAnswer, *, key: object, taken: float) -> Node:
        domain = self.account.domain
        try:
            payload = answers.payload_of(answer, domain)
        except ShopifyError as error:
            if error.code is ErrorCode.THROTTLED and error.retry_after_s:
                await self._pace(
                    self.wiring.rows.block_points(self.account.shop_id, delay_s=error.retry_after_s)
                )
            raise
        report = answers.cost_of(payload)
        if report is not None:
            self.wiring.costs.learn(key, report.requested)
        await self._pace(budget.settle(self.wiring.rows, self.account.shop_id, taken=taken, report=report))
        return answers.data_of(payload, domain=domain, cost=report)

    async def _pace(self, write: Awaitable[None]) -> None:
        """Note what only steers our pace: an answer that came must not be lost over it."""
        try:
            await write
        except Exception as error:  # noqa: BLE001 - whatever the rows are kept in
            log.warning("the API budget could not be noted", shop=self.account.domain, error=str(error))

    async def _refused(self, token: Token) -> None:
        """After a 401: have another token for the next call, and say that this one was not executed."""
        if self._token is not None and self._token.text == token.text:
            raise _still_refused(self.account)
        self._token = await self.wiring.tokens.replace(self.account, token)
        raise ShopifyError(
            ErrorCode.UNAUTHORIZED,
            f"{self.account.domain} refused the access token; a new one was made. Nothing was executed.",
            permanent=False,
        )

    def _check_version(self, answer: HttpAnswer) -> None:
        version = answer.headers.get("x-shopify-api-version", API_VERSION)
        told = (self.account.shop_id, version)
        if version != API_VERSION and told not in self.wiring.warned:
            self.wiring.warned.add(told)
            self.wiring.warn(
                self.account.shop_id,
                f"{self.account.domain} answers with API version {version[:40]!r} instead of {API_VERSION}: "
                "this version of Stockwright may misread it. Update Stockwright.",
            )


def _headers(token: Token) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "X-Shopify-Access-Token": token.text,
        "User-Agent": "stockwright",
    }


def _unreachable(account: Account, error: Exception) -> ShopifyError:
    return ShopifyError(
        ErrorCode.UNREACHABLE,
        f"{account.api_url} cannot be reached ({error}). Nothing was sent. Check the address and the network.",
        permanent=False,
    )


def _unanswered(account: Account, error: Exception) -> ShopifyError:
    return ShopifyError(
        ErrorCode.UNAVAILABLE,
        f"{account.domain} gave no whole answer ({error}). It is tried again.",
        permanent=False,
        may_have_run=True,
    )


def _too_late(account: Account) -> ShopifyError:
    return ShopifyError(
        ErrorCode.TOO_LATE,
        f"A request to {account.domain} waited too long for its turn to be sent. Nothing was sent.",
        permanent=False,
    )


def _still_refused(account: Account) -> ShopifyError:
    return ShopifyError(
        ErrorCode.UNAUTHORIZED,
        f"{account.domain} refused a token that it had just given. Check that the app is installed there.",
        permanent=True,
    )
