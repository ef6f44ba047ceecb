"""Runs and histories in words."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from stockwright.explaining import (
    RunStory,
    cause_text,
    explain,
    history_lines,
    hypothesis_lines,
    pool_row,
    titles_of,
)
from stockwright.ledger import protocol, wire
from stockwright.ledger.state import (
    MemberId,
    Observation,
    Outcome,
    Policy,
    PoolState,
    Reply,
    Seen,
    Step,
)
from stockwright.model import AutomationId, EffectId, Event, EventId, RunId, ShopId, Source
from stockwright.store.pools import JournalRow
from stockwright.store.runs import AttemptRow, EffectRow, RunRow

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
TORONTO = ZoneInfo("America/Toronto")
PLACE = "gid://shopify/Location/1"
FRAMED = MemberId("gid://shopify/InventoryItem/11", PLACE)
UNFRAMED = MemberId("gid://shopify/InventoryItem/12", PLACE)
TITLES = {FRAMED: "Framed", UNFRAMED: "Unframed"}
POLICY = Policy(raise_settle_s=0)


class Story:
    """A pool's life, told step by step; `rows` is its journal as stored."""

    def __init__(self) -> None:
        self.state: PoolState | None = None
        self.rows: list[JournalRow] = []
        self.at = NOW

    def _take(self, step: Step, run_id: str | None) -> Step:
        for entry in step.entries:
            data = wire.entry_to_json(entry)
            row = JournalRow(seq=len(self.rows) + 1, at=entry.at, kind=entry.kind, data=data, run_id=run_id)
            self.rows.append(row)
        self.state = step.state
        return step

    def read(self, framed: int, unframed: int, *, run_id: str) -> Step:
        self.at += timedelta(minutes=1)
        seen = tuple(
            Seen(id=id, units=1, available=level, stamp=self.at)
            for id, level in ((FRAMED, framed), (UNFRAMED, unframed))
        )
        read = Observation(at=self.at, seen=seen, key=f"key {self.at}")
        return self._take(protocol.step(self.state, read, POLICY, pool_id="pool_1"), run_id)

    def hear(self, outcome: Outcome, *, run_id: str) -> Step:
        assert self.state is not None
        assert self.state.intent is not None
        reply = Reply(at=self.at, key=self.state.intent.key, outcome=outcome, detail="as Shopify said")
        return self._take(protocol.step(self.state, reply, POLICY, pool_id="pool_1"), run_id)


def sold_two() -> Story:
    story = Story()
    story.read(12, 12, run_id="run_a")
    story.read(10, 12, run_id="run_b")
    story.hear(Outcome.APPLIED, run_id="run_b")
    return story


def test_a_sale_and_its_correction_are_one_line_of_history() -> None:
    lines = history_lines(sold_two().rows, TITLES)
    assert [line.run_id for line in lines] == ["run_a", "run_b"]
    assert "adopted with a shared stock of 12" in lines[0].text
    assert "sale or edit of -2 on Framed: 12 -> 10" in lines[1].text
    assert "Unframed corrected 12 -> 10" in lines[1].text
    assert lines[1].at == NOW + timedelta(minutes=2)


def test_a_correction_without_an_answer_is_told_while_it_is_open() -> None:
    story = Story()
    story.read(12, 12, run_id="run_a")
    story.read(10, 12, run_id="run_b")
    assert history_lines(story.rows, TITLES)[-1].text.endswith("correcting Unframed 12 -> 10")


def test_a_row_names_levels_and_what_they_are_off_by() -> None:
    story = Story()
    story.read(12, 12, run_id="run_a")
    story.read(10, 12, run_id="run_b")
    assert story.state is not None
    row = pool_row(
        pool_id="pool_1",
        title="Print",
        stock=10,
        status="active",
        reason="",
        state=story.state,
        titles=TITLES,
    )
    assert row["levels"] == "Framed 10, Unframed 12"
    assert row["differences"] == "Unframed +2"
    assert row["state"] == "correcting"


