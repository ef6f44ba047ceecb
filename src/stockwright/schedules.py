"""When schedules fire: the slots of mechanic/scheduler/* topics in a shop's time zone. Pure.

A slot is an aware UTC datetime. Days begin at the shop's midnight; where a change of clocks skips midnight,
at the first moment of the day; where it repeats an hour, once.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from stockwright.model import SCHEDULER_PREFIX, SCHEDULES, StockwrightError

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MINUTES = {"10min": 10, "15min": 15, "20min": 20, "30min": 30, "hourly": 60}


def time_zone(name: str) -> ZoneInfo | None:
    """The zone of an IANA name; None for a name that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, malformed, or a folder of the zone database
        return None


def local_moment(text: str, zone: ZoneInfo) -> datetime:
    """The UTC moment of a local time such as 2026-12-01 09:00, or of a time with its own offset.

    Where clocks go back, the first of the two; a local time that they skip does not exist.

    Raises:
        StockwrightError: it is no such time, or does not exist.
    """
    try:
        given = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise StockwrightError(
            f"{text!r} is no date and time. Write it like 2026-12-01 09:00; it means the time in {zone.key}."
        ) from error
    try:
        moment = (given if given.tzinfo else given.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError as error:
        raise StockwrightError(f"{text!r} is out of the range of times. Choose another year.") from error
    if given.tzinfo is None and moment.astimezone(zone).replace(tzinfo=None) != given:
        raise StockwrightError(
            f"{text!r} does not exist in {zone.key}: the clocks skip it that day. Choose a time before or after."
        )
    return moment


def is_often(subscription: str) -> bool:
    """Whether a topic, as an automation names it, is a schedule of an hour or less."""
    topic = subscription.partition("+")[0].strip().lower()
    return topic.startswith(SCHEDULER_PREFIX) and topic.removeprefix(SCHEDULER_PREFIX) in _MINUTES


def newest_slot(topic: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The latest slot of a schedule that is not after `now`.

    Raises:
        StockwrightError: the topic is no schedule.
    """
    return _find(topic, now, zone, step=-1)


def next_slot(topic: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The first slot of a schedule after `now`.

    Raises:
        StockwrightError: the topic is no schedule.
    """
    return _find(topic, now, zone, step=1)


def due_slot(topic: str, *, fired_at: datetime, now: datetime, zone: ZoneInfo) -> datetime | None:
    """The slot to fire now, given the slot that fired last: only the newest of those missed, or None."""
    slot = newest_slot(topic, now, zone)
    return slot if slot > fired_at else None


def _find(topic: str, now: datetime, zone: ZoneInfo, *, step: int) -> datetime:
    name = topic.removeprefix(SCHEDULER_PREFIX)
    if name in _MINUTES:
        return _minute_slot(_MINUTES[name], now, zone, step=step)
    if name in SCHEDULES:
        return _day_slot(_day_rule(name), now, zone, step=step)
    raise StockwrightError(f"There is no schedule {topic!r}. Schedules: {', '.join(SCHEDULES)}.")


def _minute_slot(minutes: int, now: datetime, zone: ZoneInfo, *, step: int) -> datetime:
    # Minute by minute over true time, reading the wall clock at each: no rule about clock changes is needed.
    moment = now.astimezone(UTC).replace(second=0, microsecond=0)
    if step > 0:
        moment += _MINUTE
    while moment.astimezone(zone).minute % minutes:
        moment += step * _MINUTE
    return moment


def _day_rule(name: str) -> Callable[[date], bool]:
    if name in _WEEKDAYS:
        weekday = _WEEKDAYS.index(name)
        return lambda day: day.weekday() == weekday
    if name == "monthly":
        return lambda day: day.day == 1
    return lambda _day: True


def _day_slot(rule: Callable[[date], bool], now: datetime, zone: ZoneInfo, *, step: int) -> datetime:
    day = now.astimezone(zone).date()
    while not (rule(day) and (_start(day, zone) > now) == (step > 0)):
        day += step * _DAY
    return _start(day, zone)


def _start(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
