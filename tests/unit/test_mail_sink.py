"""The sink's page and JSON API, and the faults that it takes."""

import asyncio
import io
import smtplib
from email.message import EmailMessage

import httpx2
import pytest

from mail_sink import Fault, SmtpSink, web_app
from mail_sink.mailbox import Mailbox

EVIL = "<script>alert(1)</script>"


def mail(subject: str = "Hello", to: str = "ann@example.com") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "shop@example.com", to, subject
    made.set_content(f"text {EVIL}")
    made.add_alternative(f"<p>html</p>{EVIL}", subtype="html")
    return made


def play(story, *mails: EmailMessage) -> None:
    def deliver(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port) as client:  # another client than ours
            for one in mails:
                client.send_message(one)

    async def whole() -> None:
        async with SmtpSink() as sink:
            await asyncio.to_thread(deliver, sink.port)
            transport = httpx2.ASGITransport(app=web_app(sink))
            async with httpx2.AsyncClient(transport=transport, base_url="http://sink") as client:
                await story(client, sink)

    asyncio.run(whole())


def test_mails_are_listed_newest_first_and_by_recipient() -> None:
    async def story(client, sink) -> None:
        found = (await client.get("/api/mails")).json()
        assert [one["subject"] for one in found] == ["two", "one"]
        found = (await client.get("/api/mails?to=bob@example.com&whole=1")).json()
        assert [(one["subject"], one["text"].strip()) for one in found] == [("two", f"text {EVIL}")]
        page = (await client.get("/")).text
        assert "2 mails" in page and page.index(">two<") < page.index(">one<")

    play(story, mail("one"), mail("two", to="bob@example.com"))


def test_a_mail_is_shown_with_its_parts_and_can_do_nothing() -> None:
    async def story(client, sink) -> None:
        page = await client.get("/mails/1")
        assert EVIL not in page.text and "&lt;script&gt;" in page.text and "sandbox" in page.text
        inner = await client.get("/mails/1/html")
        assert EVIL in inner.text and "sandbox" in inner.headers["content-security-policy"]
        assert "script-src" not in inner.headers["content-security-policy"]
        assert (await client.get("/mails/1/source")).text.startswith("From: shop@example.com")
        assert (await client.get("/mails/1?width=phone")).text.count('class="phone"') == 1

    play(story, mail(EVIL))


@pytest.mark.parametrize("path", ["/mails/9", "/mails/9/html", "/mails/9/source", "/api/mails/9"])
def test_a_mail_that_is_not_there_is_said_to_be_missing(path: str) -> None:
    async def story(client, sink) -> None:
        assert (await client.get(path)).status_code == 404

    play(story)


def test_an_empty_inbox_says_where_to_send() -> None:
    async def story(client, sink) -> None:
        assert f"port {sink.port}" in (await client.get("/")).text

    play(story)


def test_all_mails_can_be_forgotten_from_the_page_and_by_programs() -> None:
    async def story(client, sink) -> None:
        assert (await client.post("/clear")).status_code == 303
        assert (await client.get("/api/state")).json()["mails"] == 0
        assert (await client.delete("/api/mails")).status_code == 200

    play(story, mail())


def test_faults_are_taken_as_json_and_wrong_ones_refused() -> None:
    async def story(client, sink) -> None:
        right = {"next": [{"stage": "RCPT", "reply": "450 4.2.0 later", "count": 2}]}
        assert (await client.post("/api/faults", json=right)).json() == {"waiting": 1}
        assert sink.faults.waiting == [Fault(stage="RCPT", reply="450 4.2.0 later", count=2)]
        for wrong in (
            {"next": [{"stage": "X", "drop": True}]},
            {"next": [{"stage": "RCPT"}]},
            {"next": [{"a": 1}]},
            [],
        ):
            assert (await client.post("/api/faults", json=wrong)).status_code == 400
        assert (await client.post("/api/faults", json={"clear": True})).json() == {"waiting": 0}

    play(story)


def test_a_fault_comes_true_as_often_as_ordered() -> None:
    sink = SmtpSink()
    sink.faults.add(Fault(stage="MAIL", reply="451 no", count=2), Fault(stage="MAIL", drop=True))
    taken = [sink.faults.take("MAIL") for _ in range(4)]
    assert [one.reply if one else None for one in taken] == ["451 no", "451 no", "", None]


@pytest.mark.parametrize(
    "changes", [{"stage": "nowhere", "drop": True}, {"stage": "MAIL"}, {"stage": "MAIL", "reply": "4\r\n5"}]
)
def test_a_fault_that_means_nothing_is_refused(changes: dict) -> None:
    with pytest.raises(ValueError):
        Fault(**changes)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\r\n", b".\r\n", b"..\r\n", b"a\r\n", b"a\r\n.\r\n", b"\r\n.\r\n", b"\r\n\r\n.\r\nb\r\n", b"ab\r\n.c\r\n",
        b".a\r\n" * 30_000, b"x" * 200_000 + b"\r\n.\r\n", b"abc\r\n" * 50_000,
    ],
)  # fmt: skip
def test_what_was_said_between_data_and_the_final_dot_is_kept_as_it_was(body: bytes) -> None:
    head = b"Message-ID: <m@example.com>\r\n\r\n"

    def deliver(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port) as client:
            for data in (body, head + body):
                client.sendmail("a@example.com", ["b@example.com"], data)

    async def whole(journal) -> list[bytes]:
        async with SmtpSink(mailbox=Mailbox(journal=journal)) as sink:
            await asyncio.to_thread(deliver, sink.port)
            return [mail.raw for mail in sink.mailbox.mails]

    with io.StringIO() as journal:
        first, second = asyncio.run(whole(journal))
        lines = journal.getvalue().splitlines()
    assert first in (body, body + b"\r\n") and second in (head + body, head + body + b"\r\n")
    assert lines == ["b@example.com -", "b@example.com <m@example.com>"]
