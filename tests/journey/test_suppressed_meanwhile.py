"""An address is suppressed at the moment in which it signs up, or before the answer to its sign-up is mailed."""

from datetime import UTC, datetime

import pytest

from mail_sink.faults import Fault
from stockwright.mailing import queue_mail
from stockwright.store import bounces, shops, signups, suppressions
from tests.journey import alerts, storefront
from tests.journey.alerts import Alerts
from tests.journey.service import KEYRING
from tests.journey.storefront import ADA, Storefront
from tests.store.rows import connect
from tests.store.test_suppressed_meanwhile import waiting_for_the_other

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize(("reason", "state"), [("unsubscribed", "unconfirmed"), ("bounced", "suppressed")])
def test_a_sign_up_that_meets_the_end_of_its_address_does_not_just_wait(
    database: str, reason: str, state: str
) -> None:
    async def story(store: Storefront) -> None:
        shop_id = store.service.shop_id
        address = store.own.deps.keyring.address_hash(shop_id, ADA)
        async with await connect(database) as conn, await connect(database) as other:
            async with other.transaction():
                await suppressions.hold(other, [address])
                if reason == "unsubscribed":
                    await suppressions.unsubscribe(other, shop_id, address, at=NOW)
                    await signups.unsubscribe_all(
                        other, shop_id, address, subscriber_id="", reason="Enough.", at=NOW
                    )
                else:
                    await bounces.suppress(other, shop_id, address, "bounced", detail="", at=NOW)
                posting = await waiting_for_the_other(conn, store.post())
            assert (await posting).status_code == 200
        assert await store.people() == [(ADA, state)]
        assert [kind for kind, _ in await store.mails()] == ["double_opt_in"] * (reason == "unsubscribed")

    storefront.play(database, story)


@pytest.mark.parametrize(
    ("kind", "reason", "mails"),
    [
        ("signup_confirmation", "bounced", 0),
        ("signup_confirmation", "unsubscribed", 0),
        ("signup_confirmation", "", 1),
        ("double_opt_in", "refused", 0),
        ("double_opt_in", "unsubscribed", 1),
        ("unsubscribed", "complained", 0),
        ("unsubscribed", "unsubscribed", 1),
    ],
)
def test_the_answer_to_a_sign_up_is_not_mailed_to_who_is_suppressed_since(
    database: str, kind: str, reason: str, mails: int
) -> None:
    async def story(it: Alerts) -> None:
        shop_id = it.service.shop_id
        async with it.service.database.connection() as conn, conn.transaction():
            shop = await shops.get(conn, shop_id)
            assert shop is not None
            data = {
                "products": [{"title": "Poster", "url": "", "image_url": "", "variants": []}],
                "customer": {"first_name": ""},
                "links": {
                    "unsubscribe": "https://a/u",
                    "unsubscribe_all": "https://a/u",
                    "confirm": "https://a/c",
                },
                "postal_address": "",
                "is_all": True,
            }
            await queue_mail(conn, shop, kind=kind, key="k", to=ADA, data=data, at=it.service.clock.now())
        if reason:
            await it.execute(
                "insert into suppressions (shop_id, address_hash, reason, at)"
                " values (%(shop_id)s, %(address)s, %(reason)s, now())",
                {"shop_id": shop_id, "address": KEYRING.address_hash(shop_id, ADA), "reason": reason},
            )
        await it.chores()
        assert it.told == [ADA] * mails
        told = "" if mails else f"The address is not mailed: it is {reason}."
        assert await it.rows("select state, reason from messages") == [
            ("sent" if mails else "cancelled", told)
        ]

    alerts.play(database, story)


def test_who_is_refused_waits_for_nothing_else_also_when_its_mail_is_made_already(database: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        one, two = it.sell_out("Poster"), it.sell_out("Print")
        await it.wait_for(one, ADA)
        await it.wait_for(two, ADA)
        it.sink.faults.add(Fault(stage="RCPT", recipient=ADA, reply="451 4.7.1 later", count=2))
        await it.restock(one, A=2)
        await it.restock(two, A=2)
        assert await it.rows("select state from subscribers") == [("queued",), ("queued",)]
        it.sink.faults.add(Fault(stage="RCPT", recipient=ADA, reply="550 5.1.1 no such user", count=1))
        await it.wait(3600)
        assert it.told == []
        assert await it.rows("select state from subscribers order by state") == [
            ("failed",),
            ("suppressed",),
        ]
        assert await it.rows("select state from messages order by state") == [("cancelled",), ("failed",)]
        assert await it.rows("select state from notifications order by state") == [("dropped",), ("failed",)]

    alerts.play(database, story)
