"""Signed mail through the sink, and mail that came back: the right address is mailed no more, each report once."""

import dkim
import pytest

from stockwright.bouncing import SOFT_LIMIT, Taken, read_mailbox, take_report
from stockwright.mail.addresses import MailRefused
from stockwright.mail.bounces import NoReport
from stockwright.mail.imap import Mailbox, MailboxUnreachable
from stockwright.mail_desk import change_settings, dkim_record, set_dkim_key
from stockwright.model import StockwrightError
from stockwright.store import mail_settings
from tests.imap_server import imap_server
from tests.journey.test_mail import the_shop
from tests.mail_service import MailService, play
from tests.store.rows import rows
from tests.unit.test_mail_bounces import HEAD, delivery_status, one


async def add_subscriber(
    service: MailService, name: str, *, state: str = "sent", key: str = "", email: str = "mia@example.com"
) -> None:
    deps = service.start()
    message_id = (await service.message(key)).message_id if key else ""
    async with service.connections.connection() as conn:
        await conn.execute(
            "insert into subscribers (shop_id, subscriber_id, email, address_hash, product_id, variant_id, state,"
            " delivered, source, created_at, message_id) values (%s, %s, %s, %s, 'p', %s, %s, %s, 'proxy', now(), %s)",
            (
                service.shop_id,
                name,
                email,
                deps.keyring.address_hash(service.shop_id, email),
                name,
                state,
                "sent" if state == "sent" else "",
                message_id,
            ),
        )


async def report(
    service: MailService, key: str, status: str = "5.1.1", *, kind: str = "delivery-status"
) -> Taken:
    mail = next(mail for mail in service.sink.mailbox.mails if mail.subject == f"About {key}")
    blocks = ("Feedback-Type: abuse",) if kind == "feedback-report" else (HEAD, one("failed", status))
    data = delivery_status(*blocks, message_id=mail.message_id, kind=kind)
    (taken,) = await take_report(service.start(), data, source="relay")
    return taken


async def told(service: MailService, query: str) -> list[tuple]:
    async with service.connections.connection() as conn:
        return await rows(conn, query)


async def sent(service: MailService, *keys: str) -> None:
    for key in keys:
        await service.enqueue(key, to="mia@example.com")
    await service.run()


def test_mail_is_signed_with_the_shop_s_key(database: str) -> None:
    async def story(service: MailService) -> None:
        deps, shop = service.start(), await the_shop(service)
        await set_dkim_key(deps, shop, domain="example.com", selector="stock1")
        await sent(service, "k")
        async with service.connections.connection() as conn:
            record = dkim_record(deps, await mail_settings.get(conn, service.shop_id))
        assert record is not None and record[0] == "stock1._domainkey.example.com"
        (mail,) = service.sink.mailbox.mails
        public = record[1].replace('" "', "").strip('"').encode()
        assert dkim.verify(mail.raw, dnsfunc=lambda name, timeout=5: public)

    play(database, story)


@pytest.mark.parametrize(
    ("changes", "pem", "says"),
    [
        ({"dkim_domain": "example.com", "dkim_selector": "s"}, "nonsense", "PEM"),
        ({"dkim_domain": "not a name", "dkim_selector": "s"}, "nonsense", "DNS name"),
        ({"bounce_address": "two@example.com, three@example.com"}, None, "came back|comes back"),
        ({"postal_address": "Nyhavn 1\nBcc: x@y.example"}, None, "line break"),
    ],
)
def test_settings_that_cannot_sign_are_refused(
    database: str, changes: dict[str, str], pem: str | None, says: str
) -> None:
    async def story(service: MailService) -> None:
        deps, shop = service.start(), await the_shop(service)
        with pytest.raises(StockwrightError, match=says):
            await change_settings(deps, shop, changes, dkim_pem=pem)
        assert await told(service, "select * from mail_settings") == []

    play(database, story)


def test_a_key_of_another_domain_than_the_sender_s_is_refused(database: str) -> None:
    async def story(service: MailService) -> None:
        with pytest.raises(StockwrightError, match=r"sender's address of example\.com"):
            await set_dkim_key(service.start(), await the_shop(service), domain="other.example", selector="s")

    play(database, story)


def test_each_message_comes_back_to_an_address_of_its_own(database: str) -> None:
    async def story(service: MailService) -> None:
        await change_settings(
            service.start(), await the_shop(service), {"bounce_address": "bounces@example.com"}
        )
        await sent(service, "k")
        (mail,) = service.sink.mailbox.mails
        assert mail.sender == f"bounces+{(await service.message('k')).message_id}@example.com"

    play(database, story)


def test_a_hard_bounce_suppresses_the_address_and_ends_what_it_waits_for(database: str) -> None:
    async def story(service: MailService) -> None:
        await sent(service, "k")
        await add_subscriber(service, "told", key="k")
        await add_subscriber(service, "waiting", state="pending")
        await add_subscriber(service, "other", state="pending", email="ann@example.com")
        taken = await report(service, "k")
        assert taken.outcome == "suppressed"
        states = dict(await told(service, "select subscriber_id, state from subscribers"))
        assert states == {"told": "bounced", "waiting": "suppressed", "other": "pending"}
        assert await told(service, "select reason from suppressions") == [("bounced",)]
        assert ("bounced",) in await told(
            service, "select what from subscriber_steps where subscriber_id = 'told'"
        )
        assert (await report(service, "k")).outcome == "read before"

    play(database, story)


