"""Instants and durations: UTC datetimes outside, integer microseconds in the ledger."""

import re
from datetime import UTC, datetime, timedelta

from bucle.ledger.errors import BadDuration, BadInstant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds"}
_DURATION = re.compile(r"(\d+)(ms|us|[wdhms])")


def to_us(moment: datetime) -> int:
    """Return microseconds since 1970 UTC; a naive datetime is UTC (point_in_time.md, R9)."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (aware - EPOCH) // timedelta(microseconds=1)


def from_us(microseconds: int) -> datetime:
    """Return the UTC datetime of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=microseconds)


def parse_instant(text: str) -> datetime:
    """Return the UTC datetime of an ISO 8601 text; without an offset it is UTC. Raises `ledger/bad-instant`."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # an offset may lead out of the years 1 to 9999
        raise BadInstant(text=text) from None


def format_instant(moment: datetime) -> str:
    """Return the ISO 8601 text in UTC with a Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_duration(text: str | timedelta) -> timedelta:
    """Return the timedelta of a text such as "36h", "90d" or "1d12h". Raises `ledger/bad-duration`."""
    if isinstance(text, timedelta):
        return text
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.replace(" ", ""):
        raise BadDuration(text=text)
    try:
        return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())
    except OverflowError:
        raise BadDuration(text=text) from None
