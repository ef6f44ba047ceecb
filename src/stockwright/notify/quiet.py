"""Quiet hours: a daily span of the shop's local time in which nobody is mailed. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def quiet_until(begins: str, ends: str, *, now: datetime, zone: ZoneInfo) -> datetime | None:
    """When the quiet hours that it is now end (UTC); None when it is not quiet, or no hours are set.

    `begins` and `ends` are "HH:MM" of the shop's clock; a span from 22:00 to 07:00 goes over midnight, one whose ends
    are alike is empty. Where the clocks change, a skipped time counts as the moment of the change and a repeated one
    as its first.
    """
    if not begins or not ends or begins == ends:
        return None
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        start = _moment(day, begins, zone)
        end = _moment(day + timedelta(days=begins > ends), ends, zone)
        if start <= now < end:
            return end
    return None


def _moment(day: date, text: str, zone: ZoneInfo) -> datetime:
    local = datetime.combine(day, time.fromisoformat(text), zone)
    return local.astimezone(UTC)