def test_soft_bounces_suppress_after_three_messages(database: str) -> None:
    async def story(service: MailService) -> None:
        keys = [f"k{no}" for no in range(SOFT_LIMIT)]
        await sent(service, *keys)
        outcomes = [(await report(service, key, "4.2.2")).outcome for key in keys]
        assert outcomes == ["counted"] * (SOFT_LIMIT - 1) + ["suppressed"]

    play(database, story)


def test_a_complaint_unsubscribes_from_everything(database: str) -> None:
    async def story(service: MailService) -> None:
        await sent(service, "k")
        await add_subscriber(service, "waiting", state="pending")
        assert (await report(service, "k", kind="feedback-report")).outcome == "suppressed"
        assert await told(service, "select reason from suppressions") == [("complained",)]
        assert await told(service, "select state, unsubscribed_at is not null from subscribers") == [
            ("unsubscribed", True)
        ]

    play(database, story)


def test_a_delay_changes_nothing(database: str) -> None:
    async def story(service: MailService) -> None:
        await sent(service, "k")
        mail = service.sink.mailbox.mails[0]
        data = delivery_status(HEAD, one("delayed", "4.4.1"), message_id=mail.message_id)
        (taken,) = await take_report(service.start(), data, source="imap")
        assert taken.outcome == "noted"
        assert await told(service, "select * from suppressions") == []

    play(database, story)


@pytest.mark.parametrize(
    "message_id",
    [
        "<msg_00000000000000000000.0123456789abcdef@example.com>",
        "<foreign@elsewhere.example>",
    ],
)
def test_a_report_about_no_message_of_ours_suppresses_nobody(database: str, message_id: str) -> None:
    async def story(service: MailService) -> None:
        await sent(service, "k")
        data = delivery_status(HEAD, one("failed", "5.1.1"), message_id=message_id)
        (taken,) = await take_report(service.start(), data, source="relay")
        assert taken.outcome == "not ours"
        assert await told(service, "select * from suppressions") == []

    play(database, story)


def test_a_forged_message_id_of_a_real_message_is_not_believed(database: str) -> None:
    async def story(service: MailService) -> None:
        await sent(service, "k")
        number = (await service.message("k")).message_id
        forged = f"<{number}.0000000000000000@example.com>"
        data = delivery_status(HEAD, one("failed", "5.1.1"), message_id=forged)
        (taken,) = await take_report(service.start(), data, source="relay")
        assert taken.outcome == "not ours"

    play(database, story)


def test_other_mail_is_told_apart(database: str) -> None:
    async def story(service: MailService) -> None:
        with pytest.raises(NoReport):
            await take_report(service.start(), b"Subject: away\r\n\r\nuntil Monday", source="imap")

    play(database, story)


# --- by IMAP -----------------------------------------------------------------------------------------------


def a_mailbox(port: int, **changes: str) -> Mailbox:
    given = {"host": "127.0.0.1", "user": "bounces", "password": "secret", "security": "none", **changes}
    return Mailbox(port=port, **given)  # type: ignore[arg-type]


def test_a_mailbox_is_read_once_and_other_mail_in_it_is_passed_over(database: str) -> None:
    async def story(service: MailService) -> None:
        await sent(service, "k")
        data = delivery_status(
            HEAD, one("failed", "5.1.1"), message_id=service.sink.mailbox.mails[0].message_id
        )
        with imap_server(b"Subject: away\r\n\r\nuntil Monday\r\n", data) as (port, box):
            assert await read_mailbox(service.start(), a_mailbox(port)) == 2
            assert box.seen == {1, 2}
            assert await read_mailbox(service.start(), a_mailbox(port)) == 0
        assert await told(
            service, "select reason, source from suppressions join bounces using (shop_id)"
        ) == [("bounced", "imap")]

    play(database, story)


def test_a_mailbox_that_breaks_off_is_gone_on_with(database: str) -> None:
    async def story(service: MailService) -> None:
        note = b"Subject: away\r\n\r\nuntil Monday\r\n"
        with imap_server(note, note, note) as (port, box):
            box.breaks_at = 2
            with pytest.raises(MailboxUnreachable):
                await read_mailbox(service.start(), a_mailbox(port))
            assert box.seen == {1}
            box.breaks_at = 0
            assert await read_mailbox(service.start(), a_mailbox(port)) == 2

    play(database, story)


def test_a_mailbox_that_refuses_us_says_so(database: str) -> None:
    async def story(service: MailService) -> None:
        with imap_server() as (port, _), pytest.raises(MailboxUnreachable, match="wrong user or password"):
            await read_mailbox(service.start(), a_mailbox(port, password="other"))

    play(database, story)


def test_a_password_goes_unprotected_to_this_machine_only() -> None:
    with pytest.raises(MailRefused, match="Use tls"):
        a_mailbox(143, host="imap.example.com")
