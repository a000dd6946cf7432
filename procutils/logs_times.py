"""Times of event logs: notations recognised over the whole log, and never guessed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from itertools import combinations
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from procutils.logs_rows import LogError, LogQuestion

#: Orders of day, month and year between which digits alone may leave the choice.
ORDERS = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}
#: A date whose notation leaves no choice.
SURE = "sure"

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_CLOCK = (
    r"(?:(?:[T,]|\s)\s*(?P<h>\d{1,2}):(?P<m>\d\d)(?::(?P<s>\d\d)(?:[.,](?P<f>\d+))?)?"
    r"\s*(?P<half>[AaPp])?(?:(?<=[AaPp])\.?[Mm]\.?)?"
    r"\s*(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?\s*$"
)
_DIGITS = re.compile(r"\s*(\d{1,4})([/.-])(\d{1,2})\2(\d{1,4})" + _CLOCK)
_DAY_MONTH = re.compile(
    r"\s*(?:[A-Za-z]{3,9}\.?,?\s)?\s*(\d{1,2})[\s.-]+([A-Za-z]{3,9})\.?,?[\s-]+(\d{4}|\d\d)"
    + _CLOCK
)
_MONTH_DAY = re.compile(r"\s*([A-Za-z]{3,9})\.?\s(\d{1,2}),?\s(\d{4})" + _CLOCK)


class Times:
    """Reads the times of one log. All of them are shown to ``see`` first, then ``settle`` decides.

    notation: ``dmy``, ``mdy`` or ``ymd`` where dates of digits leave a choice, or a pattern as of
        ``datetime.strptime`` for all; None: to be recognised. zone: of times that name none.
    Raises LogQuestion for an unknown zone.
    """

    def __init__(self, notation: str | None, zone: str) -> None:
        self._pattern = None if notation in ORDERS else notation
        self._orders = {notation} if notation in ORDERS else set(ORDERS)
        self._differing: dict[tuple[str, str], str] = {}  # of two orders, a text they differ in
        self._deciding: dict[str, str] = {}  # an order that was ruled out, by which text
        self.zone = zone
        try:
            self._zone = UTC if zone == "UTC" else ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise LogQuestion(
                f"no time zone is called {zone!r}: give --timezone one such as Europe/Berlin"
            ) from None
        self.read, self.without_zone = 0, 0
        self.unreadable: list[str] = []  # examples
        self.failed = 0

    def see(self, text: str) -> bool:
        """Learn from one time; whether it is one. Raises LogQuestion if two contradict."""
        readings = self._readings(text)
        if not readings:
            self.failed += 1
            if len(self.unreadable) < 3 and text not in self.unreadable:
                self.unreadable.append(text)
            return False
        self.read += 1
        self.without_zone += next(iter(readings.values())).tzinfo is None
        if SURE not in readings:
            self._narrow(text, readings)
        return True

    def _narrow(self, text: str, readings: dict[str, datetime]) -> None:
        for order in self._orders - set(readings):
            self._deciding.setdefault(order, text)
        if not self._orders & set(readings):
            raise LogQuestion(
                f"the times contradict each other: {text!r} cannot have the order of "
                f"{', '.join(sorted(set(self._deciding.values()) - {text}))!r}: say with "
                "--time-format which order holds (dmy, mdy or ymd)"
            )
        self._orders &= set(readings)
        for pair in combinations(sorted(self._orders), 2):
            if pair not in self._differing and readings[pair[0]] != readings[pair[1]]:
                self._differing[pair] = text

    def settle(self) -> str | None:
        """Decide; the order that dates of digits have, None if there are none.

        Raises LogQuestion if the log leaves the choice, LogError if most times are not understood.
        """
        if self.failed > self.read:
            raise LogQuestion(
                f"the times are not understood ({', '.join(map(repr, self.unreadable))}): give "
                "their pattern with --time-format, such as '%d.%m.%Y %H:%M:%S', or another column "
                "with --time"
            )
        if not self.read:
            raise LogError("no event has a time, so nothing can be put in order")
        orders = sorted(self._orders)
        for pair in combinations(orders, 2):
            if text := self._differing.get(pair):
                meanings = " or ".join(
                    f"{self._readings(text)[order]:%-d %B %Y} ({order}, {ORDERS[order]})"
                    for order in orders
                )
                raise LogQuestion(
                    f"{text!r} may be {meanings}, and no time of the log decides it: which is it? "
                    f"Give --time-format {' or '.join(orders)}"
                )
        self._orders = set(orders[:1])
        return orders[0] if self._deciding or len(orders) == 1 else None

    def parse(self, text: str) -> datetime:
        """A time that ``see`` accepted, with a zone, after ``settle``."""
        readings = self._readings(text)
        at = readings.get(SURE) or readings[next(iter(self._orders))]
        return at if at.tzinfo else at.replace(tzinfo=self._zone)

    def _readings(self, text: str) -> dict[str, datetime]:
        """Order → what the text means in it; under SURE what it means in any. Empty: no time."""
        try:
            found = self._possible(text)
            for at in found.values():
                at.replace(tzinfo=at.tzinfo or self._zone).astimezone(UTC)
        except (ValueError, OverflowError):  # not the pattern, or beyond the years 1 to 9999
            return {}
        return found

    def _possible(self, text: str) -> dict[str, datetime]:
        if self._pattern is not None:
            return {SURE: datetime.strptime(text.strip(), self._pattern)}
        if text[4:5] == "-" and text[7:8] == "-":
            try:
                return {SURE: datetime.fromisoformat(text)}
            except ValueError:
                pass  # nearly ISO 8601, such as with " UTC" at its end
        if match := _DIGITS.match(text):
            first, separator, second, third = match.group(1, 2, 3, 4)
            if len(first) == 4:
                return _dates(match, {SURE: (first, second, third)})
            if separator == ".":  # nobody writes the month first with dots
                return _dates(match, {SURE: (third, second, first)})
            ways = {"dmy": (third, second, first), "mdy": (third, first, second)}
            if len(third) <= 2:
                ways["ymd"] = (first, second, third)
            return _dates(match, {way: ways[way] for way in ways})
        if match := _DAY_MONTH.match(text):
            return _dates(match, {SURE: (match[3], _month(match[2]), match[1])})
        if match := _MONTH_DAY.match(text):
            return _dates(match, {SURE: (match[3], _month(match[1]), match[2])})
        return _epoch(text)


def _month(name: str) -> int:
    return _MONTHS.index(name[:3].lower()) + 1  # ValueError: no English month


def _dates(
    match: re.Match[str], ways: dict[str, tuple[str, str | int, str]]
) -> dict[str, datetime]:
    """The ways that give a date, with the clock time of the match."""
    hour, minute, second = (int(match[name] or 0) for name in "hms")
    if half := match["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(f"no hour of a half day: {hour}")
        hour = hour % 12 + (12 if half in "Pp" else 0)
    micro = int((match["f"] or "0")[:6].ljust(6, "0"))
    zone = _zone(match["zone"])
    found = {}
    for way, (year, month, day) in ways.items():
        number = int(year)
        if len(year) == 3:
            continue
        if len(year) <= 2:
            number += 2000 if number < 69 else 1900  # as POSIX has it
        try:
            found[way] = datetime(
                number, int(month), int(day), hour, minute, second, micro, tzinfo=zone
            )
        except ValueError:
            continue  # there is no such day
    return found


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text[0] not in "+-":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[3:].strip(":") or 0)
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _epoch(text: str) -> dict[str, datetime]:
    """Seconds since 1970, or their thousandths or millionths, told by their digits."""
    match = re.fullmatch(r"\s*(\d{9,10}(?:\.\d+)?|\d{12,13}|\d{15,16})\s*", text)
    if not match:
        return {}
    digits = len(match[1].partition(".")[0])
    divisor = 10 ** (0 if digits <= 10 else 3 if digits <= 13 else 6)
    whole, rest = divmod(int(match[1].partition(".")[0]), divisor)
    fraction = timedelta(microseconds=rest * 10**6 // divisor)
    if "." in match[1]:
        fraction = timedelta(seconds=float("0." + match[1].partition(".")[2]))
    return {SURE: datetime.fromtimestamp(whole, UTC) + fraction}
