"""What the shop remembers of idempotency keys, in every mode that Shopify may have.

Answers one question: may this request run, or what is said instead. Performs nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shopify_emulator.clock import Clock
from shopify_emulator.stock import Outcome, UserError
from shopify_emulator.switches import Switches

TTL_S = {"24h": 86_400.0, "short": 60.0}
CONCURRENT = UserError(
    code="IDEMPOTENCY_CONCURRENT_REQUEST",
    message="This request is currently in progress, please try again.",
)
MISMATCH = UserError(
    code="IDEMPOTENCY_KEY_PARAMETER_MISMATCH",
    message="The same idempotency key cannot be used with different operation parameters.",
)
PREVIOUS_FAILED = UserError(
    code="IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED",
    message="A previous request with this idempotency key failed. Retry with a new idempotency key.",
)


@dataclass(kw_only=True)
class Attempt:
    """The last request under one key."""

    request: object
    at: datetime
    state: Literal["running", "done", "failed"]
    outcome: Outcome | None = None
    apply: Callable[[], None] | None = None


class Keys:
    def __init__(self, clock: Clock, switches: Switches) -> None:
        self._clock = clock
        self._switches = switches
        self._attempts: dict[str, Attempt] = {}

    def answer_for(self, key: str, request: object) -> Outcome | None:
        """The answer to give without running the request, or None: run it."""
        attempt = self._known(key)
        if attempt is None or self._switches.idempotency == "apply_again":
            return None
        if attempt.request != request:
            return Outcome(errors=(MISMATCH,))
        if attempt.state == "running":
            return Outcome(errors=(CONCURRENT,))
        if self._switches.idempotency == "reevaluate":
            return None
        return attempt.outcome if attempt.state == "done" else Outcome(errors=(PREVIOUS_FAILED,))

    def begin(self, key: str, request: object, apply: Callable[[], None]) -> None:
        """Marks a request as in progress; `apply` is called once, when it is completed."""
        self._attempts[key] = Attempt(request=request, at=self._clock.now(), state="running", apply=apply)

    def complete(self, key: str) -> None:
        """Lets a request in progress come to its end now; does nothing when there is none."""
        attempt = self._attempts.get(key)
        if attempt is not None and attempt.apply is not None:
            attempt.apply()

    def wait_for(self, key: str, request: object) -> Outcome | None:
        """What a request gets that waits for the same request in progress: its outcome, in every mode."""
        running = self._attempts.get(key)
        if running is None or running.apply is None:
            return None
        self.complete(key)
        return self._attempts[key].outcome if running.request == request else None

    def finish(self, key: str, request: object, outcome: Outcome) -> None:
        attempt = Attempt(request=request, at=self._clock.now(), state="done", outcome=outcome)
        self._attempts[key] = attempt

    def fail(self, key: str, request: object) -> None:
        self._attempts[key] = Attempt(request=request, at=self._clock.now(), state="failed")

    def _known(self, key: str) -> Attempt | None:
        attempt = self._attempts.get(key)
        if attempt is None:
            return None
        age = self._clock.now() - attempt.at
        if age > timedelta(seconds=TTL_S[self._switches.idempotency_ttl]):
            del self._attempts[key]
            return None
        return attempt
