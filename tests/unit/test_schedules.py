"""When schedules fire, in time zones whose clocks change, and how topics with delays are written."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from stockwright.model import SCHEDULER_PREFIX, SCHEDULES, StockwrightError, Subscription, parse_subscription
from stockwright.schedules import due_slot, is_often, local_moment, newest_slot, next_slot, time_zone

NEW_YORK = ZoneInfo("America/New_York")  # 2026: forward on 8 March at 2:00, back on 1 November at 2:00
KOLKATA = ZoneInfo("Asia/Kolkata")  # +5:30
CAIRO = ZoneInfo("Africa/Cairo")  # 2026: midnight of 24 April does not exist
HAVANA = ZoneInfo("America/Havana")  # 2026: the first hour of 1 November comes twice
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # changes by half an hour


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("schedule", "zone", "now", "newest", "following"),
    [
        ("10min", NEW_YORK, "2026-11-20T12:34:56Z", "2026-11-20T12:30Z", "2026-11-20T12:40Z"),
        ("10min", NEW_YORK, "2026-11-20T12:30:00Z", "2026-11-20T12:30Z", "2026-11-20T12:40Z"),
        ("15min", KOLKATA, "2026-11-20T12:34:56Z", "2026-11-20T12:30Z", "2026-11-20T12:45Z"),
        ("20min", NEW_YORK, "2026-11-20T12:39:59Z", "2026-11-20T12:20Z", "2026-11-20T12:40Z"),
        ("30min", NEW_YORK, "2026-11-20T12:34:56Z", "2026-11-20T12:30Z", "2026-11-20T13:00Z"),
        ("hourly", NEW_YORK, "2026-11-20T12:34:56Z", "2026-11-20T12:00Z", "2026-11-20T13:00Z"),
        ("hourly", KOLKATA, "2026-11-20T12:34:56Z", "2026-11-20T12:30Z", "2026-11-20T13:30Z"),
        ("daily", NEW_YORK, "2026-11-20T12:34:56Z", "2026-11-20T05:00Z", "2026-11-21T05:00Z"),
        ("daily", NEW_YORK, "2026-11-20T04:59:59Z", "2026-11-19T05:00Z", "2026-11-20T05:00Z"),
        ("daily", KOLKATA, "2026-11-20T18:30:00Z", "2026-11-20T18:30Z", "2026-11-21T18:30Z"),
        ("friday", NEW_YORK, "2026-11-20T12:00:00Z", "2026-11-20T05:00Z", "2026-11-27T05:00Z"),
        ("saturday", NEW_YORK, "2026-11-20T12:00:00Z", "2026-11-14T05:00Z", "2026-11-21T05:00Z"),
        ("monthly", NEW_YORK, "2026-11-20T12:00:00Z", "2026-11-01T04:00Z", "2026-12-01T05:00Z"),
        ("monthly", NEW_YORK, "2027-01-01T04:00:00Z", "2026-12-01T05:00Z", "2027-01-01T05:00Z"),
        # clocks go forward: the day has 23 hours, and no slot is made for the missing hour
        ("daily", NEW_YORK, "2026-03-08T12:00:00Z", "2026-03-08T05:00Z", "2026-03-09T04:00Z"),
        ("hourly", NEW_YORK, "2026-03-08T06:59:00Z", "2026-03-08T06:00Z", "2026-03-08T07:00Z"),
        # clocks go back: the day has 25 hours, the hour that comes twice has two slots
        ("daily", NEW_YORK, "2026-11-01T12:00:00Z", "2026-11-01T04:00Z", "2026-11-02T05:00Z"),
        ("hourly", NEW_YORK, "2026-11-01T05:30:00Z", "2026-11-01T05:00Z", "2026-11-01T06:00Z"),
        ("hourly", NEW_YORK, "2026-11-01T06:30:00Z", "2026-11-01T06:00Z", "2026-11-01T07:00Z"),
        # midnight is skipped: the day begins when it begins
        ("daily", CAIRO, "2026-04-23T23:00:00Z", "2026-04-23T22:00Z", "2026-04-24T21:00Z"),
        # midnight comes twice: the day begins once
        ("daily", HAVANA, "2026-11-01T05:30:00Z", "2026-11-01T04:00Z", "2026-11-02T05:00Z"),
        # half an hour back at 2:00, which is 15:00Z: the wall clock reads 2:00 half an hour later again
        ("hourly", LORD_HOWE, "2026-04-04T15:20:00Z", "2026-04-04T14:00Z", "2026-04-04T15:30Z"),
    ],
)  # fmt: skip
def test_the_slots_around_a_moment(
    schedule: str, zone: ZoneInfo, now: str, newest: str, following: str
) -> None:
    topic = SCHEDULER_PREFIX + schedule
    assert newest_slot(topic, at(now), zone) == at(newest)
    assert next_slot(topic, at(now), zone) == at(following)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("zone", [NEW_YORK, KOLKATA, CAIRO, HAVANA, LORD_HOWE], ids=str)
def test_over_a_year_every_slot_comes_once_and_in_order(schedule: str, zone: ZoneInfo) -> None:
    """Looked at every 7 minutes past all changes of clocks: what fires is exactly the chain of next slots."""
    now, end = at("2026-03-01T00:00Z"), at("2026-05-01T00:00Z")
    fired = newest_slot(schedule, now, zone)
    expected = fired
    while now < end:
        now += timedelta(minutes=7)
        slot = due_slot(schedule, fired_at=fired, now=now, zone=zone)
        if slot is not None:
            expected = next_slot(schedule, expected, zone)
            assert slot == expected
            fired = slot


def test_only_the_newest_of_the_missed_slots_is_due() -> None:
    slot = due_slot("daily", fired_at=at("2026-11-01T04:00Z"), now=at("2026-11-20T12:00Z"), zone=NEW_YORK)
    assert slot == at("2026-11-20T05:00Z")


def test_nothing_is_due_when_the_clock_went_back() -> None:
    assert (
        due_slot("daily", fired_at=at("2026-11-20T05:00Z"), now=at("2026-11-19T12:00Z"), zone=NEW_YORK)
        is None
    )


def test_an_unknown_schedule_is_named() -> None:
    with pytest.raises(StockwrightError, match="fortnightly"):
        newest_slot("mechanic/scheduler/fortnightly", at("2026-11-20T12:00Z"), NEW_YORK)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "America", "UTC\0"])
def test_a_zone_that_is_not_known_is_none(name: str) -> None:
    assert time_zone(name) is None


# --- local times that people type -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-12-01 09:00", "Europe/Berlin", "2026-12-01T08:00:00+00:00"),
        ("2026-12-01T09:00", "America/New_York", "2026-12-01T14:00:00+00:00"),
        ("2026-12-01T09:00+05:00", "America/New_York", "2026-12-01T04:00:00+00:00"),
        ("2026-10-25 02:30", "Europe/Berlin", "2026-10-25T00:30:00+00:00"),  # twice: the first of the two
        ("2026-12-01", "UTC", "2026-12-01T00:00:00+00:00"),
    ],
)
def test_a_local_time_is_a_moment_in_the_shops_zone(text: str, zone: str, moment: str) -> None:
    assert local_moment(text, ZoneInfo(zone)).isoformat() == moment


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-03-29 02:30", "does not exist in Europe/Berlin"),
        ("tomorrow", "Write it like 2026-12-01 09:00"),
        ("", "is no date and time"),
        ("9999-12-31 23:59-12:00", "out of the range"),
        ("0001-01-01 00:00", "out of the range"),
    ],
)
def test_a_local_time_that_is_none_is_refused_with_what_to_write(text: str, told: str) -> None:
    with pytest.raises(StockwrightError, match=told):
        local_moment(text, ZoneInfo("Europe/Berlin"))


def test_schedules_of_an_hour_or_less_are_often() -> None:
    often = {name for name in SCHEDULES if is_often(SCHEDULER_PREFIX + name)}
    assert often == {"10min", "15min", "20min", "30min", "hourly"}
    assert is_often("mechanic/scheduler/10min+1.minute") and not is_often("shopify/scheduler/10min")


# --- topics with delays -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "topic", "delay"),
    [
        ("shopify/inventory_levels/update", "shopify/inventory_levels/update", timedelta()),
        (" Mechanic/Scheduler/Daily+9.hours ", "mechanic/scheduler/daily", timedelta(hours=9)),
        ("user/sync/now+1.second", "user/sync/now", timedelta(seconds=1)),
        ("user/sync/now+90.minutes", "user/sync/now", timedelta(minutes=90)),
        ("user/sync/now+2.weeks", "user/sync/now", timedelta(weeks=2)),
        ("user/sync/now+1.month", "user/sync/now", timedelta(days=30)),
        ("user/sync/now+100.years", "user/sync/now", timedelta(days=36_500)),
        ("user/sync/now+0.days", "user/sync/now", timedelta()),
    ],
)
def test_a_topic_may_have_a_delay(text: str, topic: str, delay: timedelta) -> None:
    read = parse_subscription(text)
    assert read == Subscription(topic=topic, delay=delay)
    assert parse_subscription(str(read)) == read


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not of the form"),
        ("orders", "not of the form"),
        ("a/b/c/d/e", "not of the form"),
        ("user/sync/now+minutes", "not of the form"),
        ("user/sync/now+-1.days", "not of the form"),
        ("user/sync/now+12345678901.seconds", "not of the form"),
        ("user/sync/now+1.fortnight", "unknown unit"),
        ("mechanic/scheduler/5min", "no schedule"),
        ("user/sync/now+101.years", "longer than 100 years"),
        ("user/sync/now+400000.years", "longer than 100 years"),
        ("user/sync/now+999999999.years", "longer than 100 years"),
    ],
)
def test_a_topic_that_cannot_be_listened_to_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(StockwrightError, match=why):
        parse_subscription(text)
