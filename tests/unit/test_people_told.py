"""Why somebody was, or was not, told: a sentence for every state, and cells that no spreadsheet runs."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockwright.model import ShopId
from stockwright.notify.states import State
from stockwright.people_files import money, notified_at
from stockwright.people_told import STATES, because, note_of, timeline
from stockwright.spreadsheet import FORMULAS, csv_lines, text_of
from stockwright.store.people import NotificationRow, PersonRow, StepRow, Suppressed, TryRow

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ANN = PersonRow(
    shop_id=ShopId(1), subscriber_id="sub_1", email="ann@example.com", product_id="p", variant_id="v",
    product_title="Poster", variant_title="", offer_id="", state="pending", reason="", delivered="", status="Pending",
    locale="en", first_name="", customer_id="", quantity=1, source="proxy", page="", consent={}, cycle=1, wave_id="",
    message_id="", created_at=NOON, confirmed_at=None, notified_at=None, unsubscribed_at=None, ended_at=None,
)  # fmt: skip
TOLD = NotificationRow(
    wave_id="wav_1", kind="back_in_stock", message_id="msg_1", state="failed", reason="Refused.",
    smtp_reply="550 5.1.1 No such user", created_at=NOON, finished_at=NOON, wave_opened_at=NOON, wave_state="done",
    wave_reason="",
)  # fmt: skip


def test_every_state_has_its_words() -> None:
    assert set(STATES) == set(State)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("reason", ["", "The shop is on the free plan"])
def test_every_state_is_explained_in_whole_sentences(state: State, reason: str) -> None:
    told = because(replace(ANN, state=state.value, reason=reason), [], None)
    assert told[0].isupper()
    assert told[-1] in ".!?"
    if reason and state not in (State.SENT, State.UNCONFIRMED):
        assert f"{reason}." in told


def test_the_mail_servers_answer_is_told() -> None:
    told = because(replace(ANN, state="failed", reason="The recipient was refused."), [TOLD], None)
    assert told == "Not delivered: The recipient was refused. The mail server said: 550 5.1.1 No such user"


def test_a_held_telling_says_why_the_person_still_waits() -> None:
    held = replace(TOLD, state="held", reason="The product is not published.")
    assert because(ANN, [held], None) == "Not sent yet: The product is not published."


def test_a_suppressed_address_and_an_erased_person_are_told_first() -> None:
    suppressed = Suppressed(reason="bounced", detail="", at=NOON)
    assert "suppression list (bounced)" in because(ANN, [], suppressed)
    assert because(replace(ANN, email=""), [TOLD], suppressed).startswith("Erased")


def test_what_happened_is_told_in_its_order_with_every_attempt() -> None:
    def step(minutes: int, what: str, detail: str = "", actor: str = "") -> StepRow:
        at = NOON + timedelta(minutes=minutes)
        return StepRow(at=at, what=what, detail=detail, wave_id="", actor=actor)

    attempt = TryRow(
        message_id="msg_1", attempt=1, server="mx:25", started_at=NOON + timedelta(minutes=2), finished_at=None,
        outcome="temporary", reply="451 Later",
    )  # fmt: skip
    steps = [step(3, "cancelled", "ann cancelled it.", "ann"), step(1, "some_new_thing")]
    told = timeline(ANN, steps, [attempt])
    assert [one.text for one in told] == [
        "Signed up",
        "Some new thing",
        "Attempt 1 at mx:25 was put off by the server",
        "Cancelled",
    ]
    assert (told[2].detail, told[3].by) == ("451 Later", "ann")


def test_the_note_is_empty_while_there_is_nothing_to_note() -> None:
    assert note_of(ANN) == note_of(replace(ANN, state="sent")) == ""
    assert note_of(replace(ANN, state="unsubscribed")) == "unsubscribed"
    assert note_of(replace(ANN, reason="Not published.")) == "waits for a restock: Not published."


def test_notified_at_is_empty_unless_the_status_is_sent() -> None:
    told = replace(ANN, notified_at=NOON)
    assert notified_at(told) is None
    assert notified_at(replace(told, status="Sent")) == NOON


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_no_cell_is_a_formula_and_none_is_lost(cells: list[str]) -> None:
    text = csv_lines([cells])
    [found] = csv.reader(io.StringIO(text, newline=""))
    assert not any(cell.startswith(FORMULAS) for cell in found)
    assert [text_of(cell) for cell in found] == cells


@pytest.mark.parametrize(
    ("amount", "text"),
    [("12", "12.00"), ("12.5000", "12.50"), ("0.0125", "0.0125"), ("1234567.8900", "1234567.89")],
)
def test_sums_have_two_decimals_and_more_only_where_they_matter(amount: str, text: str) -> None:
    assert money(Decimal(amount)) == text
    assert money(None) is None
