"""Access tokens of the installed app: the static one and those of the client-credentials grant."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shopify_emulator.state import State

LIFE_S = 86_399


@dataclass(frozen=True)
class Refused:
    """The answer of the token endpoint when it grants nothing."""

    error: str
    description: str

    def body(self) -> dict[str, str]:
        return {"error": self.error, "error_description": self.description}


class Tokens:
    def __init__(
        self, state: State, *, client_id: str, client_secret: str, static: str, scopes: Iterable[str]
    ) -> None:
        self._state = state
        self._client_id = client_id
        self.client_secret = client_secret
        self._static = static
        self.scopes = frozenset(scopes)
        self.installed = True
        self._until: dict[str, datetime | None] = {static: None}

    def accepts(self, token: str) -> bool:
        """Whether the Admin API takes this token now."""
        if not self.installed or token not in self._until:
            return False
        until = self._until[token]
        return until is None or self._state.clock.now() < until

    def grant(self, form: Mapping[str, Any]) -> dict[str, Any] | Refused:
        """The answer to a token request: a token for a day, or why not."""
        if form.get("grant_type") != "client_credentials":
            return Refused("unsupported_grant_type", "Only the client_credentials grant is offered here.")
        secret = str(form.get("client_secret", ""))
        known = form.get("client_id") == self._client_id and hmac.compare_digest(
            secret.encode(), self.client_secret.encode()
        )
        if not known or not self.installed:
            return Refused("invalid_client", "The client is not known or the app is not installed.")
        token = f"shpat_{self._state.random.getrandbits(128):032x}"
        self._until[token] = self._state.clock.now() + timedelta(seconds=LIFE_S)
        return {"access_token": token, "scope": ",".join(sorted(self.scopes)), "expires_in": LIFE_S}

    def revoke(self, token: str) -> None:
        self._until.pop(token, None)

    def revoke_all(self) -> None:
        self._until.clear()

    def restore(self) -> None:
        """Installs the app again; its static token works as before."""
        self.installed = True
        self._until[self._static] = None