def test_both_readings_of_a_lost_answer_are_told_with_numbers() -> None:
    story = Story()
    story.read(12, 12, run_id="run_a")
    story.read(10, 12, run_id="run_b")
    story.hear(Outcome.UNKNOWN, run_id="run_b")
    story.read(10, 9, run_id="run_c")
    story.at += timedelta(seconds=POLICY.dead_time_s)
    story.read(10, 9, run_id="run_d")
    assert story.state is not None
    assert story.state.frozen is not None
    assert hypothesis_lines(story.state, TITLES) == [
        "If it was applied: the stock is 9; others moved Unframed -1 meanwhile",
        "If it was not:     the stock is 7; others moved Unframed -3 meanwhile",
    ]


def test_a_pool_without_an_open_correction_has_no_readings() -> None:
    state = sold_two().state
    assert state is not None
    assert hypothesis_lines(state, TITLES) == []


def test_titles_leave_out_what_has_none() -> None:
    assert titles_of([("i", "l", "Framed"), ("j", "l", "")]) == {MemberId("i", "l"): "Framed"}


# --- a whole run ------------------------------------------------------------------------------------------


def told_run(*, error: dict[str, str] | None = None) -> list[str]:
    run = RunRow(
        shop_id=ShopId(1),
        run_id=RunId("run_b"),
        automation_id=AutomationId("aut_1"),
        kind="sync-across-variants",
        subject="gid://shopify/Product/1",
        title="Print",
        state="failed" if error else "succeeded",
        because="Stock is 10: correcting Unframed 12 -> 10.",
        error=error,
        requests=2,
        started_at=NOW,
        finished_at=NOW + timedelta(milliseconds=90),
        input={
            "shop": {"locations": [{"id": PLACE, "name": "Toronto"}]},
            "product": {
                "title": "Print",
                "variants": [
                    {
                        "title": "Framed",
                        "item_id": "gid://shopify/InventoryItem/11",
                        "levels": [{"location_id": PLACE, "available": 10, "is_active": True}],
                    }
                ],
            },
        },
    )
    event = Event(
        event_id=EventId("evt_1"),
        topic="shopify/inventory_levels/update",
        payload={"inventory_item_id": 11, "location_id": 1, "available": 10},
        source=Source.SHOPIFY,
        received_at=NOW,
    )
    rows = [{"level": "Unframed", "from": 12, "to": 10}]
    effect = EffectRow(
        effect_id=EffectId("eff_1"), kind="correct", payload={"rows": rows}, state="done", created_at=NOW
    )
    attempt = AttemptRow(
        effect_id=EffectId("eff_1"),
        attempt=1,
        started_at=NOW,
        finished_at=NOW,
        outcome="applied",
        detail={"detail": "group 7", "because": "The correction item 12 12 -> 10 was applied."},
    )
    story = RunStory(
        run=run,
        events=[event],
        effects=[effect],
        attempts=[attempt],
        history={"pool_1": [row for row in sold_two().rows if row.run_id == "run_b"]},
        titles=TITLES,
    )
    return explain(story, TORONTO)


def test_a_run_is_told_from_its_cause_to_its_end() -> None:
    text = "\n".join(told_run())
    for part in (
        "Run run_b of sync-across-variants on Print",
        "succeeded at 2026-11-20 09:00:00, 0.090 s, 2 Admin API requests",
        "A stock level changed in the shop: Framed at 10 (not trusted, read instead)",
        "Framed at Toronto: 10",
        "It decided: Stock is 10: correcting Unframed 12 -> 10.",
        "correct Unframed 12 -> 10: done",
        "attempt 1 at 2026-11-20 09:00:00: applied (group 7)",
        "sale or edit of -2 on Framed: 12 -> 10",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("mechanic/scheduler/hourly", "It was due by its schedule (hourly)"),
        ("mechanic/user/trigger", "Somebody pressed Run now"),
        ("user/stock/counted", "The event user/stock/counted came"),
    ],
)
def test_what_caused_a_run_has_words(topic: str, words: str) -> None:
    assert cause_text(topic) == words


def test_replies_name_variants_instead_of_item_numbers() -> None:
    text = "\n".join(told_run())
    assert "The correction Unframed 12 -> 10 was applied." in text
    assert "item 12 " not in text


def test_what_a_run_reported_is_told() -> None:
    assert "It reported: levels differ" in "\n".join(told_run(error={"message": "levels differ"}))
