"""Reports of mail that came back: what they say of which message, and that nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockwright.mail.bounces import REPORT_LIMIT_BYTES, NoReport, Report, Verdict, read_report
from stockwright.mail.message import Envelope, return_path

NUMBER = "msg_01k9q2zt7m4h8x2c6v0b"
OURS = f"<{NUMBER}.0123456789abcdef@shop.example>"


def delivery_status(
    *blocks: str, message_id: str = OURS, returned: str = "text/rfc822-headers", kind: str = "delivery-status"
) -> bytes:
    return "\r\n".join(
        (
            "From: MAILER-DAEMON@mx.example",
            "To: hello@shop.example",
            "Subject: Undelivered Mail Returned to Sender",
            "MIME-Version: 1.0",
            f'Content-Type: multipart/report; report-type={kind}; boundary="b"',
            "",
            "--b",
            "Content-Type: text/plain; charset=us-ascii",
            "",
            "I'm sorry to have to inform you ...",
            "--b",
            f"Content-Type: message/{kind}",
            "",
            *("\r\n".join((block, "")) for block in blocks),
            "--b",
            f"Content-Type: {returned}",
            "",
            f"Message-ID: {message_id}",
            "Subject: Back in stock",
            "",
            "--b--",
            "",
        )
    ).encode()


HEAD = "Reporting-MTA: dns; mx.example\r\nArrival-Date: Sat, 21 Nov 2026 13:00:00 +0000"


def one(action: str, status: str, diagnostic: str = "smtp; 550 5.1.1 User unknown") -> str:
    return (
        f"Final-Recipient: rfc822; mia@customer.example\r\nOriginal-Recipient: rfc822;mia@customer.example\r\n"
        f"Action: {action}\r\nStatus: {status}\r\nRemote-MTA: dns; mx.customer.example\r\n"
        f"Diagnostic-Code: {diagnostic}"
    )


def the_report(data: bytes) -> Report:
    (report,) = read_report(data)
    return report


def test_a_hard_bounce_names_message_address_and_reason() -> None:
    report = the_report(delivery_status(HEAD, one("failed", "5.1.1")))
    assert report == Report(
        verdict=Verdict.HARD,
        recipient="mia@customer.example",
        message_id=OURS,
        number=NUMBER,
        action="failed",
        status="5.1.1",
        diagnostic="smtp; 550 5.1.1 User unknown",
    )


@pytest.mark.parametrize(
    ("action", "status", "verdict"),
    [
        ("failed", "5.1.1", Verdict.HARD),
        ("failed", "5.1.10", Verdict.HARD),
        ("failed", "5.2.1", Verdict.HARD),
        ("failed", "5.2.2", Verdict.SOFT),  # mailbox full
        ("failed", "5.7.1", Verdict.SOFT),  # policy: not the address's fault
        ("failed", "4.4.7", Verdict.SOFT),
        ("delayed", "4.4.1", Verdict.DELAYED),
        ("delayed", "5.1.1", Verdict.DELAYED),
        ("delivered", "2.1.5", Verdict.NONE),
        ("relayed", "2.0.0", Verdict.NONE),
        ("expanded", "2.0.0", Verdict.NONE),
    ],
)
def test_what_action_and_status_mean(action: str, status: str, verdict: Verdict) -> None:
    assert the_report(delivery_status(HEAD, one(action, status))).verdict is verdict


def test_a_code_only_in_the_diagnostic_counts() -> None:
    block = "Final-Recipient: rfc822; mia@customer.example\r\nAction: failed\r\nDiagnostic-Code: smtp; 550 5.1.1 no"
    assert the_report(delivery_status(HEAD, block)).status == "5.1.1"


def test_each_recipient_has_a_part() -> None:
    reports = read_report(delivery_status(HEAD, one("failed", "5.1.1"), one("delayed", "4.4.1")))
    assert [report.verdict for report in reports] == [Verdict.HARD, Verdict.DELAYED]


@pytest.mark.parametrize("returned", ["text/rfc822-headers", "message/rfc822"])
def test_the_message_is_known_by_the_headers_that_came_back(returned: str) -> None:
    report = the_report(delivery_status(HEAD, one("failed", "5.1.1"), returned=returned))
    assert report.number == NUMBER


@pytest.mark.parametrize("message_id", ["<foreign@elsewhere.example>", "", f"{NUMBER}", "<msg_x.00@y>"])
def test_a_report_about_somebody_elses_message_has_no_number(message_id: str) -> None:
    report = the_report(delivery_status(HEAD, one("failed", "5.1.1"), message_id=message_id))
    assert (report.number, report.message_id) == ("", "")


def test_a_complaint_is_one() -> None:
    block = "Feedback-Type: abuse\r\nUser-Agent: Example/1.0\r\nOriginal-Rcpt-To: <mia@customer.example>"
    report = the_report(delivery_status(block, kind="feedback-report", returned="message/rfc822"))
    assert (report.verdict, report.number) == (Verdict.COMPLAINT, NUMBER)
    assert report.recipient == "mia@customer.example"


def test_taking_a_complaint_back_is_none() -> None:
    block = "Feedback-Type: not-spam\r\nOriginal-Rcpt-To: <mia@customer.example>"
    assert the_report(delivery_status(block, kind="feedback-report")).verdict is Verdict.NONE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Subject: I am away until Monday\r\nAuto-Submitted: auto-replied\r\n\r\nSee you.",
        b"Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n--b--\r\n",
        b"x" * (REPORT_LIMIT_BYTES + 1),
    ],
)
def test_other_mail_is_no_report(data: bytes) -> None:
    with pytest.raises(NoReport):
        read_report(data)


def test_reading_twice_gives_one_digest_and_another_outcome_another() -> None:
    first, again = (the_report(delivery_status(HEAD, one("failed", "5.1.1"))) for _ in range(2))
    other = the_report(delivery_status(HEAD, one("failed", "5.2.2")))
    assert first.digest == again.digest != other.digest


@given(st.binary(max_size=400), st.integers(0, 900))
def test_damage_raises_nothing_else(noise: bytes, at: int) -> None:
    whole = delivery_status(HEAD, one("failed", "5.1.1"))
    try:
        reports = read_report(whole[:at] + noise + whole[at + len(noise) :])
    except NoReport:
        return
    assert all(len(report.diagnostic) <= 500 for report in reports)


def test_the_address_that_it_was_sent_to_names_the_message_too() -> None:
    envelope = Envelope(from_address="hello@shop.example", bounce_address="bounces@shop.example")
    path = return_path(NUMBER, envelope)
    assert path == f"bounces+{NUMBER}@shop.example"
    data = delivery_status(HEAD, one("failed", "5.1.1"), message_id="<elsewhere@x>")
    report = the_report(data.replace(b"To: hello@shop.example", f"To: <{path}>".encode()))
    assert (report.number, report.message_id) == (NUMBER, "")
