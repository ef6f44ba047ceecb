"""The composition root: opens what the steps are given, and takes a key all the way through them.

Must not decide anything itself: it calls the steps in their order and stops.
"""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import Enum

from stockwright import effects, engine, publishing, upkeep
from stockwright.deps import Deps
from stockwright.ledger.state import Policy
from stockwright.mailing import Mailing, Senders, installation_account
from stockwright.model import Key
from stockwright.notifying import hand_out
from stockwright.opening import cipher, keyring, utc_now
from stockwright.sending import send_queue
from stockwright.settings import Settings
from stockwright.shopify.client import ShopifyClients
from stockwright.shopify.errors import ShopifyError
from stockwright.shopify.transport import open_http
from stockwright.store import keys, wake
from stockwright.store.database import pool
from stockwright.store.messages import MAIL
from stockwright.store.shop_rows import ShopRows
from stockwright.store.waves import ALERTS

_ROUNDS = 6  # reads of one product in one job; a key that needs more gives way to others first
_NEXT_TURN_S = 1.0
_PAUSE_S = (0.01, 0.06)  # between rounds: two writers that met should not meet again


@asynccontextmanager
async def open_deps(settings: Settings, dsn: str, *, name: str, pool_size: int) -> AsyncIterator[Deps]:
    """What the steps are given, on a migrated database."""
    sealed = cipher(settings)
    account = installation_account(settings)
    async with (
        pool(dsn, size=pool_size, name=name) as connections,
        open_http() as http,
        Senders() as senders,
    ):
        yield Deps(
            database=connections,
            clients=ShopifyClients(ShopRows(connections), http, sealed, utc_now, asyncio.sleep),
            clock=utc_now,
            nonce=lambda: secrets.token_hex(16),
            policy=Policy(
                dead_time_s=settings.dead_time_s,
                settle_window_s=settings.settle_window_s,
                order_lag_s=settings.order_lag_s,
            ),
            keyring=keyring(sealed),
            mailing=Mailing(
                account=account,
                owner_email=settings.owner_email or "",
                public_url=settings.public_url,
                open_password=sealed.open,
                seal_password=sealed.seal,
                senders=senders,
            ),
        )


# --- one key ----------------------------------------------------------------------------------------------


async def handle_key(deps: Deps, key: Key) -> bool:
    """Decide and perform until nothing is left to be done for a key now; may be called again at any point.

    Whether the key's former failures are cleared by this: the engine does so with each decision that it saves.

    A shop that shuts us out is paused, with the reason, instead of failing again and again.
    """
    if key.automation_id == MAIL:
        await send_queue(deps, key)
        return False
    if key.automation_id == ALERTS:
        await hand_out(deps, key)
        return False
    try:
        await _take_through(deps, key)
    except ShopifyError as error:
        if not error.shuts_out:
            raise
        await upkeep.pause_shop(deps, key.shop_id, reason=str(error))
        return False
    return True


async def _take_through(deps: Deps, key: Key) -> None:
    rounds = 0
    while rounds < _ROUNDS:
        turn = await one_round(deps, key)
        if turn is Turn.DONE:
            return
        if turn is Turn.AGAIN:
            rounds += 1
            await asyncio.sleep(random.uniform(*_PAUSE_S))
    await _come_back(deps, key)


class Turn(Enum):
    """What a round leaves."""

    DONE = "nothing is to be done now"
    AGAIN = "the shop must be read again at once"
    SCAN_GOES_ON = "the next page of a scan; as often as there are pages"


async def one_round(deps: Deps, key: Key) -> Turn:
    """One decision and what it leads to."""
    ran = await engine.run(deps, key)
    again = ran.again
    for correction in ran.corrections:
        assert ran.run_id is not None, "a correction belongs to a run"
        sending = effects.Sending(
            key=key,
            run_id=ran.run_id,
            effect_id=correction.effect_id,
            pool_id=correction.pool_id,
            intent_key=correction.key,
        )
        performed = await effects.correct(deps, sending)
        again = again or performed.again
    if ran.placing:
        assert ran.run_id is not None, "what is published belongs to a run"
        again = await publishing.place(deps, key, ran.run_id, ran.placing) or again
    if ran.scan_goes_on:
        return Turn.SCAN_GOES_ON
    return Turn.AGAIN if again else Turn.DONE


async def _come_back(deps: Deps, key: Key) -> None:
    """A product that sells faster than we read: other keys first, then this one again."""
    async with deps.database.connection() as conn, conn.transaction():
        await keys.set_wake_at(conn, key, deps.clock() + timedelta(seconds=_NEXT_TURN_S))
        await wake.wake_next(conn, key)
