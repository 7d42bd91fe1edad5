"""Forms of times as texts: where each part is among the characters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.model.leap_seconds import SECOND
from dayfile.timing.calendar import divide_dates
from dayfile.timing.digits import Int64, Mask

__all__ = ["ISO_FORMS", "TextForm", "TextPlaces"]

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
LONG_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WIDTHS = {"Y": 4, "m": 2, "d": 2, "H": 2, "I": 2, "M": 2, "S": 2, "y": 2, "j": 3, "b": 3, "a": 3, "p": 2}
"""Characters of what letters stand for, where that is always the same number."""
LETTER_PARTS = {"Y": "year", "m": "month", "d": "day", "j": "day_of_year", "H": "hour", "M": "minute", "S": "second"}
LETTER_PARTS |= {"y": "year", "b": "month", "B": "month", "I": "hour"}
"""What letters stand for."""
LOOSE = {
    "Y": r"(\d{4})",
    "f": r"(\d{1,9})",
    "y": r"(\d{2})",
    "j": r"(\d{1,3})",
    "b": rf"({'|'.join(MONTHS)})",
    "B": rf"({'|'.join(LONG_MONTHS)})",
    "a": rf"({'|'.join(WEEKDAYS)})",
    "A": r"((?:mon|tues|wednes|thurs|fri|satur|sun)day)",
    "p": r"([ap]m)",
    "z": r"(z|[+-]\d\d(?::?\d\d)?)",
}
"""What texts have for letters, as strptime reads them; other numbers have one digit or two."""
OFFSETS = ("Z", "+00:00", "+0000", "+00")
"""The forms of an offset from UTC."""
LAST_OF_2000S = 68
"""Years of two digits are from 1969 to 2068, as for strptime."""
CASE = 0x20
"""The bit that makes a letter a small one."""
ZERO = 48
PartValues = dict[str, Int64]
TextPlaces = list[tuple[str, str, int, int]]
"""Where the pieces of a form are: letter, literal, first character and width."""


@dataclass(frozen=True)
class TextForm:
    """What a text looks like: strptime's letters, and characters between them.

    Parameters
    ----------
    text : str
        With strptime's letters, such as ``%Y-%m-%d %H:%M:%S.%f``; ``%f`` stands for up to nine digits.
    strict : bool
        Whether numbers have all their digits, as in ISO 8601; then ``T`` may be a blank, and the point a comma.
    """

    text: str
    strict: bool = False

    @cached_property
    def pieces(self) -> tuple[tuple[str, str], ...]:
        """Return letters, and single characters without a letter, in their order."""
        found = re.findall(r"%(.)|([^%]|%$)", self.text, re.DOTALL)
        return tuple((letter, "") if letter not in ("", "%") else ("", literal or "%") for letter, literal in found)

    @property
    def letters(self) -> tuple[str, ...]:
        """Return the letters in it."""
        return tuple(letter for letter, _ in self.pieces if letter)

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the parts of a date that it has."""
        return tuple(dict.fromkeys(LETTER_PARTS[letter] for letter in self.letters if letter in LETTER_PARTS))

    @property
    def problem(self) -> str:
        """Return why it cannot give times; empty if it can."""
        for letter in self.letters:
            if letter not in WIDTHS and letter not in LOOSE:
                known = ", ".join(f"%{each}" for each in sorted({*WIDTHS, *LOOSE}))
                return f"%{letter} is not one of the letters {known}"
            if self.letters.count(letter) > 1:
                return f"%{letter} is here a second time"
        both = next((pair for pair in ("Yy", "bB", "HI", "mb", "mB") if set(pair) <= set(self.letters)), "")
        if both:
            return f"%{both[0]} and %{both[1]} are the same part of a time; leave one out"
        if "year" not in self.parts:
            return "the form has no year: %Y"
        if not ({"month", "day"} <= set(self.parts) or "day_of_year" in self.parts):
            return "the form has no day: %m and %d, or %j for the day of the year"
        if {"month", "day_of_year"} <= set(self.parts) or {"day", "day_of_year"} <= set(self.parts):
            return "%j is the day of the year, so there cannot be a month or a day as well"
        if ("I" in self.letters) != ("p" in self.letters):
            return "%I is the hour by a clock of 12 hours, which %p (AM or PM) goes with"
        return ""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Return the pattern of texts of this form."""
        made = []
        for letter, literal in self.pieces:
            if not letter:
                also = {"T": "[T ]", ".": "[.,]"}.get(literal) if self.strict else None
                made.append(also or (r"\s+" if literal.isspace() else re.escape(literal)))
            elif self.strict and letter in WIDTHS:
                made.append(rf"(\d{{{WIDTHS[letter]}}})")
            else:
                made.append(LOOSE.get(letter, r" ?(\d{1,2})"))
        return re.compile(r"\s*" + "".join(made) + r"\s*", re.ASCII | re.IGNORECASE)

    def match(self, text: str) -> dict[str, int] | None:
        """Read a single text, however wide its numbers are; None if it has not this form."""
        found = self.pattern.fullmatch(text)
        if found is None:
            return None
        values: dict[str, int] = {}
        for letter, said in zip(self.letters, map(str.lower, found.groups()), strict=True):
            if letter == "f":
                values["rest"] = int(said.ljust(9, "0"))
            elif letter == "z":
                values["ahead"] = read_offset(said)
            elif letter in "bB":
                values["month"] = MONTHS.index(said[:3]) + 1
            elif letter == "p":
                values["afternoon"] = int(said == "pm")
            elif letter not in "aA":
                values[LETTER_PARTS[letter]] = int(said)
        arrays = {name: np.array([value]) for name, value in values.items()}
        return {name: int(value[0]) for name, value in finish(arrays, self.letters).items()}

    def place(self, length: int) -> list[TextPlaces]:
        """Return where the pieces of texts of a length are: letter, literal, first character and width.

        There is one list for each form of an offset; none if texts of this form have no such length, or if the width
        of a letter is not known.
        """
        found = []
        for offset in OFFSETS if "z" in self.letters else ("",):
            widths = [1 if not letter else WIDTHS.get(letter, -1) for letter, _ in self.pieces]
            widths = [
                len(offset) if letter == "z" else width for width, (letter, _) in zip(widths, self.pieces, strict=True)
            ]
            if "f" in self.letters:
                at = self.letters_at("f")
                widths[at] = 0
                widths[at] = length - sum(widths)
                if not 1 <= widths[at] <= 9:
                    continue
            if min(widths) < 0 or sum(widths) != length:
                continue
            firsts = np.cumsum([0, *widths[:-1]]).tolist()
            found.append(
                [
                    (letter, offset if letter == "z" else literal, first, width)
                    for (letter, literal), first, width in zip(self.pieces, firsts, widths, strict=True)
                ]
            )
        return found

    def letters_at(self, letter: str) -> int:
        """Return the number of the piece with a letter."""
        return [each for each, _ in self.pieces].index(letter)

    def read(self, codes: npt.NDArray[np.uint8], places: TextPlaces) -> tuple[PartValues, Mask]:
        """Read texts whose pieces are at these places.

        Parameters
        ----------
        codes : array of uint8, shape (length, n)
            The first characters of all texts, the second ones, and so on.
        places : list of tuple
            One of those that :meth:`place` returns.

        Returns
        -------
        values : dict of str to array of int64, shape (n,)
            Parts of dates by their names; ``rest`` in nanoseconds, and ``ahead``.
        good : array of bool, shape (n,)
            Which texts have this form.
        """
        good = self._check(codes, places)
        values: PartValues = {}
        if not good.any():
            return values, good
        for letter, literal, first, width in places:
            part = codes[first : first + width]
            if letter == "f":
                values["rest"] = read_form_number(part) * 10 ** (9 - width)
            elif letter == "z":
                values["ahead"] = read_offsets(part, literal)
            elif letter == "b":
                values["month"], known = read_month(part)
                good &= known
            elif letter == "p":
                values["afternoon"] = ((part[0] | CASE) == ord("p")).astype(np.int64)
            elif letter in LETTER_PARTS:
                values[LETTER_PARTS[letter]] = read_form_number(part)
        return finish(values, self.letters), good

    def _check(self, codes: npt.NDArray[np.uint8], places: TextPlaces) -> Mask:
        """Find the texts whose characters are of the right kind, those that are not digits first."""
        good = np.ones(codes.shape[1], bool)
        digits = []
        for letter, literal, first, width in places:
            if letter in ("Y", "m", "d", "H", "I", "M", "S", "y", "j", "f"):
                digits.append(slice(first, first + width))
            elif letter == "z":
                good &= (
                    (codes[first] | CASE) == ord("z") if literal == "Z" else np.isin(codes[first], [ord("+"), ord("-")])
                )
                digits += [slice(first + at, first + at + 1) for at, each in enumerate(literal) if each == "0"]
                if ":" in literal:
                    good &= codes[first + literal.index(":")] == ord(":")
            elif letter == "p":
                good &= np.isin(codes[first] | CASE, [ord("a"), ord("p")]) & ((codes[first + 1] | CASE) == ord("m"))
            elif letter == "a":
                good &= find_names(codes[first : first + width], WEEKDAYS)[1]
            elif not letter:
                also = {"T": " ", ".": ","}.get(literal) if self.strict else None
                is_right = codes[first] == min(ord(literal), 255)
                good &= is_right if is_right.all() or not also else is_right | (codes[first] == ord(also))
            if not good.any():
                return good
        for part in digits:
            good &= np.maximum.reduce(codes[part] - np.uint8(ZERO), axis=0) < 10
        return good

    def write(self, times: Int64) -> list[str]:
        """Write what a clock shows as texts; with ``%z``, it shows UTC."""
        values = {name: each.tolist() for name, each in divide_dates(times).items()}
        rest = (times % SECOND).tolist()
        digits = 9 if any(each % 1_000 for each in rest) else 6
        return [
            self._write_row({name: each[row] for name, each in values.items()}, rest[row], digits)
            for row in range(len(times))
        ]

    def _write_row(self, values: dict[str, int], rest: int, digits: int) -> str:
        made = []
        for letter, literal in self.pieces:
            day = np.datetime64(f"{values['year']:04d}-{values['month']:02d}-{values['day']:02d}", "D")
            weekday = WEEKDAYS[(int(day.astype(np.int64)) + 3) % 7]
            special = {
                "": literal,
                "f": f"{rest:09d}"[:digits],
                "z": "Z",
                "y": f"{values['year'] % 100:02d}",
                "b": MONTHS[values["month"] - 1].title(),
                "B": LONG_MONTHS[values["month"] - 1].title(),
                "a": weekday.title(),
                "A": {"tue": "Tues", "wed": "Wednes", "thu": "Thurs", "sat": "Satur"}.get(weekday, weekday.title())
                + "day",
                "p": "PM" if values["hour"] >= 12 else "AM",
                "I": f"{(values['hour'] - 1) % 12 + 1:02d}",
            }
            made.append(special[letter] if letter in special else f"{values[LETTER_PARTS[letter]]:0{WIDTHS[letter]}d}")
        return "".join(made)


def list_iso_forms() -> tuple[TextForm, ...]:
    """List the forms of ISO 8601: with dashes and colons, and without; the most usual first."""
    found = []
    for date, minutes, seconds in (("%Y-%m-%d", "%H:%M", ":%S"), ("%Y%m%d", "%H%M", "%S")):
        for offset in ("%z", ""):
            clocks = (f"{minutes}{seconds}.%f", f"{minutes}{seconds}", minutes)
            found += [TextForm(f"{date}T{clock}{offset}", strict=True) for clock in clocks]
        found.append(TextForm(date, strict=True))
    return tuple(found)


def read_form_number(digits: npt.NDArray[np.uint8]) -> Int64:
    """Read numbers of at most nine digits, given as codes of shape (digits, n)."""
    # Two digits fit one byte, in which NumPy is quick.
    value: npt.NDArray[Any] = np.zeros(digits.shape[1], np.uint8 if len(digits) <= 2 else np.int32)
    for digit in digits:
        value *= 10
        value += digit - np.uint8(ZERO)
    return value.astype(np.int64)


def find_names(codes: npt.NDArray[np.uint8], names: tuple[str, ...]) -> tuple[Int64, Mask]:
    """Find names of three letters: their numbers, from 0, and which texts are one of them."""
    packed = [int.from_bytes(name.encode(), "big") for name in names]
    order = np.argsort(packed)
    first, second, third = (codes | np.uint8(CASE)).astype(np.int64)
    wanted = first << 16 | second << 8 | third
    at = np.minimum(np.searchsorted(np.array(packed)[order], wanted), len(names) - 1)
    return order[at].astype(np.int64), np.array(packed)[order][at] == wanted


def read_month(codes: npt.NDArray[np.uint8]) -> tuple[Int64, Mask]:
    """Read names of months of three letters: the months from 1, and which texts are one."""
    numbers, known = find_names(codes, MONTHS)
    return numbers + 1, known


def read_offsets(codes: npt.NDArray[np.uint8], form: str) -> Int64:
    """Read offsets from UTC, in nanoseconds; more than a day for those that are impossible."""
    if form == "Z":
        return np.zeros(codes.shape[1], np.int64)
    minutes = 60 * read_form_number(codes[1:3])
    if len(form) > 3:
        minutes += find_minutes(read_form_number(codes[-2:]))
    return np.where(codes[0] == ord("-"), -minutes, minutes) * 60 * SECOND


def find_minutes(minutes: Int64) -> Int64:
    """Return minutes of an offset, those that are impossible as more than a day."""
    return np.where(minutes < 60, minutes, 2_000)


def read_offset(said: str) -> int:
    """Read a single offset from UTC, in nanoseconds."""
    form = {1: "Z", 3: "+00", 5: "+0000", 6: "+00:00"}[len(said)]
    return int(read_offsets(np.frombuffer(said.encode(), np.uint8)[:, np.newaxis], form)[0])


def finish(values: PartValues, letters: tuple[str, ...]) -> PartValues:
    """Make years of four digits, and hours of a day, of what the letters say."""
    if "y" in letters:
        years = values["year"]
        values["year"] = years + np.where(years > LAST_OF_2000S, 1900, 2000)
    if "p" in letters:
        hours, afternoon = values["hour"], values.pop("afternoon")
        values["hour"] = np.where((hours >= 1) & (hours <= 12), hours % 12 + 12 * afternoon, hours + 24)
    return values


ISO_FORMS = list_iso_forms()
