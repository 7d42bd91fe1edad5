"""What comments of a header say plainly: units, scales, values for nothing measured, and epochs of times."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dayfile.authoring.clocks import GPS_EPOCH, JULIAN_EPOCH

__all__ = ["Epoch", "Meaning", "find_counted", "find_epoch", "read_meaning"]

COMMON = """\
s ms us µs ns min h d Hz kHz MHz GHz V mV uV µV kV A mA uA µA nA W mW kW degC C K hPa Pa kPa mbar bar m mm cm km um µm
nm m/s km/h deg rad mrad arcsec % ppm ppb count counts adc pC nC fC eV keV MeV GeV nT uT µT mT T G dB dBm ohm kohm Mohm
ml l kg g mg lux lx cps 1/s g/m3 m3 mm/h V/m"""
"""Units that comments name in short."""
UNIT = "|".join(sorted(map(re.escape, [*COMMON.split(), "deg C", "degrees C"]), key=len, reverse=True))
UNIT_END = r"(?=\s*(?:[,;:.(]|$|-\s|of\b|since\b))"
UNIT_FIRST = re.compile(rf"\s*(?:(?P<scale>\d+(?:\.\d+)?(?:[eE]-?\d+)?)\s*)?(?P<unit>{UNIT}){UNIT_END}")
SEVERAL = re.compile(rf"\s*(?P<units>(?:{UNIT})(?:\s*,\s*(?:{UNIT}))+){UNIT_END}")
BRACKET = re.compile(rf"[\[(]\s*(?:in\s+)?(?P<unit>{UNIT})\s*[\])]|\bin (?P<words>{UNIT}){UNIT_END}")
NUMBER_WORD = r"-?(?:0[xX][0-9a-fA-F]+|\d+)"
MISSING = re.compile(
    rf"(?P<before>(?<!\w){NUMBER_WORD})\b(?:\s*[:=]|\s+(?:when|if|means?|for|is|marks))\s+(?:there is\s+|are\s+)?"
    r"(?:no\b|not\b|none\b|missing|invalid|nothing)"
    rf"|(?:missing|invalid|no data|no value)\s*[:=]\s*(?P<after>{NUMBER_WORD})",
    re.IGNORECASE,
)
SINCE = re.compile(r"\b(?:since|from|epoch:?)\s+(?P<date>\d{4}-\d{2}-\d{2}|\d{4}\b|the (?:Unix )?epoch)", re.IGNORECASE)
COUNTED_FROM = re.compile(r"\b(?P<unit>days|(?:milli|micro|nano)?seconds|[mun]?s|d) (?:since|from)\b", re.IGNORECASE)
COUNTED_UNITS = {"days": "d", "seconds": "s", "milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}
JULIAN_WORDS = re.compile(r"\bmodified julian\b|\bMJD\b", re.IGNORECASE)
ENUM = re.compile(r"\benum\s+(?P<name>\w+)")


@dataclass(frozen=True)
class Meaning:
    """What a comment says of a number.

    Parameters
    ----------
    unit : str
        Its unit; that of the physical value, if there is a scale.
    scale : str
        What the number is multiplied by; empty for nothing.
    missing : int, optional
        The number where nothing was measured.
    enum : str
        Name of the enumeration that has its values.
    """

    unit: str = ""
    scale: str = ""
    missing: int | None = None
    enum: str = ""


@dataclass(frozen=True)
class Epoch:
    """From when on a clock counts.

    Parameters
    ----------
    date : str
        The date.
    scale : str
        The time scale.
    said : bool
        Whether the header says it; otherwise it is a guess.
    """

    date: str = "1970-01-01"
    scale: str = "utc"
    said: bool = False


def read_meaning(comment: str, place: tuple[int, int] = (0, 1)) -> Meaning:
    """Read what a comment says plainly of a member.

    Parameters
    ----------
    comment : str
        The comment.
    place : (int, int)
        Place of the member among those that the comment is about, and their number.

    Examples
    --------
    >>> read_meaning("0.01 degC; -32768 when there is no sensor")
    Meaning(unit='degC', scale='0.01', missing=-32768, enum='')
    >>> read_meaning("V, A of the supplies", (1, 2)).unit, read_meaning("V of both", (1, 2)).unit
    ('A', '')
    """
    enum = found["name"] if (found := ENUM.search(comment)) else ""
    number = next(filter(None, found.groups())) if (found := MISSING.search(comment)) else None
    missing = None if number is None else int(number, 0 if "x" in number.lower() else 10)
    index, several = place
    if several > 1:
        listed = SEVERAL.match(comment)
        units = [unit.strip() for unit in listed["units"].split(",")] if listed else []
        return Meaning(units[index] if len(units) == several else "", "", missing, enum)
    first = UNIT_FIRST.match(comment)
    if first:
        return Meaning(name_unit(first["unit"]), first["scale"] or "", missing, enum)
    bracket = BRACKET.search(comment)
    return Meaning(name_unit(bracket["unit"] or bracket["words"]) if bracket else "", "", missing, enum)


def name_unit(unit: str) -> str:
    """Name a unit as layouts do."""
    return "degC" if unit in ("deg C", "degrees C") else unit


def find_epoch(comments: list[str]) -> Epoch:
    """Find the epoch of a time in the comments about it, the nearest first.

    Examples
    --------
    >>> find_epoch(["s", "GPS time: seconds since 1980-01-06, leap seconds are counted."])
    Epoch(date='1980-01-06', scale='gps', said=True)
    """
    for comment in comments:
        found = SINCE.search(comment)
        if found:
            date = found["date"]
            whole = date if "-" in date else f"{date}-01-01" if date.isdigit() else "1970-01-01"
            return Epoch(whole, "gps" if re.search(r"\bgps\b", comment, re.IGNORECASE) else "utc", said=True)
        if JULIAN_WORDS.search(comment):
            return Epoch(JULIAN_EPOCH, said=True)
        if re.search(r"\bunix\b", comment, re.IGNORECASE):
            return Epoch(said=True)
        if re.search(r"\bgps\b", comment, re.IGNORECASE):
            return Epoch(GPS_EPOCH, "gps", said=True)
    return Epoch()


def find_counted(comment: str) -> str:
    """Find the unit in which a comment says that a time counts; empty if it does not say it.

    Examples
    --------
    >>> find_counted("modified Julian date, days since 1858-11-17"), find_counted("ms since 1970"), find_counted("time")
    ('d', 'ms', '')
    """
    if found := COUNTED_FROM.search(comment):
        unit = found["unit"].lower()
        return COUNTED_UNITS.get(unit, unit)
    return "d" if JULIAN_WORDS.search(comment) else ""
